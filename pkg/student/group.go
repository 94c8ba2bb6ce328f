package student

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"silverbeam/pkg/rules"
)

// Near copies are texts whose sets of five-word runs have a Jaccard index of at least nearCopy: normal reports repeat each
// other, and a fold that holds one's copy has seen its answer.
const (
	shingleWords = 5
	nearCopy     = 0.7
)

// groups joins the rows that must share a fold: near copies, and rows of one cluster (a patient; "" is no cluster). It
// gives each row its group's first row.
func groups(reports []Report) []int {
	of := make(forest, len(reports))
	sets := make([][]hash, len(reports))
	first := map[string]int{}
	for i, r := range reports {
		of[i] = i
		sets[i] = shingles(r.Text)
		if j, ok := first[r.Cluster]; r.Cluster != "" && ok {
			of.join(i, j)
		} else {
			first[r.Cluster] = i
		}
	}
	of.joinCopies(sets)
	for i := range of {
		of[i] = of.find(i)
	}
	return of
}

// shingles are the distinct runs of five words of a text, or the whole text where it has fewer, as hashes in order.
func shingles(text string) (set []hash) {
	var words []hash
	rules.Words(text, func(w []byte, mark bool) {
		if !mark {
			words = append(words, hashStart.add(string(w)))
		}
	})
	for i := 0; i == 0 || i+shingleWords <= len(words); i++ {
		h := hashStart
		for _, w := range words[i:min(i+shingleWords, len(words))] {
			for b := range 8 {
				h = h.byte(byte(w >> (8 * b)))
			}
		}
		set = append(set, h)
	}
	slices.Sort(set)
	return slices.Compact(set)
}

// forest is union-find; every tree's root is its smallest row.
type forest []int

func (f forest) find(i int) int {
	for f[i] != i {
		f[i] = f[f[i]]
		i = f[i]
	}
	return i
}

func (f forest) join(i, j int) {
	a, b := f.find(i), f.find(j)
	f[max(a, b)] = min(a, b)
}

// joinCopies finds every pair at nearCopy or above that is not joined yet. Two sets with Jaccard index t or more share an
// element within the first |x| - ⌈t|x|⌉ + 1 of each, in any order common to both (Bayardo 2007); rare ones first makes
// such pairs few.
func (f forest) joinCopies(sets [][]hash) {
	count := map[hash]int{}
	for _, set := range sets {
		for _, h := range set {
			count[h]++
		}
	}
	having := map[hash][]int{} // prefix element → rows so far
	tried := make([]int, len(sets))
	for i, set := range sets {
		rare := slices.Clone(set)
		slices.SortFunc(rare, func(a, b hash) int { return cmp.Or(cmp.Compare(count[a], count[b]), cmp.Compare(a, b)) })
		prefix := len(set) - ceil(nearCopy*float64(len(set))) + 1
		for _, h := range rare[:prefix] {
			for _, j := range having[h] {
				if tried[j] != i && f.find(i) != f.find(j) && jaccard(set, sets[j]) >= nearCopy {
					f.join(i, j)
				}
				tried[j] = i
			}
			having[h] = append(having[h], i)
		}
	}
}

// ceil rounds up, a hair's breadth of rounding error forgiven.
func ceil(x float64) int {
	n := int(x)
	if x-float64(n) > 1e-9 {
		n++
	}
	return n
}

// jaccard is the share of elements in both among those in either; the sets are sorted.
func jaccard(a, b []hash) float64 {
	both := 0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] < b[j]:
			i++
		case a[i] > b[j]:
			j++
		default:
			both, i, j = both+1, i+1, j+1
		}
	}
	return float64(both) / float64(len(a)+len(b)-both)
}

// folds deals whole groups to n folds: shuffled by seed, the largest first, each to the fold with the fewest rows.
func folds(group []int, n int, seed int64) []int {
	size := map[int]int{}
	var roots []int
	for i, g := range group {
		if g == i {
			roots = append(roots, g)
		}
		size[g]++
	}
	r := rand.New(rand.NewPCG(uint64(seed), 0))
	r.Shuffle(len(roots), func(i, j int) { roots[i], roots[j] = roots[j], roots[i] })
	slices.SortStableFunc(roots, func(a, b int) int { return cmp.Compare(size[b], size[a]) })
	rows, foldOf := make([]int, n), map[int]int{}
	for _, g := range roots {
		least := slices.Index(rows, slices.Min(rows))
		rows[least] += size[g]
		foldOf[g] = least
	}
	of := make([]int, len(group))
	for i, g := range group {
		of[i] = foldOf[g]
	}
	return of
}
