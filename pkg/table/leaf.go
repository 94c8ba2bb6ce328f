package table

import (
	"fmt"
	"io"
	"strconv"

	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/schema"
)

// leafRows is how many values of a column are decoded at a time.
const leafRows = 1024

// chunks walks over a column of a file: a chunk for each row group.
type chunks struct {
	file  *file.Reader
	index int // of the column
	group int // the next row group
	chunk file.ColumnChunkReader
}

// more goes on to a chunk that has more; io.EOF after the last.
func (c *chunks) more() (err error) {
	for c.chunk == nil || !c.chunk.HasNext() {
		if c.chunk != nil && c.chunk.Err() != nil {
			return c.chunk.Err()
		}
		if c.group == c.file.NumRowGroups() {
			return io.EOF
		}
		if c.chunk, err = c.file.RowGroup(c.group).Column(c.index); err != nil {
			return err
		}
		c.group++
	}
	return nil
}

// leaf walks over one flat column of a Parquet file as text. It reads the column's chunks itself because pqarrow v17
// has no reader for large_string, which polars writes.
type leaf struct {
	chunks
	present int16
	at, n   int // in levels
	value   int // in values
	levels  []int16
	values  [][]byte // the batch's values, nulls left out; they live until the next batch
	text    []byte   // what numbers are written into

	bytes   []parquet.ByteArray
	int32s  []int32
	int64s  []int64
	floats  []float32
	doubles []float64
	bools   []bool
}

// texty says whether a column is flat and one value of it has an obvious text.
func texty(c *schema.Column) bool {
	if c.MaxRepetitionLevel() > 0 {
		return false
	}
	switch c.ConvertedType() {
	case schema.ConvertedTypes.None, schema.ConvertedTypes.UTF8, schema.ConvertedTypes.Enum, schema.ConvertedTypes.JSON,
		schema.ConvertedTypes.Int8, schema.ConvertedTypes.Int16, schema.ConvertedTypes.Int32, schema.ConvertedTypes.Int64,
		schema.ConvertedTypes.Uint8, schema.ConvertedTypes.Uint16:
	default:
		return false
	}
	switch c.PhysicalType() {
	case parquet.Types.ByteArray, parquet.Types.Int32, parquet.Types.Int64, parquet.Types.Float, parquet.Types.Double, parquet.Types.Boolean:
		return true
	}
	return false
}

// next is the next row's value, nil for null. It is valid until the next call.
func (l *leaf) next() ([]byte, error) {
	for l.at == l.n {
		if err := l.batch(); err != nil {
			return nil, err
		}
	}
	l.at++
	if l.levels[l.at-1] < l.present {
		return nil, nil
	}
	if l.value == len(l.values) {
		return nil, fmt.Errorf("column %d has fewer values than rows", l.index)
	}
	l.value++
	return l.values[l.value-1], nil
}

// batch decodes on, in the next row group if this one is through.
func (l *leaf) batch() (err error) {
	if l.levels == nil {
		l.levels = make([]int16, leafRows)
	}
	if err = l.more(); err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	if l.present == 0 {
		clear(l.levels) // none are read for a required column
	}
	n, err := l.decode()
	l.at, l.n, l.value = 0, int(n), 0
	if err == nil && n == 0 {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (l *leaf) decode() (n int64, err error) {
	l.text, l.values = l.text[:0], l.values[:0]
	var got int
	switch r := l.chunk.(type) {
	case *file.ByteArrayColumnChunkReader:
		n, got, err = r.ReadBatch(leafRows, room(&l.bytes), l.levels, nil)
		for _, v := range l.bytes[:got] {
			l.values = append(l.values, v[:len(v):len(v)])
			if v == nil {
				l.values[len(l.values)-1] = []byte{}
			}
		}
	case *file.Int32ColumnChunkReader:
		n, got, err = r.ReadBatch(leafRows, room(&l.int32s), l.levels, nil)
		spell(l, l.int32s[:got], func(b []byte, v int32) []byte { return strconv.AppendInt(b, int64(v), 10) })
	case *file.Int64ColumnChunkReader:
		n, got, err = r.ReadBatch(leafRows, room(&l.int64s), l.levels, nil)
		spell(l, l.int64s[:got], func(b []byte, v int64) []byte { return strconv.AppendInt(b, v, 10) })
	case *file.Float32ColumnChunkReader:
		n, got, err = r.ReadBatch(leafRows, room(&l.floats), l.levels, nil)
		spell(l, l.floats[:got], func(b []byte, v float32) []byte { return strconv.AppendFloat(b, float64(v), 'g', -1, 32) })
	case *file.Float64ColumnChunkReader:
		n, got, err = r.ReadBatch(leafRows, room(&l.doubles), l.levels, nil)
		spell(l, l.doubles[:got], func(b []byte, v float64) []byte { return strconv.AppendFloat(b, v, 'g', -1, 64) })
	case *file.BooleanColumnChunkReader:
		n, got, err = r.ReadBatch(leafRows, room(&l.bools), l.levels, nil)
		spell(l, l.bools[:got], strconv.AppendBool)
	default:
		err = fmt.Errorf("column %d has physical type %s", l.index, r.Type())
	}
	return n, err
}

// room makes a batch's buffer the first time.
func room[T any](b *[]T) []T {
	if *b == nil {
		*b = make([]T, leafRows)
	}
	return *b
}

// spell puts numbers into l.values as text.
func spell[T any](l *leaf, vs []T, text func([]byte, T) []byte) {
	for _, v := range vs {
		from := len(l.text)
		l.text = text(l.text, v)
		l.values = append(l.values, l.text[from:len(l.text):len(l.text)])
	}
}
