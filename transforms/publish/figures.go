package publish

import (
	"fmt"
	"maps"
	"slices"

	"silverbeam/pkg/html"
	"silverbeam/pkg/metrics"
	"silverbeam/transforms/internal/batch"
	"silverbeam/transforms/internal/result"
)

// counts sums the label statistics of all splits.
func (src *source) counts() *batch.Counts {
	all := &batch.Counts{}
	for _, c := range src.tally.Labels {
		all.Add(c)
	}
	return all
}

// splitNames are the splits in which there are labels, in their usual order.
func (src *source) splitNames() []string {
	order := map[string]int{"train": 1, "valid": 2, "test": 3}
	names := slices.Collect(maps.Keys(src.tally.Labels))
	slices.SortFunc(names, func(a, b string) int { return order[a] - order[b] })
	return names
}

// labelTable counts states by finding and, where there is a truth, tells how right they are on held-out studies.
func (src *source) labelTable() *html.Labels {
	all := src.counts()
	if all.Studies == 0 {
		return nil
	}
	t := &html.Labels{Unit: "reports", Splits: src.splitNames()}
	if len(t.Splits) == 1 && t.Splits[0] == "" {
		t.Splits = nil
	}
	quality, on := src.quality()
	for k, name := range src.tally.Names {
		s := all.States[k]
		row := html.LabelRow{Finding: name, Present: s[0], Absent: s[1], Uncertain: s[2], NotMentioned: s[3]}
		for _, sp := range t.Splits {
			c := src.tally.Labels[sp]
			row.Prevalence = append(row.Prevalence, html.Share{K: c.States[k][0], N: c.Studies, Interval: metrics.Wilson(c.States[k][0], c.Studies)})
		}
		if quality != nil {
			q := quality.Labels[name]
			row.Quality = &html.LabelQuality{N: q.N, NPos: q.NPresent, BalancedAccuracy: html.Estimated(q.BalancedAccuracy, q.Interval, q.N),
				Kappa: q.Confusion.Agreement().Kappa, PABAK: q.Confusion.Agreement().PABAK, Agreement: q.Confusion.Agreement().Agreement,
				Sensitivity: html.Estimated(q.Sensitivity, metrics.Wilson(q.TP, q.TP+q.FN), q.TP+q.FN),
				Specificity: html.Estimated(q.Specificity, metrics.Wilson(q.TN, q.TN+q.FP), q.TN+q.FP)}
		}
		t.Findings = append(t.Findings, row)
	}
	if quality != nil {
		e := html.Estimated(quality.Macro.Value, quality.Macro.Ends, quality.Studies)
		t.Truth, t.Macro, t.NMacro = on, &e, quality.NLabels
	}
	return t
}

// quality is the comparison with truth on the held-out split, where there is one, else on every study.
func (src *source) quality() (*result.Split, string) {
	if src.labels == nil {
		return nil, ""
	}
	name := src.labels.Headline()
	s, ok := src.labels.Splits[name]
	if !ok {
		return nil, ""
	}
	return &s, fmt.Sprintf("%s, split %s, %d studies; uncertain counts as present, not mentioned as absent", src.labels.Truth, name, s.Studies)
}

func (src *source) coOccurrence() *html.CoOccurrence {
	all := src.counts()
	if all.Studies == 0 || len(all.States) < 2 {
		return nil
	}
	return &html.CoOccurrence{Findings: src.tally.Names, Count: all.Together, N: all.Studies}
}

// classification puts the models' scores beside the baseline's.
func (src *source) classification() *html.Classification {
	if len(src.scores) == 0 {
		return nil
	}
	first := src.scores[0]
	c := &html.Classification{Split: first.Split, Patients: first.Summary.NPatients, Rows: first.Summary.NRows, Truth: first.Labels,
		Interval: "95 %, by patient: midway between BCa of resamples and the jackknife on the logit scale, both with Student's t; one of them, or the percentiles, where the data do not determine it"}
	for _, s := range src.scores {
		x := system(s.Step+" ("+s.Model+")", s.Protocol+tunedNote(s.Header), s.Summary, s.ROC)
		x.Exploratory = s.Exploratory
		c.Systems = append(c.Systems, x)
		if s.Baseline != nil {
			b := system("HU histogram", "logistic regression on the share of voxels in 50 HU intervals, trained on the same labels", s.Baseline, s.BaselineROC)
			b.Baseline = true
			c.Systems = append(c.Systems, b)
		}
	}
	return c
}

func tunedNote(h result.Header) string {
	if h.Tuned == "" {
		return ""
	}
	return "; thresholds and calibration fitted on split " + h.Tuned
}

func system(name, note string, s *metrics.Summary, roc map[string][]metrics.Point) html.System {
	out := html.System{Name: name, Note: note, NLabels: s.Macro.NLabels}
	if s.Bootstrap != nil {
		out.Macro = html.Estimated(s.Macro.AUC, s.Bootstrap.MacroAUC.Ends, s.NRows)
	}
	for finding, l := range s.Labels {
		f := html.FindingScore{Finding: finding, NPos: l.NPos, NNeg: l.NNeg, AUC: html.Estimate{Value: l.AUC, N: l.N}, AP: l.AP}
		if s.Bootstrap != nil {
			f.AUC = html.Estimated(l.AUC, s.Bootstrap.AUC[finding].Ends, l.N)
		}
		if l.AUC == nil {
			f.AUC.Why = "one class"
		}
		for _, p := range roc[finding] {
			f.ROC = append(f.ROC, [2]float64{p.FPR, p.TPR})
		}
		out.Findings = append(out.Findings, f)
	}
	slices.SortFunc(out.Findings, func(a, b html.FindingScore) int { return cmpString(a.Finding, b.Finding) })
	return out
}

func cmpString(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// retrievalTable lists what was found by report and by volume, each figure beside its chance.
func (src *source) retrievalTable() *html.Retrieval {
	r := src.retrieval
	if r == nil {
		return nil
	}
	t := &html.Retrieval{Exploratory: r.Exploratory, Split: r.Split, Queries: r.Reports.NQueries, Pool: fmt.Sprintf("%d studies (%d volumes)", r.Reports.NPool, r.Volumes.NPool)}
	for _, k := range sortedInts(r.Reports.RecallAtK) {
		t.Rows = append(t.Rows, html.RetrievalRow{Name: fmt.Sprintf("report → volume, recall@%d", k), Protocol: "study-recall",
			Figure: html.Estimated(r.Reports.RecallAtK[k], r.Intervals[k].Ends, r.Reports.NQueries), Chance: r.Reports.ChanceAtK[k],
			Note: whole(r.Whole, k)})
	}
	t.Rows = append(t.Rows, html.RetrievalRow{Name: "report → volume, median rank", Protocol: "study-recall", Rank: true,
		Figure: html.Estimate{Value: r.Reports.MedianRank, N: r.Reports.NQueries}, Chance: half(r.Reports.NPool)})
	for _, k := range sortedInts(r.Volumes.JaccardAtK) {
		t.Rows = append(t.Rows, html.RetrievalRow{Name: fmt.Sprintf("volume → volume, label Jaccard@%d", k), Protocol: "clean",
			Figure: html.Estimate{Value: r.Volumes.JaccardAtK[k], N: r.Volumes.NQueries}, Chance: r.Volumes.Chance.JaccardAtK[k], Note: "without the query's own patient"})
	}
	for _, k := range sortedInts(r.Volumes.Shared.MapAtK) {
		t.Rows = append(t.Rows, html.RetrievalRow{Name: fmt.Sprintf("volume → volume, MAP@%d", k), Protocol: "clean",
			Figure: html.Estimate{Value: r.Volumes.Shared.MapAtK[k], N: r.Volumes.NQueries - r.Volumes.Shared.NSkipped}, Note: "mean average precision; relevant is a volume with a finding in common, without the query's own patient"})
	}
	for _, k := range sortedInts(r.CTCLIP.MapAtK) {
		t.Rows = append(t.Rows, html.RetrievalRow{Name: fmt.Sprintf("volume → volume, “MAP@%d” as published", k), Protocol: "ctclip-volume-map",
			Figure: html.Estimate{Value: r.CTCLIP.MapAtK[k], N: r.CTCLIP.NQueries}, Chance: r.CTCLIP.ChanceAtK[k], Note: "a running mean of label Jaccard, the query in its own pool"})
	}
	return t
}

// whole is what recall is when the whole text asks.
func whole(r *metrics.StudyRecall, k int) string {
	if r == nil || r.RecallAtK[k] == nil {
		return ""
	}
	return fmt.Sprintf("asked by conclusions; %.3f by whole reports", *r.RecallAtK[k])
}

func half(n int) *float64 {
	v := float64(n+1) / 2
	return &v
}

func sortedInts(m map[int]*float64) []int { return slices.Sorted(maps.Keys(m)) }
