package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"silverbeam/pipelines"
	"silverbeam/pkg/metrics"
	"silverbeam/pkg/shard"
	"silverbeam/pkg/taxonomy"
	"silverbeam/runners/local"
	"silverbeam/transforms/label"
	"silverbeam/transforms/publish"

	"github.com/spf13/cobra"
)

// regression labels the texts of a table before anything else is labelled, and tells what is no longer as it was the last
// time. Their labels are kept beside the table, in FILE.labels.csv.
func regression(cmd *cobra.Command, in string, set map[string]string, o local.Options) error {
	own := maps.Clone(set)
	own["in"], own["tolerance"], own["as"] = in, "100%", "state"
	delete(own, "limit")
	p, err := pipelines.Load("label-reports", own)
	if err != nil {
		return asFlags(cmd, err)
	}
	if o.Dir, err = labelFolder(in, own); err != nil {
		return err
	}
	line(cmd.ErrOrStderr(), "%-20s %s", "regression", in)
	if _, err := execute(cmd, p, o); err != nil {
		return err
	}
	kept := in + ".labels.csv"
	now := filepath.Join(o.Dir, "dataset", "labels.csv")
	if err := tellChanges(cmd.ErrOrStderr(), kept, now); err != nil {
		return err
	}
	return shard.Replace(kept, 0o644, func(w io.Writer) error {
		f, err := os.Open(now)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(w, f)
		return err
	})
}

// tellChanges prints, by finding, which texts are labelled otherwise than before.
func tellChanges(w io.Writer, before, now string) error {
	if _, err := os.Stat(before); errors.Is(err, os.ErrNotExist) {
		line(w, "%-20s the first labels of these texts are kept in %s", "regression", before)
		return nil
	}
	rows, findings, err := statesOf(before)
	if err != nil {
		return err
	}
	old := map[string]labelRow{}
	for _, r := range rows {
		old[r.ID] = r
	}
	new, names, err := statesOf(now)
	if err != nil {
		return err
	}
	total := 0
	for k, f := range names {
		was := slices.Index(findings, f)
		if was < 0 {
			line(w, "    %s: asked for the first time", f)
			continue
		}
		var changed []string
		for _, r := range new {
			if o, ok := old[r.ID]; ok && state(o, was) != state(r, k) {
				changed = append(changed, fmt.Sprintf("%s from %s to %s", r.ID, state(o, was), state(r, k)))
			}
		}
		if total += len(changed); len(changed) > 0 {
			line(w, "    %s: %d of %d changed, for example %s", f, len(changed), len(new), changed[0])
		}
	}
	line(w, "%-20s %d of %d labels are not as they were in %s", "regression", total, len(new)*len(names), before)
	return nil
}

func state(r labelRow, finding int) string {
	if r.Labels == nil {
		return "not labelled"
	}
	return r.Labels[finding].State.String()
}

// statesOf reads a small label table.
func statesOf(path string) (rows []labelRow, findings []string, err error) {
	t, err := openLabels(path)
	if err != nil {
		return nil, nil, err
	}
	for r, err := range t.rows() {
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, r)
	}
	return rows, t.findings, nil
}

// driftLevel is the chance that a run without any drift is said to have some.
const driftLevel = 0.001

// tellDrift compares how often each finding is present (or uncertain) in each batch of a run with a baseline.
func tellDrift(w io.Writer, dir, baseline string) error {
	base, err := openLabels(baseline)
	if err != nil {
		return err
	}
	from := make([]tallied, len(base.findings))
	for r, err := range base.rows() {
		if err != nil {
			return err
		}
		addTo(from, r.Labels)
	}
	tally, err := publish.Count(dir)
	if err != nil {
		return err
	}
	tests, told := max(len(tally.Batches)*len(tally.Names), 1), 0
	for _, s := range tally.Sinks {
		if s.Step != label.TableName {
			continue
		}
		for _, b := range tally.Batches {
			findings, rows, err := shard.ReadLabelPart(filepath.Join(dir, s.File(b)))
			if err != nil {
				return err
			}
			in := make([]tallied, len(findings))
			for _, r := range rows {
				addTo(in, r.Labels)
			}
			for k, f := range findings {
				j := slices.Index(base.findings, f)
				if j < 0 {
					continue
				}
				p, ok := metrics.TwoProportions(in[k].yes, in[k].n, from[j].yes, from[j].n)
				if ok && p*float64(tests) < driftLevel {
					told++
					line(w, "    batch %.12s, from %s: %s in %.1f %% of %d, baseline %.1f %% of %d", b.ID, rows[0].ID, f, in[k].percent(), in[k].n, from[j].percent(), from[j].n)
				}
			}
		}
	}
	line(w, "%-20s %d of %d prevalences are not those of %s (family-wise p < %g)", "drift", told, tests, baseline, driftLevel)
	return nil
}

// tallied is how many labelled reports have a finding.
type tallied struct{ yes, n int }

func (t tallied) percent() float64 { return 100 * float64(t.yes) / float64(max(t.n, 1)) }

func addTo(t []tallied, labels []taxonomy.Label) {
	for k, l := range labels {
		t[k].n++
		if v, _ := taxonomy.Binary(l, "one"); v == 1 {
			t[k].yes++
		}
	}
}
