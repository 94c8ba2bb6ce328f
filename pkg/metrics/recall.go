package metrics

import (
	"fmt"
	"math"
	"slices"
)

// StudyRank is where one query's own study stands among the studies of the pool, best = 1.
type StudyRank struct {
	Total       int     // by score descending, then by first pool row: decides recall@k and MRR
	Optimistic  int     // all ties behind
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
	Optimistic  *float64         `json:"median_rank_optimistic"`
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
	own := s.own(queryStudy, poolStudy, studies)
	standings := make([]Standing, len(queries))
	s.each(func(q int, scores []float32) {
		if own[q].Number >= 0 {
			standings[q] = s.stand(q, scores, studies, own[q])
		}
	})
	return NewStudyRecall(standings, studies.N, ks...), nil
}

// Own is a query's own study: the score of its best row, and its number among the studies of a pool, which are numbered by
// first row.
type Own struct {
	Score  float64
	Number int
}

// OwnStudies finds each query's own study in a pool, or in the part of it where it is whole; its Number is -1 where it is not
// there.
func OwnStudies[T Float](queries [][]T, queryStudy []string, pool [][]T, poolStudy []string, by Similarity) ([]Own, error) {
	s := &search[T]{queries: queries, pool: pool, by: by}
	if err := s.measure(); err != nil {
		return nil, err
	}
	return s.own(queryStudy, poolStudy, ClustersOf(poolStudy)), nil
}

func (s *search[T]) own(queryStudy, poolStudy []string, studies Clusters) []Own {
	rows := map[string][]int{}
	for i, id := range poolStudy {
		rows[id] = append(rows[id], i)
	}
	out := make([]Own, len(s.queries))
	for q, id := range queryStudy {
		out[q] = Own{math.Inf(-1), -1}
		for _, i := range rows[id] {
			out[q] = Own{max(out[q].Score, s.exact(q, i)), int(studies.Of[i])}
		}
	}
	return out
}

// Standing counts the studies of a pool that are before a query's own one, and those level with it. Those of the parts of
// a pool add up. Zero: the query has no study in the pool.
type Standing struct {
	Ahead  int // score higher
	Before int // score the same, with a lower number
	Tied   int // score the same, own included
}

// Add takes in another part of the pool.
func (s Standing) Add(t Standing) Standing {
	return Standing{s.Ahead + t.Ahead, s.Before + t.Before, s.Tied + t.Tied}
}

// Stand gives the standing of each query's own study in one part of a pool, in which every study is whole. own numbers
// studies from the part's first one: below 0 is a study of an earlier part, the part's number of studies or more one of a
// later part.
func Stand[T Float](queries [][]T, own []Own, part [][]T, partStudy []string, by Similarity) ([]Standing, error) {
	s, err := newSearch(queries, part, by)
	if err != nil {
		return nil, err
	}
	out, studies := make([]Standing, len(queries)), ClustersOf(partStudy)
	s.each(func(q int, scores []float32) { out[q] = s.stand(q, scores, studies, own[q]) })
	return out, nil
}

// stand compares every study's best score with that of own: in float32 where the difference exceeds the error bound, in
// float64 where it does not.
func (s *search[T]) stand(q int, scores []float32, studies Clusters, own Own) (out Standing) {
	const behind, tied, ahead = 0, 1, 2
	place := make([]int8, studies.N)
	unit := s.unit(q)
	for i, c := range studies.Of {
		v := float64(scores[i]) * unit
		if math.Abs(v-own.Score) <= 1.1*s.margin*unit {
			v = s.exact(q, i)
		}
		switch {
		case v > own.Score:
			place[c] = ahead
		case v == own.Score:
			place[c] = max(place[c], tied)
		}
	}
	for c, p := range place {
		switch p {
		case ahead:
			out.Ahead++
		case tied:
			out.Tied++
			if c < own.Number {
				out.Before++
			}
		}
	}
	return out
}

// rank is what a standing in the whole pool comes to.
func (s Standing) rank() StudyRank {
	if s.Tied == 0 {
		return StudyRank{}
	}
	first, last := s.Ahead+1, s.Ahead+s.Tied
	return StudyRank{Total: first + s.Before, Optimistic: first, Mid: float64(first+last) / 2, Pessimistic: last}
}

// NewStudyRecall sums up the standings of queries in a whole pool of so many studies.
func NewStudyRecall(standings []Standing, studies int, ks ...int) *StudyRecall {
	out := &StudyRecall{NPool: studies, Ranks: make([]StudyRank, len(standings))}
	for q, s := range standings {
		out.Ranks[q] = s.rank()
	}
	out.summarise(ks)
	return out
}

func (r *StudyRecall) summarise(ks []int) {
	var reciprocal float64
	var mid, optimistic, pessimistic []float64
	for _, rank := range r.Ranks {
		if rank.Total == 0 {
			r.NSkipped++
			continue
		}
		reciprocal += 1 / float64(rank.Total)
		mid, optimistic, pessimistic = append(mid, rank.Mid), append(optimistic, float64(rank.Optimistic)), append(pessimistic, float64(rank.Pessimistic))
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
		median := func(ranks []float64) *float64 { slices.Sort(ranks); return Defined(quantile(ranks, 0.5), true) }
		r.MedianRank, r.Optimistic, r.Pessimistic = median(mid), median(optimistic), median(pessimistic)
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
