package metrics

import (
	"cmp"
	"container/heap"
	"slices"
)

// Strata divides the rows of a label table by the rarest finding that they have and by whether that one is in doubt.
type Strata struct {
	rank []int // of each finding among the own ones, 0 the rarest; own: together with all that are more common
	own  int   // -1: one stratum in all
}

// NewStrata makes strata for a sample of n rows. count says in how many rows each finding is present or in doubt. Fewer
// findings have strata of their own where n is so small that a stratum would get less than four rows; below twelve there
// is one stratum.
func NewStrata(count []int, n int) Strata {
	order := make([]int, len(count))
	for f := range order {
		order[f] = f
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(count[a], count[b]) })
	s := Strata{rank: make([]int, len(count)), own: min(len(count), (n/4-3)/2)}
	if n < 12 {
		s.own = -1
	}
	for r, f := range order {
		s.rank[f] = min(r, s.own)
	}
	return s
}

// N is the number of strata.
func (s Strata) N() int { return 2*(s.own+1) + 1 }

// Of is the stratum of a row, from 0. marked says of each finding whether it is present or in doubt, doubt the latter.
func (s Strata) Of(marked, doubt []bool) int {
	rarest := -1
	for f, m := range marked {
		if m && (rarest < 0 || s.rank[f] < s.rank[rarest] || s.rank[f] == s.rank[rarest] && doubt[f]) {
			rarest = f
		}
	}
	switch {
	case rarest < 0 || s.own < 0:
		return s.N() - 1
	case doubt[rarest]:
		return 2*s.rank[rarest] + 1
	}
	return 2 * s.rank[rarest]
}

// Finding is the finding that a stratum is of, or -1 where it is of no single one, and whether it is in doubt there.
func (s Strata) Finding(stratum int) (finding int, doubt bool) {
	if stratum < 2*s.own {
		finding = slices.Index(s.rank, stratum/2)
	} else {
		finding = -1
	}
	return finding, stratum%2 == 1
}

// Allocate divides n draws among strata of these sizes: half of them as equally as the sizes allow, so that a small
// stratum gets its share, the rest in proportion to what is left, so that no row comes to stand for far more rows than
// others. No stratum gets more than it has, nor less than two of them where n allows.
func Allocate(sizes []int, n int) []int {
	take, total := make([]int, len(sizes)), 0
	for _, size := range sizes {
		total += size
	}
	if n >= total {
		return slices.Clone(sizes)
	}
	level := 1
	for used := func(level int) (sum int) {
		for _, size := range sizes {
			sum += min(size, level)
		}
		return sum
	}; used(level+1) <= max(n/2, used(2)) && used(level+1) <= n; level++ {
	}
	left, rest := n, 0
	for h, size := range sizes {
		take[h] = min(size, level, left)
		left -= take[h]
		rest += size - take[h]
	}
	order, remainder := make([]int, len(sizes)), make([]int, len(sizes))
	given := 0
	for h, size := range sizes {
		quota := left * (size - take[h])
		order[h], remainder[h] = h, quota%rest
		take[h] += quota / rest
		given += quota / rest
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(remainder[b], remainder[a]) })
	for _, h := range order[:left-given] {
		take[h]++
	}
	return take
}

// Draw is one row of a stratified sample.
type Draw struct {
	Row     int64 // in the table
	ID      string
	Stratum int
	Weight  float64 // rows of its stratum for each one drawn

	lot uint64
}

// Drawing draws a stratified sample from rows that come one after the other: those with the least random lots.
type Drawing struct {
	Size []int // rows seen of each stratum

	n     int
	seed  uint64
	rows  int64
	least []lots // of each stratum, at most n
}

// NewDrawing begins a sample of n rows. The same seed draws the same rows of the same table.
func NewDrawing(strata, n int, seed uint64) *Drawing {
	return &Drawing{Size: make([]int, strata), n: n, seed: seed, least: make([]lots, strata)}
}

// Add passes the next row by.
func (d *Drawing) Add(id string, stratum int) {
	x := Draw{Row: d.rows, ID: id, Stratum: stratum, lot: mix(mix(d.seed) + uint64(d.rows))}
	d.rows++
	d.Size[stratum]++
	least := &d.least[stratum]
	switch {
	case len(*least) < d.n:
		heap.Push(least, x)
	case x.less((*least)[0]):
		(*least)[0] = x
		heap.Fix(least, 0)
	}
}

// Sample gives the drawn rows in the table's order.
func (d *Drawing) Sample() (drawn []Draw) {
	for h, n := range Allocate(d.Size, d.n) {
		all := slices.SortedFunc(slices.Values(d.least[h]), func(a, b Draw) int { return cmp.Or(cmp.Compare(a.lot, b.lot), cmp.Compare(a.Row, b.Row)) })
		for _, x := range all[:n] {
			x.Weight = float64(d.Size[h]) / float64(n)
			drawn = append(drawn, x)
		}
	}
	slices.SortFunc(drawn, func(a, b Draw) int { return cmp.Compare(a.Row, b.Row) })
	return drawn
}

func (x Draw) less(y Draw) bool { return x.lot < y.lot || x.lot == y.lot && x.Row < y.Row }

// lots is a heap with the greatest lot on top.
type lots []Draw

func (l lots) Len() int           { return len(l) }
func (l lots) Less(i, j int) bool { return l[j].less(l[i]) }
func (l lots) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *lots) Push(x any)        { *l = append(*l, x.(Draw)) }
func (l *lots) Pop() any {
	old := *l
	x := old[len(old)-1]
	*l = old[:len(old)-1]
	return x
}
