// Package table reads report tables: CSV, JSON lines (both also gzipped) and Parquet.
//
// Cut makes one streaming pass and names ranges of rows; Read gives one range's rows, on any worker, and refuses a file
// that changed since it was cut. Memory does not grow with the file. A row that cannot be read is a BadRow, with its line
// and a class; it never takes its neighbours along.
package table

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"silverbeam/pkg/bucket"
)

// Columns names the table's columns to read; "" and nil mean that the table has none of that kind. Study is required.
type Columns struct {
	Study   string // the row's id
	Patient string
	Volume  string
	Split   string
	Report  []string // text columns, joined with a newline; "Not given." counts as empty, empty ones leave no line
	Extra   []string // copied to Row.Extra as they stand
}

// Range is a run of consecutive rows of one table, good and bad ones: what a batch descriptor carries.
type Range struct {
	Path     string
	Index    int   // of this range in the table, from 0
	FirstRow int64 // rows before this range, header not counted
	Rows     int64
	Line     int64  // line of the file where the range starts, from 1; in Parquet the row
	Offset   int64  // byte where the range starts; 0 for gzipped files and Parquet, which are found by row
	Length   int64  // in bytes; 0 for gzipped files and Parquet
	Digest   string // hex SHA-256 of the header and the range's bytes; of the columns' values in Parquet
}

// Row is one readable row. A missing or null value is "".
type Row struct {
	ID, Patient, Volume, Split, Report string
	Extra                              []string
	Line                               int64 // where the row starts, from 1; in Parquet the row
}

// BadRow is a row that cannot be read. Classes: fields (wrong number), quote (stray or unclosed), nul, utf8, too-long
// (a field over 1 MiB), no-id, json, type.
type BadRow struct {
	Line          int64
	Class, Reason string // neither holds any of the row's text
}

// maxField bounds one field, maxRecord one row, in bytes.
const (
	maxField  = 1 << 20
	maxRecord = 4 << 20
)

// source walks over a table's rows.
type source interface {
	// next reads one row into row, or only passes over it if row is nil. It returns io.EOF after the last.
	next(row *Row) (*BadRow, error)
	place() (offset, line int64) // of the next row
	sum() func() string          // digest of the rows passed since the last sum or the opening, which may take a moment yet
	close()
}

// Cut names ranges of up to rows rows each. It fails on a file that is missing, empty or without rows, and for a column
// that is not there.
func Cut(path string, c Columns, rows int) ([]Range, error) {
	if rows < 1 {
		return nil, fmt.Errorf("table: %d rows a range: must be at least 1", rows)
	}
	s, err := open(path, c, nil)
	if err != nil {
		return nil, err
	}
	defer s.close()
	if w, ok := s.(interface{ hashAside() func() }); ok {
		defer w.hashAside()()
	}
	var ranges []Range
	var digests []func() string
	r := Range{Path: path}
	r.Offset, r.Line = s.place()
	end := func() {
		offset, line := s.place()
		r.Length = offset - r.Offset
		ranges, digests = append(ranges, r), append(digests, s.sum())
		r = Range{Path: path, Index: r.Index + 1, FirstRow: r.FirstRow + r.Rows, Offset: offset, Line: line}
	}
	for {
		_, err := s.next(nil)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if r.Rows++; r.Rows == int64(rows) {
			end()
		}
	}
	if r.Rows > 0 {
		end()
	}
	if len(ranges) == 0 {
		return nil, fmt.Errorf("table: %s: no rows after the header", path)
	}
	for i, digest := range digests {
		ranges[i].Digest = digest()
	}
	return ranges, nil
}

// Read gives the rows of one range in the file's order. Reading many ranges of gzipped or Parquet files, use a Reader.
func Read(r Range, c Columns) (rows []Row, bad []BadRow, err error) {
	var rd Reader
	defer rd.Close()
	return rd.Read(r, c)
}

// readRange takes r's rows from s, which stands at its first row.
func readRange(s source, r Range) (rows []Row, bad []BadRow, err error) {
	rows = make([]Row, 0, min(r.Rows, 1<<16))
	for n := int64(0); n < r.Rows; n++ {
		var row Row
		b, err := s.next(&row)
		switch {
		case err == io.EOF:
			return nil, nil, changed(r)
		case err != nil:
			return nil, nil, err
		case b != nil:
			bad = append(bad, *b)
		default:
			rows = append(rows, row)
		}
	}
	if s.sum()() != r.Digest {
		return nil, nil, changed(r)
	}
	return rows, bad, nil
}

// ErrChanged is wrapped by Read's error when the file is not the one that was cut.
var ErrChanged = errors.New("the file changed since it was cut into ranges")

func changed(r Range) error {
	return fmt.Errorf("table: %s: rows %d to %d: %w", bucket.Name(r.Path), r.FirstRow, r.FirstRow+r.Rows-1, ErrChanged)
}

// names lists every column that is asked for, once each.
func (c Columns) names() []string {
	var all []string
	for _, n := range slices.Concat([]string{c.Study, c.Patient, c.Volume, c.Split}, c.Report, c.Extra) {
		if n != "" && !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return all
}
