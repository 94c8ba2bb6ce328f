"""Times a training step on a GPU beside PyTorch on the same: python gpu.py XLA.TEST [BATCH [STEPS]]

A CT r3d_18 at full width with AdamW, in bf16, on a batch of NxDxHxW voxels (10x96x192x192). XLA.TEST is pkg/engine/xla's tests,
compiled; the plugin is found as by the program. PyTorch as it is fastest: channels last, autocast, torch.compile, cuDNN's
search for algorithms, a fused optimizer; it is left out where it has no GPU. Each is a process of its own; a step is the median
after the first two, during which the next batch is copied to the device. GB/s are the bytes that XLA counts for its step."""
import glob
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile


def ours(binary, batch, steps, recompute, cache):
    env = dict(os.environ, SILVERBEAM_BATCH=batch, PJRT_PLUGIN_LIBRARY_PATH=plugin(), XLA_FLAGS=os.environ.get("XLA_FLAGS", "") + f" --xla_gpu_per_fusion_autotune_cache_dir={cache}",
               **({"SILVERBEAM_RECOMPUTE": "1"} if recompute else {}))
    out = subprocess.run([binary, "-test.run", "^$", "-test.bench", "^BenchmarkStep$", "-test.benchtime", f"{steps}x", "-test.timeout", "1h"],
                         capture_output=True, text=True, env=env)
    if out.returncode:
        return sys.exit(out.stdout + out.stderr)
    return [float(re.search(rf"([\d.e+-]+) {unit}\s", out.stdout)[1]) for unit in ("ms/step", "TFLOP/s", "GB/s", "GB", "ms/stage")]


def plugin():
    """The library that the environment names, or that of this Python's jax-cuda plugin."""
    path = os.environ.get("PJRT_PLUGIN_LIBRARY_PATH")
    if not path:
        found = [p for root in sys.path for p in glob.glob(os.path.join(root, "jax_plugins/xla_cuda*/xla_cuda_plugin.so"))]
        if not found:
            sys.exit("no PJRT plugin: pip install jax-cuda13-plugin, or name one by PJRT_PLUGIN_LIBRARY_PATH")
        path = max(found)
    return path


def pytorch(batch, steps):
    import time
    import torch
    import torchvision
    torch.backends.cudnn.benchmark = True
    n, *size = map(int, batch.split("x"))
    m = torchvision.models.video.r3d_18(weights=None, num_classes=18)
    m.stem[0] = torch.nn.Conv3d(1, 64, 2, stride=2, bias=False)
    m = m.cuda().to(memory_format=torch.channels_last_3d)
    opt = torch.optim.AdamW(m.parameters(), lr=1e-4, weight_decay=0.05, fused=True)
    host = torch.randn(n, 1, *size).to(memory_format=torch.channels_last_3d).pin_memory()
    labels = torch.zeros(n, 18, device="cuda")
    net, side = torch.compile(m), torch.cuda.Stream()

    def fetch():
        with torch.cuda.stream(side):
            return host.to("cuda", non_blocking=True)

    def step(x):
        opt.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=torch.bfloat16):
            logits = net(x)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(m.parameters(), 1)
        opt.step()
        return loss.item()

    seconds, ahead = [], fetch()
    for _ in range(steps):
        start = time.perf_counter()
        torch.cuda.current_stream().wait_stream(side)
        x, ahead = ahead, fetch()
        x.record_stream(torch.cuda.current_stream())
        step(x)
        seconds.append(time.perf_counter() - start)
    print(1000 * statistics.median(seconds[2:]), torch.cuda.max_memory_allocated() / 1e9)


def limits():
    """What the card does at best here: TFLOP/s of a large product in bf16, GB/s of a large copy, read and written."""
    import torch

    def best(f):
        f()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        times = []
        for _ in range(10):
            start.record()
            f()
            end.record()
            torch.cuda.synchronize()
            times.append(start.elapsed_time(end) / 1000)
        return statistics.median(times)

    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    big = torch.randn(1 << 30, device="cuda")
    to = torch.empty_like(big)
    print(2 * 8192**3 / best(lambda: a @ b) / 1e12, 2 * 4 * (1 << 30) / best(lambda: to.copy_(big)) / 1e9)


def aside(*args):
    """What this file prints as a process of its own with these arguments; where that fails, why."""
    out = subprocess.run([sys.executable, __file__, *args], capture_output=True, text=True)
    if out.returncode:
        return None, (out.stderr.strip().splitlines() or ["?"])[-1]
    return [float(x) for x in out.stdout.split()[-2:]], None


if sys.argv[1] == "pytorch":
    pytorch(sys.argv[2], int(sys.argv[3]))
    sys.exit()
if sys.argv[1] == "limits":
    limits()
    sys.exit()
batch = sys.argv[2] if len(sys.argv) > 2 else "10x96x192x192"
steps = sys.argv[3] if len(sys.argv) > 3 else "14"
subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]) if shutil.which("nvidia-smi") else None
print(f"r3d_18 of width 64, bf16, {batch}, {steps} steps\n{'':21}    ms/step  TFLOP/s     GB/s       GB")
with tempfile.TemporaryDirectory() as cache:
    ms, rate, *rest, stage = ours(sys.argv[1], batch, steps, False, cache)
    print("silverbeam           %11.1f%9.1f%9.0f%9.1f   a batch to the device, meanwhile: %.1f ms" % (ms, rate, *rest, stage), flush=True)
    again = ours(sys.argv[1], batch, steps, True, cache)
    print("  computed again     %11.1f%9.1f%9.0f%9.1f" % tuple(again[:4]), flush=True)
theirs, why = aside("pytorch", batch, steps)
if why:
    print("PyTorch              not run: " + why)
else:
    print(f"PyTorch              {theirs[0]:11.1f}{rate * ms / theirs[0]:9.1f}{'':9}{theirs[1]:9.1f}\nspeed beside PyTorch {theirs[0] / ms:11.2f}", flush=True)
most, why = aside("limits")
if not why:
    print(f"the card's most      {'':11}{most[0]:9.1f}{most[1]:9.0f}   as PyTorch multiplies 8192 x 8192 in bf16, and copies 4 GiB")
