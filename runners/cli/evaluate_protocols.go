package cli

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"silverbeam/pkg/metrics"
	"silverbeam/pkg/table"
	"silverbeam/pkg/volume"
)

// ctclip is the arithmetic of CT-CLIP's script on every label of the table.
func (f *scoresFlags) ctclip(w io.Writer) (any, error) { return f.published(w, nil) }

// notInFVLM are CT-RATE's findings that fVLM's published means leave out.
var notInFVLM = []string{"Medical material", "Lymphadenopathy"}

func (f *scoresFlags) fvlm(w io.Writer) (any, error) { return f.published(w, notInFVLM) }

func (f *scoresFlags) published(w io.Writer, without []string) (any, error) {
	t, err := readTruth(f.labels, "", missing)
	if err != nil {
		return nil, err
	}
	var s metrics.Scores
	for k, name := range t.findings {
		if !slices.Contains(without, name) {
			s.Findings, s.Y = append(s.Findings, name), append(s.Y, t.y[k])
		}
	}
	if len(s.Findings) == 0 {
		return nil, badInput("%s:1: no label of the protocol", f.labels)
	}
	if s.S, err = readScores(f.scores, s.Findings, t.idTable); err != nil {
		return nil, err
	}
	return tellPublished(w, s)
}

func tellPublished(w io.Writer, s metrics.Scores) (any, error) {
	out, err := s.Published()
	if err != nil {
		return nil, err
	}
	line(w, "%-36s %6s %6s  %-7s%-7s%-7s%s", count(out.NRows, "row"), "n", "pos", "AUC", "F1(w)", "acc", "prec")
	row := func(name, n, pos string, figures ...*float64) {
		text := fmt.Sprintf("%-36s %6s %6s  ", name, n, pos)
		for _, v := range figures {
			text += fmt.Sprintf("%-7s", short3(v))
		}
		line(w, "%s", strings.TrimRight(text, " "))
	}
	for _, name := range s.Findings {
		p := out.Labels[name]
		row(name, fmt.Sprint(p.N), fmt.Sprint(p.NPos), p.AUC, p.F1Weighted, p.Accuracy, p.Precision)
	}
	m := out.Macro
	row(fmt.Sprintf("macro over %s", count(m.NLabels, "label")), "", "", m.AUC, m.F1Weighted, m.Accuracy, m.Precision)
	line(w, "thresholds chosen on these very rows: to compare with published numbers alone")
	return out, nil
}

// radchest takes the protocol's 16 label columns, or RAD-ChestCT's own, abnormality*location.
func (f *scoresFlags) radchest(w io.Writer) (any, error) {
	t, err := openIDTable(f.labels)
	if err != nil {
		return nil, err
	}
	all := metrics.RadChestCT()
	columns, of, lacks := metrics.RadChestColumns(t.names, all)
	switch {
	case strings.HasSuffix(lacks, "*"):
		return nil, badInput("%s:1: column %q, at any location, is missing", t.path, strings.TrimSuffix(lacks, "*"))
	case lacks != "":
		return nil, badInput("%s:1: column %q is missing", t.path, lacks)
	}
	s := metrics.Scores{Y: make([][]int8, len(all)), S: make([][]float64, len(all))}
	err = t.each(columns, everyID, func(r table.Row) error {
		y := make([]int8, len(all))
		for c, cell := range r.Extra {
			v, ok := readLabelCell(cell)
			if !ok || v == uncertainCell {
				return t.cellError(r.Line, columns[c], "neither 1, 0 nor empty")
			}
			if k := of[c]; v == 1 || v == missing && y[k] == 0 {
				y[k] = v
			}
		}
		for k, v := range y {
			s.Y[k] = append(s.Y[k], v)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, m := range all {
		names = append(names, m.Scores...)
	}
	scores, err := readScores(f.scores, names, t)
	if err != nil {
		return nil, err
	}
	for k, m := range all {
		s.Findings = append(s.Findings, m.Name)
		s.S[k] = scores[slices.Index(names, m.Scores[0])]
		for _, other := range m.Scores[1:] {
			for i, v := range scores[slices.Index(names, other)] {
				s.S[k][i] = max(s.S[k][i], v)
			}
		}
	}
	return tellPublished(w, s)
}

// multiclass reads labels of one class a row, and one score a class, whose columns are the classes' names.
func (f *scoresFlags) multiclass(w io.Writer) (any, error) {
	head, err := openIDTable(f.scores)
	if err != nil {
		return nil, err
	}
	names := head.names
	if !slices.ContainsFunc(names, func(n string) bool { _, err := strconv.Atoi(n); return err != nil }) {
		slices.SortFunc(names, func(a, b string) int { x, _ := strconv.Atoi(a); y, _ := strconv.Atoi(b); return x - y })
	}
	t, truth, err := readClasses(f.labels, func(cell string) (int, string) {
		if k := slices.Index(names, cell); k >= 0 {
			return k, ""
		}
		return 0, "no column of " + f.scores + " has the name of this class"
	})
	if err != nil {
		return nil, err
	}
	s, err := readScores(f.scores, names, t)
	if err != nil {
		return nil, err
	}
	out, err := metrics.NewClasses(truth, metrics.Highest(s), len(names))
	if err != nil {
		return nil, err
	}
	if out.ClassProbabilities, err = metrics.NewClassProbabilities(truth, s); err != nil {
		return nil, err
	}
	return tellClasses(w, out)
}

// ordinal reads one true and one predicted grade a row.
func (f *scoresFlags) ordinal(w io.Writer) (any, error) {
	k := 0
	grade := func(cell string) (int, string) {
		const most = 1000
		x, err := strconv.ParseFloat(cell, 64)
		if err != nil || x != math.Trunc(x) || x < 0 || x >= most {
			return 0, "no grade: a whole number from 0"
		}
		k = max(k, int(x)+1)
		return int(x), ""
	}
	t, truth, err := readClasses(f.labels, grade)
	if err != nil {
		return nil, err
	}
	p, err := openIDTable(f.scores)
	if err != nil {
		return nil, err
	}
	if err := p.need([]string{"pred"}, "the protocol ordinal"); err != nil {
		return nil, err
	}
	predicted := slices.Repeat([]int{metrics.Unparsed}, len(truth))
	err = p.each([]string{"pred"}, t.has, func(r table.Row) error {
		if r.Extra[0] == "" {
			return nil
		}
		v, problem := grade(r.Extra[0])
		if problem != "" {
			return p.cellError(r.Line, "pred", "%s", problem)
		}
		predicted[t.row[r.ID]] = v
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := t.in(p); err != nil {
		return nil, err
	}
	out, err := metrics.NewClasses(truth, predicted, k)
	if err != nil {
		return nil, err
	}
	return tellClasses(w, out)
}

// readClasses reads the column class of a table; empty is metrics.Unparsed: the row is left out.
func readClasses(path string, class func(cell string) (int, string)) (t *idTable, truth []int, err error) {
	if t, err = openIDTable(path); err != nil {
		return nil, nil, err
	}
	if err := t.need([]string{"class"}, "the protocol"); err != nil {
		return nil, nil, err
	}
	return t, truth, t.each([]string{"class"}, everyID, func(r table.Row) error {
		v, problem := metrics.Unparsed, ""
		if r.Extra[0] != "" {
			v, problem = class(r.Extra[0])
		}
		if problem != "" {
			return t.cellError(r.Line, "class", "%s", problem)
		}
		truth = append(truth, v)
		return nil
	})
}

func tellClasses(w io.Writer, c metrics.Classes) (any, error) {
	for _, f := range []struct {
		name  string
		value *float64
	}{{"accuracy", c.Accuracy}, {"balanced accuracy", c.BalancedAccuracy}, {"F1, macro", c.F1Macro}, {"MAE", c.MAE}, {"kappa, quadratic", c.KappaQuadratic}} {
		line(w, "%-20s%s", f.name, short3(f.value))
	}
	line(w, "%-20s%d, %d of them unparsed", "rows", c.N, c.NUnparsed)
	return c, nil
}

// readResamples reads rows of cluster numbers.
func readResamples(path string) ([][]int32, error) {
	a, err := volume.ReadArray(path)
	if err != nil {
		return nil, badInput("--resamples: %v", err)
	}
	cells, ok := a.Data.([]int64)
	if !ok || len(a.Shape) != 2 {
		return nil, badInput("%s: must be integers, one row a resample, one column a patient", path)
	}
	out := make([][]int32, a.Shape[0])
	for b := range out {
		for c, v := range cells[b*a.Shape[1] : (b+1)*a.Shape[1]] {
			if v < 0 || v > math.MaxInt32 {
				return nil, badInput("%s: row %d: column %d: %d is no patient's number", path, b, c, v)
			}
			out[b] = append(out[b], int32(v))
		}
	}
	return out, nil
}
