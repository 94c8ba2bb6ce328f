package metrics

import (
	"fmt"
	"math"
	"slices"
)

// StudyRank is where one query's own study stands among the studies of the pool, best = 1.
type StudyRank struct {
	Total       int     // by score descending, then by first pool row: decides recall@k and MRR
	Mid         float64 // ties shared evenly
	Pessimistic int     // all ties ahead
}

// StudyRecall is report→volume retrieval as a user means it: a query is right when any reconstruction of its own study
// comes back. A study's score is that of its best reconstruction, and the pool is counted in studies, so that several
// reconstructions of a study are neither a help nor a miss.
type StudyRecall struct {
	RecallAtK   map[int]*float64 `json:"recall_at_k"` // nil where k exceeds the pool
	ChanceAtK   map[int]*float64 `json:"chance_at_k"` // k / studies
	MRR         *float64         `json:"mrr"`
	MedianRank  *float64         `json:"median_rank"` // of Mid ranks
	Pessimistic *float64         `json:"median_rank_pessimistic"`
	NQueries    int              `json:"n_queries"`
	NPool       int              `json:"n_pool"`    // studies
	NSkipped    int              `json:"n_skipped"` // queries whose study is not in the pool; they count nowhere
	Ranks       []StudyRank      `json:"-"`         // one per query; zero where skipped
}

// RankStudies ranks the pool's studies for each query. study names the study of each query and of each pool row; equal
// scores are ordered by pool row, so pass the pool in ascending id.
func RankStudies[T Float](queries [][]T, queryStudy []string, pool [][]T, poolStudy []string, by Similarity, ks ...int) (*StudyRecall, error) {
	if len(queries) != len(queryStudy) || len(pool) != len(poolStudy) {
		return nil, fmt.Errorf("metrics: %d queries of %d studies, %d pool rows of %d studies", len(queries), len(queryStudy), len(pool), len(poolStudy))
	}
	s, err := newSearch(queries, pool, by)
	if err != nil {
		return nil, err
	}
	studies := ClustersOf(poolStudy)
	number := map[string]int32{}
	for i, id := range poolStudy {
		number[id] = studies.Of[i]
	}
	out := &StudyRecall{NPool: studies.N, Ranks: make([]StudyRank, len(queries))}
	s.each(func(q int, scores []float32) {
		if own, ok := number[queryStudy[q]]; ok {
			out.Ranks[q] = s.rankStudy(q, scores, studies, own)
		}
	})
	out.summarise(ks)
	return out, nil
}

// rankStudy compares every study's best score with that of own: in float32 where the difference exceeds the error
// bound, in float64 where it does not.
func (s *search[T]) rankStudy(q int, scores []float32, studies Clusters, own int32) StudyRank {
	best := math.Inf(-1)
	for i, c := range studies.Of {
		if c == own {
			best = max(best, s.exact(q, i))
		}
	}
	const behind, tied, ahead = 0, 1, 2
	place := make([]int8, studies.N)
	unit := s.unit(q)
	for i, c := range studies.Of {
		v := float64(scores[i]) * unit
		if math.Abs(v-best) <= 1.1*s.margin*unit {
			v = s.exact(q, i)
		}
		switch {
		case v > best:
			place[c] = ahead
		case v == best:
			place[c] = max(place[c], tied)
		}
	}
	first, last, before := 1, 0, 0 // studies are numbered by first pool row
	for c, p := range place {
		switch p {
		case ahead:
			first++
		case tied:
			last++ // own included
			if int32(c) < own {
				before++
			}
		}
	}
	last += first - 1
	return StudyRank{Total: first + before, Mid: float64(first+last) / 2, Pessimistic: last}
}

func (r *StudyRecall) summarise(ks []int) {
	var reciprocal float64
	var mid, pessimistic []float64
	for _, rank := range r.Ranks {
		if rank.Total == 0 {
			r.NSkipped++
			continue
		}
		reciprocal += 1 / float64(rank.Total)
		mid, pessimistic = append(mid, rank.Mid), append(pessimistic, float64(rank.Pessimistic))
	}
	r.NQueries = len(mid)
	r.RecallAtK, r.ChanceAtK = map[int]*float64{}, map[int]*float64{}
	for _, k := range ks {
		r.RecallAtK[k], r.ChanceAtK[k] = nil, nil
		if k <= r.NPool && r.NQueries > 0 {
			r.RecallAtK[k] = mean(r.Hits(k))
			r.ChanceAtK[k] = Defined(float64(k)/float64(r.NPool), true)
		}
	}
	if r.NQueries > 0 {
		r.MRR = Defined(reciprocal/float64(r.NQueries), true)
		slices.Sort(mid)
		slices.Sort(pessimistic)
		r.MedianRank = Defined(quantile(mid, 0.5), true)
		r.Pessimistic = Defined(quantile(pessimistic, 0.5), true)
	}
}

// Hits is 1 for each query whose study is among the first k, else 0; NaN where the query was skipped. With
// MeanStatistic it gives recall@k an interval by patient.
func (r *StudyRecall) Hits(k int) []float64 {
	hits := make([]float64, len(r.Ranks))
	for i, rank := range r.Ranks {
		switch {
		case rank.Total == 0:
			hits[i] = math.NaN()
		case rank.Total <= k:
			hits[i] = 1
		}
	}
	return hits
}

// mean is that of the values that are not NaN; nil when there are none.
func mean(values []float64) *float64 {
	sum, n := 0.0, 0
	for _, v := range values {
		if !math.IsNaN(v) {
			sum += v
			n++
		}
	}
	return Defined(sum/float64(n), n > 0)
}

// Choice is how often the right one of several candidates has the best score.
type Choice struct {
	Strict   *float64 `json:"accuracy_strict"`    // alone at the top
	TieAware *float64 `json:"accuracy_tie_aware"` // at the top, alone or not
	Expected *float64 `json:"accuracy_expected"`  // when ties at the top are broken by lot
	TieRate  *float64 `json:"tie_rate"`           // queries with several candidates at the top
	N        int      `json:"n_queries"`
}

// Choose compares query q with its own candidates by dot product; candidates[q][0] is the right one.
func Choose[T Float](queries [][]T, candidates [][][]T) (c Choice) {
	var strict, aware, expected, tied float64
	for q, of := range candidates {
		right, best, top := dot64(queries[q], of[0]), math.Inf(-1), 0
		for _, v := range of {
			s := dot64(queries[q], v)
			if s > best {
				best, top = s, 0
			}
			if s == best {
				top++
			}
		}
		if top > 1 {
			tied++
		}
		if right == best {
			aware++
			expected += 1 / float64(top)
			if top == 1 {
				strict++
			}
		}
	}
	share := func(v float64) *float64 { return Defined(v/float64(len(candidates)), len(candidates) > 0) }
	return Choice{share(strict), share(aware), share(expected), share(tied), len(candidates)}
}
