package cli

import (
	"cmp"
	"errors"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"silverbeam/pkg/shard"
	"silverbeam/pkg/table"
	"silverbeam/pkg/taxonomy"
	"silverbeam/transforms/label"
	"silverbeam/transforms/publish"
)

// labelTable is a label table, whoever wrote it, or the labels of a run.
type labelTable struct {
	path     string
	id       string // the column that names a row: id, or else the first
	findings []string
	extra    []string // other columns to read along
	whole    bool     // of a run, or a table in which no labelled row has an empty cell: an empty row is not labelled
	run      *publish.Tally
	ranges   []table.Range // of the table, once it was read
}

// labelRow is one row; its Labels are nil where it was not labelled.
type labelRow struct {
	shard.LabelRow
	Line  int64    // in the file; of a run 0
	Extra []string // the table's further columns
}

// openLabels finds out what is in a label table. Its findings are all columns but the id and those in other.
func openLabels(path string, other ...string) (t *labelTable, err error) {
	t = &labelTable{path: path}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		dir, err := folder(path)
		if err != nil {
			return nil, err
		}
		if t.run, err = publish.Count(dir); err != nil {
			return nil, badInput("%v", err)
		}
		t.path, t.findings, t.whole = dir, t.run.Names, true
		return t, nil
	}
	names, err := table.Header(path)
	if err != nil {
		return nil, badInput("%v", err)
	}
	t.id = idColumn(names)
	for _, n := range names {
		switch {
		case n == t.id:
		case slices.Contains(other, n):
			t.extra = append(t.extra, n)
		default:
			t.findings = append(t.findings, n)
		}
	}
	return t, nil
}

// idColumn is the column that names a row.
func idColumn(names []string) string {
	if slices.Contains(names, "id") {
		return "id"
	}
	return names[0]
}

// only is the table with the findings of this list alone, in its order. It looks at what an empty cell means there.
func (t *labelTable) only(findings []string) (*labelTable, error) {
	one := *t
	t = &one
	t.findings, t.ranges = findings, nil
	if t.run != nil {
		return t, nil
	}
	mixed := errors.New("an empty cell beside others")
	t.whole = true
	err := t.cells(func(r table.Row) error {
		empty := 0
		for i := range findings {
			switch cell := r.Extra[i]; {
			case cell == "":
				empty++
			case cell[0] == '-':
				return mixed
			}
		}
		if empty > 0 && empty < len(findings) {
			return mixed
		}
		return nil
	})
	if err == mixed {
		t.whole, err = false, nil
	}
	return t, err
}

// cells passes every row of a table by.
func (t *labelTable) cells(do func(table.Row) error) (err error) {
	c := table.Columns{Study: t.id, Extra: slices.Concat(t.findings, t.extra)}
	if t.ranges == nil {
		if t.ranges, err = table.Cut(t.path, c, rangeRows); err != nil {
			return badInput("%v", err)
		}
	}
	return readRanges(t.ranges, c, do)
}

// rangeRows is how many rows of a table are in memory at a time.
const rangeRows = 5000

// eachRow passes every row of a table by.
func eachRow(path string, c table.Columns, do func(table.Row) error) error {
	ranges, err := table.Cut(path, c, rangeRows)
	if err != nil {
		return badInput("%v", err)
	}
	return readRanges(ranges, c, do)
}

// readRanges takes a row that cannot be read for a fault of the table.
func readRanges(ranges []table.Range, c table.Columns, do func(table.Row) error) error {
	var rd table.Reader
	defer rd.Close()
	for _, r := range ranges {
		rows, bad, err := rd.Read(r, c)
		if err != nil {
			return badInput("%v", err)
		}
		if len(bad) > 0 {
			return badInput("%s:%d: %s", r.Path, bad[0].Line, bad[0].Reason)
		}
		for _, row := range rows {
			if err := do(row); err != nil {
				return err
			}
		}
	}
	return nil
}

// each passes every row of labels by, in the table's order. Two rows with one id are a fault of the table, which is told
// after the last row.
func (t *labelTable) each(do func(labelRow) error) error {
	seen := ids{}
	if t.run != nil {
		err := t.parts(func(r labelRow) error {
			seen.add(r.ID, int64(len(seen)+1))
			return do(r)
		})
		return cmp.Or(err, seen.unique(t.path))
	}
	err := t.cells(func(row table.Row) (err error) {
		seen.add(row.ID, row.Line)
		r := labelRow{LabelRow: shard.LabelRow{ID: row.ID}, Line: row.Line, Extra: row.Extra[len(t.findings):]}
		r.Labels = make([]taxonomy.Label, len(t.findings))
		empty := 0
		for i, name := range t.findings {
			if row.Extra[i] == "" {
				empty++
			}
			if r.Labels[i], err = readLabel(row.Extra[i]); err != nil {
				return badInput("%s:%d: column %q: %v", t.path, row.Line, name, err)
			}
		}
		if t.whole && empty == len(t.findings) {
			r.Labels = nil
		}
		return do(r)
	})
	return cmp.Or(err, seen.unique(t.path))
}

// parts passes the labels of a run by.
func (t *labelTable) parts(do func(labelRow) error) error {
	at := make([]int, len(t.findings))
	for i, f := range t.findings {
		at[i] = slices.Index(t.run.Names, f)
	}
	found := false
	for _, s := range t.run.Sinks {
		if s.Step != label.TableName {
			continue
		}
		found = true
		for _, b := range t.run.Batches {
			_, rows, err := shard.ReadLabelPart(filepath.Join(t.path, s.File(b)))
			if errors.Is(err, fs.ErrNotExist) {
				return badInput("%s: the run has not labelled all of its reports yet", t.path)
			}
			if err != nil {
				return badInput("%v", err)
			}
			for _, r := range rows {
				if r.Labels != nil {
					kept := make([]taxonomy.Label, len(at))
					for i, k := range at {
						kept[i] = r.Labels[k]
					}
					r.Labels = kept
				}
				if err := do(labelRow{LabelRow: r}); err != nil {
					return err
				}
			}
		}
	}
	if !found {
		return badInput("%s: the run has no step %s", t.path, label.TableName)
	}
	return nil
}

var errCell = errors.New("neither 1, 0, -1, a probability nor empty")

// readLabel reads a cell of any form: a state (-2: not mentioned, as an empty cell), or a probability.
func readLabel(cell string) (l taxonomy.Label, err error) {
	if cell == "" {
		return taxonomy.Label{State: taxonomy.NotMentioned}, nil
	}
	x, err := strconv.ParseFloat(cell, 64)
	switch {
	case err != nil:
		return l, errCell
	case x == -1:
		return taxonomy.Label{State: taxonomy.Uncertain, P: 0.5}, nil
	case x == -2:
		return taxonomy.Label{State: taxonomy.NotMentioned}, nil
	case x >= 0.5 && x <= 1:
		return taxonomy.Label{State: taxonomy.Present, P: float32(x)}, nil
	case x >= 0 && x < 0.5:
		return taxonomy.Label{State: taxonomy.Absent, P: float32(x)}, nil
	}
	return l, errCell
}

// ids remembers ids in 16 bytes each.
type ids []struct {
	hash uint64
	line int64
}

func (s *ids) add(id string, line int64) {
	h := fnv.New64a()
	h.Write([]byte(id))
	*s = append(*s, struct {
		hash uint64
		line int64
	}{h.Sum64(), line})
}

// unique is an error where two ids are the same.
func (s ids) unique(path string) error {
	slices.SortFunc(s, func(a, b struct {
		hash uint64
		line int64
	}) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.line, b.line))
	})
	for i := range s {
		if i > 0 && s[i].hash == s[i-1].hash {
			return badInput("%s:%d: the id is that of line %d: ids must be unique", path, s[i].line, s[i-1].line)
		}
	}
	return nil
}
