package shard

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

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
// written or not. Two parts and one Parquet row group are in memory at a time.
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

// labelBatch is a part that was read.
type labelBatch struct {
	rows []LabelRow
	err  error
}

// merge writes both tables at once, while the next part is read.
func (f LabelForm) merge(parts []string, findings []string, csv io.Writer, pq *parquetTable) (rows int, err error) {
	out := bufio.NewWriterSize(csv, 1<<16)
	line := appendCell(nil, "id")
	for _, n := range findings {
		line = appendCell(append(line, ','), n)
	}
	out.Write(append(line, '\n'))
	batches, stop := make(chan labelBatch), make(chan struct{})
	defer close(stop)
	go func() {
		defer close(batches)
		for _, path := range parts {
			names, rows, err := ReadLabelPart(path)
			if err == nil {
				err = sameFindings(path, names, findings)
			}
			select {
			case batches <- labelBatch{rows, err}:
			case <-stop:
				return
			}
		}
	}()
	for b := range batches {
		if b.err != nil {
			return rows, b.err
		}
		var written sync.WaitGroup
		written.Go(func() {
			for _, r := range b.rows {
				line = f.appendLine(line[:0], r, len(findings))
				out.Write(line) // the writer keeps its first error
			}
		})
		for i := 0; pq != nil && err == nil && i < len(b.rows); i++ {
			err = pq.add(f, b.rows[i])
		}
		if written.Wait(); err != nil {
			return rows, err
		}
		rows += len(b.rows)
	}
	return rows, out.Flush()
}

// appendLine appends a row of CSV.
func (f LabelForm) appendLine(line []byte, r LabelRow, findings int) []byte {
	line = appendCell(line, r.ID)
	for i := range findings {
		line = append(line, ',')
		switch v, known := f.cell(r.Labels, i); {
		case !known:
		case v == float32(int8(v)):
			line = strconv.AppendInt(line, int64(v), 10)
		default:
			line = strconv.AppendFloat(line, float64(v), 'f', -1, 32)
		}
	}
	return append(line, '\n')
}

// cell is label i's value; not known is an empty cell.
func (f LabelForm) cell(labels []taxonomy.Label, i int) (v float32, known bool) {
	if labels == nil {
		return 0, false
	}
	l := labels[i]
	switch f.As {
	case "binary":
		b, known := taxonomy.Binary(l, f.Uncertain)
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
	fields := t.builder.Fields()
	fields[0].(*array.StringBuilder).Append(r.ID)
	for i, b := range fields[1:] {
		v, known := f.cell(r.Labels, i)
		switch b := b.(type) {
		case *array.Int8Builder:
			if known {
				b.Append(int8(v))
			} else {
				b.AppendNull()
			}
		case *array.Float32Builder:
			if known {
				b.Append(v)
			} else {
				b.AppendNull()
			}
		}
	}
	return t.next()
}
