package metrics

import (
	"fmt"
	"math"
	"slices"
)

// Jaccard is |a and b| / |a or b| of the present findings (1); two rows without findings agree fully: 1.
func Jaccard(a, b []int8) float64 {
	both, either := 0, 0
	for i, x := range a {
		if x == 1 && b[i] == 1 {
			both++
		}
		if x == 1 || b[i] == 1 {
			either++
		}
	}
	if either == 0 {
		return 1
	}
	return float64(both) / float64(either)
}

// LabelRecall says how alike the findings of the retrieved volumes are to those of the query volume.
type LabelRecall struct {
	JaccardAtK map[int]*float64  `json:"jaccard_at_k"` // mean over queries of the mean over the top k; nil where k exceeds a query's pool
	ChanceAtK  map[int]*float64  `json:"chance_at_k"`  // the same for a random order: exact, not drawn
	NQueries   int               `json:"n_queries"`
	NPool      int               `json:"n_pool"`
	PerQuery   map[int][]float64 `json:"-"` // per k, one value a query, NaN where undefined
}

// VolumeJaccard retrieves volumes by a volume, by dot product. Neither the query nor another volume of its patient is in
// the query's pool. labels holds one row of findings a volume; unknown counts as not present.
func VolumeJaccard(vectors [][]float32, labels [][]int8, patient []string, ks ...int) (*LabelRecall, error) {
	if err := sameLength(vectors, labels, patient); err != nil {
		return nil, err
	}
	own := ClustersOf(patient).Of
	skip := func(q, row int) bool { return own[q] == own[row] }
	hits, err := TopK(vectors, vectors, maxOf(ks), skip)
	if err != nil {
		return nil, err
	}
	random := make([]float64, len(vectors)) // mean over the query's pool
	for q := range vectors {
		sum, n := 0.0, 0
		for row := range vectors {
			if !skip(q, row) {
				sum += Jaccard(labels[q], labels[row])
				n++
			}
		}
		random[q] = sum / float64(n) // NaN for an empty pool
	}
	out := &LabelRecall{map[int]*float64{}, map[int]*float64{}, len(vectors), len(vectors), map[int][]float64{}}
	for _, k := range ks {
		values, chance := make([]float64, len(vectors)), make([]float64, len(vectors))
		for q, h := range hits {
			values[q], chance[q] = math.NaN(), math.NaN()
			if len(h) >= k {
				values[q], chance[q] = meanJaccard(labels, q, h[:k]), random[q]
			}
		}
		out.PerQuery[k], out.JaccardAtK[k], out.ChanceAtK[k] = values, mean(values), mean(chance)
	}
	return out, nil
}

// VolumeMap is the figure that CT-CLIP's script calls MAP@k, beside what it is made of. It is not average precision, the
// query is in its own pool, volumes without findings are queries but not in the pool, and the mean at each k runs on
// over all smaller k. Kept to compare with published numbers; VolumeJaccard is what we would defend.
type VolumeMap struct {
	MapAtK     map[int]*float64 `json:"map_at_k"`     // as shipped
	JaccardAtK map[int]*float64 `json:"jaccard_at_k"` // before the running mean
	ChanceAtK  map[int]*float64 `json:"chance_at_k"`  // of MapAtK when all but the query itself comes back in random order
	NQueries   int              `json:"n_queries"`
	NPool      int              `json:"n_pool"`
}

// CTCLIPVolumeMap follows volume_to_volume_new.py of CT-CLIP (commit a2a155c): cosine, ks ascending (theirs: 1, 5, 10,
// 50), k cut silently to the pool.
func CTCLIPVolumeMap(vectors [][]float32, labels [][]int8, ks ...int) (*VolumeMap, error) {
	if err := sameLength(vectors, labels, nil); err != nil {
		return nil, err
	}
	vectors, err := Normalise(vectors)
	if err != nil {
		return nil, err
	}
	var pool [][]float32
	var poolLabels [][]int8
	for i, row := range labels {
		if anyPresent(row) {
			pool, poolLabels = append(pool, vectors[i]), append(poolLabels, row)
		}
	}
	out := &VolumeMap{map[int]*float64{}, map[int]*float64{}, map[int]*float64{}, len(vectors), len(pool)}
	hits, err := TopK(vectors, pool, maxOf(ks), nil)
	if err != nil || len(pool) == 0 || len(vectors) == 0 {
		return out, err
	}
	var running, floor float64
	for i, k := range ks {
		k := min(k, len(pool))
		var sum, chance float64
		for q, h := range hits {
			for _, hit := range h[:k] {
				sum += Jaccard(labels[q], poolLabels[hit.Row]) / float64(k)
			}
			chance += randomWithSelf(labels[q], poolLabels, k)
		}
		n := float64(len(vectors))
		running, floor = running+sum/n, floor+chance/n
		out.JaccardAtK[ks[i]] = Defined(sum/n, true)
		out.MapAtK[ks[i]] = Defined(running/float64(i+1), true)
		out.ChanceAtK[ks[i]] = Defined(floor/float64(i+1), true)
	}
	return out, nil
}

// randomWithSelf is the expected mean Jaccard of a query's top k when it finds itself first and the rest by chance.
func randomWithSelf(query []int8, pool [][]int8, k int) float64 {
	if !anyPresent(query) {
		return 0 // no finding: nothing in the pool shares one, nor is the query there
	}
	sum := -1.0 // the query itself
	for _, row := range pool {
		sum += Jaccard(query, row)
	}
	if len(pool) == 1 {
		return 1
	}
	return (1 + float64(k-1)*sum/float64(len(pool)-1)) / float64(k)
}

func anyPresent(row []int8) bool { return slices.Contains(row, 1) }

func meanJaccard(labels [][]int8, q int, hits []Hit) (sum float64) {
	for _, h := range hits {
		sum += Jaccard(labels[q], labels[h.Row]) / float64(len(hits))
	}
	return sum
}

func maxOf(ks []int) (m int) {
	for _, k := range ks {
		m = max(m, k)
	}
	return m
}

func sameLength(vectors [][]float32, labels [][]int8, patient []string) error {
	if len(labels) != len(vectors) || patient != nil && len(patient) != len(vectors) {
		return fmt.Errorf("metrics: %d vectors, %d label rows, %d patients", len(vectors), len(labels), len(patient))
	}
	for i, row := range labels {
		if len(row) != len(labels[0]) {
			return fmt.Errorf("metrics: label row %d has %d findings, the first %d", i, len(row), len(labels[0]))
		}
	}
	return nil
}
