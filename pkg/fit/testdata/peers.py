"""Times nets beside PyTorch, by CPU-seconds of one thread, with their peak memory: python peers.py FIT.TEST ROUNDS [TASK/DTYPE...]

A CT r3d_18 of full width forward and in a training step with AdamW, on one volume of 48 x 96 x 96, on two of 64 x 64 x 64 and
on one of 96 x 192 x 192, and BERT-base forward and in a step on 10 texts of 128 tokens. FIT.TEST is pkg/fit's tests, compiled.
PyTorch in its better layout, channels last. Programs take turns; a figure is the median of the rounds, of which each is a
median of three runs (of one on 96 x 192 x 192) after one that warms up. Memory is a process's largest resident set in MB, its
libraries and weights counted; recompute is ours by recomputation, beside the same step of PyTorch's."""
import os
import re
import statistics
import subprocess
import sys

SIZES = {"step64": (2, 64, 64, 64), "step192": (1, 96, 192, 192)}
TASKS = ["forward", "step", "recompute", "step64", "step192", "recompute192", "bert", "bertstep", "bertrecompute"]


def pytorch(task, dtype):
    import resource
    import time
    import torch
    import torchvision
    import transformers
    torch.set_num_threads(1)
    cast = lambda: torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16")
    task = task.replace("recompute", "step")
    text, train = task.startswith("bert"), task.endswith("step") or task in SIZES
    if text:
        config = transformers.BertConfig(hidden_dropout_prob=0, attention_probs_dropout_prob=0)
        m = transformers.BertModel(config, add_pooling_layer=False)
        m.classifier = torch.nn.Linear(768, 18)
        ids = torch.randint(0, 30522, (10, 128))
        run = lambda: m.classifier(m(ids, torch.ones_like(ids)).last_hidden_state[:, 0])
    else:
        m = torchvision.models.video.r3d_18(weights=None, num_classes=18)
        m.stem[0] = torch.nn.Conv3d(1, 64, 2, stride=2, bias=False)
        m = m.to(memory_format=torch.channels_last_3d)
        n, *size = SIZES.get(task, (1, 48, 96, 96))
        x = torch.randn(n, 1, *size).contiguous(memory_format=torch.channels_last_3d)
        run = lambda: m(x)
    if train:
        forward, opt = run, torch.optim.AdamW(m.parameters(), lr=1e-4, weight_decay=0.05)

        def run():
            opt.zero_grad()
            with cast():
                logits = forward()
            labels = torch.zeros_like(logits, dtype=torch.float32)
            torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), labels).backward()
            opt.step()
    else:
        m.eval()
    seconds = []
    with torch.inference_mode(not train), cast():
        for _ in range(runs(task)):
            start = time.process_time()
            run()
            seconds.append(time.process_time() - start)
    return statistics.median(seconds[1:]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def runs(task):
    return 2 if "192" in task else 4


def ours(binary, task, dtype):
    out = subprocess.run([binary, "-test.run", "^$", "-test.bench", f"Peer/^{task}$/^{dtype}$", "-test.benchtime", f"{runs(task)}x", "-test.cpu", "1"],
                         capture_output=True, text=True, check=True).stdout
    return [float(re.search(rf"([\d.]+) {unit}", out)[1]) for unit in ("cpu-s", "peak-MB")]


if sys.argv[1] == "pytorch":
    print(*pytorch(*sys.argv[2:]))
    sys.exit()
env = dict(os.environ, OMP_NUM_THREADS="1")
print("net                 silverbeam  PyTorch  speed      MB      MB  memory", flush=True)
for task in TASKS:
    for dtype in ("f32", "bf16"):
        if f"{task}/{dtype}" not in (sys.argv[3:] or [f"{task}/{dtype}"]):
            continue
        pairs = []
        for _ in range(int(sys.argv[2])):
            theirs = subprocess.run([sys.executable, __file__, "pytorch", task, dtype], capture_output=True, text=True, check=True, env=env).stdout
            pairs.append(ours(sys.argv[1], task, dtype) + [float(v) for v in theirs.split()])
        us, ours_mb, them, their_mb = (statistics.median(p[i] for p in pairs) for i in range(4))
        speed, memory = (statistics.median(p[a] / p[b] for p in pairs) for a, b in ((2, 0), (1, 3)))
        print(f"{task + ' ' + dtype:20} {us:9.2f} {them:8.2f}  {speed:4.2f} x {ours_mb:7.0f} {their_mb:7.0f}  {memory:4.2f} x", flush=True)
