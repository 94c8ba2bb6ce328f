"""Takes the steps of a training with PyTorch: what TestTrainedByPyTorch drives over its standard input and output.

A message is a line of JSON and the bytes of the tensors that it lists. load: weights from a file, the net by their names and
shapes. bind: AdamW's numbers, and by parameter the factor on the learning rate and the decay. step: a batch and its learning
rate; the answer has the loss and the gradient's norm before clipping. save: the weights to a file."""
import json
import math
import os
import sys
import numpy
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "engine", "testdata"))
from nets import CLIP, Bert, ResNet

dtypes = {"f32": numpy.float32, "i32": numpy.int32}
net = optimizer = None


def resnet(w, at, classes):
    width, _, kernel = w[at + "stem.0.weight"].shape[:3]
    return ResNet(width, kernel, classes)


def net_of(w, heads):
    if "logit_scale" not in w:
        return resnet(w, "", len(w["fc.bias"]))
    words, positions = w["text.embeddings.word_embeddings.weight"], w["text.embeddings.position_embeddings.weight"]
    layers = 1 + max(int(n.split(".")[3]) for n in w if n.startswith("text.encoder.layer."))
    inner = len(w["text.encoder.layer.0.intermediate.dense.bias"])
    return CLIP(resnet(w, "visual.", 0), Bert(layers, words.shape[1], heads, inner, len(words), len(positions)), len(w["visual_projection.weight"]))


def loss_of(t):
    if "input_ids" in t:
        return net(t["x"], t["input_ids"].long(), t["attention_mask"])[2]
    logits, labels = net(t["x"])[1], t["labels"]
    known = labels >= 0
    return F.binary_cross_entropy_with_logits(logits[known], labels[known].float())


def bind(m):
    global optimizer
    rates = {s["name"]: s for s in m["slots"]}
    optimizer = torch.optim.AdamW([dict(params=[p], rate=rates[n]["rate"], weight_decay=rates[n]["decay"]) for n, p in net.named_parameters()],
                                  lr=1, betas=(m["beta1"], m["beta2"]), eps=m["eps"])
    optimizer.limit = m["clip"]


def step(m):
    tensors = {t["name"]: torch.from_numpy(numpy.frombuffer(sys.stdin.buffer.read(4 * math.prod(t["shape"])), dtypes[t["type"]]).reshape(t["shape"]).copy()) for t in m["tensors"]}
    tensors["x"] = tensors["x"].contiguous(memory_format=torch.channels_last_3d)
    optimizer.zero_grad()
    loss = loss_of(tensors)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(net.parameters(), optimizer.limit or math.inf)
    for g in optimizer.param_groups:
        g["lr"] = m["lr"] * g["rate"]
    optimizer.step()
    return dict(loss=loss.item(), norm=norm.item())


answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever libraries print is no answer
for line in iter(sys.stdin.buffer.readline, b""):
    m, said = json.loads(line), {}
    if m["do"] == "load":
        weights = load_file(m["file"])
        net = net_of(weights, m["heads"]).to(memory_format=torch.channels_last_3d)
        missing = net.load_state_dict(weights, strict=False)
        assert all("num_batches_tracked" in n for n in missing.missing_keys) and not missing.unexpected_keys, missing
        net.train()
    elif m["do"] == "bind":
        bind(m)
    elif m["do"] == "step":
        said = step(m)
    elif m["do"] == "save":
        save_file({n: v.contiguous() for n, v in net.state_dict().items()}, m["file"])
    print(json.dumps(said), file=answers, flush=True)
