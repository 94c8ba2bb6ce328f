package table

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/pqarrow"
)

// parquetRows is how many rows are decoded at a time; pages, not row groups, are what is held in memory.
const parquetRows = 2048

// parquetSource reads the wanted columns of a Parquet file. Its digest is over names and values, not over file bytes.
type parquetSource struct {
	path   string
	file   *file.Reader
	rows   pqarrow.RecordReader
	cols   layout // into values
	fields []int  // of the record, for each value
	record arrow.Record
	at     int   // in record
	row    int64 // from 0
	values []string
	h      hash.Hash
	prefix string
	length []byte
}

func openParquet(path string, f *os.File, c Columns) (_ *parquetSource, err error) {
	s := &parquetSource{path: path, h: sha256.New()}
	defer s.recovered(&err)
	props := parquet.NewReaderProperties(memory.DefaultAllocator)
	props.BufferedStreamEnabled = true
	if s.file, err = file.NewParquetReader(f, file.WithReadProps(props)); err != nil {
		return nil, fmt.Errorf("table: %s: %w", path, err)
	}
	if s.file.NumRows() == 0 {
		return nil, fmt.Errorf("table: %s: no rows", path)
	}
	schema := s.file.MetaData().Schema
	var header []string
	for i := range schema.NumColumns() {
		header = append(header, schema.Column(i).Path())
	}
	if _, err = c.find(path, 1, header); err != nil {
		return nil, err
	}
	names := c.names()
	var leaves []int
	for _, n := range names {
		leaves = append(leaves, schema.ColumnIndexByName(n))
	}
	if s.cols, err = c.find(path, 1, names); err != nil {
		return nil, err
	}
	s.values = make([]string, len(names))
	s.prefix = fmt.Sprintf("%q\n", names)
	s.h.Write([]byte(s.prefix))
	return s, s.start(leaves, names)
}

func (s *parquetSource) start(leaves []int, names []string) error {
	fr, err := pqarrow.NewFileReader(s.file, pqarrow.ArrowReadProperties{BatchSize: parquetRows}, memory.DefaultAllocator)
	if err == nil {
		s.rows, err = fr.GetRecordReader(context.Background(), leaves, nil)
	}
	if err != nil {
		return fmt.Errorf("table: %s: %w", s.path, err)
	}
	for _, n := range names {
		at := s.rows.Schema().FieldIndices(n)
		if len(at) != 1 || !texty(s.rows.Schema().Field(at[0]).Type) {
			return fmt.Errorf("table: %s: column %q holds no plain text or numbers", s.path, n)
		}
		s.fields = append(s.fields, at[0])
	}
	return nil
}

// texty says whether one value of the type has an obvious text.
func texty(t arrow.DataType) bool {
	if d, ok := t.(*arrow.DictionaryType); ok {
		t = d.ValueType
	}
	switch t.ID() {
	case arrow.STRING, arrow.LARGE_STRING, arrow.BOOL:
		return true
	}
	return arrow.IsInteger(t.ID()) || arrow.IsFloating(t.ID())
}

func (s *parquetSource) next(row *Row) (_ *BadRow, err error) {
	defer s.recovered(&err)
	for s.record == nil || s.at == int(s.record.NumRows()) {
		if !s.rows.Next() {
			if err := s.rows.Err(); err != nil && err != io.EOF {
				return nil, fmt.Errorf("table: %s: after row %d: %w", s.path, s.row, err)
			}
			if s.row != s.file.NumRows() {
				return nil, fmt.Errorf("table: %s: %d rows of %d", s.path, s.row, s.file.NumRows())
			}
			return nil, io.EOF
		}
		s.record, s.at = s.rows.Record(), 0
	}
	for i, f := range s.fields {
		s.values[i] = s.value(s.record.Column(f))
	}
	s.at++
	s.row++
	if row == nil {
		return nil, nil
	}
	if class, reason := s.check(); class != "" {
		return &BadRow{s.row, class, reason}, nil
	}
	s.cols.fill(row, func(i int) string { return strings.Clone(s.values[i]) }) // not the decoder's memory
	row.Line = s.row
	return nil, nil
}

// value is the text of the current row's value, hashed with its length.
func (s *parquetSource) value(a arrow.Array) (v string) {
	if a.IsNull(s.at) {
		s.h.Write([]byte("null"))
		return ""
	}
	switch a := a.(type) {
	case *array.String:
		v = a.Value(s.at)
	case *array.LargeString:
		v = a.Value(s.at)
	default:
		v = a.ValueStr(s.at)
	}
	s.length = binary.LittleEndian.AppendUint64(s.length[:0], uint64(len(v)))
	s.h.Write(s.length)
	io.WriteString(s.h, v)
	return v
}

func (s *parquetSource) check() (class, reason string) {
	for _, v := range s.values {
		switch {
		case len(v) > maxField:
			return "too-long", "a value is over 1 MiB"
		case strings.IndexByte(v, 0) >= 0:
			return "nul", "a NUL byte"
		case strings.ToValidUTF8(v, "") != v:
			return "utf8", "not UTF-8"
		}
	}
	if s.values[s.cols.study] == "" {
		return "no-id", "the id is empty"
	}
	return "", ""
}

// recovered turns the decoder's panics on damaged files into an error.
func (s *parquetSource) recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("table: %s: damaged Parquet near row %d: %v", s.path, s.row, r)
	}
}

func (s *parquetSource) place() (offset, line int64) { return 0, s.row + 1 }

func (s *parquetSource) sum() string {
	d := hex.EncodeToString(s.h.Sum(nil))
	s.h.Reset()
	io.WriteString(s.h, s.prefix)
	return d
}

func (s *parquetSource) close() {
	if s.rows != nil {
		s.rows.Release()
	}
	s.file.Close()
}
