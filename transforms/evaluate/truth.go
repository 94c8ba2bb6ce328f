package evaluate

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"silverbeam/pkg/metrics"
	"silverbeam/pkg/table"
	"silverbeam/pkg/taxonomy"
)

// ErrTruth says that a truth file is not what it should be.
var ErrTruth = errors.New("bad truth")

// truth is what is known of studies, or of volumes: CT-RATE's own tables name those.
type truth struct {
	ids    map[string]bool
	states map[string]map[string]taxonomy.State // finding → id → state
	weight map[string]float64                   // id → rows that it stands for; nil: each for as many
}

// state is what is known of a finding under the first of the ids that has it.
func (t truth) state(finding string, ids ...string) (s taxonomy.State, known bool) {
	for _, id := range ids {
		if s, known = t.states[finding][id]; known {
			break
		}
	}
	return s, known
}

// knows says whether any of the ids is in the truth.
func (t truth) knows(ids ...string) bool {
	return slices.ContainsFunc(ids, func(id string) bool { return t.ids[id] })
}

// weightOf is how many rows the first of the ids that is in the truth stands for.
func (t truth) weightOf(ids ...string) float64 {
	for _, id := range ids {
		if w, ok := t.weight[id]; ok {
			return w
		}
	}
	return 1
}

// add enters an id, which must be new.
func (t truth) add(id string) error {
	if t.ids[id] {
		return fmt.Errorf("%q for the second time", id)
	}
	t.ids[id] = true
	return nil
}

// readTruth reads a truth file. In JSON lines, as phantoms come with, report says whether to take what the report says or
// what the scan shows; a finding that no line names is unknown. Any other file is a label table: an id, then columns
// among which every finding has its own, 1, 0, -1, -2 (not mentioned) or empty. Any fault of the file is ErrTruth.
func readTruth(path string, findings []string, report bool) (t truth, err error) {
	t = newTruth(findings)
	if strings.HasSuffix(path, ".jsonl") {
		err = t.readLines(path, report)
	} else {
		err = t.readTable(path, findings, "")
	}
	return t, t.fault(path, err)
}

// readReviewed reads what people say of some of the studies or volumes, in the form of a truth about scans. A table may leave
// findings out, and is a sheet of `label sample`: its column weight, where it has one, says how many rows each stands for.
func readReviewed(path string, findings []string) (t truth, err error) {
	if strings.HasSuffix(path, ".jsonl") {
		return readTruth(path, findings, false)
	}
	t = newTruth(findings)
	columns, err := header(path)
	if err != nil {
		return t, t.fault(path, err)
	}
	weight := ""
	if slices.Contains(columns, "weight") {
		weight, t.weight = "weight", map[string]float64{}
	}
	if !byLocation(columns) {
		findings = slices.DeleteFunc(slices.Clone(findings), func(f string) bool { return !slices.Contains(columns, f) })
	}
	if len(findings) == 0 {
		return t, t.fault(path, fmt.Errorf("%s:1: no column has the name of a finding", path))
	}
	return t, t.fault(path, t.readTable(path, findings, weight))
}

func newTruth(findings []string) truth {
	t := truth{ids: map[string]bool{}, states: map[string]map[string]taxonomy.State{}}
	for _, f := range findings {
		t.states[f] = map[string]taxonomy.State{}
	}
	return t
}

// fault makes what is wrong with a file ErrTruth, also that there is nothing in it.
func (t truth) fault(path string, err error) error {
	if err == nil && len(t.ids) == 0 {
		err = fmt.Errorf("%s: no studies in it", path)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrTruth, err)
	}
	return err
}

func (t truth) readLines(path string, report bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 16<<20)
	n := 1
	for ; sc.Scan(); n++ {
		if err := t.line(sc.Bytes(), report); err != nil {
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
	}
	if errors.Is(sc.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("%s:%d: a line over 16 MiB", path, n)
	}
	return sc.Err()
}

func (t truth) line(text []byte, report bool) error {
	var line struct {
		Study  string                     `json:"study"`
		Scan   map[string]*taxonomy.State `json:"findings"`
		Report map[string]*taxonomy.State `json:"report_findings"`
	}
	if err := json.Unmarshal(text, &line); err != nil || line.Study == "" {
		return errors.New("not an object with a study and its findings")
	}
	states := line.Scan
	if report && line.Report != nil {
		states = line.Report
	}
	for name, s := range states {
		switch {
		case t.states[name] == nil:
		case s == nil:
			t.states[name][line.Study] = taxonomy.NotMentioned
		case *s < taxonomy.Uncertain || *s > taxonomy.Present:
			return fmt.Errorf("%s: neither 1, 0, -1 nor null", name)
		default:
			t.states[name][line.Study] = *s
		}
	}
	return t.add(line.Study)
}

// readTable reads a label table, with the column weight where that is a name.
func (t truth) readTable(path string, findings []string, weight string) error {
	if !strings.HasSuffix(path, ".csv") {
		return fmt.Errorf("%s: neither .jsonl nor .csv", path)
	}
	names, err := header(path)
	if err != nil {
		return err
	}
	columns, of, err := columnsOf(names, findings)
	if err != nil {
		return fmt.Errorf("%s:1: %w", path, err)
	}
	c := table.Columns{Study: names[0], Extra: columns}
	if weight != "" {
		c.Extra = append(slices.Clone(columns), weight)
	}
	ranges, err := table.Cut(path, c, 10_000)
	if err != nil {
		return err
	}
	for _, r := range ranges {
		rows, bad, err := table.Read(r, c)
		if err != nil {
			return err
		}
		if len(bad) > 0 {
			return fmt.Errorf("%s:%d: %s", path, bad[0].Line, bad[0].Reason)
		}
		for _, row := range rows {
			if err := t.row(row, columns, of, findings); err != nil {
				return fmt.Errorf("%s:%d: %w", path, row.Line, err)
			}
		}
	}
	return nil
}

// row enters one row; where several columns are of one finding, it is present where one says so, and unknown where none does
// and one is empty.
func (t truth) row(row table.Row, columns []string, of []int, findings []string) error {
	id := strings.TrimSuffix(strings.TrimSuffix(row.ID, ".gz"), ".nii")
	empty := map[string]bool{}
	for i, v := range row.Extra {
		if i == len(of) {
			if err := t.weigh(id, v); err != nil {
				return err
			}
			break
		}
		name := findings[of[i]]
		x, err := strconv.ParseFloat(v, 64)
		switch old, had := t.states[name][id]; {
		case v == "":
			empty[name] = true
		case err != nil || x != 0 && x != 1 && x != -1 && x != -2:
			return fmt.Errorf("%s: neither 1, 0, -1, -2 nor empty", columns[i])
		case !had || old != taxonomy.Present:
			t.states[name][id] = taxonomy.State(x)
		}
	}
	for name := range empty {
		if t.states[name][id] != taxonomy.Present {
			delete(t.states[name], id)
		}
	}
	return t.add(id)
}

// weigh enters the rows that an id stands for: as many as were there to be drawn, for each that was.
func (t truth) weigh(id, cell string) error {
	w, err := strconv.ParseFloat(cell, 64)
	if err != nil || !(w >= 1 && w <= 1e12) {
		return errors.New("weight: not a number of 1 or more")
	}
	t.weight[id] = w
	return nil
}

// byLocation says whether columns are RAD-ChestCT's, abnormality*location.
func byLocation(names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, "*") })
}

// columnsOf are the columns to read of a table, and the finding of each: those of the findings' names or, in RAD-ChestCT's own
// tables, abnormality*location.
func columnsOf(names, findings []string) (columns []string, of []int, err error) {
	if !byLocation(names) {
		for i := range findings {
			of = append(of, i)
		}
		return findings, of, nil
	}
	all := make([]metrics.MappedFinding, len(findings))
	for i, name := range findings {
		k := slices.IndexFunc(radChest, func(m metrics.MappedFinding) bool { return m.Name == name })
		if k < 0 {
			return nil, nil, fmt.Errorf("columns abnormality*location are RAD-ChestCT's, which has no %q", name)
		}
		all[i] = radChest[k]
	}
	columns, of, missing := metrics.RadChestColumns(names, all)
	if missing != "" {
		err = fmt.Errorf("no column %q", missing)
	}
	return columns, of, err
}

var radChest = metrics.RadChestCT()

// header is a CSV's first line.
func header(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := csv.NewReader(f).Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: the file is empty", path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	names[0] = strings.TrimPrefix(names[0], "\ufeff")
	return names, nil
}

// binary is a state as metrics take it: 1 or 0, uncertain counting as present, and -1 for what is not known.
func binary(s taxonomy.State, known bool) int8 {
	switch {
	case !known:
		return -1
	case s == taxonomy.Present || s == taxonomy.Uncertain:
		return 1
	}
	return 0
}
