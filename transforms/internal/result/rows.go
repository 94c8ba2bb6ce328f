package result

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"silverbeam/pkg/metrics"
	"silverbeam/pkg/shard"
)

// Rows are what a result was computed of: eval/NAME.labels.csv and eval/NAME.scores.csv, in the form that `silverbeam
// evaluate scores` reads. Of a retrieval they are its queries, with the column rank alone.
type Rows struct {
	IDs, Patients, Studies []string
	Findings               []string
	Y                      [][]int8    // [finding][row]: 1, 0, else unknown; nil of a retrieval
	S                      [][]float64 // [finding][row]; a nil column was not scored
}

var labelHead = []string{"id", "patient_id", "scan_id"}

// Write keeps them beside the result of a step.
func (r Rows) Write(run, step string) error {
	labels, scores := [][]string{slices.Clone(labelHead)}, [][]string{{"id"}}
	for i, id := range r.IDs {
		labels, scores = append(labels, []string{id, r.Patients[i], r.Studies[i]}), append(scores, []string{id})
	}
	for f, name := range r.Findings {
		if r.Y != nil {
			labels[0] = append(labels[0], name)
			for i, y := range r.Y[f] {
				labels[i+1] = append(labels[i+1], map[int8]string{0: "0", 1: "1"}[y])
			}
		}
		if r.S[f] != nil {
			scores[0] = append(scores[0], name)
			for i, s := range r.S[f] {
				scores[i+1] = append(scores[i+1], strconv.FormatFloat(s, 'g', -1, 64))
			}
		}
	}
	for kind, lines := range map[string][][]string{"labels": labels, "scores": scores} {
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		if err := w.WriteAll(lines); err != nil {
			return err
		}
		if err := shard.WriteFile(rowsFile(run, step, kind), b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func rowsFile(run, step, kind string) string { return filepath.Join(run, "eval", step+"."+kind+".csv") }

// ReadRows reads what Write has kept.
func ReadRows(run, step string) (r Rows, err error) {
	labels, err := readLines(rowsFile(run, step, "labels"), len(labelHead))
	if err != nil {
		return r, err
	}
	scores, err := readLines(rowsFile(run, step, "scores"), 1)
	if err != nil {
		return r, err
	}
	if len(labels) != len(scores) {
		return r, fmt.Errorf("%s: %d rows, its labels have %d", rowsFile(run, step, "scores"), len(scores)-1, len(labels)-1)
	}
	r.Findings = labels[0][len(labelHead):]
	if len(r.Findings) == 0 {
		r.Findings = scores[0][1:]
	} else {
		r.Y = make([][]int8, len(r.Findings))
	}
	r.S = make([][]float64, len(r.Findings))
	for i := 1; i < len(labels); i++ {
		r.IDs, r.Patients, r.Studies = append(r.IDs, labels[i][0]), append(r.Patients, labels[i][1]), append(r.Studies, labels[i][2])
		for f := range r.Y {
			y, ok := map[string]int8{"0": 0, "1": 1}[labels[i][len(labelHead)+f]]
			if !ok {
				y = metrics.Missing
			}
			r.Y[f] = append(r.Y[f], y)
		}
	}
	for c, name := range scores[0][1:] {
		f := slices.Index(r.Findings, name)
		for i := 1; i < len(scores) && f >= 0; i++ {
			s, err := strconv.ParseFloat(scores[i][c+1], 64)
			if err != nil || scores[i][0] != labels[i][0] {
				return r, fmt.Errorf("%s:%d: not what the run has written", rowsFile(run, step, "scores"), i+1)
			}
			r.S[f] = append(r.S[f], s)
		}
	}
	return r, nil
}

// readLines reads a table with a head of at least so many columns.
func readLines(path string, columns int) ([][]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err == nil && (len(lines) == 0 || len(lines[0]) < columns) {
		err = fmt.Errorf("no head of %d columns", columns)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return lines, nil
}
