"""Labels many reports on a Flink cluster of this machine, and says at what rate and in how much memory.

Usage: python3 bench.py SILVERBEAM PYTHON ROWS ROUNDS PARALLELISM...   (from the project's root; see `make bench-flink`)
At each parallelism a cluster of one JobManager and two TaskManagers is started, and takes ROUNDS runs without a label step
(nothing.yaml) and as many with the rules (label-reports). Every row of every table is compared with what a run without Flink
says of its text. CPU is user and system time. On one core: half a million rows at most in a run without Flink that is held to it,
the rules' own rate by the CPU seconds of the step label.Reports. The rows are those of `make bench-peers`, in the page cache.
PYTHON has apache-beam: its peer of label-reports, beam_keywords.py, which looks for words alone, labels half a million rows at most
on the same cluster, its steps in processes of its own. A run above 400 MiB or a TaskManager above 1 GiB is a failure.
"""
import glob
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

silverbeam, python, rows, rounds, *parallel = os.path.abspath(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:]
here, work, distinct, some = pathlib.Path(__file__).parent, pathlib.Path(".cache/flink-work").absolute(), 2000, min(rows, 500_000)
label = here / "../../../transforms/label/testdata"
table, less, few, cores = work / f"{rows}.csv", work / f"{some}.csv", work / "few.csv", len(os.sched_getaffinity(0))
files = {"nothing": here / "nothing.yaml", "rules": "label-reports"}
os.environ["XDG_STATE_HOME"] = str(work / "state")
wrong = []


def took(command, out, **more):
    """Wall and CPU seconds and peak MiB of a command and those of its children that have ended."""
    wall, used, peak, failed = tried(command, out, **more)
    if failed:
        sys.exit(failed)
    return wall, used, peak


def tried(command, out, **more):
    """The same, and why it failed."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    start = time.monotonic()
    with open(work / "log", "w") as log:
        pid = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, **more).pid
        _, status, used = os.wait4(pid, 0)
    failed = f"{command}: status {status}\n{open(work / 'log').read()[-2000:]}" if status else ""
    return time.monotonic() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, failed


def run(file, source, out, *more, **how):
    return took([silverbeam, "run", file, "--set", f"in={source}", "--run", out, "--store", work / "store.db", *more], out, **how)


def line(pid, key):
    with open(f"/proc/{pid}/status") as f:
        return next(int(l.split()[1]) / 1024 for l in f if l.startswith(key))


def cpu(pids):
    ticks = sum(sum(map(int, open(f"/proc/{p}/stat").read().rsplit(") ", 1)[1].split()[11:13])) for p in pids)
    return ticks / os.sysconf("SC_CLK_TCK")


def java(keeper):
    """Java processes of a cluster: all, and the TaskManagers."""
    pids = open(f"/proc/{keeper}/task/{keeper}/children").read().split()
    for task in glob.glob(f"/proc/{keeper}/task/*/children"):
        pids += open(task).read().split()
    pids = sorted(set(pids))
    return pids, [p for p in pids if "TaskManagerRunner" in open(f"/proc/{p}/cmdline").read()]


def cells(path):
    with open(path, newline="") as f:
        next(f)
        return [l.partition(",")[2] for l in f]


def check(name, out):
    """Counts the rows that are not what a run without Flink says of their text."""
    n, want = 0, says[name]
    with open(out / "dataset" / "labels.csv", newline="") as f:
        next(f)
        for n, l in enumerate(f, 1):
            id, _, rest = l.partition(",")
            if rest != want[(n - 1) % distinct] or id != f"r{n - 1:07d}":
                sys.exit(f"{name}: row {n} is not what it should be: {l}")
    if n != rows:
        sys.exit(f"{name}: {n} rows")


def holds(what, value, bound):
    if value > bound:
        wrong.append(f"{what}: {value:.0f} MiB, wants {bound}")


work.mkdir(parents=True, exist_ok=True)
if not (work / "phantom").exists():
    subprocess.run([silverbeam, "phantom", "--studies", str(distinct), "--size", "32", "--seed", "7", "--out", work / "phantom"], check=True, stderr=subprocess.DEVNULL)
for path, n in (few, distinct), (less, some), (table, rows):
    if not path.exists():
        subprocess.run([sys.executable, label / "reports.py", work / "phantom", str(n), path], check=True)
says = {}
for name, file in files.items():
    run(file, few, work / "few")
    says[name] = cells(work / "few" / "dataset" / "labels.csv")

core = {min(os.sched_getaffinity(0))}
wall, _, _ = run("label-reports", less, work / "one", preexec_fn=lambda: os.sched_setaffinity(0, core), env=dict(os.environ, GOMAXPROCS="1"))
step = next(s for s in json.load(open(work / "one" / "run.json"))["steps"] if s["type"] == "label.Reports")
one, whole = step["in"] / step["cpu_seconds"], some / wall
print(f"{rows:,} rows, {table.stat().st_size / 1e9:.2f} GB, {cores} cores; on one core, without Flink, the rules alone take {one:,.0f} reports/s, their run {whole:,.0f} rows/s; {rounds} rounds\n")
print("| | parallelism | rows/s, whole command | rows/s, the graph | of cores × the rules alone | of cores × their run | CPU s: run | Java | peak MiB: run | TaskManagers | load |\n|---|---|---|---|---|---|---|---|---|---|---|")
for p in parallel:
    subprocess.run([silverbeam, "flink", "up", "--slots", p], check=True, stdout=subprocess.DEVNULL)
    try:
        status = json.loads(subprocess.run([silverbeam, "flink", "status", "--json"], check=True, stdout=subprocess.PIPE).stdout)
        pids, managers = java(status["pid"])
        run(files["nothing"], few, work / "few", "--runner", "flink", "--parallelism", p)  # a job in a cold JVM takes ten seconds more
        for name, file in files.items():
            all = []
            for _ in range(rounds):
                before, load = cpu(pids), os.getloadavg()[0]
                wall, used, peak = run(file, table, work / "out", "--runner", "flink", "--parallelism", p)
                more = cpu(pids) - before
                check(name, work / "out")
                began = os.stat(work / "out" / "graph.json").st_mtime  # written when the input is indexed
                graph = os.stat(work / "out" / "dataset" / "labels.csv").st_mtime - began
                tm = max(line(m, "VmHWM") for m in managers)
                all.append((rows / wall, rows / graph, rows / wall / cores / one, rows / wall / cores / whole, used, more, peak, tm, (load + os.getloadavg()[0]) / 2))
                print("parallelism %s, %s: %.0f rows/s" % (p, name, rows / wall), file=sys.stderr)
                holds(f"{name} at parallelism {p}: the run", peak, 400)
                holds(f"{name} at parallelism {p}: a TaskManager", tm, 1024)
            f = [statistics.median(column) for column in zip(*all)]
            share = ("%.2f" % f[2], "%.2f" % f[3]) if name == "rules" else ("", "")
            print("| %s | %s | %s | %s | %s | %s | %.0f | %.0f | %.0f | %.0f | %.1f |" % (name, p, format(int(f[0]), ","), format(int(f[1]), ","),
                  *share, f[4], f[5], max(a[6] for a in all), f[7], f[8]), flush=True)
        if python:
            before, load = cpu(pids), os.getloadavg()[0]
            wall, used, peak, failed = tried([python, label / "beam_keywords.py", less, work / "peer" / "labels", "plain", "--runner=PortableRunner", "--job_endpoint=" + status["job_endpoint"],
                                              "--environment_type=LOOPBACK", f"--parallelism={p}"], work / "peer")
            if failed:
                print(failed, file=sys.stderr)
                print(f"| Beam's Python SDK, {some:,} rows | {p} | failed | | | | | | | | |", flush=True)
                continue
            print("| Beam's Python SDK, %s rows | %s | %s | | | | %.0f | %.0f | %.0f | %.0f | %.1f |" % (format(some, ","), p, format(int(some / wall), ","), used, cpu(pids) - before, peak,
                  max(line(m, "VmHWM") for m in managers), (load + os.getloadavg()[0]) / 2), flush=True)
    finally:
        subprocess.run([silverbeam, "flink", "down"], check=True)
print("\n".join(wrong))
sys.exit(bool(wrong))
