"""Times nets beside PyTorch, by CPU-seconds of one thread: python peers.py FIT.TEST ROUNDS [TASK/DTYPE...]

A CT r3d_18 of full width on one volume of 48 x 96 x 96, forward and in a training step with AdamW, and BERT-base forward on
10 texts of 128 tokens. FIT.TEST is pkg/fit's tests, compiled. PyTorch in its better layout, channels last. Programs take turns;
a figure is the median of the rounds, of which each is a median of three runs after one that warms up."""
import os
import re
import statistics
import subprocess
import sys

TASKS = ["forward", "step", "bert"]


def pytorch(task, dtype):
    import time
    import torch
    import torchvision
    import transformers
    torch.set_num_threads(1)
    cast = lambda: torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16")
    if task == "bert":
        m = transformers.BertModel(transformers.BertConfig(), add_pooling_layer=False).eval()
        ids = torch.randint(0, 30522, (10, 128))
        run = lambda: m(ids, torch.ones_like(ids))
    else:
        m = torchvision.models.video.r3d_18(weights=None, num_classes=18)
        m.stem[0] = torch.nn.Conv3d(1, 64, 2, stride=2, bias=False)
        m = m.to(memory_format=torch.channels_last_3d)
        x = torch.randn(1, 1, 48, 96, 96).contiguous(memory_format=torch.channels_last_3d)
        run = lambda: m(x)
    if task == "step":
        opt, labels = torch.optim.AdamW(m.parameters(), lr=1e-4, weight_decay=0.05), torch.zeros(1, 18)

        def run():
            opt.zero_grad()
            with cast():
                logits = m(x)
            torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), labels).backward()
            opt.step()
    else:
        m.eval()
    seconds = []
    with torch.inference_mode(task != "step"), cast():
        for _ in range(4):
            start = time.process_time()
            run()
            seconds.append(time.process_time() - start)
    return statistics.median(seconds[1:])


def ours(binary, task, dtype):
    out = subprocess.run([binary, "-test.run", "^$", "-test.bench", f"Peer/{task}/{dtype}", "-test.benchtime", "4x", "-test.cpu", "1"],
                         capture_output=True, text=True, check=True).stdout
    return float(re.search(r"([\d.]+) cpu-s", out)[1])


if sys.argv[1] == "pytorch":
    print(pytorch(*sys.argv[2:]))
    sys.exit()
env = dict(os.environ, OMP_NUM_THREADS="1")
print("net        silverbeam  PyTorch  speed", flush=True)
for task in TASKS:
    for dtype in ("f32", "bf16"):
        if sys.argv[3:] and f"{task}/{dtype}" not in sys.argv[3:]:
            continue
        pairs = []
        for _ in range(int(sys.argv[2])):
            theirs = subprocess.run([sys.executable, __file__, "pytorch", task, dtype], capture_output=True, text=True, check=True, env=env).stdout
            pairs.append((ours(sys.argv[1], task, dtype), float(theirs)))
        us, them = (statistics.median(p[i] for p in pairs) for i in (0, 1))
        print(f"{task + ' ' + dtype:12} {us:8.2f} {them:8.2f}  {statistics.median(t / u for u, t in pairs):4.2f} x", flush=True)
