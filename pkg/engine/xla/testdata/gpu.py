"""Times a training step on a GPU beside PyTorch on the same: python gpu.py XLA.TEST [BATCH [STEPS]]

A CT r3d_18 at full width with AdamW, in bf16, on a batch of NxDxHxW voxels (10x96x192x192). XLA.TEST is pkg/engine/xla's tests,
compiled; the plugin is found as by the program. PyTorch as it is fastest: channels last, autocast, torch.compile, a fused
optimizer; it is left out where it has no GPU. Either is a process of its own; a step is the median after the first two, the
batch's copy to the device included."""
import os
import re
import statistics
import subprocess
import sys


def ours(binary, batch, steps, recompute):
    env = dict(os.environ, SILVERBEAM_BATCH=batch, PJRT_PLUGIN_LIBRARY_PATH=plugin(), **({"SILVERBEAM_RECOMPUTE": "1"} if recompute else {}))
    out = subprocess.run([binary, "-test.run", "^$", "-test.bench", "^BenchmarkStep$", "-test.benchtime", f"{steps}x", "-test.timeout", "1h"],
                         capture_output=True, text=True, env=env)
    if out.returncode:
        return sys.exit(out.stdout + out.stderr)
    return [float(re.search(rf"([\d.e+-]+) {unit}", out.stdout)[1]) for unit in ("ms/step", "TFLOP/s", "GB")]


def plugin():
    """The library that the environment names, or that of this Python's jax-cuda plugin."""
    path = os.environ.get("PJRT_PLUGIN_LIBRARY_PATH")
    if not path:
        import glob
        found = [p for root in sys.path for p in glob.glob(os.path.join(root, "jax_plugins/xla_cuda*/xla_cuda_plugin.so"))]
        if not found:
            sys.exit("no PJRT plugin: pip install jax-cuda13-plugin, or name one by PJRT_PLUGIN_LIBRARY_PATH")
        path = max(found)
    return path


def pytorch(batch, steps):
    import time
    import torch
    import torchvision
    n, *size = map(int, batch.split("x"))
    m = torchvision.models.video.r3d_18(weights=None, num_classes=18)
    m.stem[0] = torch.nn.Conv3d(1, 64, 2, stride=2, bias=False)
    m = m.cuda().to(memory_format=torch.channels_last_3d)
    opt = torch.optim.AdamW(m.parameters(), lr=1e-4, weight_decay=0.05, fused=True)
    host = torch.randn(n, 1, *size).pin_memory()
    labels = torch.zeros(n, 18, device="cuda")
    net = torch.compile(m)
    seconds = []
    for _ in range(steps):
        torch.cuda.synchronize()
        start = time.perf_counter()
        x = host.to("cuda", non_blocking=True).contiguous(memory_format=torch.channels_last_3d)
        opt.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=torch.bfloat16):
            logits = net(x)
        torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), labels).backward()
        torch.nn.utils.clip_grad_norm_(m.parameters(), 1)
        opt.step()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    print(1000 * statistics.median(seconds[2:]), torch.cuda.max_memory_allocated() / 1e9)


if sys.argv[1] == "pytorch":
    pytorch(sys.argv[2], int(sys.argv[3]))
    sys.exit()
batch = sys.argv[2] if len(sys.argv) > 2 else "10x96x192x192"
steps = sys.argv[3] if len(sys.argv) > 3 else "12"
subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]) if os.path.exists("/usr/bin/nvidia-smi") else None
print(f"r3d_18 of width 64, bf16, {batch}, {steps} steps\n                         ms/step  TFLOP/s       GB")
ms, rate, memory = ours(sys.argv[1], batch, steps, False)
print(f"silverbeam           {ms:11.1f}{rate:9.1f}{memory:9.1f}", flush=True)
again = ours(sys.argv[1], batch, steps, True)
print("  computed again     %11.1f%9.1f%9.1f" % tuple(again), flush=True)
out = subprocess.run([sys.executable, __file__, "pytorch", batch, steps], capture_output=True, text=True)
if out.returncode:
    print("PyTorch              not run: " + (out.stderr.strip().splitlines() or ["?"])[-1])
else:
    theirs, memory = map(float, out.stdout.split()[-2:])
    print(f"PyTorch              {theirs:11.1f}{rate * ms / theirs:9.1f}{memory:9.1f}\nspeed beside PyTorch  {theirs / ms:10.2f}")
