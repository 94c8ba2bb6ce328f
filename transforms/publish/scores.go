package publish

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"silverbeam/pkg/html"
	"silverbeam/pkg/metrics"
	"silverbeam/transforms/internal/result"
)

// scored is one evaluation with the rows that it was computed of.
type scored struct {
	*result.Scores
	result.Rows
}

// scored reads the rows of every evaluation that has kept them.
func (src *source) scored() (all []scored) {
	for _, s := range src.scores {
		if rows, err := result.ReadRows(src.dir, s.Step); err == nil {
			all = append(all, scored{s, rows})
		}
	}
	return all
}

// probabilities are the scores of finding f as such, with what makes them so; nil where nothing does.
func (s scored) probabilities(f int) []float64 {
	if c := s.Summary.Labels[s.Findings[f]].Calibration; c != nil {
		return c.Apply(s.S[f])
	}
	if s.Type != "evaluate.Classifier" || s.Tuned != "" {
		return nil
	}
	p := make([]float64, len(s.S[f]))
	for i, x := range s.S[f] {
		p[i] = 1 / (1 + math.Exp(-x))
	}
	return p
}

// curves are precision and reliability of every system.
func (src *source) curves() (all []html.Curves) {
	for _, s := range src.scored() {
		c := html.Curves{System: s.Step}
		switch {
		case s.Tuned != "":
			c.Note = "Probabilities by Platt's calibration, fitted on split " + s.Tuned
		case s.Type == "evaluate.Classifier":
			c.Note = "Probabilities as the model gives them, not calibrated"
		default:
			c.Note = "Its scores are no probabilities: tune: SPLIT calibrates them"
		}
		for f, name := range s.Findings {
			l := s.Summary.Labels[name]
			if s.S[f] == nil || l.Status != "ok" {
				continue
			}
			x := html.FindingCurve{Finding: name, Prevalence: float64(l.NPos) / float64(l.N), PR: precision(s.Y[f], s.S[f])}
			if p := s.probabilities(f); p != nil {
				x.Bins = reliability(s.Y[f], p)
				x.Brier, x.ECE = metrics.Defined(metrics.Brier(s.Y[f], p)), metrics.Defined(metrics.ECE(s.Y[f], p, 15, false))
			}
			c.Findings = append(c.Findings, x)
		}
		all = append(all, c)
	}
	return all
}

// precision is (recall, precision) at each distinct score from the highest down, at most 200.
func precision(y []int8, s []float64) (points [][2]float64) {
	order, pos := []int{}, 0.0
	for i, v := range y {
		if v == 0 || v == 1 {
			order, pos = append(order, i), pos+float64(v)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(s[b], s[a]) })
	hits := 0.0
	for n, i := range order {
		hits += float64(y[i])
		if n+1 == len(order) || s[order[n+1]] != s[i] {
			points = append(points, [2]float64{hits / pos, hits / float64(n+1)})
		}
	}
	var kept [][2]float64
	for i, keep := 0, (len(points)+199)/200; i < len(points); i++ {
		if i%keep == 0 || i == len(points)-1 {
			kept = append(kept, points[i])
		}
	}
	return kept
}

// bins is how many a reliability drawing has, of equal width.
const bins = 10

// reliability counts rows by probability.
func reliability(y []int8, p []float64) (out []html.Bin) {
	var n, present [bins]int
	var sum [bins]float64
	for i, v := range y {
		if v == 0 || v == 1 {
			b := min(bins-1, int(p[i]*bins))
			n[b], present[b], sum[b] = n[b]+1, present[b]+int(v), sum[b]+p[i]
		}
	}
	for b, k := range n {
		if k > 0 {
			out = append(out, html.Bin{Mean: sum[b] / float64(k), Rate: float64(present[b]) / float64(k), N: k, CI: metrics.Wilson(present[b], k)})
		}
	}
	return out
}

// subgroups are the parts of each evaluation's rows.
func (src *source) subgroups() (all []html.Subgroups) {
	for _, s := range src.scores {
		if s.Subgroups == nil {
			continue // of an older version
		}
		of := html.Subgroups{System: s.Step}
		for _, by := range s.Subgroups {
			p := html.SubgroupProperty{Property: by.Property, NUnknown: by.NUnknown}
			for _, x := range by.Parts {
				g := html.Subgroup{Name: x.Part, Rows: x.NRows, Patients: x.NPatients, NLabels: x.NLabels, P: x.Holm,
					Macro: html.Estimated(x.MacroAUC.Value, x.MacroAUC.Ends, x.NRows), Difference: html.Estimated(x.Difference.Value, x.Difference.Ends, 0)}
				switch {
				case x.NPatients < result.FewPatients:
					g.Macro.Why, g.Difference.Why = "few patients", "few patients"
				case x.MacroAUC.Value == nil:
					g.Macro.Why = "one class"
				default:
					g.Difference.Why = "few others"
				}
				p.Groups = append(p.Groups, g)
			}
			of.Properties = append(of.Properties, p)
		}
		all = append(all, of)
	}
	return all
}

// zeroShotExamples are the surest answers of a zero-shot evaluation, right and wrong, each of its own volume and finding.
func (src *source) zeroShotExamples() (all []html.ScoredExample, err error) {
	at := slices.IndexFunc(src.scores, func(s *result.Scores) bool { return s.Type == "evaluate.ZeroShot" })
	if at < 0 || src.data == nil {
		return nil, nil
	}
	rows, err := result.ReadRows(src.dir, src.scores[at].Step)
	if err != nil {
		return nil, nil // of an older version
	}
	data, err := src.data.Rows(src.scores[at].Split)
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, kind := range []struct {
		name  string
		y     int8
		sign  float64
		right bool
	}{{"present, rightly", 1, 1, true}, {"absent, rightly", 0, -1, true}, {"present, wrongly", 0, 1, false}, {"absent, wrongly", 1, -1, false}} {
		for range 2 {
			best, finding, row := 0.0, -1, -1
			for f, name := range rows.Findings {
				l := src.scores[at].Summary.Labels[name]
				if rows.S[f] == nil || l.Threshold == nil || used[name] {
					continue
				}
				for i, s := range rows.S[f] {
					if m := kind.sign * (s - l.Threshold.Threshold); rows.Y[f][i] == kind.y && m > best && !used[rows.IDs[i]] {
						best, finding, row = m, f, i
					}
				}
			}
			if finding < 0 {
				break
			}
			e := html.ScoredExample{Kind: kind.name, Right: kind.right, Finding: rows.Findings[finding], Volume: rows.IDs[row], Score: rows.S[finding][row]}
			used[e.Finding], used[e.Volume] = true, true
			for _, r := range data {
				if r.Volume == e.Volume {
					if e.Images, err = src.slices(r); err != nil {
						return nil, err
					}
				}
			}
			all = append(all, e)
		}
	}
	return all, nil
}

// egress sums egress.jsonl by host; nil where nothing left this machine.
func (src *source) egress() (all []html.Egress) {
	f, err := os.Open(filepath.Join(src.dir, "egress.jsonl"))
	if err != nil {
		return nil
	}
	defer f.Close()
	hosts, removed := map[string]*html.Egress{}, map[string]map[string]int{}
	sc := bufio.NewScanner(f)
	for sc.Buffer(nil, 1<<20); sc.Scan(); {
		var l struct {
			Host    string
			Out, In int64
			Status  int
			Removed map[string]int
		}
		if json.Unmarshal(sc.Bytes(), &l) != nil || l.Host == "" {
			continue
		}
		e := hosts[l.Host]
		if e == nil {
			e = &html.Egress{Host: l.Host}
			hosts[l.Host], removed[l.Host] = e, map[string]int{}
		}
		if l.Out > 0 {
			e.Requests++
		}
		e.Out, e.In = e.Out+l.Out, e.In+l.In
		for kind, n := range l.Removed {
			removed[l.Host][kind] += n
		}
	}
	for _, host := range slices.Sorted(maps.Keys(hosts)) {
		var kinds []string
		for _, kind := range slices.Sorted(maps.Keys(removed[host])) {
			kinds = append(kinds, fmt.Sprintf("%d %s", removed[host][kind], kind))
		}
		hosts[host].Removed = strings.Join(kinds, ", ")
		all = append(all, *hosts[host])
	}
	return all
}
