"""Opens a data set with the real pyarrow, Polars, DuckDB and pandas: others.py DATASET EXPECT.json

The tables beside the manifest and the shards are held to EXPECT.json, TestOthers' dump of the rows by split; a library that
reads a value otherwise, or as a null, fails. Raw voxels are read by each library that knows lists of a fixed size, and by
numpy alone where the table says that they lie.
"""
import hashlib, json, math, os, sys
import duckdb, numpy as np, pandas as pd, polars as pl, pyarrow as pa, pyarrow.parquet as pq

root, expect = sys.argv[1], json.load(open(sys.argv[2]))
manifest = json.load(open(root + "/manifest.json"))
findings, volumes, labels = manifest["findings"], root + "/manifest.parquet", root + "/labels.parquet"
shape = expect["shape"]
want = [r | {"split": s} for s in sorted(expect["rows"]) for r in expect["rows"][s]]
files = {r["volume"]: f for s in manifest["splits"].values() for b in s["batches"] for f in [b["file"]] for r in pa.ipc.open_file(f"{root}/{f}").read_all().select(["volume"]).to_pylist()}


def same(got, w, who):
    """Compares one row of the table of volumes."""
    ids = [got[k] for k in ("patient", "study", "volume", "split", "file")]
    assert ids == [w["Patient"], w["Study"], w["Volume"], w["split"], files[w["Volume"]]], (who, got)
    assert [got["shape_" + a] for a in "zyx"] == shape, (who, got)
    for k, f in enumerate(findings):
        state, p = got[f], got["p " + f]
        if w["Labels"] is None:
            assert state is None and p is None, (who, got)
        else:
            s = w["Labels"][k]["State"]
            assert state == (None if s == -2 else s) and np.float32(p) == np.float32(w["Labels"][k]["P"]), (who, f, got)
    mapped = np.memmap(f"{root}/{got['file']}", np.uint8, "r")[got["at"]:][:got["bytes"]]
    assert hashlib.sha256(mapped).hexdigest() == got["sha256"], (who, got)
    if got["storage"] == "raw":
        assert mapped.view("<i2").tolist() == w["HU"], (who, "voxels")


def whole(rows):
    """pandas says NaN where others say None."""
    return [{k: None if isinstance(v, float) and math.isnan(v) or v is pd.NA else v for k, v in r.items()} for r in rows]


readers = {
    "pyarrow": lambda f: pq.read_table(f).to_pylist(),
    "polars": lambda f: pl.read_parquet(f).to_dicts(),
    "polars, lazily": lambda f: pl.scan_parquet(f).collect().to_dicts(),
    "duckdb": lambda f: duckdb.sql(f"from '{f}'").to_arrow_table().to_pylist(),
    "pandas": lambda f: whole(pd.read_parquet(f).to_dict("records")),
}
for who, read in readers.items():
    rows = {r["volume"]: r for r in read(volumes)}
    assert len(rows) == len(want), (who, len(rows))
    for w in want:
        same(rows[w["Volume"]], w, who)
    studies = {r["id"]: r for r in read(labels)}
    assert studies.keys() == {w["Study"] for w in want}, who
    for w in want:
        states = [None if w["Labels"] is None or x["State"] == -2 else x["State"] for x in w["Labels"] or findings]
        assert [studies[w["Study"]][f] for f in findings] == states, (who, w["Study"])
types = pq.read_schema(volumes)
assert all(types.field(f).type == pa.int8() and types.field("p " + f).type == pa.float32() for f in findings)
present = sum(w["Labels"] is not None and w["Labels"][1]["State"] == 1 for w in want)
assert duckdb.sql(f"""select count(*) filter ("{findings[1]}" = 1) from '{volumes}'""").fetchall() == [(present,)] and present > 0
assert pl.scan_parquet(volumes).filter(pl.col(findings[1]) == 1).collect().height == present

tensors = {w["Volume"]: w["HU"] for w in want}
for f in sorted(set(files.values())):
    table = pa.ipc.open_file(pa.memory_map(f"{root}/{f}")).read_all()
    frame = pl.read_ipc(f"{root}/{f}")
    assert frame["volume"].to_list() == table["volume"].to_pylist() and frame["state"].to_list() == table["state"].to_pylist()
    assert table.drop_columns("ct").to_pandas()["volume"].tolist() == table["volume"].to_pylist()
    if b"silverbeam.blocks" not in table.schema.metadata:
        ct = frame["ct"].ext.storage() if hasattr(frame["ct"], "ext") else frame["ct"]
        plain = pa.table({"volume": table["volume"], "ct": pa.chunked_array([c.storage for c in table["ct"].chunks])})
        duck = duckdb.sql("select volume, ct from plain").fetchall()
        frames = plain.to_pandas()
        for i, v in enumerate(table["volume"].to_pylist()):
            assert np.asarray(ct[i]).tolist() == tensors[v], ("polars", v)
            assert dict(duck)[v] == tuple(tensors[v]), ("duckdb", v)
            assert frames["ct"][i].tolist() == tensors[v], ("pandas", v)
print(f"{len(want)} volumes: pyarrow {pa.__version__}, polars {pl.__version__}, duckdb {duckdb.__version__}, pandas {pd.__version__} agree")
