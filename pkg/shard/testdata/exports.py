"""Opens an exported folder with the real datasets and mlcroissant: exports.py FOLDER EXPECT.json

Every value is held to EXPECT.json, the tests' dump of the rows by split: loaded whole, and streamed; mlcroissant judges
croissant.json and reads the records that it describes.
"""
import importlib.metadata, json, os, sys

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HOME": sys.argv[1] + "-cache"}
import datasets, mlcroissant, numpy as np, pyarrow.parquet as pq

root, expect = sys.argv[1], json.load(open(sys.argv[2]))
shape, license, reports = expect["shape"], expect["license"], expect["reports"]
datasets.disable_progress_bars()


def same(got, w, findings, who):
    want = {"patient": w["Patient"], "study": w["Study"], "volume": w["Volume"]} | ({"report": w["Report"]} if reports else {})
    assert {k: got[k] for k in want} == want and ("report" in got) == reports, (who, got.keys())
    for k, f in enumerate(findings):
        state = None if w["Labels"] is None or w["Labels"][k]["State"] == -2 else w["Labels"][k]["State"]
        p = None if w["Labels"] is None else np.float32(w["Labels"][k]["P"])
        assert got[f] == state and (got["p " + f] is None if p is None else np.float32(got["p " + f]) == p), (who, f)
    ct = np.asarray(got["ct"], np.int16)
    assert list(ct.shape) == shape and ct.ravel().tolist() == w["HU"], (who, "voxels", ct.shape)


findings = expect["findings"]
loaded = datasets.load_dataset(root)
streamed = datasets.load_dataset(root, streaming=True)
assert set(loaded) == set(streamed) == set(expect["rows"]), (set(loaded), set(streamed))
for split, rows in expect["rows"].items():
    by = {w["Volume"]: w for w in rows}
    data = loaded[split]
    assert data.features["ct"] == datasets.Array3D(tuple(shape), "int16") and data.features[findings[0]] == datasets.Value("int8"), data.features
    assert len(data) == len(rows)
    for who, some in ("loaded", data), ("streamed", streamed[split]), ("a loader's", streamed[split].shuffle(seed=1, buffer_size=3)):
        seen = 0
        for got in some:
            same(got, by[got["volume"]], findings, who)
            seen += 1
        assert seen == len(rows), (who, seen)
    arrays = data.with_format("numpy")
    ct = arrays[0]["ct"]  # int64: this format knows no other integer
    assert list(ct.shape) == shape and ct.ravel().tolist() == by[arrays[0]["volume"]]["HU"], (ct.dtype, ct.shape)
from huggingface_hub import DatasetCard
card = DatasetCard.load(root + "/README.md").data
assert card.license == (license.lower() if license else "unknown"), card.license
for name in os.listdir(root + "/data"):
    f = pq.ParquetFile(root + "/data/" + name)
    assert f.schema_arrow.field("ct").nullable and f.read()["ct"].null_count == 0

meta = mlcroissant.Dataset(root + "/croissant.json")
assert not meta.metadata.ctx.issues.errors, meta.metadata.ctx.issues.report()
print("mlcroissant:", meta.metadata.ctx.issues.report().strip() or "no warnings")
assert (license or "none") in str(meta.metadata.license or "none"), meta.metadata.license
by = {w["Volume"]: w for rows in expect["rows"].values() for w in rows}
seen = 0
for r in meta.records("volumes"):
    got = {k.removeprefix("volumes/"): v.decode() if isinstance(v, bytes) else v for k, v in r.items()}
    w = by[got["volume"]]
    assert got["study"] == w["Study"] and np.array(got["ct"]).size == len(w["HU"]), got.keys()
    seen += 1
assert seen == len(by), seen
print(f"{seen} volumes: datasets {datasets.__version__} and mlcroissant {importlib.metadata.version('mlcroissant')} agree")
