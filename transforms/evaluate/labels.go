// Package evaluate measures labels and models against what is known, and writes each result as one JSON file.
//
// Every figure carries its n, an interval by patients resampled and, where there is one, the level that chance would
// reach. A result whose input and options have not changed is kept.
package evaluate

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"silverbeam/pkg/metrics"
	"silverbeam/pkg/shard"
	"silverbeam/pkg/taxonomy"
	"silverbeam/schemas"
	"silverbeam/transforms/internal/batch"
	"silverbeam/transforms/internal/result"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

// LabelsOutput is where the parts of an evaluate.Labels step go.
func LabelsOutput(name, config string) batch.Output {
	return batch.Output{Step: name, Dir: "eval/parts", Ext: "jsonl", Config: config}
}

// Labels compares labels with a truth: PCollection<Batch> → PCollection<Model> of one result, eval/NAME.json. Uncertain
// counts as present on both sides, not mentioned as absent; studies that the truth does not know are left out.
func Labels(s beam.Scope, out batch.Output, o LabelsOptions, findings []string, run schemas.Run, in, done beam.PCollection) (beam.PCollection, error) {
	parts, err := batch.Write(s, out, &labelParts{}, run, in, done)
	if err != nil {
		return beam.PCollection{}, err
	}
	s = s.Scope(out.Step)
	return beam.ParDo(s, &labelsFn{out.Step, o, findings, run}, batch.Gather(s, parts)), nil
}

// labelLine is one study in a part.
type labelLine struct {
	Study, Patient, Split string
	Volumes               []string // their ids, by which a truth may know the study
	States                []taxonomy.State
}

func (l labelLine) ids() []string { return append([]string{l.Study}, l.Volumes...) }

type labelParts struct{}

func (*labelParts) Open(context.Context, schemas.Run) error { return nil }

// Write keeps the labels of one batch until all are there.
func (*labelParts) Write(_ context.Context, path string, b *schemas.Batch) (schemas.Shard, schemas.Passage, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	for _, s := range b.Studies {
		l := labelLine{Study: s.ID, Patient: s.Patient, Split: b.Split}
		for _, v := range s.Volumes {
			l.Volumes = append(l.Volumes, v.ID)
		}
		for _, x := range s.Labels {
			l.States = append(l.States, x.State)
		}
		if err := enc.Encode(l); err != nil {
			return schemas.Shard{}, schemas.Passage{}, err
		}
	}
	n := len(b.Studies)
	return schemas.Shard{Rows: n}, schemas.Passage{Unit: "studies", In: n, Out: n}, shard.WriteFile(path, buf.Bytes())
}

type labelsFn struct {
	Name     string
	Options  LabelsOptions
	Findings []string
	Run      schemas.Run
}

func (f *labelsFn) ProcessElement(_ context.Context, g batch.Gathered, emit func(schemas.Model)) error {
	m, err := f.evaluate(g)
	if err != nil {
		return batch.Stop(f.Run, fmt.Errorf("%s: %w", f.Name, err))
	}
	emit(m)
	return nil
}

func (f *labelsFn) evaluate(g batch.Gathered) (m schemas.Model, err error) {
	known, err := readTruth(f.Options.Truth, f.Findings, true)
	if err != nil {
		return m, err
	}
	bySplit := map[string][]labelLine{}
	for _, s := range g.Shards {
		if s.File == "" {
			continue
		}
		lines, err := readLines(filepath.Join(f.Run.Dir, s.File))
		if err != nil {
			return m, err
		}
		bySplit["all"] = append(bySplit["all"], lines...)
		if s.Split != "" {
			bySplit[s.Split] = append(bySplit[s.Split], lines...)
		}
	}
	if lines := bySplit["all"]; len(lines) > 0 && !slices.ContainsFunc(lines, func(l labelLine) bool { return known.knows(l.ids()...) }) {
		return m, fmt.Errorf("%w: %s: none of the run's %d studies is in it", ErrTruth, f.Options.Truth, len(lines))
	}
	r := result.Labels{Step: f.Name, Type: LabelsName, Truth: filepath.Base(f.Options.Truth), Splits: map[string]result.Split{}}
	for split, lines := range bySplit {
		if r.Splits[split], err = f.split(lines, known); err != nil {
			return m, err
		}
	}
	if err := f.rows(bySplit[r.Headline()], known).Write(f.Run.Dir, f.Name); err != nil {
		return m, err
	}
	return save(f.Run, f.Name, r)
}

// split compares the labels of some studies with the truth.
func (f *labelsFn) split(lines []labelLine, known truth) (result.Split, error) {
	r := result.Split{Studies: len(lines), Labels: map[string]result.Finding{}}
	patients := make([]string, len(lines))
	for i, l := range lines {
		patients[i] = l.Patient
	}
	clusters := metrics.ClustersOf(patients)
	var stats []metrics.Statistic
	var names []string
	for k, name := range f.Findings {
		y, p := f.column(k, lines, known)
		c, err := metrics.Agree(y, p)
		if err != nil {
			return r, err
		}
		st, err := metrics.BalancedAccuracyStatistic(y, p, clusters)
		if err != nil {
			return r, err
		}
		stats, names = append(stats, st), append(names, name)
		r.Labels[name] = result.Finding{N: c.N(), NPresent: c.TP + c.FN, Confusion: c, Rates: c.Rates()}
		if r.Labels[name].BalancedAccuracy != nil {
			r.NLabels++
		}
	}
	rep, err := metrics.Bootstrap(clusters.N, stats, metrics.Resampling{N: or(f.Options.Bootstrap, 1000), Seed: f.Options.Seed})
	if err != nil {
		return r, err
	}
	all := make([]int, len(stats))
	for i, name := range names {
		all[i] = i
		l := r.Labels[name]
		l.Interval = rep.Interval(i).Ends
		r.Labels[name] = l
	}
	r.Macro = rep.Mean(all...)
	return r, nil
}

// column is what the truth and the labels say of finding k.
func (f *labelsFn) column(k int, lines []labelLine, known truth) (y, p []int8) {
	y, p = make([]int8, len(lines)), make([]int8, len(lines))
	for i, l := range lines {
		s, ok := known.state(f.Findings[k], l.ids()...)
		y[i], p[i] = binary(s, ok), binary(l.States[k], true)
	}
	return y, p
}

// rows are some studies with the truth as labels and the labels as scores.
func (f *labelsFn) rows(lines []labelLine, known truth) (r result.Rows) {
	r.Findings = f.Findings
	for _, l := range lines {
		r.IDs, r.Studies, r.Patients = append(r.IDs, l.Study), append(r.Studies, l.Study), append(r.Patients, l.Patient)
	}
	for k := range f.Findings {
		y, p := f.column(k, lines, known)
		s := make([]float64, len(p))
		for i, v := range p {
			s[i] = float64(v)
		}
		r.Y, r.S = append(r.Y, y), append(r.S, s)
	}
	return r
}

func readLines(path string) (lines []labelLine, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	dec := json.NewDecoder(bufio.NewReader(f))
	for dec.More() {
		var l labelLine
		if err := dec.Decode(&l); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		lines = append(lines, l)
	}
	return lines, nil
}

func or(n, def int) int {
	if n == 0 {
		return def
	}
	return n
}

func init() {
	beam.RegisterType(reflect.TypeFor[labelParts]())
	beam.RegisterDoFn(reflect.TypeFor[labelsFn]())
}
