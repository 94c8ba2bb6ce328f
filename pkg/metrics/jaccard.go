package metrics

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// findings holds the present findings of each row as bits.
type findings [][]uint64

// newFindings takes 1 for present; anything else, unknown too, is not.
func newFindings(labels [][]int8) findings {
	out := make(findings, len(labels))
	for i, row := range labels {
		out[i] = make([]uint64, (len(row)+63)/64)
		for f, v := range row {
			if v == 1 {
				out[i][f/64] |= 1 << (f % 64)
			}
		}
	}
	return out
}

// jaccard is |a and b| / |a or b|; two rows without findings agree fully: 1.
func jaccard(a, b []uint64) float64 {
	both, either := 0, 0
	for i, x := range a {
		both += bits.OnesCount64(x & b[i])
		either += bits.OnesCount64(x | b[i])
	}
	if either == 0 {
		return 1
	}
	return float64(both) / float64(either)
}

func none(a []uint64) bool { return !slices.ContainsFunc(a, func(x uint64) bool { return x != 0 }) }

func shareFinding(a, b []uint64) bool {
	for i, x := range a {
		if x&b[i] != 0 {
			return true
		}
	}
	return false
}

// LabelRecall says how alike the findings of the retrieved volumes are to those of the query volume. A query whose pool
// has fewer than k rows does not count at k.
type LabelRecall struct {
	Shared       Relevance        `json:"shared"`            // relevant: at least one finding in common
	Identical    Relevance        `json:"identical"`         // relevant: the same findings, also none
	JaccardAtK   map[int]*float64 `json:"jaccard_at_k"`      // mean over queries of the mean over the top k
	NDCGAtK      map[int]*float64 `json:"ndcg_jaccard_at_k"` // gain: Jaccard; discount: log2(1 + rank); queries with no gain in their pool do not count
	Chance       LabelChance      `json:"chance"`            // the same for a random order: exact, not drawn
	NQueries     int              `json:"n_queries"`
	NPool        int              `json:"n_pool"`
	NSamePatient int              `json:"n_same_patient"` // pairs of a query and another volume of its patient, which is not in its pool
}

// LabelChance is what a random order scores.
type LabelChance struct {
	JaccardAtK map[int]*float64 `json:"jaccard_at_k"`
}

// Relevance is retrieval of what is relevant or is not. R is the number of relevant rows in a query's pool.
type Relevance struct {
	MapAtK     map[int]*float64 `json:"map_at_k"`             // mean of Σ precision at relevant ranks up to k / min(R, k)
	MapCutTrec map[int]*float64 `json:"map_cut_trec"`         // likewise / R, as trec_eval's map_cut
	MapCutHits map[int]*float64 `json:"map_cut_hits"`         // likewise / the relevant ones up to k, as torchmetrics; 0 where there are none
	RecallAtK  map[int]*float64 `json:"recall_fraction_at_k"` // mean share of the R in the top k
	Map        *float64         `json:"map"`                  // over the whole ranking
	MRR        *float64         `json:"mrr"`                  // mean of 1 / rank of the first relevant
	NSkipped   int              `json:"n_skipped"`            // queries with R = 0; they count nowhere
}

// VolumeRecall retrieves volumes by a volume: row i of labels and patient describe pool row i and query i. Neither the
// query's own row nor another volume of its patient is in the query's pool.
func VolumeRecall[T Float](queries, pool [][]T, labels [][]int8, patient []string, by Similarity, ks ...int) (*LabelRecall, error) {
	if err := sameLength(queries, pool, labels, patient); err != nil {
		return nil, err
	}
	s, err := newSearch(queries, pool, by)
	if err != nil {
		return nil, err
	}
	ranked := make([]ranking, len(queries))
	own, rows, n := ClustersOf(patient).Of, newFindings(labels), 0
	for _, c := range own[:len(queries)] {
		for _, other := range own {
			if other == c {
				n++
			}
		}
	}
	s.each(func(q int, scores []float32) {
		var hits []Hit
		for row := range pool {
			if own[row] != own[q] {
				hits = append(hits, Hit{row, s.exact(q, row)})
			}
		}
		slices.SortFunc(hits, before)
		ranked[q] = rows.rank(rows[q], hits, ks)
	})
	out := summarise(ranked, ks)
	out.NQueries, out.NPool, out.NSamePatient = len(queries), len(pool), n-len(queries)
	return out, nil
}

// ranking is one query's figures, at each k; NaN where undefined.
type ranking struct {
	jaccard, ndcg     []float64
	chance            float64
	shared, identical relevance
}

type relevance struct {
	mapAt, trec, hits, recall []float64
	ap, rr                    float64
}

func (f findings) rank(query []uint64, hits []Hit, ks []int) (r ranking) {
	gain := make([]float64, len(hits))
	for i, h := range hits {
		gain[i] = jaccard(query, f[h.Row])
	}
	ideal := slices.Clone(gain)
	slices.Sort(ideal)
	slices.Reverse(ideal)
	r.chance = total(gain) / float64(len(gain)) // NaN for an empty pool
	for _, k := range ks {
		mean, ndcg := math.NaN(), math.NaN()
		if k <= len(hits) {
			mean = total(gain[:k]) / float64(k)
			ndcg = discounted(gain[:k]) / discounted(ideal[:k]) // NaN where nothing can be gained
		}
		r.jaccard, r.ndcg = append(r.jaccard, mean), append(r.ndcg, ndcg)
	}
	r.shared = relevant(hits, ks, func(row int) bool { return shareFinding(query, f[row]) })
	r.identical = relevant(hits, ks, func(row int) bool { return slices.Equal(query, f[row]) })
	return r
}

func total(v []float64) (s float64) {
	for _, x := range v {
		s += x
	}
	return s
}

// discounted is the discounted cumulative gain (Järvelin and Kekäläinen 2002, with log2(1 + rank) from the first rank).
func discounted(gain []float64) (s float64) {
	for i, g := range gain {
		s += g / math.Log2(float64(i+2))
	}
	return s
}

func relevant(hits []Hit, ks []int, is func(row int) bool) relevance {
	var ranks []int // of relevant rows
	for i, h := range hits {
		if is(h.Row) {
			ranks = append(ranks, i+1)
		}
	}
	nan := math.NaN()
	r, all := relevance{ap: nan, rr: nan}, float64(len(ranks))
	precisions := func(k int) (found int, sum float64) {
		for found < len(ranks) && ranks[found] <= k {
			sum += float64(found+1) / float64(ranks[found])
			found++
		}
		return found, sum
	}
	if len(ranks) > 0 {
		_, sum := precisions(len(hits))
		r.ap, r.rr = sum/all, 1/float64(ranks[0])
	}
	for _, k := range ks {
		at, trec, cut, recall := nan, nan, nan, nan
		if found, sum := precisions(k); len(ranks) > 0 && k <= len(hits) {
			at, trec, cut, recall = sum/min(all, float64(k)), sum/all, sum/float64(max(found, 1)), float64(found)/all
		}
		r.mapAt, r.trec, r.hits, r.recall = append(r.mapAt, at), append(r.trec, trec), append(r.hits, cut), append(r.recall, recall)
	}
	return r
}

func summarise(ranked []ranking, ks []int) *LabelRecall {
	over := func(of func(r ranking) float64) *float64 {
		values := make([]float64, len(ranked))
		for q, r := range ranked {
			values[q] = of(r)
		}
		return mean(values)
	}
	atK := func(of func(r ranking, i int) float64) map[int]*float64 {
		out := map[int]*float64{}
		for i, k := range ks {
			out[k] = over(func(r ranking) float64 { return of(r, i) })
		}
		return out
	}
	judged := func(of func(r ranking) relevance) (out Relevance) {
		out.MapAtK = atK(func(r ranking, i int) float64 { return of(r).mapAt[i] })
		out.MapCutTrec = atK(func(r ranking, i int) float64 { return of(r).trec[i] })
		out.MapCutHits = atK(func(r ranking, i int) float64 { return of(r).hits[i] })
		out.RecallAtK = atK(func(r ranking, i int) float64 { return of(r).recall[i] })
		out.Map = over(func(r ranking) float64 { return of(r).ap })
		out.MRR = over(func(r ranking) float64 { return of(r).rr })
		for _, r := range ranked {
			if math.IsNaN(of(r).ap) {
				out.NSkipped++
			}
		}
		return out
	}
	return &LabelRecall{
		Shared:     judged(func(r ranking) relevance { return r.shared }),
		Identical:  judged(func(r ranking) relevance { return r.identical }),
		JaccardAtK: atK(func(r ranking, i int) float64 { return r.jaccard[i] }),
		NDCGAtK:    atK(func(r ranking, i int) float64 { return r.ndcg[i] }),
		Chance: LabelChance{atK(func(r ranking, i int) float64 {
			return r.chance + 0*r.jaccard[i] // undefined where that is
		})},
	}
}

// VolumeMap is the figure that CT-CLIP's script calls MAP@k, beside what it is made of. It is not average precision, the
// query is in its own pool, volumes without findings are queries but not in the pool, and the mean at each k runs on
// over all smaller k. Kept to compare with published numbers; VolumeRecall is what we would defend.
type VolumeMap struct {
	MapAtK     map[int]*float64 `json:"map_at_k"`     // as shipped
	JaccardAtK map[int]*float64 `json:"jaccard_at_k"` // before the running mean
	ChanceAtK  map[int]*float64 `json:"chance_at_k"`  // of MapAtK when all but the query itself comes back in random order
	NQueries   int              `json:"n_queries"`
	NPool      int              `json:"n_pool"`
}

// CTCLIPVolumeMap follows volume_to_volume_new.py of CT-CLIP (commit a2a155c): cosine, ks ascending (theirs: 1, 5, 10,
// 50), k cut silently to the pool. Row i of labels describes pool row i and query i.
func CTCLIPVolumeMap[T Float](queries, volumes [][]T, labels [][]int8, ks ...int) (*VolumeMap, error) {
	if err := sameLength(queries, volumes, labels, nil); err != nil {
		return nil, err
	}
	hits, err := TopK(queries, volumes, Cosine, slices.Max(ks), func(_, row int) bool { return !InVolumeMap(labels[row]) })
	return NewVolumeMap(hits, labels, ks...), err
}

// InVolumeMap says whether a volume of these findings is in the script's pool.
func InVolumeMap(labels []int8) bool { return slices.Contains(labels, 1) }

// NewVolumeMap computes it of the hits of each query, the first ones of labels.
func NewVolumeMap(hits [][]Hit, labels [][]int8, ks ...int) *VolumeMap {
	rows := newFindings(labels)
	pool := slices.DeleteFunc(slices.Clone(rows), none)
	out := &VolumeMap{map[int]*float64{}, map[int]*float64{}, map[int]*float64{}, len(hits), len(pool)}
	if len(pool) == 0 || len(hits) == 0 {
		return out
	}
	var running, floor float64
	for i, k := range ks {
		k := min(k, len(pool))
		var sum, chance float64
		for q, h := range hits {
			for _, hit := range h[:k] {
				sum += jaccard(rows[q], rows[hit.Row]) / float64(k)
			}
			chance += randomWithSelf(rows[q], pool, k)
		}
		n := float64(len(hits))
		running, floor = running+sum/n, floor+chance/n
		out.JaccardAtK[ks[i]] = Defined(sum/n, true)
		out.MapAtK[ks[i]] = Defined(running/float64(i+1), true)
		out.ChanceAtK[ks[i]] = Defined(floor/float64(i+1), true)
	}
	return out
}

// randomWithSelf is the expected mean Jaccard of a query's top k when it finds itself first and the rest by chance.
func randomWithSelf(query []uint64, pool findings, k int) float64 {
	if none(query) {
		return 0 // no finding: nothing in the pool shares one, nor is the query there
	}
	sum := -1.0 // the query itself
	for _, row := range pool {
		sum += jaccard(query, row)
	}
	if len(pool) == 1 {
		return 1
	}
	return (1 + float64(k-1)*sum/float64(len(pool)-1)) / float64(k)
}

func sameLength[T Float](queries, pool [][]T, labels [][]int8, patient []string) error {
	if len(labels) != len(pool) || len(queries) > len(pool) || patient != nil && len(patient) != len(pool) {
		return fmt.Errorf("metrics: %d queries, %d pool rows, %d label rows, %d patients", len(queries), len(pool), len(labels), len(patient))
	}
	for i, row := range labels {
		if len(row) != len(labels[0]) {
			return fmt.Errorf("metrics: label row %d has %d findings, the first %d", i, len(row), len(labels[0]))
		}
	}
	return nil
}
