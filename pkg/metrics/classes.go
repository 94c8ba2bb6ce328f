package metrics

import (
	"fmt"
	"math"
	"slices"
)

// Unparsed marks a prediction that could not be read; a true class of Unparsed leaves the row out.
const Unparsed = -1

// Classes holds the figures of one true and one predicted class a row, 0 to K-1; nil where undefined. An unparsed
// prediction is wrong in accuracy, balanced accuracy and F1, and left out of the others.
type Classes struct {
	N                int        `json:"n"`
	NUnparsed        int        `json:"n_unparsed"`
	UnparsedRate     *float64   `json:"unparsed_rate"`
	Accuracy         *float64   `json:"accuracy"`
	BalancedAccuracy *float64   `json:"balanced_accuracy"` // mean recall of the classes that occur
	F1Macro          *float64   `json:"f1_macro"`          // over classes that occur or are predicted, 0/0 = 0
	F1Weighted       *float64   `json:"f1_weighted"`       // by true rows
	F1PerClass       []*float64 `json:"f1_per_class"`      // nil: neither occurs nor is predicted
	Confusion        [][]int    `json:"confusion"`         // [true][predicted], of parsed rows
	MAE              *float64   `json:"mae"`               // in classes
	Kappa            *float64   `json:"kappa"`
	KappaLinear      *float64   `json:"kappa_linear"`
	KappaQuadratic   *float64   `json:"kappa_quadratic"`
	MCC              *float64   `json:"mcc"` // Gorodkin's R_K (Comput. Biol. Chem. 2004)
	Spearman         *float64   `json:"spearman"`
	KendallTauB      *float64   `json:"kendall_tau_b"`

	*ClassProbabilities // of scores for every class
}

// ClassProbabilities are the figures of one score a class.
type ClassProbabilities struct {
	TopK    *float64 `json:"top_k_accuracy"`   // k = 2; of equal scores the later class ranks higher, as in scikit-learn
	AUCOvR  *float64 `json:"auc_ovr_macro"`    // each class against the rest; nil where one does not occur
	AUCOvO  *float64 `json:"auc_ovo_macro"`    // Hand and Till's M (Machine Learning 2001)
	Brier   *float64 `json:"brier_multiclass"` // sum over classes, 0 to 2; nil where rows are no probabilities
	LogLoss *float64 `json:"log_loss"`         // natural; probabilities not below 2.2e-16
}

// NewClasses compares them; k is the number of classes.
func NewClasses(truth, predicted []int, k int) (c Classes, err error) {
	if len(truth) != len(predicted) {
		return c, fmt.Errorf("metrics: %d classes against %d", len(truth), len(predicted))
	}
	c.Confusion = make([][]int, k)
	for i := range c.Confusion {
		c.Confusion[i] = make([]int, k)
	}
	rows, asked := make([]int, k), make([]int, k) // true and predicted rows of a class
	right, off := 0, 0
	var a, b []float64
	for i, t := range truth {
		if t == Unparsed {
			continue
		}
		c.N++
		rows[t]++
		p := predicted[i]
		if p == Unparsed {
			c.NUnparsed++
			continue
		}
		asked[p]++
		c.Confusion[t][p]++
		if t == p {
			right++
		}
		off += max(t-p, p-t)
		a, b = append(a, float64(t)), append(b, float64(p))
	}
	parsed := c.N - c.NUnparsed
	c.UnparsedRate, c.Accuracy, c.MAE = ratio(c.NUnparsed, c.N), ratio(right, c.N), ratio(off, parsed)
	var recall, f1 []*float64
	var byRows weighted
	for j := range k {
		tp := c.Confusion[j][j]
		recall = append(recall, ratio(tp, rows[j]))
		f := ratio(2*tp, rows[j]+asked[j])
		f1 = append(f1, f)
		byRows.add(f, rows[j])
	}
	c.F1PerClass = f1
	mean, _, ok := Macro(recall)
	c.BalancedAccuracy = Defined(mean, ok)
	mean, _, ok = Macro(f1)
	c.F1Macro, c.F1Weighted = Defined(mean, ok), byRows.mean()
	c.Kappa = c.kappa(func(i, j int) float64 { return map[bool]float64{true: 0, false: 1}[i == j] })
	c.KappaLinear = c.kappa(func(i, j int) float64 { return math.Abs(float64(i - j)) })
	c.KappaQuadratic = c.kappa(func(i, j int) float64 { return float64((i - j) * (i - j)) })
	c.MCC = c.mcc()
	c.Spearman, c.KendallTauB = Spearman(a, b), KendallTauB(a, b)
	return c, nil
}

// margins are the rows, the columns and the number of the confusion matrix.
func (c Classes) margins() (rows, columns []float64, n float64) {
	rows, columns = make([]float64, len(c.Confusion)), make([]float64, len(c.Confusion))
	for i, r := range c.Confusion {
		for j, v := range r {
			rows[i] += float64(v)
			columns[j] += float64(v)
			n += float64(v)
		}
	}
	return rows, columns, n
}

// kappa is Cohen's (1968), weight the cost of a disagreement; nil where chance alone never disagrees.
func (c Classes) kappa(weight func(i, j int) float64) *float64 {
	rows, columns, n := c.margins()
	var seen, chance float64
	for i, r := range c.Confusion {
		for j, v := range r {
			seen += weight(i, j) * float64(v)
			chance += weight(i, j) * rows[i] * columns[j] / n
		}
	}
	return Defined(1-seen/chance, chance > 0)
}

func (c Classes) mcc() *float64 {
	rows, columns, n := c.margins()
	cross, a, b := 0.0, n*n, n*n
	for i, r := range c.Confusion {
		cross += n*float64(r[i]) - rows[i]*columns[i]
		a -= rows[i] * rows[i]
		b -= columns[i] * columns[i]
	}
	return Defined(cross/math.Sqrt(a*b), a > 0 && b > 0)
}

// Spearman is the correlation of midranks; nil where one side is constant.
func Spearman(a, b []float64) *float64 {
	x, y := midranks(a), midranks(b)
	mean := float64(len(a)+1) / 2
	var xx, yy, xy float64
	for i := range x {
		xx += (x[i] - mean) * (x[i] - mean)
		yy += (y[i] - mean) * (y[i] - mean)
		xy += (x[i] - mean) * (y[i] - mean)
	}
	return Defined(xy/math.Sqrt(xx*yy), xx > 0 && yy > 0)
}

func midranks(v []float64) []float64 {
	sorted := slices.Sorted(slices.Values(v))
	out := make([]float64, len(v))
	for i, x := range v {
		from, _ := slices.BinarySearch(sorted, x)
		to, _ := slices.BinarySearchFunc(sorted, x, func(a, b float64) int {
			if a <= b {
				return -1
			}
			return 1
		})
		out[i] = float64(from+to+1) / 2
	}
	return out
}

// KendallTauB is Kendall's tau with ties (Biometrika 1945), from the table of values; nil where one side is constant.
func KendallTauB(a, b []float64) *float64 {
	type cell struct{ a, b float64 }
	count := map[cell]int{}
	for i := range a {
		count[cell{a[i], b[i]}]++
	}
	var concordant, tiedA, tiedB int // pairs, each in both orders
	for p, n := range count {
		for q, m := range count {
			pairs := n * m
			if p == q {
				pairs = n * (n - 1)
			}
			switch d := (p.a - q.a) * (p.b - q.b); {
			case d > 0:
				concordant += pairs
			case d < 0:
				concordant -= pairs
			}
			if p.a == q.a {
				tiedA += pairs
			}
			if p.b == q.b {
				tiedB += pairs
			}
		}
	}
	all := len(a) * (len(a) - 1)
	d := math.Sqrt(float64(all-tiedA)) * math.Sqrt(float64(all-tiedB))
	return Defined(float64(concordant)/d, d > 0)
}

// Highest is the class of the highest score a row, the first of equals; s is [class][row].
func Highest(s [][]float64) []int {
	out := make([]int, len(s[0]))
	for i := range out {
		for k := range s {
			if s[k][i] > s[out[i]][i] {
				out[i] = k
			}
		}
	}
	return out
}

// NewClassProbabilities takes one score a class, [class][row].
func NewClassProbabilities(truth []int, s [][]float64) (*ClassProbabilities, error) {
	p := &ClassProbabilities{}
	var brier, loss float64
	n, top, proper := 0, 0, true
	for i, t := range truth {
		if t == Unparsed {
			continue
		}
		n++
		above, sum := 0, 0.0
		for k := range s {
			v := s[k][i]
			if v > s[t][i] || v == s[t][i] && k > t {
				above++
			}
			d := v
			if k == t {
				d = v - 1
			}
			sum, brier = sum+v, brier+d*d
			proper = proper && v >= 0 && v <= 1
		}
		proper = proper && math.Abs(sum-1) < 1e-5
		const tiny = 0x1p-52
		loss -= math.Log(min(max(s[t][i], tiny), 1-tiny))
		if above < 2 {
			top++
		}
	}
	p.TopK = ratio(top, n)
	p.Brier = Defined(brier/float64(n), proper && n > 0)
	p.LogLoss = Defined(loss/float64(n), proper && n > 0)
	var err error
	p.AUCOvR, p.AUCOvO, err = manyAUC(truth, s)
	return p, err
}

// manyAUC is each class against the rest, and the mean over pairs of classes of either's score.
func manyAUC(truth []int, s [][]float64) (rest, pairs *float64, err error) {
	auc := func(score []float64, positive int, in func(class int) bool) (*float64, error) {
		y := make([]int8, len(truth))
		for i, t := range truth {
			switch {
			case t == Unparsed || !in(t):
				y[i] = Missing
			case t == positive:
				y[i] = 1
			}
		}
		v, ok, err := AUC(y, score)
		return Defined(v, ok), err
	}
	all, each := []*float64(nil), []*float64(nil)
	for a := range s {
		v, err := auc(s[a], a, func(int) bool { return true })
		if err != nil {
			return nil, nil, err
		}
		all = append(all, v)
		for b := range s {
			if a != b {
				v, _ := auc(s[a], a, func(c int) bool { return c == a || c == b })
				each = append(each, v)
			}
		}
	}
	whole := func(v []*float64) *float64 {
		mean, n, ok := Macro(v)
		return Defined(mean, ok && n == len(v))
	}
	return whole(all), whole(each), nil
}
