package metrics

import (
	"fmt"
	"math"
	"math/bits"
	"runtime"
	"slices"
	"sync"
)

// Resampling says how replicates are drawn.
type Resampling struct {
	N         int       // replicates; 0 means 2000
	Seed      uint64    // replicate b depends on Seed and b alone, so any number of goroutines draws the same
	Resamples [][]int32 // when set, used instead of N and Seed: each row lists the drawn clusters, one for each cluster
}

// Clusters numbers what is resampled as a whole (patients) by first appearance.
type Clusters struct {
	N  int
	Of []int32 // cluster of each row
}

// ClustersOf takes the patient of each row.
func ClustersOf(patient []string) Clusters {
	c := Clusters{Of: make([]int32, len(patient))}
	number := map[string]int32{}
	for i, p := range patient {
		n, seen := number[p]
		if !seen {
			n = int32(len(number))
			number[p] = n
		}
		c.Of[i] = n
	}
	c.N = len(number)
	return c
}

// Statistic is a figure that can be computed when cluster c counts weight[c] times; ok is false when it is undefined
// there. It must be safe for concurrent use.
type Statistic interface {
	At(weight []int32) (value float64, ok bool)
	// Without sets value[c] to the figure of all clusters but c, NaN where that is undefined.
	Without(value []float64)
}

// Replicates holds the value of every statistic on the data as they are, on each resample and with each cluster
// left out. NaN marks an undefined value.
type Replicates struct {
	Clusters  int
	full      []float64
	draws     [][]float64 // [statistic][replicate]
	jackknife [][]float64 // [statistic][cluster left out]
}

// Bootstrap draws clusters with replacement and evaluates every statistic on every draw.
func Bootstrap(clusters int, stats []Statistic, o Resampling) (*Replicates, error) {
	if clusters < 1 {
		return nil, fmt.Errorf("metrics: bootstrap of %d clusters", clusters)
	}
	n := o.N
	if n == 0 {
		n = 2000
	}
	draw := func(b int, weight []int32) { drawWeights(o.Seed, b, weight) }
	if o.Resamples != nil {
		n = len(o.Resamples)
		if err := checkResamples(o.Resamples, clusters); err != nil {
			return nil, err
		}
		draw = func(b int, weight []int32) {
			clear(weight)
			for _, c := range o.Resamples[b] {
				weight[c]++
			}
		}
	}
	r := &Replicates{Clusters: clusters, full: make([]float64, len(stats)), draws: grid(len(stats), n), jackknife: grid(len(stats), clusters)}
	all := slices.Repeat([]int32{1}, clusters)
	for i, s := range stats {
		r.full[i] = valueOrNaN(s.At(all))
	}
	evaluate(stats, clusters, draw, r.draws)
	for i, s := range stats {
		s.Without(r.jackknife[i])
	}
	return r, nil
}

// evaluate fills out[statistic][b] for every b; each goroutine takes every k-th b, so none shares a cell.
func evaluate(stats []Statistic, clusters int, draw func(b int, weight []int32), out [][]float64) {
	if len(stats) == 0 {
		return
	}
	n, workers := len(out[0]), runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			weight := make([]int32, clusters)
			for b := w; b < n; b += workers {
				draw(b, weight)
				for i, s := range stats {
					out[i][b] = valueOrNaN(s.At(weight))
				}
			}
		})
	}
	wg.Wait()
}

// drawWeights counts len(weight) draws with replacement. The k-th draw of replicate b is a hash of seed, b and k
// (SplitMix64: Steele, Lea and Flood, OOPSLA 2014), reduced to a cluster by the high word of a product.
func drawWeights(seed uint64, b int, weight []int32) {
	clear(weight)
	state := mix(mix(seed) + uint64(b))
	for range weight {
		state += 0x9e3779b97f4a7c15
		cluster, _ := bits.Mul64(mix(state), uint64(len(weight)))
		weight[cluster]++
	}
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func checkResamples(rows [][]int32, clusters int) error {
	if len(rows) == 0 {
		return fmt.Errorf("metrics: no resamples")
	}
	for b, row := range rows {
		if len(row) != clusters {
			return fmt.Errorf("metrics: resample %d has %d clusters of %d", b, len(row), clusters)
		}
		for _, c := range row {
			if c < 0 || int(c) >= clusters {
				return fmt.Errorf("metrics: resample %d: cluster %d of %d", b, c, clusters)
			}
		}
	}
	return nil
}

func valueOrNaN(v float64, ok bool) float64 {
	if !ok {
		return math.NaN()
	}
	return v
}

func grid(rows, columns int) [][]float64 {
	out, cells := make([][]float64, rows), make([]float64, rows*columns)
	for i := range out {
		out[i] = cells[i*columns : (i+1)*columns : (i+1)*columns]
	}
	return out
}
