"""Writes the oracle values of this folder with PyTorch: python make.py, in an environment with torch, torchvision and safetensors.

Each file holds weights ("w/NAME", state_dict names), inputs ("in/NAME"), outputs ("out/NAME") and gradients ("grad/NAME")
of one training step in float64, rounded to float32. Random numbers only. The nets are those of nets.py."""
import json
import math
import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from safetensors.torch import save_file
from nets import CLIP, Bert, ResNet, conv, pool

torch.set_default_dtype(torch.float64)


def randomise(m):
    for n, p in m.named_parameters():
        if p.dim() < 2 and n != "logit_scale":
            p.data += 0.2 * torch.randn_like(p)
        elif p.dim() == 2:
            p.data = torch.randn_like(p) / p.shape[-1] ** 0.5
        p.data = p.data.float().double()
    for n, b in m.named_buffers():
        if b.is_floating_point():
            b.data = (b + 0.3 * torch.rand_like(b)).float().double()


def write(path, m, inputs, outputs, loss):
    before = {n: v.clone() for n, v in m.state_dict().items()}
    out = outputs(m)
    loss(out).backward()
    all = {"w/" + n: v for n, v in before.items()}
    all |= {"in/" + n: v for n, v in inputs.items()}
    all |= {"out/" + n: v.detach() for n, v in out.items()}
    all |= {"grad/" + n: p.grad for n, p in m.named_parameters()}
    all |= {"after/" + n: v for n, v in m.named_buffers() if n.startswith(("stem", "layer2.0", "visual_norm", "text_norm"))}
    save_file({n: (v.float() if v.is_floating_point() else v if "tracked" in n else v.int()).contiguous() for n, v in all.items()}, path)


torch.manual_seed(1)
x = torch.randn(3, 1, 12, 20, 28).float().double()
labels = torch.tensor([[1, 0, -1, 0, 1], [0, -1, 1, 1, 0], [0, 0, 0, 1, -1]])
weight = torch.tensor([1.0, 2, 0.5, 1, 3])
net = ResNet(3, 2, 5)
randomise(net)


def supervised(m):
    pooled, logits = m(x)
    keep = labels >= 0
    loss = F.binary_cross_entropy_with_logits(logits, labels.clamp(min=0).double(), pos_weight=weight, reduction="none")
    return {"pooled": pooled, "logits": logits, "loss": (loss * keep).sum() / keep.sum()}


net.train()
start = {n: v.clone() for n, v in net.state_dict().items()}
write("r3d_18.safetensors", net, {"x": x, "labels": labels, "pos_weight": weight}, supervised, lambda o: o["loss"])


def trajectory(frozen):
    """Losses and gradient norms of 20 steps of AdamW from the weights of r3d_18.safetensors on its batch."""
    net.load_state_dict(start)
    net.train(not frozen)
    groups = [[p for p in net.parameters() if (p.dim() == 1) == flat] for flat in (False, True)]
    opt = torch.optim.AdamW([dict(params=groups[0], weight_decay=0.05), dict(params=groups[1], weight_decay=0)], lr=1e-3)
    losses, norms = [], []
    for _ in range(20):
        opt.zero_grad()
        loss = supervised(net)["loss"]
        loss.backward()
        losses.append(loss.detach())
        norms.append(torch.nn.utils.clip_grad_norm_(net.parameters(), math.inf))
        opt.step()
    after = {n: net.state_dict()[n].clone() for n in ("fc.weight", "layer1.0.conv1.0.weight", "layer1.0.conv1.1.running_var")}
    return {"loss": torch.stack(losses), "grad_norm": torch.stack(norms)} | after


free, frozen = trajectory(False), trajectory(True)

x = torch.randn(4, 1, 12, 16, 20).float().double()
ids, mask = torch.randint(0, 30, (4, 10)), torch.ones(4, 10)
for i in range(4):
    mask[i, 10 - 2 * i:] = 0
clip = CLIP(ResNet(2, 4, 0), Bert(2, 24, 3, 40, 30, 12), 20)
randomise(clip)


def contrastive(m):
    a, b, loss = m(x, ids, mask)
    return {"image_embedding": a, "text_embedding": b, "loss": loss}


clip.train()
write("clip.safetensors", clip, {"x": x, "input_ids": ids, "attention_mask": mask.long()}, contrastive, lambda o: o["loss"])


def save(path, all):
    save_file({n: (v.detach().float() if v.is_floating_point() else v if "tracked" in n else v.int()).contiguous() for n, v in all.items()}, path)


def under(kind, all):
    return {kind + "/" + n: v for n, v in all.items()}


# What net forward computes: torchvision's own stem in evaluation, and BERT, one of whose samples has holes in its mask.
net = ResNet(2, (3, 7, 7), 4, 3, (1, 2, 2), (1, 3, 3))
randomise(net)
x = torch.randn(2, 3, 5, 18, 21).float().double()
save("r3d_18_eval.safetensors", under("w", net.state_dict()) | {"in/x": x} | under("out", net.eval().features(x)))

bert = Bert(2, 24, 3, 40, 30, 12)
randomise(bert)
ids, mask = torch.randint(0, 30, (3, 9)), torch.ones(3, 9)
mask[1, 5:], mask[2, 1], mask[2, 7] = 0, 0, 0
x = bert(ids, mask)
save("bert.safetensors", under("w", bert.state_dict()) | {"in/input_ids": ids, "in/attention_mask": mask.long()}
     | under("out", {"last_hidden_state": x, "cls": x[:, 0], "meanpool": pool(x, mask)}))


class ViT(nn.Module):
    """torchvision's encoder behind a projection of 3D patches, as its VisionTransformer has it for images."""
    def __init__(self, size, patch, e, layers, heads, inner, classes):
        super().__init__()
        self.conv_proj, self.class_token = nn.Conv3d(1, e, patch, patch), nn.Parameter(torch.zeros(1, 1, e))
        tokens = math.prod(n // p for n, p in zip(size, patch))
        self.encoder = torchvision.models.vision_transformer.Encoder(tokens + 1, layers, heads, e, inner, 0.0, 0.0)
        self.heads = nn.Module()
        self.heads.head = nn.Linear(e, classes)

    def forward(self, x):
        x = self.conv_proj(x).flatten(2).transpose(1, 2)
        x = self.encoder(torch.cat([self.class_token.expand(len(x), -1, -1), x], 1))[:, 0]
        return x, self.heads.head(x)


x = torch.randn(3, 1, 4, 8, 6).float().double()
net = ViT((4, 8, 6), (2, 4, 3), 24, 2, 3, 40, 5)
randomise(net)
write("vit_3d.safetensors", net, {"x": x, "labels": labels, "pos_weight": weight}, supervised, lambda o: o["loss"])


class Classifier(nn.Module):
    """BERT and a linear layer on its first token."""
    def __init__(self):
        super().__init__()
        self.bert, self.classifier = Bert(2, 24, 3, 40, 30, 12), nn.Linear(24, 5)

    def forward(self, ids, mask):
        x = self.bert(ids, mask)
        return x, self.classifier(x[:, 0])

    def state_dict(self):
        return {n.removeprefix("bert."): v for n, v in super().state_dict().items()}

    def named_parameters(self):
        return ((n.removeprefix("bert."), v) for n, v in super().named_parameters())


net = Classifier()
randomise(net)


def reading(m):
    x, logits = m(ids, mask)
    keep = labels >= 0
    loss = F.binary_cross_entropy_with_logits(logits, labels.clamp(min=0).double(), reduction="none")
    return {"last_hidden_state": x, "logits": logits, "loss": (loss * keep).sum() / keep.sum()}


write("bert_fit.safetensors", net, {"input_ids": ids, "attention_mask": mask.long(), "labels": labels}, reading, lambda o: o["loss"])
save("adamw.safetensors", under("free", free) | under("frozen", frozen))


# Layers and losses one by one, for TestLayersAgainstPyTorch: what is differentiated is sum(out * gout).
def attend(x, in_w, in_b, out_w, out_b, heads, causal=False, ctx=None, valid=None):
    look = torch.ones(x.shape[1], x.shape[1]).triu(1).bool() if causal else None
    c = x if ctx is None else ctx
    return F.multi_head_attention_forward(x.transpose(0, 1), c.transpose(0, 1), c.transpose(0, 1), x.shape[-1], heads, in_w, in_b, None, None, False, 0.0,
        out_w, out_b, attn_mask=look, key_padding_mask=None if valid is None else valid == 0, need_weights=False)[0].transpose(0, 1)


def masked(x, y, pos_weight, how):
    loss = (F.binary_cross_entropy_with_logits(x, y.clamp(min=0).to(x.dtype), pos_weight=pos_weight, reduction="none") * (y >= 0)).sum()
    return loss if how == "sum" else loss / (y >= 0).sum().clamp(min=1)


def clip_of(img, txt, logit_scale):
    logits = logit_scale.clamp(max=math.log(100)).exp() * F.normalize(img) @ F.normalize(txt).T
    y = torch.arange(len(img))
    return (F.cross_entropy(logits, y) + F.cross_entropy(logits.T, y)) / 2


def siglip_of(img, txt, logit_scale, logit_bias):
    z = logit_scale.exp() * F.normalize(img) @ F.normalize(txt).T + logit_bias
    return -F.logsigmoid((2 * torch.eye(len(img)) - 1) * z).sum() / len(img)


def normal(*shape):
    return torch.randn(*shape)


def convolution(i, o, k, s, p, d=1, bias=False, size=(4, 6, 7), n=2):
    ins = dict(x=normal(n, i, *size), weight=normal(o, i, *k)) | (dict(bias=normal(o)) if bias else {})
    return "conv3d", dict(kernel=k, stride=s, padding=p, dilation=d), ins, lambda x, weight, bias=None: F.conv3d(x, weight, bias, s, p, d)


def attention(t, e, heads, causal=False, s=None, padded=False):
    ins = dict(x=normal(2, t, e), in_proj_weight=normal(3 * e, e) / e ** .5, in_proj_bias=normal(3 * e), out_proj_weight=normal(e, e) / e ** .5, out_proj_bias=normal(e))
    if s:
        ins["ctx"] = normal(2, s, e)
    if padded:
        ins["key_valid"] = torch.ones(2, t).int()
        ins["key_valid"][1, t // 2:] = 0
    f = lambda x, in_proj_weight, in_proj_bias, out_proj_weight, out_proj_bias, ctx=None, key_valid=None: attend(
        x, in_proj_weight, in_proj_bias, out_proj_weight, out_proj_bias, heads, causal, ctx, key_valid)
    return "attention", dict(heads=heads, causal=causal), ins, f


def activation(op, f):
    return op, {}, dict(x=torch.cat([torch.linspace(-9, 9, 33), normal(8)])), lambda x: f(x)


def norm(op, attrs, shape, f):
    c = shape[1] if len(shape) == 5 else shape[-1]
    return op, attrs, dict(x=2 * normal(*shape) + 1, weight=normal(c), bias=normal(c)), f


def batchnorm(training):
    op, attrs, ins, _ = norm("batchnorm3d", dict(training=training), (3, 5, 2, 3, 4), None)
    ins |= dict(running_mean=normal(5), running_var=torch.rand(5) + .5)
    return op, attrs, ins, lambda x, weight, bias, running_mean, running_var: F.batch_norm(x, running_mean, running_var, weight, bias, training)


def bce(how, logits, labels):
    return "bce_logits", dict(reduction=how), dict(x=logits, y=labels.int(), pos_weight=1 + torch.rand(logits.shape[1])), lambda x, y, pos_weight: masked(x, y, pos_weight, how)


some = torch.randint(-1, 2, (4, 7))
cases = {
    "conv_111": convolution(3, 5, (1, 1, 1), (1, 1, 1), (0, 0, 0), bias=True),
    "conv_111_stride_122": convolution(17, 5, (1, 1, 1), (1, 2, 2), (0, 0, 0)),
    "conv_333": convolution(4, 18, (3, 3, 3), (1, 1, 1), (1, 1, 1)),
    "conv_333_unpadded": convolution(3, 4, (3, 3, 3), (1, 1, 1), (0, 0, 0), bias=True),
    "conv_333_stride_2": convolution(3, 4, (3, 3, 3), (2, 2, 2), (1, 1, 1)),
    "conv_234_stride_321": convolution(2, 3, (2, 3, 4), (3, 2, 1), (1, 0, 2), bias=True),
    "conv_333_dilation_2_stride_2": convolution(2, 3, (3, 3, 3), (2, 2, 2), (2, 2, 2), 2, size=(6, 7, 8)),
    "conv_155": convolution(1, 3, (1, 5, 5), (1, 2, 2), (0, 2, 2), size=(2, 9, 8)),
    "conv_777_wider_than_input": convolution(1, 2, (7, 7, 7), (2, 2, 2), (3, 3, 3), size=(4, 5, 3)),
    "batchnorm_train": batchnorm(True),
    "batchnorm_eval": batchnorm(False),
    "groupnorm_2": norm("groupnorm", dict(groups=2, eps=1e-5), (2, 6, 2, 3, 4), lambda x, weight, bias: F.group_norm(x, 2, weight, bias)),
    "groupnorm_of_each": norm("groupnorm", dict(groups=5, eps=1e-3), (2, 5, 2, 3, 3), lambda x, weight, bias: F.group_norm(x, 5, weight, bias, 1e-3)),
    "layernorm_12": norm("layernorm", dict(eps=1e-12), (2, 3, 12), lambda x, weight, bias: F.layer_norm(x, (12,), weight, bias, 1e-12)),
    "layernorm_33": norm("layernorm", dict(eps=1e-5), (5, 33), lambda x, weight, bias: F.layer_norm(x, (33,), weight, bias)),
    "l2norm": ("l2norm", {}, dict(x=normal(3, 7)), lambda x: F.normalize(x, dim=-1)),
    "relu": activation("relu", torch.relu),
    "gelu": activation("gelu_erf", F.gelu),
    "gelu_tanh": activation("gelu_tanh", lambda x: F.gelu(x, approximate="tanh")),
    "quick_gelu": activation("quick_gelu", lambda x: x * torch.sigmoid(1.702 * x)),
    "silu": activation("silu", F.silu),
    "sigmoid": activation("sigmoid", torch.sigmoid),
    "sigmoid_of_volumes": ("sigmoid", {}, dict(x=normal(2, 3, 2, 3, 4)), lambda x: torch.sigmoid(x)),
    "linear": ("linear", {}, dict(x=normal(4, 9), weight=normal(18, 9), bias=normal(18)), lambda x, weight, bias: F.linear(x, weight, bias)),
    "linear_no_bias": ("linear", {}, dict(x=normal(2, 3, 16), weight=normal(4, 16)), lambda x, weight: F.linear(x, weight)),
    "maxpool_2": ("maxpool3d", dict(kernel=2, stride=2, padding=0), dict(x=normal(2, 3, 4, 5, 6)), lambda x: F.max_pool3d(x, 2)),
    "maxpool_133": ("maxpool3d", dict(kernel=(1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)), dict(x=normal(2, 3, 2, 5, 6)), lambda x: F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))),
    "maxpool3d_ties": ("maxpool3d", dict(kernel=3, stride=1, padding=1), dict(x=torch.randint(0, 2, (1, 2, 3, 4, 5)).double()), lambda x: F.max_pool3d(x, 3, 1, 1)),
    "avgpool": ("gap", {}, dict(x=normal(2, 3, 2, 3, 4)), lambda x: x.mean((2, 3, 4))),
    "embedding": ("embedding", {}, dict(ids=torch.randint(0, 5, (2, 4)).int(), weight=normal(5, 6)), lambda ids, weight: F.embedding(ids, weight, padding_idx=0)),
    "softmax": ("softmax", {}, dict(x=3 * normal(3, 5)), lambda x: x.softmax(-1)),
    "attention": attention(5, 12, 3),
    "attention_causal": attention(18, 8, 2, causal=True),
    "attention_padded": attention(6, 20, 1, padded=True),
    "attention_cross": attention(3, 12, 3, s=8),
    "bce_mean": bce("mean", normal(4, 7), some),
    "bce_sum": bce("sum", normal(4, 7), some),
    "bce_extreme": bce("mean", torch.tensor([[100.0, -100, 100, -100]]), torch.tensor([[1, 0, 0, 1]])),
    "bce_all_ignored": bce("mean", normal(2, 3), -torch.ones(2, 3)),
    "ce": ("ce", dict(label_smoothing=0.0, ignore_index=-100), dict(x=normal(5, 4), y=torch.randint(0, 4, (5,)).int()), lambda x, y: F.cross_entropy(x, y.long())),
    "ce_smooth": ("ce", dict(label_smoothing=0.2, ignore_index=9), dict(x=normal(4, 3), y=torch.tensor([2, 9, 0, 1]).int()), lambda x, y: F.cross_entropy(x, y.long(), ignore_index=9, label_smoothing=.2)),
    "clip": ("infonce", {}, dict(img=normal(5, 9), txt=normal(5, 9), logit_scale=torch.tensor(2.0)), clip_of),
    "clip_clamped": ("infonce", {}, dict(img=normal(5, 9), txt=normal(5, 9), logit_scale=torch.tensor(4.7)), clip_of),
    "siglip": ("siglip", {}, dict(img=normal(5, 9), txt=normal(5, 9), logit_scale=torch.tensor(1.5), logit_bias=torch.tensor(-2.0)), siglip_of),
}
told, tensors = {}, {}


def tell(cases):
    global tensors
    for name, (op, attrs, ins, f) in cases.items():
        ins = {n: v.float().double() if v.is_floating_point() else v for n, v in ins.items()}
        tensors |= {f"{name}/in.{n}": v.clone() for n, v in ins.items()}
        grads = [n for n, v in ins.items() if v.is_floating_point() and n not in ("pos_weight", "running_mean", "running_var", "target", "region")]
        for n in grads:
            ins[n].requires_grad_()
        out = f(**ins)
        if out.dim():
            tensors[f"{name}/gout.y"] = g = normal(*out.shape).float().double()
            (out * g).sum().backward()
        else:
            out.backward()
        tensors[f"{name}/out.{'y' if out.dim() else 'loss'}"] = out
        tensors |= {f"{name}/grad.{n}": ins[n].grad for n in grads}
        if attrs.get("training"):
            tensors |= {f"{name}/out.{n}": ins[n] for n in ("running_mean", "running_var")}
        told[name] = dict(op=op, attrs=attrs, inputs=list(ins), grads=grads)


tell(cases)


def contrast(o, a, b, logit_scale=None, logit_bias=None, classes=None, labels=None, negatives=None, groups=None):
    """The contrastive loss by PyTorch's own cross entropy on soft targets."""
    n, all = len(a), [v if v is None or not o.get("Normalize") else F.normalize(v) for v in (a, b, negatives)]
    a, b, negatives = all
    factor = dict(none=1, fixed=o.get("Start")).get(o["Scale"]) or logit_scale.clamp(max=math.log(o["MaxScale"]) if "MaxScale" in o else None, min=-99).exp()
    own, by = torch.eye(n), o.get("TargetScale", 1)
    apart = torch.ones(n, n).bool() if groups is None else (groups[:, None] != groups) | own.bool()
    alike = own
    if classes is not None:
        alike = ((classes[:, None] == classes) & (classes >= 0) & apart | own.bool()).double()
    soft = lambda x: (by * x).masked_fill(~apart, -math.inf).softmax(1)
    target = other = alike / alike.sum(1, keepdim=True)
    if labels is not None:
        target = other = soft(F.cosine_similarity(labels.clamp(min=0).double()[:, None], labels.clamp(min=0).double()[None], dim=2, eps=1e-12))
    if o.get("Targets") == "self":
        other = soft((a @ a.T + b @ b.T) / 2).detach()
        target = other.T
    z, left = factor * a @ b.T, torch.zeros(n, 0) if negatives is None else factor * a @ negatives.T
    if o.get("Sigmoid"):
        pairs = -F.logsigmoid((2 * alike - 1) * (z + logit_bias)) * apart
        return (pairs.sum() - F.logsigmoid(-(left + logit_bias)).sum()) / n
    z, sides = z.masked_fill(~apart, -1e30), o.get("Sides", (0.5, 0.5))
    padded = torch.cat([target, torch.zeros_like(left)], 1)
    return sides[0] * F.cross_entropy(torch.cat([z, left], 1), padded) + sides[1] * F.cross_entropy(z.T, other)


def contrastive_case(n=5, e=9, learned=None, bias=None, negatives=0, groups=None, classes=None, labels=None, **o):
    ins = dict(a=normal(n, e) / e ** .5, b=normal(n, e) / e ** .5)
    if learned is not None:
        ins["logit_scale"], o["Scale"], o["Start"] = torch.tensor(learned), "learned", 10
    if bias is not None:
        ins["logit_bias"] = torch.tensor(bias)
    for name, v in (("classes", classes), ("labels", labels)):
        if v is not None:
            ins[name] = torch.tensor(v).int()
    if negatives:
        ins["negatives"] = normal(negatives, e) / e ** .5
        o["Negatives"] = True
    if groups:
        ins["groups"] = torch.tensor(groups).int()
        o["Groups"] = True
    return "contrastive", dict(contrastive=o), ins, lambda **ins: contrast(o, **ins)


def supcon_of(x, classes, temperature):
    z, n = x @ x.T / temperature, len(x)
    log_p = z - torch.logsumexp(z.masked_fill(torch.eye(n).bool(), -math.inf), 1, keepdim=True)
    with_them = ((classes[:, None] == classes) & (classes >= 0) & ~torch.eye(n).bool()).double()
    rows = with_them.sum(1) > 0
    return -((log_p * with_them).sum(1)[rows] / with_them.sum(1)[rows]).mean()


def recon(squared, region):
    ins = dict(x=normal(2, 3, 2, 3, 4), target=normal(2, 3, 2, 3, 4)) | (dict(region=torch.rand(2, 3, 2, 3, 4)) if region else {})
    f = F.mse_loss if squared else F.l1_loss
    return "recon", dict(squared=squared), ins, lambda x, target, region=torch.tensor(1.0): (f(x, target, reduction="none") * region).sum() / region.expand_as(x).sum()


def transposed(i, o, k, s, p, bias=False):
    ins = dict(x=normal(2, i, 2, 4, 3), weight=normal(i, o, *k)) | (dict(bias=normal(o)) if bias else {})
    return "convtranspose3d", dict(kernel=k, stride=s, padding=p), ins, lambda x, weight, bias=None: F.conv_transpose3d(x, weight, bias, s, p)


def guessed(how, missing):
    y = torch.where(some < 0, dict(mask=-1, zero=0, one=1)[missing], some)
    op, attrs, ins, _ = bce(how, normal(4, 7), some)
    return op, attrs | dict(missing=missing), ins, lambda x, y_=y, pos_weight=None, **_: masked(x, y_, pos_weight, how)


def volume(op, attrs, f, shape=(2, 3, 4, 5, 6)):
    return op, attrs, dict(x=normal(*shape)), f


torch.manual_seed(2)
tell({
    "contrastive_raw": contrastive_case(Scale="none", classes=None),
    "contrastive_fixed": contrastive_case(Scale="fixed", Start=20, Normalize=True, Sides=(.25, .75)),
    "contrastive_learned": contrastive_case(learned=2.0, MaxScale=100, Normalize=True),
    "contrastive_classes": contrastive_case(learned=1.0, Normalize=True, Targets="class", classes=[0, 1, 0, -1, -1]),
    "contrastive_labels": contrastive_case(learned=1.0, Targets="labels", TargetScale=3, labels=[[1, 0, 1], [0, 0, -1], [1, 0, 0], [0, 1, 1], [-1, 1, 1]]),
    "contrastive_self": contrastive_case(learned=2.0, Normalize=True, Targets="self", TargetScale=2.5),
    "contrastive_negatives": contrastive_case(learned=1.5, Normalize=True, negatives=18, groups=[3, 1, 3, 2, 1]),
    "contrastive_self_groups": contrastive_case(Scale="fixed", Start=4, Normalize=True, Targets="self", groups=[3, 1, 3, 2, 1]),
    "contrastive_sigmoid": contrastive_case(learned=1.5, bias=-2.0, Normalize=True, Sigmoid=True, Targets="class", classes=[0, 1, 0, 1, -1], negatives=3, groups=[0, 1, 2, 1, 0]),
    "supcon": ("supcon", dict(temperature=.3), dict(x=F.normalize(normal(6, 5)), classes=torch.tensor([0, 1, 0, -1, 0, 1]).int()), lambda x, classes: supcon_of(x, classes, .3)),
    "recon": recon(False, False),
    "recon_squared_region": recon(True, True),
    "bce_missing_zero": guessed("mean", "zero"),
    "bce_missing_one": guessed("sum", "one"),
    "add": ("add", {}, dict(a=normal(2, 3, 5), b=normal(2, 3, 5)), lambda a, b: a + b),
    "adaptivepool": volume("adaptivepool3d", dict(size=(2, 3, 4)), lambda x: F.adaptive_avg_pool3d(x, (2, 3, 4))),
    "adaptivepool_larger": volume("adaptivepool3d", dict(size=(5, 1, 7)), lambda x: F.adaptive_avg_pool3d(x, (5, 1, 7))),
    "upsample_nearest": volume("upsample", dict(factors=(2, 1, 3)), lambda x: F.interpolate(x, scale_factor=(2, 1, 3))),
    "upsample_trilinear": volume("upsample", dict(factors=(2, 1, 3), linear=True), lambda x: F.interpolate(x, scale_factor=(2, 1, 3), mode="trilinear")),
    "upsample_trilinear_of_one": volume("upsample", dict(factors=(4, 2, 2), linear=True), lambda x: F.interpolate(x, scale_factor=(4, 2, 2), mode="trilinear"), (1, 17, 1, 3, 2)),
    "convtranspose_222": transposed(5, 3, (2, 2, 2), (2, 2, 2), (0, 0, 0), True),
    "convtranspose_343": transposed(3, 18, (3, 4, 3), (1, 2, 2), (1, 1, 0)),
    "convtranspose_133_gap": transposed(33, 2, (1, 3, 3), (2, 1, 3), (0, 1, 1), True),
    "patchify": ("patchify", dict(kernel=(2, 3, 2)), dict(x=normal(2, 3, 4, 6, 4), weight=normal(20, 3, 2, 3, 2), bias=normal(20)), lambda x, weight, bias: F.conv3d(x, weight, bias, (2, 3, 2)).flatten(2).transpose(1, 2)),
    "positions": ("positions", {}, dict(x=normal(2, 3, 5), class_token=normal(1, 1, 5), encoder_pos_embedding=normal(1, 4, 5)), lambda x, class_token, encoder_pos_embedding: torch.cat([class_token.expand(2, 1, 5), x], 1) + encoder_pos_embedding),
})
save("ops.safetensors", tensors)
with open("ops.json", "w") as file:
    file.write("{\n" + ",\n".join(f"{json.dumps(n)}: {json.dumps(c)}" for n, c in told.items()) + "\n}\n")
