package table

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"silverbeam/pkg/bucket"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/file"
)

// Vectors reads a Parquet file of texts and their vectors into memory: a column of text and one of lists of floats, or of doubles, as
// pyarrow, pandas and Polars write lists and fixed-size lists. All vectors have one length and finite numbers, not all 0; equal texts
// have the same. An error names the row.
func Vectors(path, text, vector string) (of map[string][]float32, err error) {
	f, err := bucket.OpenFile(path)
	if err != nil {
		return nil, fmt.Errorf("table: %w", err)
	}
	defer f.Close()
	path = bucket.Name(path)
	row := 0
	defer func() {
		if r := recover(); r != nil { // the decoder's panics on damaged files
			err = fmt.Errorf("damaged Parquet: %v", strings.TrimSpace(fmt.Sprint(r)))
		}
		if err != nil {
			of, err = nil, fmt.Errorf("table: %s: row %d: %w", path, row+1, err)
		}
	}()
	props := parquet.NewReaderProperties(memory.DefaultAllocator)
	props.BufferedStreamEnabled, props.BufferSize = true, 1<<20
	r, err := file.NewParquetReader(f, file.WithReadProps(props))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	texts, lists, err := findVectors(r, text, vector)
	if err != nil {
		return nil, err
	}
	of, width := map[string][]float32{}, 0
	for ; row < int(r.NumRows()); row++ {
		t, err := texts.next()
		if err != nil {
			return nil, err
		}
		v, err := lists.next()
		if err != nil {
			return nil, err
		}
		if t == nil || v == nil {
			return nil, fmt.Errorf("%s or %s is null", text, vector)
		}
		if width == 0 {
			width, lists.usual = len(v), len(v)
		}
		if err := fitVector(v, width); err != nil {
			return nil, err
		}
		if old, twice := of[string(t)]; twice && !slices.Equal(old, v) {
			return nil, errors.New("its text has another vector in an earlier row")
		}
		of[string(t)] = v
	}
	if row == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return of, nil
}

// findVectors finds the two columns.
func findVectors(r *file.Reader, text, vector string) (*leaf, *lists, error) {
	schema := r.MetaData().Schema
	var texts *leaf
	var found *lists
	var names []string
	for i := range schema.NumColumns() {
		c := schema.Column(i)
		name, _, nested := strings.Cut(c.Path(), ".")
		names = append(names, name)
		switch {
		case name == text && !nested && texty(c):
			texts = &leaf{chunks: chunks{file: r, index: i}, present: c.MaxDefinitionLevel()}
		case name == vector && c.MaxRepetitionLevel() == 1 && (c.PhysicalType() == parquet.Types.Float || c.PhysicalType() == parquet.Types.Double):
			found = &lists{chunks: chunks{file: r, index: i}, present: c.MaxDefinitionLevel(), nulls: c.SchemaNode().RepetitionType() == parquet.Repetitions.Optional}
		}
	}
	switch {
	case texts == nil:
		return nil, nil, fmt.Errorf("no column %q of text; it has %q", text, names)
	case found == nil:
		return nil, nil, fmt.Errorf("no column %q of lists of floats; it has %q", vector, names)
	}
	return texts, found, nil
}

func fitVector(v []float32, width int) error {
	if len(v) != width || width == 0 {
		return fmt.Errorf("a vector of %d numbers, the first has %d", len(v), width)
	}
	zero := true
	for _, x := range v {
		if x != x || math.IsInf(float64(x), 0) {
			return fmt.Errorf("a vector with a number that is none: %v", x)
		}
		zero = zero && x == 0
	}
	if zero {
		return errors.New("a vector of zeros")
	}
	return nil
}

// lists walks over one column of lists of floats.
type lists struct {
	chunks
	present int16
	nulls   bool // a list's numbers may be null
	usual   int  // length of a list; 0: none is known

	at, n          int // in levels
	value          int // in values
	defined, again []int16
	floats         []float32
	doubles        []float64
}

// next is the next row's list; nil: it is null or empty.
func (l *lists) next() (v []float32, err error) {
	for began := false; ; began = true {
		if l.at == l.n {
			if err := l.batch(); err == io.EOF && began {
				return v, nil
			} else if err != nil {
				return nil, err
			}
		}
		if began && l.again[l.at] == 0 {
			return v, nil
		}
		switch of := l.defined[l.at]; {
		case of == l.present:
			if v == nil {
				v = make([]float32, 0, l.usual)
			}
			if l.doubles != nil {
				v = append(v, float32(l.doubles[l.value]))
			} else {
				v = append(v, l.floats[l.value])
			}
			l.value++
		case of == l.present-1 && l.nulls:
			return nil, errors.New("a null among a vector's numbers")
		}
		l.at++
	}
}

// batch decodes on, in the next row group if this one is through; io.EOF after the last.
func (l *lists) batch() (err error) {
	if err = l.more(); err != nil {
		return err
	}
	if l.defined == nil {
		l.defined, l.again = make([]int16, leafRows), make([]int16, leafRows)
	}
	var n int64
	switch r := l.chunk.(type) {
	case *file.Float32ColumnChunkReader:
		n, _, err = r.ReadBatch(leafRows, room(&l.floats), l.defined, l.again)
	case *file.Float64ColumnChunkReader:
		n, _, err = r.ReadBatch(leafRows, room(&l.doubles), l.defined, l.again)
	}
	l.at, l.n, l.value = 0, int(n), 0
	if err == nil && n == 0 {
		err = io.ErrUnexpectedEOF
	}
	return err
}
