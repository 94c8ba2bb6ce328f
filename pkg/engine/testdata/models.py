"""Judges package engine's weights by the libraries that people load them with: torchvision's r3d_18 and Hugging Face's BertModel.

python models.py write DIR   writes their weights, as those libraries save them, an input and their results
python models.py read DIR    loads our weights with strict=True and writes their results for the same input"""
import os
import sys
import torch
import torchvision
import transformers
from safetensors.torch import load_file, save_file

verb, folder = sys.argv[1:]
path = lambda name: os.path.join(folder, name + ".safetensors")
torch.manual_seed(1)


def settled(m):
    for n, b in m.named_buffers():
        if b.is_floating_point():
            b.data += 0.3 * torch.rand_like(b)
    return m.eval()


def r3d_18(stem):
    m = torchvision.models.video.r3d_18(weights=None, num_classes=18)
    if stem:
        m.stem[0] = torch.nn.Conv3d(1, 64, 2, stride=2, bias=False)
    return settled(m)


bert = transformers.BertModel(transformers.BertConfig(vocab_size=90, hidden_size=48, num_hidden_layers=3, num_attention_heads=4,
    intermediate_size=100, max_position_embeddings=32, initializer_range=0.2), add_pooling_layer=False).eval()
with torch.no_grad():
    for name, m, x in (("r3d_18", r3d_18(False), torch.randn(1, 3, 6, 40, 36)), ("ct", r3d_18(True), torch.randn(2, 1, 16, 24, 20))):
        if verb == "write":
            save_file(m.state_dict(), path(name))
            save_file({"x": x}, path(name + "-in"))
        else:
            print(m.load_state_dict(load_file(path(name + "-ours")), strict=True))
        save_file({"logits": m.double()(x.double()).float()}, path(f"{name}-{verb}"))

    ids, mask = torch.randint(0, 90, (3, 11)), torch.ones(3, 11).int()
    mask[1, 6:] = 0
    if verb == "write":
        bert.save_pretrained(folder)
        save_file({"input_ids": ids.int(), "attention_mask": mask}, path("bert-in"))
    else:
        print(bert.load_state_dict(load_file(path("bert-ours")), strict=True))
    out = bert.double()(input_ids=ids, attention_mask=mask).last_hidden_state.float()
    save_file({"last_hidden_state": out.contiguous()}, path(f"bert-{verb}"))
