"""Writes what PyTorch makes of them: gradients into adamw.safetensors, volumes that are turned into warp.safetensors:
python make.py, in an environment with torch, safetensors.

Twelve steps of torch.optim.AdamW in float64 on a weight and a bias of a group of its own, at the learning rates of
adamw.json, alone and after clip_grad_norm_(1). "w[i]" is w after step i; starts and gradients are kept.

A volume of HU is taken from the places of three grids (rows of 4: the source's z, y, x of a voxel's z, y, x and 1) by
grid_sample in float64, air around it; what it gives is HU above air.
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

g = torch.Generator().manual_seed(7)
shape = (7, 9, 11)
hu = torch.randint(-1000, 1001, shape, generator=g)
out = {"hu": hu.int()}
for name, spread, shift in (("near", .05, .6), ("far", .4, 3.), ("out", 1., 8.)):
    m = torch.eye(4, dtype=torch.float64)[:3] + torch.cat([spread * (torch.rand(3, 3, generator=g).double() - .5), shift * (torch.rand(3, 1, generator=g).double() - .5)], 1)
    m = m.float().double()
    voxels = torch.stack(torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in shape), indexing="ij") + (torch.ones(shape, dtype=torch.float64),), -1)
    places = 2 * (voxels @ m.T) / (torch.tensor(shape) - 1) - 1
    seen = torch.nn.functional.grid_sample((hu.double() + 1000)[None, None], places.flip(-1)[None], mode="bilinear", padding_mode="zeros", align_corners=True)
    out |= {f"{name}/grid": m.float(), f"{name}/hu": seen[0, 0].float()}
save_file(out, "warp.safetensors")

# torch.optim.SGD on the same gradients, and torch's schedules.
out = {}
for name, options in (("sgd", {}), ("momentum", dict(momentum=0.9)), ("nesterov", dict(momentum=0.8, nesterov=True))):
    w, b = (torch.nn.Parameter(old[n].double()) for n in ("w0", "b0"))
    opt = torch.optim.SGD([dict(params=[w], weight_decay=0.1), dict(params=[b], weight_decay=0)], lr=0.05, **options)
    seen = []
    for i in range(s["steps"]):
        w.grad, b.grad = old["grad_w"][i].double(), old["grad_b"][i].double()
        opt.step()
        seen.append(torch.cat([w.detach().flatten(), b.detach()]))
    out[name] = torch.stack(seen).float()
S = torch.optim.lr_scheduler
for name, make in (("poly", lambda o: S.PolynomialLR(o, 10, 0.9)), ("step", lambda o: S.StepLR(o, 4, 0.5)), ("cosine", lambda o: S.CosineAnnealingLR(o, 10, 0.01))):
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule, rates = make(opt), []
    for _ in range(10):
        rates.append(opt.param_groups[0]["lr"])
        opt.step()
        schedule.step()
    out["lr_" + name] = torch.tensor(rates)
save_file(out, "sgd.safetensors")
