package publish

import (
	"maps"
	"slices"

	"silverbeam/pkg/html"
	"silverbeam/pkg/metrics"
	"silverbeam/transforms/internal/result"
)

// corrected are the evaluations that had some rows reviewed.
func (src *source) corrected() (all []html.Corrected) {
	for _, s := range src.scores {
		if s.Summary.Corrected == nil {
			continue
		}
		c := html.Corrected{System: s.Step, Reviewed: s.Reviewed}
		for _, name := range src.inOrder(s) {
			x, ok := s.Summary.Corrected[name]
			if !ok {
				continue
			}
			f := html.CorrectedFinding{Finding: name, N: x.NReviewed, NPos: x.NReviewedPos}
			f.Prevalence.Silver, f.Prevalence.RoganGladen, f.Prevalence.PPI = estimated(x.Prevalence.Silver), estimated(x.Prevalence.RoganGladen), estimated(x.Prevalence.PPI)
			f.AUC.Silver, f.AUC.Reviewed, f.AUC.PPI = estimated(x.AUC.Silver), estimated(x.AUC.Reviewed), estimated(x.AUC.PPI)
			c.Findings = append(c.Findings, f)
		}
		all = append(all, c)
	}
	return all
}

func estimated(i metrics.Interval) html.Estimate { return html.Estimated(i.Value, i.Ends, 0) }

// published are the evaluations that also have a published protocol's figures.
func (src *source) published() (all []html.Published) {
	for _, s := range src.scores {
		if s.Published == nil {
			continue
		}
		m := s.Published.Macro
		p := html.Published{System: s.Step, Protocol: s.PublishedBy,
			Macro: html.PublishedFinding{AUC: m.AUC, F1: m.F1Weighted, Accuracy: m.Accuracy, Precision: m.Precision}}
		p.Macro.Clean.AUC, p.Macro.Clean.F1 = html.Estimated(s.Summary.Macro.AUC, s.Summary.Bootstrap.MacroAUC.Ends, 0), s.Summary.Macro.F1
		var balanced []*float64
		for _, name := range src.inOrder(s) {
			l, clean := s.Published.Labels[name], s.Summary.Labels[name]
			f := html.PublishedFinding{Finding: name, AUC: l.AUC, F1: l.F1Weighted, Accuracy: l.Accuracy, Precision: l.Precision}
			f.Clean.AUC = html.Estimated(clean.AUC, s.Summary.Bootstrap.AUC[name].Ends, 0)
			if at := clean.Threshold; at != nil {
				f.Clean.F1, f.Clean.BalancedAccuracy = at.F1, at.BalancedAccuracy
			}
			balanced = append(balanced, f.Clean.BalancedAccuracy)
			p.Findings = append(p.Findings, f)
		}
		mean, _, ok := metrics.Macro(balanced)
		p.Macro.Clean.BalancedAccuracy = metrics.Defined(mean, ok)
		all = append(all, p)
	}
	return all
}

// inOrder are the findings of an evaluation: the run's in their order, then a protocol's own.
func (src *source) inOrder(s *result.Scores) (names []string) {
	own := map[string]bool{}
	for _, name := range src.tally.Names {
		if _, ok := s.Summary.Labels[name]; ok {
			names, own[name] = append(names, name), true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Summary.Labels)) {
		if !own[name] {
			names = append(names, name)
		}
	}
	return names
}
