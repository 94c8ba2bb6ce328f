"""Runs label-reports and its peer on Beam's Python SDK over the same file, in turns, and prints a table of medians.

Usage: python peers.py SILVERBEAM PRISM ROWS ROUNDS PEER...   (from the project's root; see `make bench-peers`)
PEER is plain, regex (beam_keywords.py) or plain-prism, the same on the runner that label-reports uses. CPU is user and
system time of the process and all that it started, peak its resident memory; the file is in the page cache.
"""
import glob
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

import pyarrow.parquet

silverbeam, prism, rows, rounds, *peers = sys.argv[1:]
rows, here = int(rows), pathlib.Path(__file__).parent
work = pathlib.Path(".cache/peers-work")
table, out = work / f"{rows}.csv", work / "out"


def took(command):
    """Wall seconds, CPU seconds and peak MiB of a command, which must write a table of all rows."""
    shutil.rmtree(out, ignore_errors=True)
    start = time.monotonic()
    with open(work / "log", "w") as log:
        pid = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log).pid
        _, status, used = os.wait4(pid, 0)
    wall = time.monotonic() - start
    found = sum(pyarrow.parquet.read_metadata(p).num_rows for p in glob.glob(f"{out}/**/*.parquet", recursive=True))
    if status or found != rows:
        sys.exit(f"{command}: status {status}, {found} rows; see {work}/log")
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


commands = {"silverbeam": [silverbeam, "run", "label-reports", "--set", f"in={table}", "--run", out]}
for p in peers:
    how, _, runner = p.partition("-")
    commands[p] = [sys.executable, here / "beam_keywords.py", table, out / "labels", how]
    commands[p] += ["--runner=PrismRunner", f"--prism_location={prism}"] if runner else []

if not table.exists():
    subprocess.run([silverbeam, "phantom", "--studies", "2000", "--size", "32", "--seed", "7", "--out", work / "phantom"], check=True)
    subprocess.run([sys.executable, here / "reports.py", work / "phantom", str(rows), table], check=True)
figures = {name: [] for name in commands}
for k in range(int(rounds)):
    for name, command in commands.items():
        figures[name].append(took(command))
        print("round %d, %s: %.1f s, CPU %.1f s, %.0f MiB" % (k + 1, name, *figures[name][-1]), file=sys.stderr)
ours = statistics.median(f[1] for f in figures["silverbeam"])
print(f"{rows} rows, medians of {rounds}\n| | rows/s | CPU s | CPU µs a row | CPU, ours = 1 | peak MiB |\n|---|---|---|---|---|---|")
for name, f in figures.items():
    wall, cpu, peak = (statistics.median(column) for column in zip(*f))
    print(f"| {name} | {rows / wall:,.0f} | {cpu:.1f} | {cpu / rows * 1e6:.0f} | {cpu / ours:.1f} | {peak:.0f} |")
