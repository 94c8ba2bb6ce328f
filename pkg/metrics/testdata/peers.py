"""Exact top 100 of 10,000 queries among 50,000 vectors of 512 dimensions, beside faiss' IndexFlatIP at as many threads.

peers.py METRICS_TEST FOLDER ROUNDS: CPU seconds and wall seconds of the search alone (medians), peak memory of the process.
"""
import hashlib, json, os, resource, statistics, subprocess, sys, time

test, folder, rounds = sys.argv[1:4]
QUERIES, POOL, D, K = 10_000, 50_000, 512, 100

def peer():
    import faiss, numpy as np
    faiss.omp_set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    q, p = (np.fromfile(f"{folder}/{n}.f32", "float32").reshape(-1, D) for n in ("queries", "pool"))
    index = faiss.IndexFlatIP(D)
    begin, cpu = time.time(), time.process_time()
    index.add(p)
    ids = index.search(q, K)[1]
    print(time.process_time() - cpu, time.time() - begin)
    ids.astype("int32").tofile(f"{folder}/faiss.i32")

def run(threads, command):
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads), GOMAXPROCS=str(threads), SILVERBEAM_TOP=folder)
    p = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    out = p.stdout.read()
    rss = os.wait4(p.pid, 0)[2].ru_maxrss
    return [*map(float, out.split("\n")[0].split()), rss / 1024]

if len(sys.argv) > 4:
    peer()
    sys.exit()

import numpy as np
os.makedirs(folder, exist_ok=True)
rng = np.random.default_rng(1)
q, p = rng.standard_normal((QUERIES, D), "float32"), rng.standard_normal((POOL, D), "float32")
for v, name in ((q, "queries"), (p, "pool")):
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    v.tofile(f"{folder}/{name}.f32")
digests = set()
for threads in sorted({1, os.cpu_count()}):
    got = {"faiss IndexFlatIP": [], "silverbeam": []}
    for _ in range(int(rounds)):
        got["faiss IndexFlatIP"].append(run(threads, [sys.executable, __file__, test, folder, rounds, "peer"]))
        got["silverbeam"].append(run(threads, [test, "-test.run", "TestTopAtScale"]))
        digests.add(hashlib.sha256(open(f"{folder}/ours.i32", "rb").read()).hexdigest())
    for name, rows in got.items():
        cpu, wall, rss = (statistics.median(c) for c in zip(*rows))
        print(f"{threads} thread{'s' * (threads > 1)}  {name:20} {cpu:6.2f} CPU-s  {wall:6.2f} s  {2 * QUERIES * POOL * D / cpu / 1e9:5.0f} GFLOP per CPU-s  {rss:5.0f} MB")
assert len(digests) == 1, "other bytes at another number of threads"
ours, theirs = (np.fromfile(f"{folder}/{n}.i32", "int32").reshape(QUERIES, K) for n in ("ours", "faiss"))
exact = p.astype("float64")
for i in range(0, QUERIES, 100):
    s = exact @ q[i].astype("float64")
    assert (ours[i] == np.lexsort((np.arange(POOL), -s))[:K]).all(), f"query {i} is not in float64's order"
print(f"every hundredth query is in float64's order; places that float32 orders otherwise: {(ours != theirs).sum():,} of {ours.size:,}")
for name in ("queries.f32", "pool.f32", "ours.i32", "faiss.i32"):
    os.remove(f"{folder}/{name}")
