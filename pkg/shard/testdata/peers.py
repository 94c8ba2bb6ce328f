"""Reads volumes in random order from a warm page cache as we do and as others do, one process and one thread each, in
turns, and prints medians.

Usage: TORCH=FOLDER python peers.py SHARD_TEST WORK ROUNDS   (see `make bench-shards`)
TORCH is the site-packages of another Python environment, which has torch. SHARD_TEST is the compiled test of pkg/shard, which
writes 24 phantoms of 128 x 128 x 128 to WORK/raw and WORK/compressed.
Each reader has the same tensors in its own format, gives each as an int16 array, and every byte of it is read: its words of
8 bytes are summed, in numpy or, ours, in Go. Iterated: LitData's and MosaicML's StreamingDataset in the random order that they
draw themselves, as trainings read them, epoch after epoch. Seconds are user and system time of the process while it reads.
"""
import importlib.metadata
import json
import os
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time

N = 24
sys.path.append(os.environ["TORCH"])


def tensors(work):
    import pyarrow as pa
    table = pa.ipc.open_file(pa.memory_map(work + "/raw/train/a.arrow")).read_all()
    return [c.to_numpy_ndarray()[0] for c in table["ct"].chunks]


def pyarrow(work):
    import pyarrow as pa
    file = pa.ipc.open_file(pa.memory_map(work + "/raw/train/a.arrow"))
    return lambda i: file.get_batch(i).column("ct").to_numpy_ndarray()[0]


def iterated(data, tensor):
    def epochs():
        while True:
            yield from data
    samples = epochs()
    return lambda i: tensor(next(samples))


def litdata_iterated(work):
    import litdata
    return iterated(litdata.StreamingDataset(work + "/litdata", shuffle=True), lambda s: s.numpy())


def streaming_iterated(work):
    import streaming
    return iterated(streaming.StreamingDataset(local=work + "/mds", shuffle=True, batch_size=1), lambda s: s["ct"])


def litdata(work):
    import litdata
    import torch
    out = work + "/litdata"
    if not os.path.exists(out):
        from litdata.streaming.cache import Cache
        cache = Cache(out, chunk_bytes="256MB")
        for i, t in enumerate(tensors(work)):
            cache[i] = torch.from_numpy(t.copy())
        cache.done()
        cache.merge()
    data = litdata.StreamingDataset(out)
    return lambda i: data[i].numpy()


def datasets(work):
    import datasets
    out = work + "/datasets"
    if not os.path.exists(out):
        kind = datasets.Features({"ct": datasets.Array3D((128, 128, 128), "int16")})
        datasets.Dataset.from_generator(lambda: ({"ct": t} for t in tensors(work)), features=kind, cache_dir=work + "/hf").save_to_disk(out)
    data = datasets.load_from_disk(out).with_format("numpy")
    return lambda i: data[i]["ct"]


def streaming(work):
    import streaming
    out = work + "/mds"
    if not os.path.exists(out):
        with streaming.MDSWriter(out=out, columns={"ct": "ndarray:int16:128,128,128"}, size_limit=1 << 28) as w:
            for t in tensors(work):
                w.write({"ct": t})
    data = streaming.StreamingDataset(local=out, batch_size=1)
    return lambda i: data[i]["ct"]


def zarr(work):
    """Zarr 3: shards of a volume, chunks of 64 x 64 x 64, shuffled and compressed by zstd's level 1."""
    import zarr
    out = work + "/zarr"
    if not os.path.exists(out):
        shuffled = zarr.codecs.BloscCodec(cname="zstd", clevel=1, shuffle="shuffle", typesize=2)
        a = zarr.create_array(out, shape=(N, 128, 128, 128), dtype="int16", shards=(1, 128, 128, 128), chunks=(1, 64, 64, 64), compressors=shuffled)
        for i, t in enumerate(tensors(work)):
            a[i] = t
    zarr.config.set({"threading.max_workers": 1})
    data = zarr.open_array(out, mode="r")
    return lambda i: data[i]


PEERS = {"pyarrow": pyarrow, "litdata": litdata, "datasets": datasets, "mosaicml-streaming": streaming, "zarr": zarr,
         "litdata iterated": litdata_iterated, "mosaicml-streaming iterated": streaming_iterated}


def cpu():
    u = resource.getrusage(resource.RUSAGE_SELF)
    return u.ru_utime + u.ru_stime


def measure(name, work):
    import numpy as np
    read, order, total, n = PEERS[name](work), random.Random(1), 0, 0
    got, all = read(7), tensors(work)
    if not any((got == t).all() for t in (all if "iterated" in name else all[7:8])):
        sys.exit(name + " gives another tensor")
    for i in range(N):
        total += int(read(i).reshape(-1).view(np.int64).sum())
    start, until = cpu(), time.time() + 3
    while time.time() < until:
        total += int(read(order.randrange(N)).reshape(-1).view(np.int64).sum())
        n += 1
    print(json.dumps(n / (cpu() - start)))


def ours(binary, work):
    out = subprocess.run([binary, "-test.run", "^$", "-test.bench", "BenchmarkRead", "-test.cpu", "1", "-test.benchtime", "3s"],
                         env={**os.environ, "SILVERBEAM_SHARDS": work}, capture_output=True, text=True, check=True).stdout
    return {"silverbeam " + k: float(v) for k, v in re.findall(r"BenchmarkRead/(\w+)\s.*?([\d.]+) samples/cpu-s", out)}


def main(binary, work, rounds):
    os.makedirs(work, exist_ok=True)
    got = {}
    for _ in range(int(rounds)):
        for k, v in ours(binary, work).items():
            got.setdefault(k, []).append(v)
        for name in PEERS:
            env = {**os.environ, "OMP_NUM_THREADS": "1", "BLOSC_NTHREADS": "1", "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}
            p = subprocess.run([sys.executable, __file__, name, work], env=env, capture_output=True, text=True)
            if p.returncode:
                print(f"{name}: {p.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
                continue
            got.setdefault(name, []).append(json.loads(p.stdout.strip().splitlines()[-1]))
    first = statistics.median(got["silverbeam raw"])
    print("| | samples per CPU-second | ours, raw, is × faster |\n|---|---|---|")
    for k, v in sorted(got.items(), key=lambda kv: -statistics.median(kv[1])):
        package, *how = k.split()
        version = "" if package == "silverbeam" else " " + importlib.metadata.version(package)
        print(f"| {' '.join([package + version] + how)} | {statistics.median(v):.0f} ({min(v):.0f} to {max(v):.0f}) | {first / statistics.median(v):.2f} |")
    size = lambda s: os.path.getsize(f"{work}/{s}/train/a.arrow")
    print(f"\ncompressed: {size('compressed') / size('raw'):.3f} of raw")
    shutil.rmtree(work + "/hf", ignore_errors=True)


if __name__ == "__main__":
    measure(*sys.argv[1:]) if sys.argv[1] in PEERS else main(*sys.argv[1:])
