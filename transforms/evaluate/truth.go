package evaluate

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"silverbeam/pkg/table"
	"silverbeam/pkg/taxonomy"
)

// ErrTruth says that a truth file is not what it should be.
var ErrTruth = errors.New("bad truth")

// truth is what is known of studies, or of volumes: CT-RATE's own tables name those.
type truth struct {
	ids    map[string]bool
	states map[string]map[string]taxonomy.State // finding → id → state
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
// among which every finding has its own, 1, 0, -1 or empty. Any fault of the file is ErrTruth.
func readTruth(path string, findings []string, report bool) (t truth, err error) {
	t = truth{map[string]bool{}, map[string]map[string]taxonomy.State{}}
	for _, f := range findings {
		t.states[f] = map[string]taxonomy.State{}
	}
	if strings.HasSuffix(path, ".jsonl") {
		err = t.readLines(path, report)
	} else {
		err = t.readTable(path, findings)
	}
	if err == nil && len(t.ids) == 0 {
		err = fmt.Errorf("%s: no studies in it", path)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrTruth, err)
	}
	return t, err
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

func (t truth) readTable(path string, findings []string) error {
	if !strings.HasSuffix(path, ".csv") {
		return fmt.Errorf("%s: neither .jsonl nor .csv", path)
	}
	id, err := firstColumn(path)
	if err != nil {
		return err
	}
	c := table.Columns{Study: id, Extra: findings}
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
			if err := t.row(row, findings); err != nil {
				return fmt.Errorf("%s:%d: %w", path, row.Line, err)
			}
		}
	}
	return nil
}

func (t truth) row(row table.Row, findings []string) error {
	id := strings.TrimSuffix(strings.TrimSuffix(row.ID, ".gz"), ".nii")
	for i, v := range row.Extra {
		if v == "" {
			continue
		}
		x, err := strconv.ParseFloat(v, 64)
		if err != nil || (x != 0 && x != 1 && x != -1) {
			return fmt.Errorf("%s: neither 1, 0, -1 nor empty", findings[i])
		}
		t.states[findings[i]][id] = taxonomy.State(x)
	}
	return t.add(id)
}

// firstColumn is the name of a CSV's first column.
func firstColumn(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	line, _ := bufio.NewReader(f).ReadString('\n')
	name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimRight(line, "\r\n"), "\ufeff"), ",")
	return strings.Trim(name, `"`), nil
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
