package cli

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"silverbeam/pkg/metrics"
	"silverbeam/pkg/table"
	"silverbeam/pkg/taxonomy"
)

// sheet is a table that people filled in.
type sheet struct {
	path, id string
	findings []string

	ids     []string
	lines   []int64
	row     map[string]int
	states  [][]taxonomy.State // [finding][row]
	weight  []float64          // nil: all 1
	stratum []string           // nil: one
	patient []string           // nil: each row its own
	group   []string           // the value to evaluate by, or nil
}

// readSheet reads those of the findings that the sheet has, its weights, strata, patients and groups.
func readSheet(path string, findings []string, cluster, by string) (*sheet, error) {
	names, err := table.Header(path)
	if err != nil {
		return nil, badInput("%v", err)
	}
	s := &sheet{path: path, id: idColumn(names), row: map[string]int{}}
	for _, f := range findings {
		if slices.Contains(names, f) && f != s.id && f != cluster && f != by {
			s.findings = append(s.findings, f)
		}
	}
	if len(names) == 1 && strings.Contains(names[0], ";") {
		return nil, badInput("%s:1: semicolons between the columns: save it with commas", path)
	}
	if len(s.findings) == 0 {
		return nil, badInput("%s: no column has the name of a finding of the labels", path)
	}
	for _, c := range []string{"patient", "patient_id"} {
		if cluster == "" && slices.Contains(names, c) {
			cluster = c
		}
	}
	given := func(name string) string {
		if slices.Contains(names, name) {
			return name
		}
		return ""
	}
	columns := []struct {
		name string
		add  func(cell string) bool
	}{
		{given("weight"), s.addWeight},
		{given("stratum"), add(&s.stratum)},
		{cluster, add(&s.patient)},
		{by, add(&s.group)},
	}
	s.states = make([][]taxonomy.State, len(s.findings))
	c := table.Columns{Study: s.id, Extra: slices.Clone(s.findings)}
	for _, x := range columns {
		if x.name != "" {
			c.Extra = append(c.Extra, x.name)
		}
	}
	filled := false
	err = eachRow(path, c, func(r table.Row) error {
		if first, twice := s.row[r.ID]; twice {
			return badInput("%s:%d: column %q: %q is in line %d already", path, r.Line, s.id, r.ID, s.lines[first])
		}
		s.row[r.ID] = len(s.ids)
		s.ids, s.lines = append(s.ids, r.ID), append(s.lines, r.Line)
		for i, f := range s.findings {
			state, ok := readState(r.Extra[i])
			if !ok {
				return badInput("%s:%d: column %q: neither 1, 0, -1, -2 nor empty", path, r.Line, f)
			}
			filled = filled || state != metrics.Unknown
			s.states[i] = append(s.states[i], state)
		}
		rest := r.Extra[len(s.findings):]
		for _, x := range columns {
			if x.name == "" {
				continue
			}
			if !x.add(rest[0]) {
				return badInput("%s:%d: column %q: %s", path, r.Line, x.name, map[bool]string{true: "empty", false: "no weight: a number of 1 or more"}[rest[0] == ""])
			}
			rest = rest[1:]
		}
		return nil
	})
	if err == nil && !filled {
		err = badInput("%s: no cell of its %s is filled in", path, count(len(s.findings), "finding"))
	}
	return s, err
}

// add keeps cells that are not empty.
func add(to *[]string) func(string) bool {
	return func(cell string) bool {
		*to = append(*to, cell)
		return cell != ""
	}
}

func (s *sheet) addWeight(cell string) bool {
	w, err := strconv.ParseFloat(cell, 64)
	s.weight = append(s.weight, w)
	return err == nil && w >= 1 && w <= 1e12
}

// readState reads a cell that a person filled in.
func readState(cell string) (taxonomy.State, bool) {
	if cell == "" {
		return metrics.Unknown, true
	}
	x, err := strconv.ParseFloat(cell, 64)
	if err != nil || x != 1 && x != 0 && x != -1 && x != -2 {
		return 0, false
	}
	return taxonomy.State(x), true
}

// review puts a labeler's answers beside the sheet's. Every row of the sheet must be in the labels.
func (s *sheet) review(t *labelTable) (r metrics.Review, err error) {
	r = metrics.Review{Findings: s.findings, Truth: s.states, Label: make([][]taxonomy.State, len(s.findings))}
	for f := range r.Label {
		r.Label[f] = slices.Repeat([]taxonomy.State{metrics.Unknown}, len(s.ids))
	}
	found := make([]bool, len(s.ids))
	err = t.each(func(l labelRow) error {
		i, ok := s.row[l.ID]
		if !ok {
			return nil
		}
		found[i] = true
		for f, x := range l.Labels {
			r.Label[f][i] = x.State
		}
		return nil
	})
	if err != nil {
		return r, err
	}
	if i := slices.Index(found, false); i >= 0 {
		return r, badInput("%s:%d: column %q: %q is not in %s", s.path, s.lines[i], s.id, s.ids[i], t.path)
	}
	r.Survey, err = metrics.NewSurvey(len(s.ids), s.weight, s.stratum, s.patient)
	return r, err
}

// groups are the values to evaluate by, in their order.
func (s *sheet) groups() []string {
	g := slices.Clone(s.group)
	slices.SortFunc(g, cmp.Compare)
	return slices.Compact(g)
}

// in says which rows are in a group.
func (s *sheet) in(group string) []bool {
	in := make([]bool, len(s.group))
	for i, g := range s.group {
		in[i] = g == group
	}
	return in
}
