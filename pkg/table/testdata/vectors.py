# Makes the Parquet files of vectors_test.go with the real pyarrow, pandas and Polars: python3 vectors.py
# Fixed-size lists over two row groups, a null within a list, lists of doubles by pandas, lists by Polars.
import pandas, polars, pyarrow as pa, pyarrow.parquet as pq

texts, vectors = [f"text {i}" for i in range(5)], [[i + 0.25, -i, 1.0] for i in range(5)]
fixed = pa.table({"text": texts, "embedding": pa.array(vectors, pa.list_(pa.float32(), 3))})
pq.write_table(fixed, "vectors.parquet", row_group_size=3)
pq.write_table(pa.table({"text": texts[:2], "embedding": pa.array([[1.0, None], [1.0, 2.0]])}), "vectors-null.parquet")
pandas.DataFrame({"text": texts, "embedding": vectors}).to_parquet("vectors-pandas.parquet")
polars.DataFrame({"text": texts, "embedding": vectors}, schema={"text": polars.String, "embedding": polars.List(polars.Float32)}).write_parquet("vectors-polars.parquet")
