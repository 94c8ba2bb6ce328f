package evaluate

import (
	"context"
	"errors"
	"fmt"

	"silverbeam/pkg/fit"
	"silverbeam/pkg/metrics"
	"silverbeam/transforms/internal/result"
)

// The sizes at which recall is told, and what the gallery shows.
var recallAt = []int{1, 5, 10, 50, 100}

// retrievalProtocol tells how a report asks.
const retrievalProtocol = "study-recall; a report asks by its conclusion, what follows its last line break, or whole where it has none"

const galleryQueries, galleryHits = 4, 5

// retrieval finds volumes by report and by volume.
func (f *modelFn) retrieval(ctx context.Context, m *fit.Model, p *pool) (*result.Retrieval, error) {
	if err := f.seal(p); err != nil {
		return nil, err
	}
	volumes, err := m.EmbedVolumes(ctx, p.rows)
	if err != nil {
		return nil, err
	}
	var queries, reports, study []string // one query a study; the study of each row
	var patients []string
	seen := map[string]bool{}
	for _, r := range p.rows {
		study = append(study, r.Study)
		if !seen[r.Study] {
			seen[r.Study] = true
			queries, reports, patients = append(queries, r.Study), append(reports, r.Report), append(patients, r.Patient)
		}
	}
	r := &result.Retrieval{Header: p.Header, Protocol: retrievalProtocol, Intervals: map[int]metrics.Interval{}}
	whole, err := m.EmbedTexts(ctx, reports)
	if err != nil {
		return nil, err
	}
	if r.Whole, err = metrics.RankStudies(whole, queries, volumes, study, metrics.Cosine, recallAt...); err != nil {
		return nil, fmt.Errorf("report to volume: %w", err)
	}
	texts, err := m.EmbedReports(ctx, reports)
	if err != nil {
		return nil, err
	}
	if r.Reports, err = metrics.RankStudies(texts, queries, volumes, study, metrics.Cosine, recallAt...); err != nil {
		return nil, fmt.Errorf("report to volume: %w", err)
	}
	ranks := make([]float64, len(queries))
	for i, q := range r.Reports.Ranks {
		ranks[i] = float64(q.Total)
	}
	asked := result.Rows{IDs: queries, Studies: queries, Patients: patients, Findings: []string{"rank"}, S: [][]float64{ranks}}
	if err := errors.Join(f.intervals(r, metrics.ClustersOf(patients)), asked.Write(f.Run.Dir, f.Name)); err != nil {
		return nil, err
	}
	labels := rowsOf(p.y, len(p.rows))
	if r.Volumes, err = metrics.VolumeRecall(volumes, volumes, labels, p.patients, metrics.Cosine, 1, 5, 10, 50); err != nil {
		return nil, fmt.Errorf("volume to volume: %w", err)
	}
	if r.CTCLIP, err = metrics.CTCLIPVolumeMap(volumes, volumes, labels, 1, 5, 10, 50); err != nil {
		return nil, fmt.Errorf("volume to volume: %w", err)
	}
	r.Gallery, err = gallery(texts, queries, volumes, p)
	return r, err
}

// intervals resamples patients for recall at each k.
func (f *modelFn) intervals(r *result.Retrieval, patients metrics.Clusters) error {
	var stats []metrics.Statistic
	var ks []int
	for _, k := range recallAt {
		if r.Reports.RecallAtK[k] == nil {
			continue
		}
		s, err := metrics.MeanStatistic(r.Reports.Hits(k), patients)
		if err != nil {
			return err
		}
		stats, ks = append(stats, s), append(ks, k)
	}
	if len(stats) == 0 {
		return nil
	}
	rep, err := metrics.Bootstrap(patients.N, stats, f.resampling())
	if err != nil {
		return err
	}
	for i, k := range ks {
		r.Intervals[k] = rep.Interval(i)
	}
	return nil
}

// gallery takes a few reports, evenly from the split, and the best volumes for each.
func gallery(texts [][]float32, queries []string, volumes [][]float32, p *pool) ([]result.Query, error) {
	n := min(galleryQueries, len(queries))
	var some [][]float32
	var out []result.Query
	for i := range n {
		q := i * len(queries) / n
		some, out = append(some, texts[q]), append(out, result.Query{Study: queries[q]})
	}
	hits, err := metrics.TopK(some, volumes, metrics.Cosine, galleryHits, nil)
	for i, hs := range hits {
		for _, h := range hs {
			out[i].Hits = append(out[i].Hits, result.Hit{Volume: p.rows[h.Row].Volume, Study: p.rows[h.Row].Study, Score: h.Score})
		}
	}
	return out, err
}

// rowsOf turns finding → row into row → finding.
func rowsOf(y [][]int8, n int) [][]int8 {
	out := make([][]int8, n)
	for i := range out {
		for _, f := range y {
			out[i] = append(out[i], f[i])
		}
	}
	return out
}
