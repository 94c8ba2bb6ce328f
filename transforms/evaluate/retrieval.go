package evaluate

import (
	"errors"
	"fmt"

	"silverbeam/pkg/metrics"
	"silverbeam/transforms/internal/result"
)

// The sizes at which recall is told, and what the gallery shows.
var recallAt = []int{1, 5, 10, 50, 100}

// The sizes at which CT-CLIP's script tells recall.
var pairedAt = []int{5, 10, 50, 100}

// retrievalProtocol tells how a report asks.
const retrievalProtocol = "study-recall; a report asks by its conclusion, what follows its last line break, or whole where it has none"

// The gallery's queries, how many hits it shows of each, and as far as CT-CLIP's script looks.
const galleryQueries, galleryHits, volumeHits = 4, 5, 50

// judge makes the result of what was found. Average precision needs whole rankings: volumes are ranked here, once more.
func (r retriever) judge(p *pool, x ranked) (*result.Retrieval, error) {
	if err := r.F.seal(p); err != nil {
		return nil, err
	}
	out := &result.Retrieval{Header: p.Header, Protocol: retrievalProtocol, Intervals: map[int]metrics.Interval{}}
	if r.F.Options.Likeness == Dot {
		out.Protocol += "; by dot product"
	}
	var reports, conclusions, rows, first []metrics.Standing
	var hits, shown [][]metrics.Hit
	for _, b := range x.Blocks {
		reports, conclusions = append(reports, b.Reports...), append(conclusions, b.Conclusions...)
		rows, first = append(rows, b.Rows...), append(first, b.First...)
		hits, shown = append(hits, b.Volumes...), append(shown, b.Gallery...)
	}
	a := p.asking()
	out.Whole = metrics.NewStudyRecall(reports, len(a.studies), recallAt...)
	out.Reports = metrics.NewStudyRecall(conclusions, len(a.studies), recallAt...)
	out.Paired = result.PairedRecall{All: metrics.NewStudyRecall(rows, len(p.rows), pairedAt...), Unique: metrics.NewStudyRecall(first, len(a.studies), pairedAt...)}
	ranks := make([]float64, len(a.studies))
	for i, q := range out.Reports.Ranks {
		ranks[i] = float64(q.Total)
	}
	asked := result.Rows{IDs: a.studies, Studies: a.studies, Patients: a.patients, Findings: []string{"rank"}, S: [][]float64{ranks}}
	if err := errors.Join(r.F.intervals(out, metrics.ClustersOf(a.patients)), asked.Write(r.F.Run.Dir, r.F.Name)); err != nil {
		return nil, err
	}
	labels := rowsOf(p.y, len(p.rows))
	all, err := r.read(p, stretch{0, len(p.rows)})
	if err != nil {
		return nil, err
	}
	if out.Volumes, err = metrics.VolumeRecall(all.volumes, all.volumes, labels, p.patients, metrics.Cosine, 1, 5, 10, volumeHits); err != nil {
		return nil, fmt.Errorf("volume to volume: %w", err)
	}
	out.CTCLIP = metrics.NewVolumeMap(hits, labels, 1, 5, 10, volumeHits)
	for i, study := range a.shown() {
		q := result.Query{Study: a.studies[study]}
		for _, h := range shown[i] {
			q.Hits = append(q.Hits, result.Hit{Volume: p.rows[h.Row].Volume, Study: p.rows[h.Row].Study, Score: h.Score})
		}
		out.Gallery = append(out.Gallery, q)
	}
	return out, nil
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
