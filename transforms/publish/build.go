package publish

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"silverbeam/pkg/html"
	"silverbeam/pkg/ledger"
	"silverbeam/pkg/shard"
	"silverbeam/schemas"
	"silverbeam/transforms/internal/result"
)

// Write renders the page of the run in dir to page.html, whole or not at all, and the cards beside it. With reportText the gallery shows reports.
func Write(dir string, reportText bool) error {
	p, cards, err := build(dir, reportText)
	if err != nil {
		return err
	}
	for name, text := range cards {
		if err := shard.WriteFile(filepath.Join(dir, name), []byte(text)); err != nil {
			return err
		}
	}
	var buf bytes.Buffer
	if err := html.Render(&buf, p); err != nil {
		return err
	}
	return shard.WriteFile(filepath.Join(dir, "page.html"), buf.Bytes())
}

// Headlines are the figures that the page begins with, of the results that the run in dir has so far. No volume is read.
func Headlines(dir string) ([]html.Headline, error) {
	src, err := read(dir)
	if err != nil {
		return nil, err
	}
	return src.verdict(&html.Page{Labels: src.labelTable()}).Headlines, nil
}

// source is a run folder, read once.
type source struct {
	dir       string
	report    schemas.Report
	tally     *Tally
	labels    *result.Labels
	scores    []*result.Scores
	retrieval *result.Retrieval
	data      *shard.Dataset // nil where there is none yet
}

// build makes the page of what the run folder holds so far, and the cards by their files' names.
func build(dir string, reportText bool) (*html.Page, map[string]string, error) {
	src, err := read(dir)
	if err != nil {
		return nil, nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "dataset", "manifest.json")); err == nil {
		if src.data, err = shard.Open(filepath.Join(dir, "dataset")); err != nil {
			return nil, nil, err
		}
		defer src.data.Close()
	}
	p := &html.Page{Title: src.report.Name, Run: filepath.Base(dir), Status: src.report.Status, When: src.when(),
		Flow: src.flow(), Labels: src.labelTable(), CoOccurrence: src.coOccurrence(), Training: src.training(),
		Classification: src.classification(), Retrieval: src.retrievalTable(), Rejects: src.rejects(), Provenance: src.provenance()}
	if _, err := os.Stat(filepath.Join(src.report.Params["data"], "truth.jsonl")); err == nil && src.report.Params["data"] != "" {
		p.Caution = "Generated phantoms and reports: these figures show that the pipeline works, not how well it reads real scans."
	}
	if p.Scans, err = src.scans(); err != nil {
		return nil, nil, err
	}
	if p.Gallery, err = src.gallery(reportText); err != nil {
		return nil, nil, err
	}
	if p.Cost, err = src.cost(); err != nil {
		return nil, nil, err
	}
	if p.Examples, err = src.zeroShotExamples(); err != nil {
		return nil, nil, err
	}
	p.Subgroups = src.subgroups()
	p.Corrected, p.Published = src.corrected(), src.published()
	p.Curves, p.Egress, p.Checklists = src.curves(), src.egress(), src.checklists()
	if p.Status == "done" {
		p.Status = "ok"
	}
	p.Verdict = src.verdict(p)
	return p, src.cards(p), nil
}

func read(dir string) (*source, error) {
	src := &source{dir: dir}
	p, err := os.ReadFile(filepath.Join(dir, "run.json"))
	if err != nil {
		return nil, fmt.Errorf("%s is not a run folder: %w", dir, err)
	}
	if err := json.Unmarshal(p, &src.report); err != nil {
		return nil, fmt.Errorf("%s: run.json: %w", dir, err)
	}
	if src.tally, err = Count(dir); err != nil {
		return nil, err
	}
	for _, s := range src.report.Steps {
		p, err := os.ReadFile(filepath.Join(dir, "eval", s.Name+".json"))
		if err != nil {
			continue // not yet, or not such a step
		}
		switch s.Type {
		case "evaluate.Labels":
			err = json.Unmarshal(p, &src.labels)
		case "evaluate.Classifier", "evaluate.ZeroShot":
			var r result.Scores
			err = json.Unmarshal(p, &r)
			src.scores = append(src.scores, &r)
		case "evaluate.Retrieval":
			err = json.Unmarshal(p, &src.retrieval)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: eval/%s.json: %w", dir, s.Name, err)
		}
	}
	return src, nil
}

// Escrows are the digests of what each evaluation settled before it scored its split; nil without any.
func Escrows(dir string, steps []schemas.StepReport) (all map[string]string) {
	for _, s := range steps {
		if d := result.Sealed(dir, s.Name); d != "" {
			if all == nil {
				all = map[string]string{}
			}
			all[s.Name] = d
		}
	}
	return all
}

// cost is what the ledger says; nil where there is none yet.
func (src *source) cost() (*html.Cost, error) {
	c, err := ledger.ReadCost(filepath.Join(src.dir, "ledger.db"))
	if err != nil {
		return nil, nil
	}
	b, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	out := new(html.Cost)
	return out, json.Unmarshal(b, out)
}

func (src *source) when() string {
	s := src.report.Started.Format("2 Jan 2006 15:04 UTC")
	if e := src.report.Ended; e != nil {
		s += ", " + e.Sub(src.report.Started).Round(time.Second).String()
	}
	return s
}

// flow says what became of every study. Steps that a batch passes are counted afresh; run.json has the rest.
func (src *source) flow() *html.Flow {
	f := &html.Flow{}
	for _, s := range src.report.Steps {
		row := html.FlowStep{Name: s.Name, Unit: s.Unit, In: s.In, Out: s.Out, Rejects: s.Rejects, Skipped: s.Skipped, Seconds: s.Seconds, CPU: s.CPUSeconds}
		if s.Type != s.Name {
			row.Type = s.Type
		}
		for _, q := range src.tally.Steps {
			if q.Step == s.Name {
				row.Unit, row.In, row.Out, row.Rejects, row.Seconds, row.CPU = q.Unit, q.In, q.Out, q.Rejects, q.Seconds, q.CPUSeconds
			}
		}
		if row.Unit == "studies" || row.Unit == "volumes" {
			row.Reasons = reasons(src.tally.Rejects, s.Name)
			f.Steps = append(f.Steps, row)
		}
	}
	f.Splits, f.SharedPatients = src.splits()
	return f
}

func reasons(rejects []schemas.Reject, step string) (out []html.Reason) {
	n := map[string]int{}
	for _, r := range rejects {
		if r.Step == step {
			n[r.Class]++
		}
	}
	for class, k := range n {
		out = append(out, html.Reason{Class: class, N: k})
	}
	slices.SortFunc(out, func(a, b html.Reason) int {
		return cmp.Or(cmp.Compare(b.N, a.N), strings.Compare(a.Class, b.Class))
	})
	return out
}

// splits counts patients, studies and volumes of the data set, and the patients that stand in two splits.
func (src *source) splits() (out []html.Split, shared *int) {
	if src.data == nil {
		return nil, nil
	}
	where := map[string]string{}
	both := map[string]bool{}
	for _, name := range src.data.Splits() {
		rows, err := src.data.Rows(name)
		if err != nil {
			continue
		}
		patients, studies := map[string]bool{}, map[string]bool{}
		for _, r := range rows {
			patients[r.Patient], studies[r.Study] = true, true
			if w, ok := where[r.Patient]; ok && w != name {
				both[r.Patient] = true
			}
			where[r.Patient] = name
		}
		out = append(out, html.Split{Name: name, Patients: len(patients), Studies: len(studies), Volumes: len(rows)})
	}
	n := len(both)
	return out, &n
}

// rejects groups what left the chain by step and class.
func (src *source) rejects() *html.Rejects {
	r := &html.Rejects{Total: len(src.tally.Rejects), Of: src.tally.Total(), Tolerance: fmt.Sprintf("%g %%", src.report.Tolerance*100)}
	at := map[[2]string]int{}
	for _, x := range src.tally.Rejects {
		key := [2]string{x.Step, x.Class}
		i, ok := at[key]
		if !ok {
			i = len(r.Groups)
			at[key] = i
			r.Groups = append(r.Groups, html.RejectGroup{Step: x.Step, Class: x.Class, Reason: x.Reason})
		}
		if r.Groups[i].N++; len(r.Groups[i].Examples) < 5 {
			r.Groups[i].Examples = append(r.Groups[i].Examples, x.Study)
		}
	}
	return r
}

func (src *source) provenance() *html.Provenance {
	r := src.report
	run := html.Facts{Name: "Run", Facts: []html.Fact{{Name: "pipeline", Value: r.Name}, {Name: "configuration", Value: r.ConfigDigest},
		{Name: "data set", Value: r.Digest}, {Name: "findings", Value: r.Findings}}}
	params, versions := html.Facts{Name: "Parameters", Facts: facts(r.Params)}, html.Facts{Name: "Versions", Facts: facts(r.Versions)}
	groups := []html.Facts{run, params, versions}
	if len(r.Escrow) > 0 {
		groups = append(groups, html.Facts{Name: "Settled before scores were opened (escrow)", Facts: facts(r.Escrow)})
	}
	return &html.Provenance{Groups: groups}
}

func facts(m map[string]string) (all []html.Fact) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, html.Fact{Name: k, Value: m[k]})
	}
	return all
}
