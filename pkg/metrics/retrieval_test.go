package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func vectors(rng *rand.Rand, n, d int) [][]float32 {
	out := make([][]float32, n)
	for i := range out {
		out[i] = make([]float32, d)
		for j := range out[i] {
			out[i][j] = float32(rng.NormFloat64())
		}
	}
	return out
}

func TestTopKAgainstFullSort(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	pool, queries := vectors(rng, 300, 33), vectors(rng, 20, 33)
	copy(pool[:50], pool[100:150]) // exact ties
	skip := func(q, row int) bool { return row%7 == q%7 }
	for _, k := range []int{1, 10, 299, 500} {
		got, err := TopK(queries, pool, Dot, k, skip)
		if err != nil {
			t.Fatal(err)
		}
		for q := range queries {
			var want []Hit
			for i, p := range pool {
				if !skip(q, i) {
					want = append(want, Hit{i, dot64(queries[q], p)})
				}
			}
			slices.SortStableFunc(want, func(a, b Hit) int {
				if a.Score > b.Score {
					return -1
				} else if a.Score < b.Score {
					return 1
				}
				return 0
			})
			if want = want[:min(k, len(want))]; !slices.Equal(got[q], want) {
				t.Fatalf("k = %d, query %d: %v, want %v", k, q, got[q], want)
			}
		}
	}
	pool[3][2] = float32(math.NaN())
	if _, err := TopK(queries, pool, Dot, 1, nil); err == nil {
		t.Error("a NaN in the pool passes")
	}
}

// Every study has two reconstructions; a perfect report-level model finds its study first, which counting array
// positions would call half right.
func TestStudiesAreThePool(t *testing.T) {
	study := []string{"s1", "s1", "s2", "s2", "s3", "s3"}
	pool := [][]float32{{1, 0, 0}, {.9, 0, .1}, {0, 1, 0}, {0, .9, 0}, {0, 0, 1}, {.1, .1, .8}}
	queries := [][]float32{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {0, 0, 1}}
	r, err := RankStudies(queries, []string{"s1", "s2", "s3", "unknown"}, pool, study, Dot, 1, 3, 5)
	if err != nil {
		t.Fatal(err)
	}
	if *r.RecallAtK[1] != 1 || *r.MRR != 1 || *r.MedianRank != 1 || r.NPool != 3 || r.NQueries != 3 || r.NSkipped != 1 {
		t.Errorf("%+v", r)
	}
	near(t, "chance", *r.ChanceAtK[1], 1./3, 1e-15)
	if r.RecallAtK[5] != nil || r.ChanceAtK[5] != nil {
		t.Error("recall at 5 of 3 studies is defined")
	}
}

func TestTiesHaveMidRanks(t *testing.T) {
	same := [][]float32{{1}, {1}, {1}, {1}, {1}}
	id := []string{"a", "b", "c", "d", "e"}
	r, err := RankStudies(same, id, same, id, Dot, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if *r.RecallAtK[1] != .2 || *r.RecallAtK[2] != .4 || *r.MedianRank != 3 || *r.Optimistic != 1 || *r.Pessimistic != 5 {
		t.Errorf("constant scores are not chance: %+v", r)
	}
}

func TestRanksAgainstFullSort(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	pool, queries := vectors(rng, 200, 16), vectors(rng, 50, 16)
	study, own := make([]string, 200), make([]string, 50)
	for i := range study {
		study[i] = string(rune('A' + i/4))
	}
	for i := range own {
		own[i] = string(rune('A' + i))
	}
	r, err := RankStudies(queries, own, pool, study, Dot, 10)
	if err != nil {
		t.Fatal(err)
	}
	for q := range queries {
		best := map[string]float64{}
		for i, p := range pool {
			if v, ok := best[study[i]]; !ok || dot64(queries[q], p) > v {
				best[study[i]] = dot64(queries[q], p)
			}
		}
		rank := 1
		for _, v := range best {
			if v > best[own[q]] {
				rank++
			}
		}
		if r.Ranks[q] != (StudyRank{rank, rank, float64(rank), rank}) {
			t.Errorf("query %d: %+v, want %d", q, r.Ranks[q], rank)
		}
	}
}

func TestVolumeJaccard(t *testing.T) {
	v := [][]float32{{1, 0}, {1, 0}, {.8, .6}, {0, 1}}
	labels := [][]int8{{1, 1}, {1, 1}, {1, 0}, {0, 0}}
	r, err := VolumeRecall(v, v, labels, []string{"p", "p", "q", "r"}, Dot, 1, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	// Query 1 and 2 (patient p) see only 3 and 4: J = 1/2 then 0. Query 3 sees 1, 2, 4: 1/2. Query 4 sees 3: 0.
	near(t, "jaccard@1", *r.JaccardAtK[1], (.5+.5+.5+0)/4, 1e-15)
	near(t, "chance@1", *r.Chance.JaccardAtK[1], (.25+.25+1./3+0)/4, 1e-15)
	near(t, "jaccard@3", *r.JaccardAtK[3], (1./3+0)/2, 1e-15) // only the queries with three candidates
	if f := newFindings([][]int8{{0, -1}, {0, 0}}); jaccard(f[0], f[1]) != 1 {
		t.Error("two volumes without findings do not agree")
	}
}

// The published script, spelled out: self in the pool, normal volumes not, means running on over k.
func TestVolumeMapAsShipped(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	v := vectors(rng, 60, 8)
	labels := make([][]int8, 60)
	for i := range labels {
		labels[i] = []int8{int8(rng.IntN(2)), int8(rng.IntN(3) / 2), int8(rng.IntN(4) / 3)}
	}
	ks := []int{1, 5, 10, 50}
	got, err := CTCLIPVolumeMap(v, v, labels, ks...)
	if err != nil {
		t.Fatal(err)
	}
	found := newFindings(labels)
	var pool []int
	for i, l := range labels {
		if l[0]+l[1]+l[2] > 0 {
			pool = append(pool, i)
		}
	}
	var ratios []float64
	for _, k := range ks {
		for q := range v {
			order := slices.Clone(pool)
			cosine := func(i int) float64 { return dot64(v[q], v[i]) / math.Sqrt(dot64(v[q], v[q])*dot64(v[i], v[i])) }
			slices.SortFunc(order, func(a, b int) int {
				if cosine(a) > cosine(b) {
					return -1
				}
				return 1
			})
			sum := 0.0
			order = order[:min(k, len(order))]
			for _, i := range order {
				sum += jaccard(found[q], found[i])
			}
			ratios = append(ratios, sum/float64(len(order)))
		}
		near(t, "map", *got.MapAtK[k], *mean(ratios), 1e-12)
	}
	if got.NPool != len(pool) || *got.ChanceAtK[1] != *got.MapAtK[1] {
		t.Errorf("pool %d, chance@1 %g, map@1 %g (both the share of queries with a finding)", got.NPool, *got.ChanceAtK[1], *got.MapAtK[1])
	}
}

// Random vectors must score at the chance level that is printed beside them.
func TestChanceLevels(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	const n = 600
	v := vectors(rng, n, 64)
	labels, patient := make([][]int8, n), make([]string, n)
	for i := range labels {
		patient[i] = string(rune(i))
		for f := range 18 {
			labels[i] = append(labels[i], 0)
			if rng.Float64() < .05+.02*float64(f) {
				labels[i][f] = 1
			}
		}
	}
	clean, err := VolumeRecall(v, v, labels, patient, Dot, 10)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "jaccard@10", *clean.JaccardAtK[10], *clean.Chance.JaccardAtK[10], .01)
	shipped, err := CTCLIPVolumeMap(v, v, labels, 1, 5, 10, 50)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []int{1, 5, 10, 50} {
		near(t, "map", *shipped.MapAtK[k], *shipped.ChanceAtK[k], .01)
	}
	recall, err := RankStudies(vectors(rng, n, 64), patient, v, patient, Dot, 50)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "recall@50", *recall.RecallAtK[50], *recall.ChanceAtK[50], .04) // 3.5 standard errors
}

// 3,039 queries over a pool of as many, 512 dimensions, the size of CT-RATE's validation split.
func BenchmarkTop100(b *testing.B) {
	v := vectors(rand.New(rand.NewPCG(1, 1)), 3039, 512)
	for b.Loop() {
		if _, err := TopK(v, v, Dot, 100, nil); err != nil {
			b.Fatal(err)
		}
	}
}
