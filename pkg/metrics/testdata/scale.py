"""AUC and its bootstrap beside scikit-learn and Polars, one thread each, in turns.

scale.py METRICS_TEST SILVERBEAM FOLDER ROUNDS: medians of CPU seconds, imports and reading not counted; the last line is a
whole program. Every AUC must be the peers' to 1e-12.
"""
import csv, os, shutil, statistics, subprocess, sys, time

test, silverbeam, folder, rounds = sys.argv[1:5]
os.environ.update(POLARS_MAX_THREADS="1", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", GOMAXPROCS="1", SILVERBEAM_SCALE=folder)
import numpy as np, polars as pl
from sklearn.metrics import roc_auc_score

os.makedirs(folder, exist_ok=True)
rng = np.random.default_rng(1)
LABELS, ROWS, REPEATS, SOME = 18, 50_000, 1000, 20
VOLUMES, PATIENTS = 3039, 1304  # CT-RATE's validation volumes, and their patients
prevalence = np.linspace(.05, .45, LABELS)[:, None]

def table(rows):
    y = (rng.random((LABELS, rows)) < prevalence).astype("int8")
    return y, 1 / (1 + np.exp(-rng.standard_normal((LABELS, rows)) - 1.2 * y))

Y, S = table(ROWS)
y, s = table(VOLUMES)
patient = np.sort(np.r_[np.arange(PATIENTS), rng.integers(0, PATIENTS, VOLUMES - PATIENTS)]).astype("int32")
resamples = rng.integers(0, PATIENTS, (SOME, PATIENTS)).astype("int32")
for name, v in dict(Y=Y, S=S, y=y, s=s, patient=patient, resamples=resamples).items():
    v.tofile(f"{folder}/{name}.bin")
for name, v in ("labels", y), ("scores", s):
    with open(f"{folder}/{name}.csv", "w") as f:
        csv.writer(f).writerows([["id", "patient_id"] + [f"f{k}" for k in range(LABELS)]] + [[i, patient[i], *v[:, i].tolist()] for i in range(VOLUMES)])

def sklearn_auc():
    return [roc_auc_score(a, b) for a, b in zip(Y, S)]

frame = pl.DataFrame({f"y{k}": Y[k] for k in range(LABELS)} | {f"s{k}": S[k] for k in range(LABELS)})
def rank(k):
    y, n = pl.col(f"y{k}").cast(pl.Int64), pl.col(f"y{k}").cast(pl.Int64).sum()
    return ((pl.col(f"s{k}").rank("average").filter(y == 1).sum() - n * (n + 1) / 2) / (n * (pl.len() - n))).alias(f"a{k}")
every = [rank(k) for k in range(LABELS)]
def polars_auc():
    return frame.select(every).row(0)

members = [np.flatnonzero(patient == c) for c in range(PATIENTS)]
def sklearn_bootstrap():
    out = []
    for drawn in resamples:
        rows = np.concatenate([members[c] for c in drawn])
        out.append([roc_auc_score(y[k, rows], s[k, rows]) for k in range(LABELS)])
    return np.array(out).T

def timed(f):
    cpu = time.process_time()
    value = f()
    return time.process_time() - cpu, value

def program(*command):
    p = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    out, use = p.stdout.read(), os.wait4(p.pid, 0)
    assert use[1] == 0, out
    return use[2].ru_utime + use[2].ru_stime, out

auc, boot, whole = {}, {}, []
for turn in range(int(rounds)):
    ours = [float(v) for v in program(test, "-test.run", "TestScoresAtScale")[1].split("\n")[0].split()]
    auc.setdefault("silverbeam", []).append(ours[0])
    boot.setdefault("silverbeam", []).append(ours[1])
    for name, f in ("Polars", polars_auc), ("scikit-learn", sklearn_auc):
        cpu, value = timed(f)
        auc.setdefault(name, []).append(cpu)
        assert np.abs(np.fromfile(f"{folder}/auc.bin") - value).max() < 1e-12
    cpu, value = timed(sklearn_bootstrap)
    boot.setdefault(f"scikit-learn, {REPEATS // SOME} × {SOME} of them", []).append(cpu * REPEATS / SOME)
    assert np.abs(np.fromfile(f"{folder}/boot.bin").reshape(LABELS, SOME) - value).max() < 1e-12
    whole.append(program(silverbeam, "evaluate", "scores", "--labels", f"{folder}/labels.csv", "--scores", f"{folder}/scores.csv", "--protocol", "clean", "--json", f"{folder}/figures.json")[0])
for title, got in (f"AUC of {LABELS} labels × {ROWS:,} rows", auc), (f"{REPEATS:,} resamples of {PATIENTS:,} patients, {VOLUMES:,} rows × {LABELS} labels", boot):
    print(f"\n| {title} | CPU s | ours = 1 |\n|---|---|---|")
    for name, rows in got.items():
        print(f"| {name} | {statistics.median(rows):.4f} | {statistics.median(a / b for a, b in zip(rows, got['silverbeam'])):.1f} |")
print(f"\n`evaluate scores` whole, 2,000 resamples, DeLong and BCa: {statistics.median(whole):.2f} CPU s ({min(whole):.2f} to {max(whole):.2f})")
shutil.rmtree(folder)
