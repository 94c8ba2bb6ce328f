package metrics

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"silverbeam/pkg/simd"
)

// Hit is one retrieved row of a pool.
type Hit struct {
	Row   int
	Score float64
}

// TopK finds the k best rows of pool for each query by dot product, exactly: float32 finds candidates within its own
// error bound, float64 decides. Order is score descending, then row ascending: pass the pool in ascending id, and equal
// scores are in the order of their ids. skip, if not nil, leaves out rows (the query itself, its patient). Fewer than k
// hits come back when the pool is smaller.
func TopK(queries, pool [][]float32, k int, skip func(query, row int) bool) ([][]Hit, error) {
	s, err := newSearch(queries, pool)
	if err != nil {
		return nil, err
	}
	hits := make([][]Hit, len(queries))
	s.each(func(q int, scores []float32) { hits[q] = s.top(q, scores, k, skip) })
	return hits, nil
}

// Normalise scales each vector to length 1 in new memory, so that a dot product is a cosine; a zero vector is an error.
func Normalise(vectors [][]float32) ([][]float32, error) {
	out := make([][]float32, len(vectors))
	for i, v := range vectors {
		n := norm(v)
		if n == 0 || math.IsNaN(n) || math.IsInf(n, 0) {
			return nil, fmt.Errorf("metrics: vector %d has length %g", i, n)
		}
		out[i] = make([]float32, len(v))
		for j, x := range v {
			out[i][j] = float32(float64(x) / n)
		}
	}
	return out, nil
}

type search struct {
	queries, pool [][]float32
	norm          float64   // the longest row of the pool
	panels        []float32 // the pool in panels of panelRows rows, each transposed (dimension by row), for simd.Rows
}

// A panel of 512 dimensions is 256 kB, which stays in a second-level cache while queries pass over it.
const panelRows, queriesAtOnce = 128, 16

func newSearch(queries, pool [][]float32) (*search, error) {
	s := &search{queries: queries, pool: pool}
	for name, set := range map[string][][]float32{"query": queries, "pool row": pool} {
		for i, v := range set {
			if len(v) != len(set[0]) || len(pool) > 0 && len(v) != len(pool[0]) {
				return nil, fmt.Errorf("metrics: %s %d has %d dimensions, pool %d", name, i, len(v), len(pool[0]))
			}
			n := norm(v)
			if math.IsNaN(n) || math.IsInf(n, 0) {
				return nil, fmt.Errorf("metrics: %s %d: %w", name, i, ErrNaN)
			}
			if name == "pool row" {
				s.norm = max(s.norm, n)
			}
		}
	}
	s.pack()
	return s, nil
}

func (s *search) pack() {
	if len(s.pool) == 0 {
		return
	}
	d := len(s.pool[0])
	s.panels = make([]float32, (len(s.pool)+panelRows-1)/panelRows*panelRows*d)
	for i, v := range s.pool {
		panel := s.panels[i/panelRows*panelRows*d:]
		for k, x := range v {
			panel[k*panelRows+i%panelRows] = x
		}
	}
}

// each calls do for every query with its float32 scores of the whole pool, from as many goroutines as processors.
func (s *search) each(do func(q int, scores []float32)) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			var scores, block []float32
			for {
				from := int(next.Add(queriesAtOnce)) - queriesAtOnce
				if from >= len(s.queries) {
					return
				}
				to := min(from+queriesAtOnce, len(s.queries))
				scores, block = s.scores(scores, block, from, to)
				stride := len(scores) / queriesAtOnce
				for q := from; q < to; q++ {
					do(q, scores[(q-from)*stride:][:len(s.pool)])
				}
			}
		})
	}
	wg.Wait()
}

// scores multiplies queries from..to with every panel. It returns its two buffers for the next call.
func (s *search) scores(scores, block []float32, from, to int) (out, queries []float32) {
	d := len(s.queries[from])
	stride := (len(s.pool) + panelRows - 1) / panelRows * panelRows
	if scores == nil {
		scores, block = make([]float32, queriesAtOnce*stride), make([]float32, queriesAtOnce*d)
	}
	for q := from; q < to; q++ {
		copy(block[(q-from)*d:], s.queries[q])
	}
	for p := 0; p < stride; p += panelRows {
		simd.Rows(scores[p:], stride, block, d, zero, s.panels[p*d:], panelRows, zero, to-from, panelRows, d, false)
	}
	return scores, block
}

var zero = []int64{0} // a matrix product is one block at offset 0

// margin bounds the error of a float32 score of query q in any order of summation: n u |q| |p|, u = 2^-24 (Higham,
// Accuracy and Stability, 3.1), doubled for the products' own rounding.
func (s *search) margin(q int) float32 {
	return float32(2 * float64(len(s.queries[q])+1) / (1 << 24) * norm(s.queries[q]) * s.norm)
}

func (s *search) top(q int, scores []float32, k int, skip func(query, row int) bool) []Hit {
	rows := make([]int, 0, len(scores))
	for i := range scores {
		if skip == nil || !skip(q, i) {
			rows = append(rows, i)
		}
	}
	k = min(k, len(rows))
	if k <= 0 {
		return nil
	}
	floor := kthLargest(rows, scores, k) - 2*s.margin(q)
	var hits []Hit
	for _, i := range rows {
		if scores[i] >= floor {
			hits = append(hits, Hit{i, dot64(s.queries[q], s.pool[i])})
		}
	}
	slices.SortFunc(hits, func(a, b Hit) int {
		switch {
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		}
		return a.Row - b.Row
	})
	return hits[:k:k]
}

// kthLargest keeps the k largest scores in a heap with the smallest on top.
func kthLargest(rows []int, scores []float32, k int) float32 {
	heap := make([]float32, 0, k)
	for _, r := range rows {
		v := scores[r]
		if len(heap) < k {
			heap = append(heap, v)
			for i := len(heap) - 1; i > 0 && heap[(i-1)/2] > heap[i]; i = (i - 1) / 2 {
				heap[i], heap[(i-1)/2] = heap[(i-1)/2], heap[i]
			}
		} else if v > heap[0] {
			heap[0] = v
			for i := 0; ; {
				small := i
				for c := 2*i + 1; c <= 2*i+2 && c < k; c++ {
					if heap[c] < heap[small] {
						small = c
					}
				}
				if small == i {
					break
				}
				heap[i], heap[small], i = heap[small], heap[i], small
			}
		}
	}
	return heap[0]
}

func dot64(a, b []float32) (sum float64) {
	for i, x := range a {
		sum += float64(x) * float64(b[i])
	}
	return sum
}

func norm(v []float32) float64 { return math.Sqrt(dot64(v, v)) }
