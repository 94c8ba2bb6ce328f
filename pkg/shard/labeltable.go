package shard

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"sync/atomic"

	"silverbeam/pkg/taxonomy"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
)

// LabelForm says what a label table's cells hold.
type LabelForm struct {
	As        string // state (also ""): 1, 0, -1, empty; binary: 1 or 0; probability: 0 to 1
	Uncertain string // of binary: one (also ""), zero, or missing, which is an empty cell
}

// MergeLabels joins parts, in the order given, to one table with the columns id and findings: Parquet in plain nullable columns
// (int8, or float32 for probabilities) and CSV. An empty path leaves that file out. The digest is the CSV's SHA-256,
// written or not. partsAhead parts and one Parquet row group are in memory at a time.
func MergeLabels(parts []string, findings []string, form LabelForm, outParquet, outCSV string) (rows int, digest string, err error) {
	switch form.As {
	case "", "state", "binary", "probability":
	default:
		return 0, "", fmt.Errorf("shard: labels as %q: must be state, binary or probability", form.As)
	}
	merge := func(csv io.Writer) error {
		if outParquet == "" {
			rows, err = form.merge(parts, findings, csv, nil)
			return err
		}
		_, _, err := writeAtomic(outParquet, 0o600, func(w io.Writer) error {
			t, err := newParquetTable(w, form.fields(findings))
			if err != nil {
				return err
			}
			defer t.release()
			if rows, err = form.merge(parts, findings, csv, t); err != nil {
				return err
			}
			return t.close()
		})
		return err
	}
	if outCSV != "" {
		digest, _, err = writeAtomic(outCSV, 0o600, merge)
		return rows, digest, err
	}
	h := sha256.New()
	err = merge(h)
	return rows, hex.EncodeToString(h.Sum(nil)), err
}

// cellBatch is a part's rows as a table of one form has them.
type cellBatch struct {
	ids   [][]byte
	cells []float32 // of one row after the other; NaN: empty
	err   error
	uses  atomic.Int32 // of those that it waits for
}

// used is said by each who needs it no more.
func (c *cellBatch) used(free chan<- *cellBatch) {
	if c.uses.Add(-1) == 0 {
		free <- c
	}
}

// read fills the cells from a part.
func (c *cellBatch) read(path string, findings []string, f LabelForm) error {
	c.ids, c.cells = c.ids[:0], c.cells[:0]
	p, err := openPart(path)
	if err == nil {
		err = sameFindings(path, p.findings, findings)
	}
	if err != nil {
		return err
	}
	var l taxonomy.Label
	for range p.rows {
		c.ids = append(c.ids, p.text())
		labeled := p.byte() == 1
		for range findings {
			v, known := float32(0), false
			if labeled {
				p.label(&l)
				v, known = f.cell(&l)
			}
			if !known {
				v = empty
			}
			c.cells = append(c.cells, v)
		}
	}
	return p.end()
}

var empty = float32(math.NaN())

// partsAhead are how many parts may be read before they are in both tables.
const partsAhead = 8

// merge writes both tables at once, while the next parts are read.
func (f LabelForm) merge(parts []string, findings []string, csv io.Writer, pq *parquetTable) (rows int, err error) {
	free, read, lines := make(chan *cellBatch, partsAhead), make(chan *cellBatch, partsAhead), make(chan *cellBatch, partsAhead)
	for range min(partsAhead, len(parts)) {
		free <- &cellBatch{}
	}
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		defer close(read)
		for _, path := range parts {
			select {
			case c := <-free:
				c.err = c.read(path, findings, f)
				read <- c
			case <-stop:
				return
			}
		}
	}()
	written := make(chan error)
	go func() { written <- writeLines(csv, findings, lines, free) }()
	for c := range read {
		if err = c.err; err != nil {
			break
		}
		rows += len(c.ids)
		c.uses.Store(2)
		lines <- c
		if pq != nil {
			err = pq.addCells(c, len(findings))
		}
		if c.used(free); err != nil {
			break
		}
	}
	close(lines)
	return rows, errors.Join(err, <-written)
}

// writeLines writes batches as CSV.
func writeLines(csv io.Writer, findings []string, batches <-chan *cellBatch, free chan<- *cellBatch) error {
	out := bufio.NewWriterSize(csv, 1<<16) // keeps its first error
	line := appendCell(nil, "id")
	for _, n := range findings {
		line = appendCell(append(line, ','), n)
	}
	out.Write(append(line, '\n'))
	for c := range batches {
		for i, id := range c.ids {
			line = appendLine(line[:0], id, c.cells[i*len(findings):][:len(findings)])
			out.Write(line)
		}
		c.used(free)
	}
	return out.Flush()
}

// appendLine appends a row of CSV.
func appendLine(line, id []byte, cells []float32) []byte {
	line = appendCell(line, string(id))
	for _, v := range cells {
		line = append(line, ',')
		switch {
		case v != v:
		case v == float32(int8(v)):
			line = strconv.AppendInt(line, int64(v), 10)
		default:
			line = strconv.AppendFloat(line, float64(v), 'f', -1, 32)
		}
	}
	return append(line, '\n')
}

// cell is a label's value; not known is an empty cell.
func (f LabelForm) cell(l *taxonomy.Label) (v float32, known bool) {
	switch f.As {
	case "binary":
		b, known := taxonomy.Binary(*l, f.Uncertain)
		return float32(b), known
	case "probability":
		return l.P, true
	}
	return float32(l.State), l.State != taxonomy.NotMentioned
}

// appendCell quotes as RFC 4180 asks, and text that starts or ends with a space too.
func appendCell(b []byte, s string) []byte {
	if !strings.ContainsAny(s, "\",\r\n") && strings.TrimSpace(s) == s && s != "" {
		return append(b, s...)
	}
	b = append(b, '"')
	b = append(b, strings.ReplaceAll(s, `"`, `""`)...)
	return append(b, '"')
}

// fields are a label table's columns.
func (f LabelForm) fields(findings []string) []arrow.Field {
	var cell arrow.DataType = arrow.PrimitiveTypes.Int8
	if f.As == "probability" {
		cell = arrow.PrimitiveTypes.Float32
	}
	fields := []arrow.Field{{Name: "id", Type: arrow.BinaryTypes.String}}
	for _, n := range findings {
		fields = append(fields, arrow.Field{Name: n, Type: cell, Nullable: true})
	}
	return fields
}

// add appends a row of a label table.
func (t *parquetTable) add(f LabelForm, r LabelRow) error {
	c := cellBatch{ids: [][]byte{[]byte(r.ID)}}
	n := t.builder.Schema().NumFields() - 1
	for i := range n {
		v, known := float32(0), false
		if r.Labels != nil {
			v, known = f.cell(&r.Labels[i])
		}
		if !known {
			v = empty
		}
		c.cells = append(c.cells, v)
	}
	return t.addCells(&c, n)
}

// addCells appends rows of so many cells.
func (t *parquetTable) addCells(c *cellBatch, columns int) error {
	for from := 0; from < len(c.ids); {
		n := min(len(c.ids)-from, groupRows-t.rows)
		fields := t.builder.Fields()
		for _, id := range c.ids[from:][:n] {
			fields[0].(*array.StringBuilder).BinaryBuilder.Append(id)
		}
		for i, b := range fields[1:] {
			b.Reserve(n)
			for at := from*columns + i; at < (from+n)*columns; at += columns {
				v := c.cells[at]
				switch b := b.(type) {
				case *array.Int8Builder:
					if v == v {
						b.UnsafeAppend(int8(v))
					} else {
						b.UnsafeAppendBoolToBitmap(false)
					}
				case *array.Float32Builder:
					if v == v {
						b.UnsafeAppend(v)
					} else {
						b.UnsafeAppendBoolToBitmap(false)
					}
				}
			}
		}
		from += n
		if t.rows += n; t.rows == groupRows {
			if err := t.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}
