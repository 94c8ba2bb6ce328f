"""Runs our label reports and other people's clients against one local server that keeps the bill, and prints a table.

Usage: python3 peers.py TESTBINARY SILVERBEAM ROUNDS ROWS CLIENT...   (from the project's root; see `make bench-calls`)
The server (peers_test.go) answers after 50 ms. ROWS is for the programs in Go, a tenth of them for those in Python. CPU is
that of the client's process alone: per 1,000 calls it is what the rows cost beyond a run of one row. Then, once: the same
with 5 % 429 (Retry-After: 1), 2 % 500 and 1 % answers of half a JSON object; and a run that is killed when half of the
rows are answered, and started again. A run that has not ended after 150 s is stopped.
"""
import csv
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

test, silverbeam, rounds, rows, *names = sys.argv[1:]
rounds, rows, many = int(rounds), int(rows), 64
here, work = pathlib.Path(__file__).parent, pathlib.Path(".cache/calls-work")
environment = {"openai": "callers", "async-batch-llm": "callers", "litellm": "litellm", "curator": "curator"}
keys = "abcdefghijklmnopqr"


def get(path, data=None):
    with urllib.request.urlopen(server + path, data=data, timeout=60) as answer:
        return json.loads(answer.read() or "null")


def report(i):  # as peerReport
    return f"Thorax CT, examination {i}. " + "The lungs are clear and the heart is of normal size. " * 11


def codes(i):  # as peerCodes
    return {key: "PNUB"[(i + k) % 4] for k, key in enumerate(keys)}


def command(name, n):
    out = work / "out"
    if name == "silverbeam":
        table = work / f"{n}.csv"
        if not table.exists():
            with open(table, "w", newline="") as f:
                csv.writer(f).writerows([["id", "report"]] + [[i, report(i)] for i in range(n)])
        return [silverbeam, "label", "reports", table, "--out", out / "rows.csv", "--run", out / "run", "--store", out / "store.db",
                "--endpoint", server + "/v1", "--model", "gpt-4.1-mini", "--in-flight", str(many), "--max-rejects", "100%"]
    if name == "go-openai":
        return [test, server, str(n), str(many), out / "rows.jsonl"]
    return [f".cache/{environment[name]}/bin/python", here / "peer_clients.py", name, server, str(n), str(many), out]


def start(name, n):
    env = dict(os.environ, SILVERBEAM_PEER="loop" if name == "go-openai" else "", HOME=str((work / "out").resolve()))
    with open(work / "stdout", "w") as out, open(work / f"{name}.log", "a") as log:
        return subprocess.Popen(list(map(str, command(name, n))), stdout=out, stderr=log, env=env, start_new_session=True)


def run(name, n, faults="", killed=False):
    """Wall and CPU seconds, peak MiB, and what the rows and the bill say."""
    if not killed:
        shutil.rmtree(work / "out", ignore_errors=True)
        (work / "out").mkdir(parents=True)
        get(f"/reset?seed=1&latency_ms=50{faults}", b"")
    began = time.monotonic()
    pid = start(name, n).pid
    limit = threading.Timer(150, os.killpg, [pid, signal.SIGKILL])
    limit.start()
    _, status, used = os.wait4(pid, 0)
    limit.cancel()
    wall = time.monotonic() - began
    if status:
        print(f"{name}: status {status}, see {work}/{name}.log", file=sys.stderr)
    return {"wall": wall, "cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss / 1024, **rows_of(name, n), **money(name), "bill": get("/bill")}


def rows_of(name, n):
    got = {}
    if name == "silverbeam":
        state = {"1": "P", "0": "N", "-1": "U", "": "B"}
        with open(work / "out/rows.csv", newline="") as f:
            for r in list(csv.reader(f))[1:]:
                if any(r[1:]):
                    got[int(r[0])] = {key: state[cell] for key, cell in zip(keys, r[1:])}
    elif (work / "out/rows.jsonl").exists():
        for line in open(work / "out/rows.jsonl"):
            r = json.loads(line)
            try:
                got[r["i"]] = json.loads(r["content"])
            except ValueError:
                got[r["i"]] = None
    right = sum(got.get(i) == codes(i) for i in range(n))
    return {"right": right, "lost": n - len(got), "malformed": len(got) - right}


def money(name):
    """What the client says it spent, and the most that it does not know of, in pico-dollars; None: it says nothing."""
    if name == "silverbeam":
        cost = json.loads(subprocess.run([silverbeam, "cost", work / "out/run", "--json"], capture_output=True, check=True).stdout)
        return {"pico": cost["spent"], "unknown": cost["unsettled_max"]}
    last = open(work / "stdout").read().rpartition("\n{")[2].strip()
    return {"pico": json.loads("{" + last.removeprefix("{"))["pico"] if last else None, "unknown": 0}


def kill(name, n):
    """Starts a run, kills it when the server has answered half, starts it again, and adds up."""
    shutil.rmtree(work / "out", ignore_errors=True)
    (work / "out").mkdir(parents=True)
    get("/reset?seed=1&latency_ms=50", b"")
    child = start(name, n)
    while get("/bill")["distinct"] < n / 2 and child.poll() is None:
        time.sleep(0.01)
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    return run(name, n, killed=True)


def differs(r):
    """What the client says of its money, against the bill."""
    if r["pico"] is None:
        return "says nothing"
    off, bill = r["pico"] - r["bill"]["pico"], r["bill"]["pico"]
    if r["unknown"]:
        return f"{100 * off / bill:+.2f} % to {100 * (off + r['unknown']) / bill:+.2f} %"
    return "equal" if off == 0 else f"{100 * off / bill:+.2f} %"


work.mkdir(parents=True, exist_ok=True)
served = subprocess.Popen([test], stdout=subprocess.PIPE, env=dict(os.environ, SILVERBEAM_PEER="server"), text=True)
try:
    server = served.stdout.readline().strip()
    found = {}
    for name in names:
        n = rows if name in ("silverbeam", "go-openai") else rows // 10
        found[name] = {"n": n, "one": run(name, 1), "clean": []}
    for k in range(rounds):
        for name, f in found.items():
            f["clean"].append(run(name, f["n"]))
            print("round %d, %s: %.1f s, CPU %.2f s, %.0f MiB, right %d, %s" % (k + 1, name, *[f["clean"][-1][x] for x in ("wall", "cpu", "peak", "right")], differs(f["clean"][-1])), file=sys.stderr)
    for name, f in found.items():
        f["faulty"] = run(name, f["n"] // 4, "&p429=0.05&p500=0.02&pschema=0.01")
        f["killed"] = kill(name, f["n"] // 4)
        print(name, "faulty:", f["faulty"], "killed:", f["killed"], file=sys.stderr)
finally:
    served.kill()

for f in found.values():
    f["per"] = statistics.median((r["cpu"] - f["one"]["cpu"]) / (f["n"] - 1) * 1000 for r in f["clean"])
base = found.get("go-openai", found[names[0]])["per"]
print(f"50 ms, {many} calls at once, medians of {rounds}\n\n| client | rows | calls/s | CPU s per 1,000 | the loop = 1 | CPU s to start | peak MiB | most at once | own money and the bill |\n|---|---|---|---|---|---|---|---|---|")
for name, f in found.items():
    median = lambda key: statistics.median(r[key] for r in f["clean"])
    last = f["clean"][-1]
    print(f"| {name} | {f['n']:,} | {f['n'] / median('wall'):,.0f} | {f['per']:.2f} | {f['per'] / base:.1f} | {f['one']['cpu']:.2f} | {median('peak'):.0f} | {last['bill']['most']} | {differs(last)} |")
print("\n| client | rows | lost | malformed kept | calls | before Retry-After | own money and the bill | killed: repeated | killed: right | killed: own money and the bill |\n|---|---|---|---|---|---|---|---|---|---|")
for name, f in found.items():
    a, b = f["faulty"], f["killed"]
    print(f"| {name} | {f['n'] // 4:,} | {a['lost']} | {a['malformed']} | {a['bill']['requests']:,} | {a['bill']['early']} | {differs(a)} | {b['bill']['repeated']} | {b['right']:,} | {differs(b)} |")
