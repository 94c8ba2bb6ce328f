package evaluate

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"silverbeam/pkg/table"
	"silverbeam/pkg/taxonomy"
)

// truth is what is known of studies: finding → study → state.
type truth map[string]map[string]taxonomy.State

// readTruth reads a truth file. In JSON lines, as phantoms come with, report says whether to take what the report says or
// what the scan shows. Any other file is a label table: an id, then columns named as the findings, 1, 0, -1 or empty.
func readTruth(path string, findings []string, report bool) (truth, error) {
	if strings.HasSuffix(path, ".jsonl") {
		return readTruthLines(path, findings, report)
	}
	return readTruthTable(path, findings)
}

func readTruthLines(path string, findings []string, report bool) (truth, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t := newTruth(findings)
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 16<<20)
	for n := 1; sc.Scan(); n++ {
		var line struct {
			Study  string                     `json:"study"`
			Scan   map[string]*taxonomy.State `json:"findings"`
			Report map[string]*taxonomy.State `json:"report_findings"`
		}
		if err := json.Unmarshal(sc.Bytes(), &line); err != nil || line.Study == "" {
			return nil, fmt.Errorf("%s:%d: not an object with a study and its findings", path, n)
		}
		states := line.Scan
		if report && line.Report != nil {
			states = line.Report
		}
		for name, s := range states {
			if t[name] == nil {
				continue
			}
			if s == nil {
				t[name][line.Study] = taxonomy.NotMentioned
			} else {
				t[name][line.Study] = *s
			}
		}
	}
	return t, sc.Err()
}

func readTruthTable(path string, findings []string) (truth, error) {
	id, err := firstColumn(path)
	if err != nil {
		return nil, err
	}
	c := table.Columns{Study: id, Extra: findings}
	ranges, err := table.Cut(path, c, 10_000)
	if err != nil {
		return nil, err
	}
	t := newTruth(findings)
	for _, r := range ranges {
		rows, bad, err := table.Read(r, c)
		if err != nil {
			return nil, err
		}
		if len(bad) > 0 {
			return nil, fmt.Errorf("%s:%d: %s", path, bad[0].Line, bad[0].Reason)
		}
		for _, row := range rows {
			study := strings.TrimSuffix(strings.TrimSuffix(row.ID, ".gz"), ".nii")
			for i, v := range row.Extra {
				if v == "" {
					continue
				}
				x, err := strconv.ParseFloat(v, 64)
				if err != nil || (x != 0 && x != 1 && x != -1) {
					return nil, fmt.Errorf("%s:%d: %s: neither 1, 0, -1 nor empty", path, row.Line, findings[i])
				}
				t[findings[i]][study] = taxonomy.State(x)
			}
		}
	}
	return t, nil
}

func newTruth(findings []string) truth {
	t := truth{}
	for _, f := range findings {
		t[f] = map[string]taxonomy.State{}
	}
	return t
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
