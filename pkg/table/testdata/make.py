# Makes the Parquet files of parquet_test.go with the real pyarrow: python3 make.py
import pyarrow as pa, pyarrow.parquet as pq

n = 500
ids = [f"s{i}" for i in range(n)]
text = [None if i % 7 == 0 else f"report {i} " + "lung " * (i % 5) for i in range(n)]
one = pa.table({"id": ids, "n": pa.array(range(n), pa.int64()), "split": pa.array(["train" if i % 3 else "valid" for i in range(n)]).dictionary_encode(),
                "report": pa.array(text, pa.large_string()), "x.y": pa.array([[i] for i in range(n)])})
pq.write_table(one, "pyarrow.parquet", row_group_size=150, compression="zstd")
pq.write_table(one.slice(0, 3), "plain.parquet", compression="none", use_dictionary=False, store_schema=False)
