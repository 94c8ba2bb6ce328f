package metrics

import (
	"math"
	"slices"
)

// Raters says how far several raters agree on the same rows. Chance-corrected figures are nil where chance alone agrees
// always: where there is one category only.
type Raters struct {
	Pairs        map[string]Agreement `json:"pairs"`                      // as A|B, on rows that both rated
	Fleiss       *float64             `json:"fleiss_kappa"`               // Fleiss 1971; on rows that all rated
	Alpha        *float64             `json:"krippendorff_alpha"`         // Krippendorff, Content Analysis, 2019, ch. 12; nominal
	AlphaOrdinal *float64             `json:"krippendorff_alpha_ordinal"` // categories in numeric order
	AC1          *float64             `json:"gwet_ac1"`                   // Gwet 2008; rows of any number of ratings
	NRows        int                  `json:"n_rows"`
	NComplete    int                  `json:"n_complete"` // rows that all rated
	NCategories  int                  `json:"n_categories"`
}

// NewRaters compares raters; ratings[row][rater] is a category, NaN where missing.
func NewRaters(names []string, ratings [][]float64) *Raters {
	var categories []float64
	for _, row := range ratings {
		for _, v := range row {
			if !math.IsNaN(v) {
				categories = append(categories, v)
			}
		}
	}
	slices.Sort(categories)
	categories = slices.Compact(categories)
	codes := make([][]int, len(ratings)) // -1: missing
	counts := make([][]float64, len(ratings))
	r := &Raters{Pairs: map[string]Agreement{}, NRows: len(ratings), NCategories: len(categories)}
	var complete [][]float64
	for i, row := range ratings {
		counts[i] = make([]float64, len(categories))
		n := 0
		for _, v := range row {
			code := -1
			if !math.IsNaN(v) {
				code, _ = slices.BinarySearch(categories, v)
				counts[i][code]++
				n++
			}
			codes[i] = append(codes[i], code)
		}
		if n == len(names) {
			complete = append(complete, counts[i])
		}
	}
	for a := range names {
		for b := a + 1; b < len(names); b++ {
			r.Pairs[names[a]+"|"+names[b]] = agree(codes, a, b, len(categories))
		}
	}
	r.NComplete = len(complete)
	r.Fleiss = fleiss(complete)
	r.Alpha = alpha(counts, func([]float64, int, int) float64 { return 1 })
	r.AlphaOrdinal = alpha(counts, ordinal)
	r.AC1 = ac1(counts)
	return r
}

// agree is Cohen's kappa of raters a and b on any categories.
func agree(codes [][]int, a, b, categories int) Agreement {
	of := [2][]float64{make([]float64, categories), make([]float64, categories)}
	same, n := 0, 0
	for _, row := range codes {
		if row[a] < 0 || row[b] < 0 {
			continue
		}
		n++
		of[0][row[a]]++
		of[1][row[b]]++
		if row[a] == row[b] {
			same++
		}
	}
	out := Agreement{N: n, Agreement: ratio(same, n)}
	if n == 0 {
		return out
	}
	chance := 0.0
	for c := range categories {
		chance += of[0][c] * of[1][c]
	}
	all := float64(n) * float64(n)
	out.Kappa = Defined((float64(same)*float64(n)-chance)/(all-chance), chance < all)
	out.PABAK = Defined(2**out.Agreement-1, true)
	return out
}

// fleiss takes the number of ratings of each row in each category; all rows have as many.
func fleiss(counts [][]float64) *float64 {
	if len(counts) == 0 {
		return nil
	}
	m := total(counts[0])
	share := make([]float64, len(counts[0]))
	observed := 0.0
	for _, row := range counts {
		for c, n := range row {
			observed += n * (n - 1)
			share[c] += n
		}
	}
	all := float64(len(counts))
	observed /= all * m * (m - 1)
	chance, one := 0.0, false
	for _, n := range share {
		chance += n / (all * m) * n / (all * m)
		one = one || n == all*m
	}
	return Defined((observed-chance)/(1-chance), m > 1 && !one)
}

// alpha compares the disagreement within rows with that of all values; distance is between two different categories, n
// being how often each occurs in rows of two ratings or more.
func alpha(counts [][]float64, distance func(n []float64, a, b int) float64) *float64 {
	if len(counts) == 0 {
		return nil
	}
	n := make([]float64, len(counts[0]))
	for _, row := range counts {
		if total(row) > 1 {
			for c, v := range row {
				n[c] += v
			}
		}
	}
	var observed, expected float64
	for a := range n {
		for b := range a {
			d, pairs := distance(n, b, a), 0.0
			for _, row := range counts {
				if m := total(row); m > 1 {
					pairs += row[a] * row[b] / (m - 1)
				}
			}
			observed += d * pairs
			expected += d * n[a] * n[b]
		}
	}
	return Defined(1-(total(n)-1)*observed/expected, expected > 0)
}

// ordinal is the square of how many values lie between two categories, half of each of their own counted.
func ordinal(n []float64, a, b int) float64 {
	between := total(n[a:b+1]) - (n[a]+n[b])/2
	return between * between
}

// ac1 is Gwet's first agreement coefficient: rows with one rating say only how common a category is.
func ac1(counts [][]float64) *float64 {
	var observed, pairs, rows float64
	var share []float64
	for _, row := range counts {
		m := total(row)
		if m == 0 {
			continue
		}
		if share == nil {
			share = make([]float64, len(row))
		}
		rows++
		same := 0.0
		for c, n := range row {
			share[c] += n / m
			same += n * (n - 1)
		}
		if m > 1 {
			observed += same / (m * (m - 1))
			pairs++
		}
	}
	if pairs == 0 || len(share) < 2 {
		return nil
	}
	chance := 0.0
	for _, s := range share {
		chance += s / rows * (1 - s/rows)
	}
	chance /= float64(len(share) - 1)
	return Defined((observed/pairs-chance)/(1-chance), chance < 1)
}
