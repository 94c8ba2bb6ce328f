"""Trains the demo's models with the program and, on the same batches by the same schedule, with PyTorch, over several seeds, and judges
all of them on the demo's held-out studies and on those of further phantoms, which nobody has trained or chosen on.

Usage: python3 demo.py BINARY PYTHON SEEDS SETS OPTION ...   (see `make bench-demo`; OPTION ... are those of the demo's phantoms)
PYTHON has torch. The demo has run: its phantoms are in out/demo/data. SEEDS are those of the trainings, such as "1 2 3"; SETS is the
number of further sets of phantoms. Each set is a pool of its own for retrieval, as large as the demo's.
"""
import json
import math
import os
import shutil
import statistics
import subprocess
import sys

OUT = "out/bench-demo"
FIGURES = {"stage one": ("auc", lambda d: d["summary"]["macro"]["auc"]), "zero-shot": ("zero", lambda d: d["summary"]["macro"]["auc"]),
           "Recall@10": ("find", lambda d: d["report_to_volume"]["recall_at_k"]["10"])}


def run(*args, **env):
    subprocess.run([str(a) for a in args], check=True, env={**os.environ, **env})


def train(binary, python, seed):
    """Folders of the models of a seed, by who has taken the steps."""
    ours, theirs = "out/demo" if seed == "1" else f"{OUT}/ours-{seed}", f"{OUT}/pytorch-{seed}"
    run(binary, "run", "demo", "--set", f"seed={seed}", "--run", ours)
    run(os.environ.get("GO", "go"), "test", "-vet=off", "-count=1", "-timeout", "2h", "-run", "TrainedByPyTorch", "./pkg/fit", SILVERBEAM_DEMO=os.path.abspath(ours),
        SILVERBEAM_TORCH_OUT=os.path.abspath(theirs + "/models"), SILVERBEAM_TORCH=os.path.abspath(python))
    return {"silverbeam": ours, "PyTorch": theirs}


def phantoms(binary, options, i):
    """The folder of set i; only its held-out studies stay. Set 0 is the demo's own."""
    if i == 0:
        return "out/demo/data"
    seed = options.index("--seed") + 1
    options = [*options[:seed], str(1000 + i), *options[seed + 1:]]
    data = f"{OUT}/set-{'-'.join(options).replace('--', '')}"
    if not os.path.exists(data + "/done"):
        run(binary, "phantom", *options, "--out", data)
        shutil.rmtree(data + "/dataset/train")
        for table in ("metadata/train_metadata", "multi_abnormality_labels/train_predicted_labels", "radiology_text_reports/train_reports"):
            os.remove(f"{data}/dataset/{table}.csv")
        open(data + "/done", "w").close()
    return data


def judge(binary, data, models, i):
    """Figures of all models on one set, by figure, who and seed."""
    steps = [f'{{type: intake.Studies, config: {{layout: ct-rate, root: {data}, batch_rows: 64}}}}', "{type: label.Reports}",
             "{type: dataset.Shards, config: {preset: small}}"]
    for (who, seed), dir in models.items():
        m = f"{who.lower()}-{seed}"
        steps += [f"{{name: vision-{m}, type: train.Model, input: dataset.Shards, config: {{weights: {dir}/models/vision}}}}",
                  f"{{name: clip-{m}, type: train.Model, input: dataset.Shards, config: {{weights: {dir}/models/clip}}}}",
                  f"{{name: auc-{m}, type: evaluate.Classifier, input: vision-{m}, config: {{split: valid}}}}",
                  f"{{name: zero-{m}, type: evaluate.ZeroShot, input: clip-{m}, config: {{split: valid, prompts: [ctrate-18, mps-ct, fvlm, there-is, compatible-with]}}}}",
                  f"{{name: find-{m}, type: evaluate.Retrieval, input: clip-{m}, config: {{split: valid}}}}"]
    file, to = f"{OUT}/judge.yaml", f"{OUT}/judged-{i}"
    with open(file, "w") as f:
        f.write("transforms:\n" + "".join(f"  - {s}\n" for s in steps))
    run(binary, "run", file, "--run", to)
    got = {}
    for figure, (step, read) in FIGURES.items():
        for who, seed in models:
            with open(f"{to}/eval/{step}-{who.lower()}-{seed}.json") as f:
                got[figure, who, seed] = read(json.load(f))
    return got


def main(binary, python, seeds, sets, *options):
    os.makedirs(OUT, exist_ok=True)
    models = {(who, s): dir for s in seeds.split() for who, dir in train(binary, python, s).items()}
    sets = [judge(binary, phantoms(binary, list(options), i), models, i) for i in range(int(sets) + 1)]
    judged = [("the demo's held-out studies", sets[:1])]
    if len(sets) > 1:
        judged.append((f"those and the held-out studies of {len(sets) - 1} other phantoms", sets))
    for title, some in judged:
        print(f"\nOn {title}{', mean of sets and its standard error' if len(some) > 1 else ''}:\n")
        print(f"{'':12}{'seed':>6}{'silverbeam':>18}{'PyTorch':>18}{'difference':>18}")
        for figure in FIGURES:
            rows = [(s, *([x[figure, who, s] for x in some] for who in ("silverbeam", "PyTorch"))) for s in seeds.split()]
            for s, a, b in rows:
                show(figure, s, a, b)
            show(figure, "all", *([statistics.mean(r[k][i] for r in rows) for i in range(len(some))] for k in (1, 2)))


def show(figure, seed, a, b):
    cells = []
    for x in (a, b, [x - y for x, y in zip(a, b)]):
        cells.append(f"{statistics.mean(x):.3f}" + (f" ({statistics.stdev(x) / math.sqrt(len(x)):.3f})" if len(x) > 1 else ""))
    print(f"{figure:12}{seed:>6}" + "".join(f"{c:>18}" for c in cells))


main(*sys.argv[1:])
