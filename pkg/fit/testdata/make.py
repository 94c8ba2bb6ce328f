"""Writes into adamw.safetensors what PyTorch makes of its gradients: python make.py, in an environment with torch, safetensors.

Twelve steps of torch.optim.AdamW in float64 on a weight and a bias of a group of its own, at the learning rates of
adamw.json, alone and after clip_grad_norm_(1). "w[i]" is w after step i; starts and gradients are kept.
"""
import json
import torch
from safetensors.torch import load_file, save_file

s = json.load(open("adamw.json"))
old = load_file("adamw.safetensors")
out = {n: old[n] for n in ("w0", "b0", "grad_w", "grad_b", "lr")}
for name, limit in (("adamw", None), ("adamw_clip1", 1.0)):
    w, b = (torch.nn.Parameter(old[n].double()) for n in ("w0", "b0"))
    opt = torch.optim.AdamW([dict(params=[w], weight_decay=s["weight_decay_w"]), dict(params=[b], weight_decay=s["weight_decay_b"])],
                            betas=s["betas"], eps=s["eps"])
    seen = {"w": [], "b": [], "gradnorm_before_clip": []}
    for i, lr in enumerate(s["lr_values"]):
        w.grad, b.grad = old["grad_w"][i].double(), old["grad_b"][i].double()
        seen["gradnorm_before_clip"].append(torch.nn.utils.clip_grad_norm_([w, b], limit or torch.inf))
        for g in opt.param_groups:
            g["lr"] = lr
        opt.step()
        seen["w"].append(w.detach().clone())
        seen["b"].append(b.detach().clone())
    out |= {f"{name}/{n}": torch.stack(v).float() for n, v in seen.items()}
    out |= {f"{name}/{n}_w": opt.state[w][n].float() for n in ("exp_avg", "exp_avg_sq")}
save_file(out, "adamw.safetensors")
