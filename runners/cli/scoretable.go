package cli

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"silverbeam/pkg/table"
)

// idTable is a table of one row an id, its first column, whatever its name.
type idTable struct {
	path  string
	names []string // of the other columns
	id    string
	ids   []string
	lines []int64
	row   map[string]int
}

func openIDTable(path string) (*idTable, error) {
	names, err := table.Header(path)
	switch {
	case err != nil:
		return nil, badInput("%v", err)
	case len(names) == 1 && strings.Contains(names[0], ";"):
		return nil, badInput("%s:1: semicolons between the columns: save it with commas", path)
	}
	return &idTable{path: path, id: names[0], names: names[1:], row: map[string]int{}}, nil
}

// each passes the rows by that are wanted, with their cells in these columns, and keeps their ids, which must differ.
func (t *idTable) each(columns []string, wanted func(id string) bool, do func(r table.Row) error) error {
	return eachRow(t.path, table.Columns{Study: t.id, Extra: columns}, func(r table.Row) error {
		if !wanted(r.ID) {
			return nil
		}
		if first, twice := t.row[r.ID]; twice {
			return badInput("%s:%d: column %q: %q is in line %d already", t.path, r.Line, t.id, r.ID, t.lines[first])
		}
		t.row[r.ID] = len(t.ids)
		t.ids, t.lines = append(t.ids, r.ID), append(t.lines, r.Line)
		return do(r)
	})
}

func everyID(string) bool { return true }

func (t *idTable) has(id string) bool {
	_, ok := t.row[id]
	return ok
}

// cellError names a cell. What it holds is not told: it may be anything.
func (t *idTable) cellError(line int64, column, format string, args ...any) error {
	return badInput("%s:%d: column %q: "+format, append([]any{t.path, line, column}, args...)...)
}

// need says which column is not there.
func (t *idTable) need(columns []string, of string) error {
	for _, c := range columns {
		if !slices.Contains(t.names, c) {
			return badInput("%s:1: column %q of %s is missing%s", t.path, c, of, didYouMean(c, t.names))
		}
	}
	return nil
}

// truth is a table of labels.
type truth struct {
	*idTable
	findings  []string
	y         [][]int8 // [finding][row]
	uncertain []int    // of each finding
	patient   []string // nil: each row its own
}

// notLabels are the columns of a table of labels that are none.
var notLabels = []string{"patient_id", "scan_id"}

// readTruth reads 1, 0, -1 (uncertain, which becomes as) and empty (unknown). The patient is in the column cluster, or
// in patient_id where there is one.
func readTruth(path, cluster string, uncertain int8) (*truth, error) {
	t, err := openIDTable(path)
	if err != nil {
		return nil, err
	}
	switch given := slices.Contains(t.names, notLabels[0]); {
	case cluster == "" && given:
		cluster = notLabels[0]
	case cluster != "" && cluster != t.id:
		if err := t.need([]string{cluster}, "--cluster"); err != nil {
			return nil, err
		}
	}
	out := &truth{idTable: t}
	for _, n := range t.names {
		if n != cluster && !slices.Contains(notLabels, n) {
			out.findings = append(out.findings, n)
		}
	}
	if len(out.findings) == 0 {
		return nil, badInput("%s:1: no column of labels", path)
	}
	out.y, out.uncertain = make([][]int8, len(out.findings)), make([]int, len(out.findings))
	columns := slices.Clone(out.findings)
	if cluster != "" {
		columns = append(columns, cluster)
	}
	return out, t.each(columns, everyID, func(r table.Row) error {
		for f, name := range out.findings {
			v, ok := readLabelCell(r.Extra[f])
			switch {
			case !ok:
				return t.cellError(r.Line, name, "neither 1, 0, -1 (uncertain) nor empty")
			case v == uncertainCell:
				out.uncertain[f]++
				v = uncertain
			}
			out.y[f] = append(out.y[f], v)
		}
		if cluster != "" {
			p := r.Extra[len(out.findings)]
			if p == "" {
				return t.cellError(r.Line, cluster, "empty: every row needs its patient")
			}
			out.patient = append(out.patient, p)
		}
		return nil
	})
}

const uncertainCell int8 = -2

func readLabelCell(cell string) (v int8, ok bool) {
	switch cell {
	case "":
		return missing, true
	case "0":
		return 0, true
	case "1":
		return 1, true
	}
	switch x, err := strconv.ParseFloat(cell, 64); {
	case err != nil:
		return 0, false
	case x == 0 || x == 1:
		return int8(x), true
	case x == -1:
		return uncertainCell, true
	}
	return 0, false
}

// readScores reads these columns of a table of scores for every row of the labels: [column][row of labels].
func readScores(path string, columns []string, of *idTable) ([][]float64, error) {
	t, err := openIDTable(path)
	if err != nil {
		return nil, err
	}
	if err := t.need(columns, of.path); err != nil {
		return nil, err
	}
	out := make([][]float64, len(columns))
	for k := range out {
		out[k] = make([]float64, len(of.ids))
	}
	err = t.each(columns, of.has, func(r table.Row) error {
		i := of.row[r.ID]
		for k, cell := range r.Extra {
			x, err := strconv.ParseFloat(cell, 64)
			if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
				return t.cellError(r.Line, columns[k], "no finite number")
			}
			out[k][i] = x
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, of.in(t)
}

// in says which row another table has not.
func (t *idTable) in(other *idTable) error {
	for i, id := range t.ids {
		if !other.has(id) {
			return t.cellError(t.lines[i], t.id, "%q is not in %s", id, other.path)
		}
	}
	return nil
}

// apart refuses a row that stands in both tables: of the same id and, in every column, the same score. What is fitted on it
// is no measure for it.
func (t *truth) apart(judged *truth, scores, theirs [][]float64) error {
	for i, id := range t.ids {
		k, both := judged.row[id]
		for f := range scores {
			both = both && scores[f][i] == theirs[f][k]
		}
		if both {
			return t.cellError(t.lines[i], t.id, "%q is in %s with the same scores: thresholds and calibration are fitted on other rows than they are judged by", id, judged.path)
		}
	}
	return nil
}

// patientsOf are the patients of another table that this one has too, each once.
func (t *truth) patientsOf(other *truth) (both []string) {
	known := map[string]bool{}
	for _, p := range t.patient {
		known[p] = true
	}
	for _, p := range other.patient {
		if known[p] {
			both, known[p] = append(both, p), false
		}
	}
	return both
}
