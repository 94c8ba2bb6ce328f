"""Nets of package net in PyTorch, written out after torchvision's r3d_18 and Hugging Face's BertModel, under their parameter names."""
import math
import torch
from torch import nn
from torch.nn import functional as F


def conv(i, o, k, s, p):
    return nn.Conv3d(i, o, k, s, p, bias=False)


class Block(nn.Module):
    def __init__(self, i, o, s):
        super().__init__()
        self.conv1 = nn.Sequential(conv(i, o, 3, s, 1), nn.BatchNorm3d(o), nn.ReLU())
        self.conv2 = nn.Sequential(conv(o, o, 3, 1, 1), nn.BatchNorm3d(o))
        self.downsample = nn.Sequential(conv(i, o, 1, s, 0), nn.BatchNorm3d(o)) if s != 1 or i != o else None

    def forward(self, x):
        skip = x if self.downsample is None else self.downsample(x)
        return torch.relu(self.conv2(self.conv1(x)) + skip)


class ResNet(nn.Module):
    def __init__(self, width, kernel, classes, channels=1, stride=None, padding=0):
        super().__init__()
        self.stem = nn.Sequential(conv(channels, width, kernel, stride or kernel, padding), nn.BatchNorm3d(width), nn.ReLU())
        c = [width, width, 2 * width, 4 * width, 8 * width]
        for i in range(4):
            self.add_module(f"layer{i+1}", nn.Sequential(Block(c[i], c[i + 1], 1 if i == 0 else 2), Block(c[i + 1], c[i + 1], 1)))
        if classes:
            self.fc = nn.Linear(c[4], classes)
        self.classes = classes

    def features(self, x):
        all, x = {}, self.stem(x)
        for name in ("layer1", "layer2", "layer3", "layer4"):
            x = all[name] = getattr(self, name)(x)
        all["pooled"] = x.mean((2, 3, 4))
        if self.classes:
            all["logits"] = self.fc(all["pooled"])
        return all

    def forward(self, x):
        f = self.features(x)
        return (f["pooled"], f["logits"]) if self.classes else f["pooled"]


class Bert(nn.Module):
    def __init__(self, layers, e, heads, inner, vocab, positions):
        super().__init__()
        m = nn.Module
        self.heads, self.embeddings, self.encoder = heads, m(), m()
        emb = self.embeddings
        emb.word_embeddings, emb.position_embeddings = nn.Embedding(vocab, e), nn.Embedding(positions, e)
        emb.token_type_embeddings, emb.LayerNorm = nn.Embedding(2, e), nn.LayerNorm(e, eps=1e-12)
        self.encoder.layer = nn.ModuleList()
        for _ in range(layers):
            l = m()
            l.attention, l.intermediate, l.output = m(), m(), m()
            l.attention.self, l.attention.output = m(), m()
            for n in ("query", "key", "value"):
                setattr(l.attention.self, n, nn.Linear(e, e))
            l.attention.output.dense, l.attention.output.LayerNorm = nn.Linear(e, e), nn.LayerNorm(e, eps=1e-12)
            l.intermediate.dense, l.output.dense = nn.Linear(e, inner), nn.Linear(inner, e)
            l.output.LayerNorm = nn.LayerNorm(e, eps=1e-12)
            self.encoder.layer.append(l)

    def forward(self, ids, mask):
        emb, (n, t) = self.embeddings, ids.shape
        x = emb.word_embeddings(ids) + emb.position_embeddings(torch.arange(t)) + emb.token_type_embeddings.weight[0]
        x = emb.LayerNorm(x)
        split = lambda v: v.view(n, t, self.heads, -1).transpose(1, 2)
        for l in self.encoder.layer:
            a = l.attention
            q, k, v = split(a.self.query(x)), split(a.self.key(x)), split(a.self.value(x))
            s = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
            s = s.masked_fill(mask[:, None, None, :] == 0, -math.inf).softmax(-1)
            h = a.output.LayerNorm(a.output.dense((s @ v).transpose(1, 2).reshape(n, t, -1)) + x)
            x = l.output.LayerNorm(l.output.dense(F.gelu(l.intermediate.dense(h))) + h)
        return x


def pool(x, mask):
    return (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


class CLIP(nn.Module):
    def __init__(self, visual, text, dim):
        super().__init__()
        self.visual, self.text = visual, text
        v, t = visual.layer4[1].conv2[1].num_features, text.embeddings.word_embeddings.embedding_dim
        self.visual_norm, self.text_norm = nn.BatchNorm1d(v), nn.BatchNorm1d(t)
        self.visual_projection, self.text_projection = nn.Linear(v, dim, bias=False), nn.Linear(t, dim, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x, ids, mask):
        a = F.normalize(self.visual_projection(self.visual_norm(self.visual(x))))
        b = F.normalize(self.text_projection(self.text_norm(pool(self.text(ids, mask), mask))))
        logits = self.logit_scale.exp().clamp(max=100) * a @ b.T
        y = torch.arange(len(a))
        return a, b, (F.cross_entropy(logits, y) + F.cross_entropy(logits.T, y)) / 2
