package table

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"

	"silverbeam/pkg/bucket"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/file"
)

// parquetSource reads the wanted columns of a Parquet file, page by page: a row group may hold a whole table. Its digest
// is over names and values, not over file bytes.
type parquetSource struct {
	path   string
	file   *file.Reader
	cols   layout // into leaves and values
	leaves []*leaf
	values [][]byte // of the current row; nil: null
	row    int64    // from 0
	h      hash.Hash
	prefix string
	length []byte
}

func openParquet(path string, f bucket.File, c Columns) (_ *parquetSource, err error) {
	s := &parquetSource{path: path, h: sha256.New()}
	defer s.recovered(&err)
	props := parquet.NewReaderProperties(memory.DefaultAllocator)
	props.BufferedStreamEnabled, props.BufferSize = true, 1<<20 // of a bucket each is a request
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
	for _, n := range names {
		col := schema.Column(schema.ColumnIndexByName(n))
		if !texty(col) {
			return nil, fmt.Errorf("table: %s: column %q holds no plain text or numbers", path, n)
		}
		s.leaves = append(s.leaves, &leaf{chunks: chunks{file: s.file, index: schema.ColumnIndexByName(n)}, present: col.MaxDefinitionLevel()})
	}
	s.values = make([][]byte, len(names))
	s.prefix = fmt.Sprintf("%q\n", names)
	s.sum()
	s.cols, err = c.find(path, 1, names)
	return s, err
}

func (s *parquetSource) next(row *Row) (_ *BadRow, err error) {
	defer s.recovered(&err)
	if s.row == s.file.NumRows() {
		return nil, io.EOF
	}
	for i, l := range s.leaves {
		if s.values[i], err = l.next(); err != nil {
			return nil, fmt.Errorf("table: %s: row %d: %w", s.path, s.row+1, err)
		}
		s.hash(s.values[i])
	}
	s.row++
	if row == nil {
		return nil, nil
	}
	if class, reason := s.check(); class != "" {
		return &BadRow{s.row, class, reason}, nil
	}
	s.cols.fill(row, func(i int) string { return string(s.values[i]) })
	row.Line = s.row
	return nil, nil
}

// hash takes in one value with its length; null differs from empty.
func (s *parquetSource) hash(v []byte) {
	n := uint64(len(v))
	if v == nil {
		n = 1 << 63
	}
	s.length = binary.LittleEndian.AppendUint64(s.length[:0], n)
	s.h.Write(s.length)
	s.h.Write(v)
}

func (s *parquetSource) check() (class, reason string) {
	for _, v := range s.values {
		if class, reason = unfit(v); class != "" {
			return class, reason
		}
	}
	if len(s.values[s.cols.study]) == 0 {
		return "no-id", "the id is empty"
	}
	return "", ""
}

// recovered turns the decoder's panics on damaged files into an error.
func (s *parquetSource) recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("table: %s: damaged Parquet near row %d: %v", s.path, s.row+1, strings.TrimSpace(fmt.Sprint(r)))
	}
}

func (s *parquetSource) place() (offset, line int64) { return 0, s.row + 1 }

func (s *parquetSource) sum() func() string {
	d := hex.EncodeToString(s.h.Sum(nil))
	s.h.Reset()
	io.WriteString(s.h, s.prefix)
	return func() string { return d }
}

func (s *parquetSource) close() { s.file.Close() }
