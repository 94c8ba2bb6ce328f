"""Opens a dataset with the real pyarrow: read.py DATASET [EXPECT.json]

Follows manifest.json, checks digests, opens every shard mapped, and holds columns, tensors and label tables against what
Go wrote. EXPECT.json is TestPyarrow's dump of the rows; without it only shapes and nulls are checked.
"""
import hashlib, json, os, sys
import numpy as np, pyarrow as pa

root = sys.argv[1]


def unpack(ct, shape, layout):
    """Decodes a compressed tensor as its metadata says."""
    layout, out = json.loads(layout), np.empty(shape, np.int16)
    n = [-(-s // layout["side"]) for s in shape]
    count = n[0] * n[1] * n[2]
    ends, frames = np.frombuffer(ct, "<u4", 2 * count), memoryview(ct)[8 * count:]
    starts = np.concatenate([[0], ends])
    for i in range(count):
        at = [k * layout["side"] for k in np.unravel_index(i, n)]
        place = out[tuple(slice(a, a + layout["side"]) for a in at)]
        lo, hi = (np.frombuffer(pa.Codec(layout["codec"]).decompress(pa.py_buffer(frames[starts[k]:ends[k]]), place.size), np.uint8).astype(np.uint16)
                  for k in (2 * i, 2 * i + 1))
        u = lo | hi << 8
        d = ((u >> 1) ^ -(u & 1)).view(np.int16).reshape(place.shape)
        d[:, :, 0] = d[:, :, 0].cumsum(1, dtype=np.int16)
        place[:] = d.cumsum(2, dtype=np.int16)
    assert ends[-1] == len(frames)
    return out


expect = json.load(open(sys.argv[2])) if len(sys.argv) > 2 else None
manifest = json.load(open(os.path.join(root, "manifest.json")))
total = 0
for split, content in sorted(manifest["splits"].items()):
    seen = 0
    for ref in content["batches"]:
        path = os.path.join(root, ref["file"])
        assert hashlib.sha256(open(path, "rb").read()).hexdigest() == ref["digest"], path
        table = pa.ipc.open_file(pa.memory_map(path)).read_all()
        table.validate(full=True)
        assert table.num_rows == ref["rows"], (path, table.num_rows, ref["rows"])
        meta = {k.decode(): v.decode() for k, v in table.schema.metadata.items()}
        findings = json.loads(meta["silverbeam.findings"])
        assert findings == manifest["findings"] and meta["silverbeam.split"] == split
        shape = json.loads(meta["silverbeam.preset"])["Shape"]
        ct = table["ct"].type
        if "silverbeam.blocks" in meta:
            assert ct == pa.binary(), ct
            tensors = np.stack([unpack(c.as_py(), shape, meta["silverbeam.blocks"]) for c in table["ct"]])
        else:
            assert isinstance(ct, pa.FixedShapeTensorType), ct
            assert list(ct.shape) == shape and ct.dim_names == ["z", "y", "x"] and ct.value_type == pa.int16(), ct
            tensors = np.concatenate([c.to_numpy_ndarray() for c in table["ct"].chunks])
        for c in table["ct"].chunks:
            voxels = (c.storage if "silverbeam.blocks" not in meta else c).buffers()[-1]
            assert voxels.address % 64 == 0, (path, voxels.address % 64)
        for c, t in zip(table["ct"], ref["tensors"]):
            stored = open(path, "rb").read()[t["at"]:][:t["bytes"]]
            assert hashlib.sha256(stored).hexdigest() == t["sha256"] and ("silverbeam.blocks" not in meta or c.as_py() == stored)
        assert tensors.shape == (table.num_rows, *shape) and tensors.dtype == np.int16
        for name in ("patient", "study", "volume", "report"):
            assert table[name].type == pa.string() and table[name].null_count == 0, name
        rows = table.select(["patient", "study", "volume", "report", "state", "p"]).to_pylist()
        for i, r in enumerate(rows):
            assert r["state"] is None or len(r["state"]) == len(findings)
            if expect is None:
                continue
            w = next(w for w in expect[split] if w["Volume"] == r["volume"])  # of the batch's order, not of the volumes'
            assert [r[k] for k in ("patient", "study", "volume", "report")] == [w[k] for k in ("Patient", "Study", "Volume", "Report")]
            assert tensors[i].ravel().tolist() == w["HU"], "voxels"
            if w["Labels"] is None:
                assert r["state"] is None and r["p"] is None
            else:
                assert r["state"] == [None if x["State"] == -2 else x["State"] for x in w["Labels"]]
                assert np.array_equal(np.float32(r["p"]), np.float32([x["P"] for x in w["Labels"]]))
        seen += table.num_rows
    assert expect is None or seen == len(expect[split])
    total += seen

labels = os.path.join(root, "labels.parquet")
if os.path.exists(labels):
    import pyarrow.csv as pc, pyarrow.parquet as pq
    t = pq.read_table(labels)
    assert t.schema.names[1:] == manifest["findings"], t.schema.names
    csv = pc.read_csv(labels.removesuffix("parquet") + "csv", convert_options=pc.ConvertOptions(
        column_types={n: t.schema.field(n).type for n in t.schema.names}, quoted_strings_can_be_null=False))
    assert csv.select(t.schema.names).to_pylist() == t.to_pylist(), "labels.csv and labels.parquet differ"
    print(f"{t.num_rows} label rows agree")
print(f"{total} rows in {len(manifest['splits'])} splits: pyarrow {pa.__version__} agrees")
