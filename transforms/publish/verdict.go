package publish

import (
	"fmt"
	"strings"

	"silverbeam/pkg/html"
	"silverbeam/transforms/internal/result"
)

// verdict says in one line what the run came to, with its headline figures. It is made of the page's own sections.
func (src *source) verdict(p *html.Page) *html.Verdict {
	v := &html.Verdict{}
	parts := []string{fmt.Sprintf("%d studies read", src.tally.Total())}
	if n := len(src.tally.Rejects); n > 0 {
		parts = append(parts, fmt.Sprintf("%d rejects", n))
	}
	if src.counts().Studies > 0 {
		parts = append(parts, fmt.Sprintf("%d findings labelled", len(src.tally.Names)))
	}
	if p.Labels != nil && p.Labels.Macro != nil {
		v.Headlines = append(v.Headlines, html.Headline{Name: "labels, macro balanced accuracy", Figure: *p.Labels.Macro, Reference: ptr(.5), ReferenceName: "chance", Note: "against " + src.labels.Truth})
	}
	for _, s := range src.scores {
		v.Headlines = append(v.Headlines, scoreHeadline(s))
	}
	if r := src.retrieval; r != nil && r.Reports.RecallAtK[10] != nil {
		v.Headlines = append(v.Headlines, html.Headline{Name: "report → volume, recall@10", Primary: r.Primary, Exploratory: r.Exploratory, Reference: r.Reports.ChanceAtK[10], ReferenceName: "chance",
			Figure: html.Estimated(r.Reports.RecallAtK[10], r.Intervals[10].Ends, r.Reports.NQueries)})
	}
	if p.Cost != nil {
		v.Headlines = append(v.Headlines, html.Headline{Name: "cost of labels", Text: html.Money(p.Cost.Spent), Note: fmt.Sprintf("%d calls", p.Cost.Calls)})
	}
	if src.report.Ended == nil {
		parts = append(parts, "the run is still going: more sections will come")
	}
	v.Line = strings.Join(append([]string{strings.Join(parts, ", ") + "."}, src.report.Notes...), " Note: ")
	return v
}

// scoreHeadline stands against the baseline where there is one, else against chance.
func scoreHeadline(s *result.Scores) html.Headline {
	h := html.Headline{Name: s.Step + ", macro AUC", Figure: html.Estimated(s.Summary.Macro.AUC, s.Summary.Bootstrap.MacroAUC.Ends, s.Summary.NRows),
		Reference: ptr(s.Chance), ReferenceName: "chance", Note: "split " + s.Split + ", by " + s.Labels,
		Primary: s.Primary, Exploratory: s.Exploratory}
	if s.Baseline != nil {
		h.Reference, h.ReferenceName = s.Baseline.Macro.AUC, "HU histogram"
	}
	return h
}

func ptr(v float64) *float64 { return &v }
