"""Labels many reports, a fifth of them distinct, by `silverbeam label reports` against one quick local server, and says
what came of it: each distinct report paid once, and how much memory that took over the run.

Usage: python3 million.py TESTBINARY SILVERBEAM ROWS   (from the project's root; see `make bench-million`)
The server (peers_test.go) answers after 10 ms and keeps the bill. Report i says the same as report i + ROWS/5.
"""
import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.request

test, silverbeam, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
distinct, work = rows // 5, pathlib.Path(".cache/million")
state = {"P": "1", "N": "0", "U": "-1", "B": ""}


def get(path, data=None):
    with urllib.request.urlopen(server + path, data=data, timeout=60) as answer:
        return json.loads(answer.read() or "null")


def resident(pid):
    with open(f"/proc/{pid}/status") as f:
        return next((int(line.split()[1]) // 1024 for line in f if line.startswith("VmRSS")), 0)


shutil.rmtree(work, ignore_errors=True)
work.mkdir(parents=True)
with open(work / "in.csv", "w", newline="") as f:
    w = csv.writer(f)
    w.writerow(["id", "report"])
    text = ". " + "The lungs are clear and the heart is of normal size. " * 11
    w.writerows([i, f"Thorax CT, examination {i % distinct}{text}"] for i in range(rows))
served = subprocess.Popen([test], stdout=subprocess.PIPE, env=dict(os.environ, SILVERBEAM_PEER="server"), text=True)
try:
    server = served.stdout.readline().strip()
    get("/reset?seed=1&latency_ms=10", b"")
    began, memory = time.monotonic(), []
    run = subprocess.Popen([silverbeam, "label", "reports", work / "in.csv", "--out", work / "out.csv", "--run", work / "run", "--store", work / "store.db",
                            "--endpoint", server + "/v1", "--model", "gpt-4.1-mini"], stdout=subprocess.DEVNULL)
    while True:
        done, status, used = os.wait4(run.pid, os.WNOHANG)
        if done:
            break
        memory.append(resident(run.pid))
        time.sleep(1)
    wall, bill = time.monotonic() - began, get("/bill")
finally:
    served.kill()
cost = json.loads(subprocess.run([silverbeam, "cost", work / "run", "--json"], capture_output=True, check=True).stdout)
right = 0
with open(work / "out.csv", newline="") as f:
    for n, row in enumerate(csv.reader(f), -1):
        right += n >= 0 and row == [str(n)] + [state["PNUB"[(n % distinct + k) % 4]] for k in range(18)]
print(f"exit {status}; {rows:,} reports, {right:,} labelled right; server: {bill['requests']:,} requests, {bill['distinct']:,} distinct, {bill['repeated']} repeated")
print(f"bill {bill['pico']} pico-dollars, ledger {cost['spent']}, unsettled {cost['unsettled_max']}; saved {cost['saved']}")
print(f"{wall:.0f} s, {rows / wall:,.0f} reports/s, {bill['requests'] / wall:,.0f} calls/s, CPU {used.ru_utime + used.ru_stime:.0f} s, peak {used.ru_maxrss // 1024} MiB")
tenths = [memory[len(memory) * k // 10:len(memory) * (k + 1) // 10] for k in range(10)]
print("MiB resident, most in each tenth of the run:", *(max(t, default=0) for t in tenths))
sys.exit(status != 0 or right != rows or bill["repeated"] or bill["distinct"] != distinct or cost["spent"] != bill["pico"])
