package table

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"silverbeam/pkg/bucket"

	"github.com/klauspost/compress/gzip"
)

// open starts at the first row, or at r's if the file's kind has offsets.
func open(path string, c Columns, r *Range) (source, error) {
	name, zipped := strings.CutSuffix(strings.ToLower(bucket.Name(path)), ".gz")
	parquet := strings.HasSuffix(name, ".parquet") && !zipped
	csv, jsonl := strings.HasSuffix(name, ".csv"), strings.HasSuffix(name, ".jsonl") || strings.HasSuffix(name, ".ndjson")
	if !parquet && !csv && !jsonl {
		return nil, fmt.Errorf("table: %s: not a table's name: it must end in .csv, .jsonl, .csv.gz, .jsonl.gz or .parquet", bucket.Name(path))
	}
	f, err := bucket.OpenFile(path)
	if err != nil {
		return nil, fmt.Errorf("table: %w", err)
	}
	path = bucket.Name(path) // what errors say
	var s source
	switch {
	case parquet:
		s, err = openParquet(path, f, c)
	case zipped:
		s, err = openZipped(path, f, c, csv)
	default:
		s, err = openPlain(path, f, c, csv, r)
	}
	if err != nil {
		f.Close()
	}
	return s, err
}

// openText starts at the beginning of r.
func openText(path string, r io.Reader, c Columns, csv bool, closer func() error) (source, *window, error) {
	w := newWindow(r, 0, 1)
	if csv {
		s := &csvSource{window: w, path: path, closer: closer}
		return s, w, s.header(c)
	}
	s := &jsonSource{window: w, path: path, closer: closer}
	return s, w, s.header(c)
}

func openPlain(path string, f bucket.File, c Columns, csv bool, r *Range) (source, error) {
	s, w, err := openText(path, f, c, csv, f.Close)
	if err != nil || r == nil {
		return s, err
	}
	if _, err := f.Seek(r.Offset, io.SeekStart); err != nil {
		return nil, fmt.Errorf("table: %w", err)
	}
	w.lo, w.hi, w.hashed, w.eof = 0, 0, 0, false
	w.base, w.line = r.Offset, r.Line
	return s, nil
}

func openZipped(path string, f bucket.File, c Columns, csv bool) (source, error) {
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("table: %s: %w", path, err)
	}
	s, w, err := openText(path, z, c, csv, f.Close)
	if err != nil {
		return nil, err
	}
	return &unplaced{s, w}, nil
}

// unplaced is a source whose rows are found by their number alone.
type unplaced struct {
	source
	w *window
}

func (u *unplaced) place() (offset, line int64) { return 0, u.w.line }

func (u *unplaced) hashAside() func() { return u.w.hashAside() }

// Reader reads ranges. It keeps a few gzipped and Parquet files open where the last range ended, so that ranges read in
// about their order cost one pass over the file. Safe for concurrent use; the zero value is ready.
type Reader struct {
	mu   sync.Mutex
	kept []cursor // at most maxKept, the longest kept first
}

const maxKept = 4

type cursor struct {
	key string
	row int64
	s   source
}

// Read gives the good and the bad rows of one range, both in the file's order. c must be what Cut was called with. An
// error (ErrChanged among them) means that the whole range could not be read.
func (rd *Reader) Read(r Range, c Columns) (rows []Row, bad []BadRow, err error) {
	key, keeps, err := identity(r.Path, c)
	if err != nil {
		return nil, nil, err
	}
	at, ok := rd.nearest(key, r.FirstRow)
	if !ok {
		at = cursor{key: key}
		if at.s, err = open(r.Path, c, &r); err != nil {
			return nil, nil, err
		}
		if !keeps {
			defer at.s.close()
			return readRange(at.s, r)
		}
	}
	for ; at.row < r.FirstRow; at.row++ {
		if _, err := at.s.next(nil); err != nil {
			at.s.close()
			if err == io.EOF {
				err = changed(r)
			}
			return nil, nil, err
		}
	}
	at.s.sum()
	if rows, bad, err = readRange(at.s, r); err != nil {
		at.s.close()
		return nil, nil, err
	}
	at.row += r.Rows
	rd.keep(at)
	return rows, bad, nil
}

// identity tells versions of a file apart, and whether its cursors are worth keeping.
func identity(path string, c Columns) (key string, keeps bool, err error) {
	version, err := bucket.Version(path)
	if err != nil {
		return "", false, fmt.Errorf("table: %w", err)
	}
	name := strings.ToLower(bucket.Name(path))
	keeps = strings.HasSuffix(name, ".gz") || strings.HasSuffix(name, ".parquet")
	return fmt.Sprintf("%q %s %q", path, version, fmt.Sprintf("%q", c)), keeps, nil
}

// nearest takes out the kept cursor that is closest before row.
func (rd *Reader) nearest(key string, row int64) (best cursor, ok bool) {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	at := -1
	for i, k := range rd.kept {
		if k.key == key && k.row <= row && (at < 0 || k.row > rd.kept[at].row) {
			at = i
		}
	}
	if at < 0 {
		return cursor{}, false
	}
	best = rd.kept[at]
	rd.kept = append(rd.kept[:at], rd.kept[at+1:]...)
	return best, true
}

func (rd *Reader) keep(c cursor) {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	if rd.kept = append(rd.kept, c); len(rd.kept) > maxKept {
		rd.kept[0].s.close()
		rd.kept = append(rd.kept[:0], rd.kept[1:]...)
	}
}

// Close closes the files that are kept open.
func (rd *Reader) Close() error {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	for _, c := range rd.kept {
		c.s.close()
	}
	rd.kept = nil
	return nil
}
