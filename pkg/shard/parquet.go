package shard

import (
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/compress"
	"github.com/apache/arrow/go/v17/parquet/pqarrow"
)

// groupRows is how many rows a Parquet row group has.
const groupRows = 1 << 16

// parquetTable collects rows into row groups of a Parquet file. Its columns are plain: arrow v17 writes a fixed-size list
// that is not nullable as nulls, without an error.
type parquetTable struct {
	w       *pqarrow.FileWriter
	builder *array.RecordBuilder
	rows    int
}

func newParquetTable(w io.Writer, fields []arrow.Field) (*parquetTable, error) {
	schema := arrow.NewSchema(fields, nil)
	props := parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Snappy), parquet.WithDictionaryFor("id", false))
	fw, err := pqarrow.NewFileWriter(schema, w, props, pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
	if err != nil {
		return nil, err
	}
	return &parquetTable{w: fw, builder: array.NewRecordBuilder(memory.DefaultAllocator, schema)}, nil
}

// next ends a row of the builder.
func (t *parquetTable) next() error {
	if t.rows++; t.rows == groupRows {
		return t.flush()
	}
	return nil
}

func (t *parquetTable) flush() error {
	rec := t.builder.NewRecord()
	defer rec.Release()
	t.rows = 0
	return t.w.Write(rec)
}

func (t *parquetTable) close() error {
	if t.rows > 0 {
		if err := t.flush(); err != nil {
			return err
		}
	}
	return t.w.Close()
}

func (t *parquetTable) release() { t.builder.Release() }
