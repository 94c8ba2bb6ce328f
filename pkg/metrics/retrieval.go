package metrics

import (
	"cmp"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"silverbeam/pkg/simd"
)

// Float is what vectors are made of. Either is ranked by its exact values.
type Float interface{ float32 | float64 }

// Similarity says how a vector is compared with another.
type Similarity bool

// The similarities. A zero vector has no cosine: an error.
const (
	Dot    Similarity = false
	Cosine Similarity = true
)

// Hit is one retrieved row of a pool.
type Hit struct {
	Row   int
	Score float64
}

// TopK finds the k most similar rows of pool for each query, exactly: float32 finds candidates within its own error
// bound, float64 decides, so that neither the processor nor the number of goroutines changes a bit. Order is score
// descending, then row ascending: pass the pool in ascending id, and equal scores are in the order of their ids. skip, if
// not nil, leaves out rows (the query itself, its patient). Fewer than k hits come back when the pool is smaller.
func TopK[T Float](queries, pool [][]T, by Similarity, k int, skip func(query, row int) bool) ([][]Hit, error) {
	s, err := newSearch(queries, pool, by)
	if err != nil {
		return nil, err
	}
	hits := make([][]Hit, len(queries))
	s.each(func(q int, scores []float32) { hits[q] = s.top(q, scores, k, skip) })
	return hits, nil
}

// Merge gives the k best hits of two parts of a pool, each in TopK's order and by its row in the whole pool: what TopK finds
// in both together.
func Merge(a, b []Hit, k int) []Hit {
	out := make([]Hit, 0, min(k, len(a)+len(b)))
	for len(out) < cap(out) {
		if len(b) == 0 || len(a) > 0 && before(a[0], b[0]) < 0 {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return out
}

// search scores pools in two ways: each gives float32 scores of vectors that were scaled to length 1 (a dot product's
// pool by its longest row), which are wrong by at most margin; exact gives float64 scores of the vectors as they are.
type search[T Float] struct {
	queries, pool         [][]T
	by                    Similarity
	queryLength, rowScale []float64 // lengths; rowScale is by what a row is divided in panels
	panels                []float32 // the pool in panels of panelRows rows, each transposed (dimension by row), for simd.Rows
	margin                float64
}

// A panel's piece of panelDepth dimensions is 32 kB, which stays in a first-level cache while queries pass over it.
const panelRows, panelDepth, mostQueries, scoresMost = 64, 128, 192, 1 << 25

func newSearch[T Float](queries, pool [][]T, by Similarity) (*search[T], error) {
	s := &search[T]{queries: queries, pool: pool, by: by}
	if err := s.measure(); err != nil {
		return nil, err
	}
	if by == Dot && len(pool) > 0 {
		longest := slices.Max(s.rowScale)
		for i := range s.rowScale {
			s.rowScale[i] = longest
		}
	}
	// A sum of d products is wrong by d u at most in any order (Higham, Accuracy and Stability of Numerical Algorithms, 3.1),
	// u = 2^-24; four roundings more for scaling and products, and doubled.
	d := s.width()
	s.margin = 2 * float64(d+4) / (1 << 24)
	s.pack(d)
	return s, nil
}

// width is the number of dimensions.
func (s *search[T]) width() int {
	switch {
	case len(s.pool) > 0:
		return len(s.pool[0])
	case len(s.queries) > 0:
		return len(s.queries[0])
	}
	return 0
}

// measure takes the lengths of all vectors.
func (s *search[T]) measure() (err error) {
	if s.queryLength, err = lengths("query", s.queries, s.width(), s.by); err != nil {
		return err
	}
	s.rowScale, err = lengths("pool row", s.pool, s.width(), s.by)
	return err
}

// lengths checks that vectors have d dimensions and lengths to divide by.
func lengths[T Float](name string, vectors [][]T, d int, by Similarity) ([]float64, error) {
	out := make([]float64, len(vectors))
	for i, v := range vectors {
		if len(v) != d {
			return nil, fmt.Errorf("metrics: %s %d has %d dimensions, the pool %d", name, i, len(v), d)
		}
		out[i] = math.Sqrt(dot64(v, v))
		switch {
		case math.IsNaN(out[i]) || math.IsInf(out[i], 0):
			return nil, fmt.Errorf("metrics: %s %d: %w", name, i, ErrNaN)
		case by == Cosine && out[i] == 0:
			return nil, fmt.Errorf("metrics: %s %d is a zero vector: it has no cosine", name, i)
		}
	}
	return out, nil
}

func (s *search[T]) stride() int { return (len(s.pool) + panelRows - 1) / panelRows * panelRows }

func (s *search[T]) pack(d int) {
	s.panels = make([]float32, s.stride()*d)
	for i, v := range s.pool {
		panel := s.panels[i/panelRows*panelRows*d+i%panelRows:]
		for k, x := range v {
			panel[k*panelRows] = scaled(x, s.rowScale[i])
		}
	}
}

func scaled[T Float](x T, by float64) float32 {
	if by == 0 {
		return 0
	}
	return float32(float64(x) / by)
}

// each calls do for every query with its float32 scores of the whole pool, from as many goroutines as processors.
func (s *search[T]) each(do func(q int, scores []float32)) {
	workers, stride := runtime.GOMAXPROCS(0), s.stride()
	atOnce := min(mostQueries, max(16, scoresMost/workers/max(stride, 1)), len(s.queries)/workers+1)
	var wg sync.WaitGroup
	var next atomic.Int64
	for range workers {
		wg.Go(func() {
			var scores, block []float32
			for {
				from := int(next.Add(int64(atOnce))) - atOnce
				if from >= len(s.queries) {
					return
				}
				queries := s.queries[from:min(from+atOnce, len(s.queries))]
				if scores == nil {
					scores, block = make([]float32, len(queries)*stride), make([]float32, len(queries)*len(queries[0]))
				}
				s.scores(scores, block, queries, s.queryLength[from:])
				for i := range queries {
					do(from+i, scores[i*stride:][:len(s.pool)])
				}
			}
		})
	}
	wg.Wait()
}

// scores multiplies queries, brought to length 1 in block, with every panel.
func (s *search[T]) scores(scores, block []float32, queries [][]T, length []float64) {
	d, stride := len(queries[0]), s.stride()
	for i, q := range queries {
		for k, x := range q {
			block[i*d+k] = scaled(x, length[i])
		}
	}
	for p := 0; p < stride; p += panelRows {
		for k := 0; k < d; k += panelDepth {
			simd.Rows(scores[p:], stride, block[k:], d, zero, simd.Matrix{Data: s.panels[p*d+k*panelRows:], Ld: panelRows, Next: simd.Panel}, zero, len(queries), panelRows, min(panelDepth, d-k), k > 0)
		}
	}
}

var zero = []int64{0} // a matrix product is one block at offset 0

// exact is the score of a pool row in float64, from the vectors as they are.
func (s *search[T]) exact(q, row int) float64 {
	v := dot64(s.queries[q], s.pool[row])
	if s.by == Cosine {
		v /= s.queryLength[q] * s.rowScale[row]
	}
	return v
}

// unit is by what a float32 score is multiplied to compare it with an exact one.
func (s *search[T]) unit(q int) float64 {
	if u := s.queryLength[q] * s.rowScale[0]; s.by == Dot && u > 0 {
		return u
	}
	return 1
}

func (s *search[T]) top(q int, scores []float32, k int, skip func(query, row int) bool) []Hit {
	floor := kthLargest(scores, k, func(row int) bool { return skip != nil && skip(q, row) })
	floor -= float32(2.1 * s.margin) // and the rounding of this difference
	var hits []Hit
	for i, v := range scores {
		if v >= floor && (skip == nil || !skip(q, i)) {
			hits = append(hits, Hit{i, s.exact(q, i)})
		}
	}
	slices.SortFunc(hits, before)
	return slices.Clip(hits[:min(k, len(hits))])
}

// before is the order of retrieval: total, so that it depends on nothing else.
func before(a, b Hit) int {
	if a.Score != b.Score {
		return cmp.Compare(b.Score, a.Score)
	}
	return a.Row - b.Row
}

// kthLargest keeps the k largest scores in a heap with the smallest on top; -Inf where there are fewer.
func kthLargest(scores []float32, k int, skip func(row int) bool) float32 {
	if k < 1 {
		return float32(math.Inf(1))
	}
	heap := slices.Repeat([]float32{float32(math.Inf(-1))}, min(k, len(scores)))
	for row, v := range scores {
		if v <= heap[0] || skip(row) {
			continue
		}
		heap[0] = v
		for i := 0; ; {
			small := i
			for c := 2*i + 1; c <= 2*i+2 && c < len(heap); c++ {
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
	if len(heap) == 0 || k > len(scores) {
		return float32(math.Inf(-1))
	}
	return heap[0]
}

// dot64 sums in four parts, always the same ones.
func dot64[T Float](a, b []T) float64 {
	var s [4]float64
	b = b[:len(a)]
	for len(a) >= 4 && len(b) >= 4 {
		s[0] += float64(a[0]) * float64(b[0])
		s[1] += float64(a[1]) * float64(b[1])
		s[2] += float64(a[2]) * float64(b[2])
		s[3] += float64(a[3]) * float64(b[3])
		a, b = a[4:], b[4:]
	}
	for i, x := range a {
		s[i] += float64(x) * float64(b[i])
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}
