package metrics

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// Interval is the 95 % bootstrap interval of one figure, patients resampled.
type Interval struct {
	Value      *float64    `json:"value"` // on the data as they are
	Percentile *[2]float64 `json:"percentile"`
	BCa        *[2]float64 `json:"bca"` // nil where the data do not determine it
	// Ends are those to be shown: the others are too narrow where few patients tell of the figure (docs/benchmarks.md has their
	// coverage). Two intervals that allow for it err to opposite sides there: BCa with Student's t, and Student's t on the logit
	// scale with the standard error of the patients' jackknife. Of a share the ends lie midway between those of both, of a
	// difference they are the first's, of reviewed rows the second's, and where neither is defined the percentile ones.
	Ends       *[2]float64 `json:"interval"`
	SE         *float64    `json:"se"`
	NUndefined int         `json:"n_undefined"` // replicates in which the figure was undefined (a class vanished); left out
}

// Interval is that of statistic i, a share between 0 and 1.
func (r *Replicates) Interval(i int) Interval { return r.Mean(i) }

// Mean is the interval of the unweighted mean of statistics between 0 and 1: a macro figure. A statistic that is undefined on
// the data is left out of every replicate; one that vanishes in a replicate is left out of that replicate's mean alone.
func (r *Replicates) Mean(stats ...int) Interval {
	stats = r.defined(stats)
	out, expanded, m := r.resampled(func(column func(i int) float64) float64 { return meanDefined(stats, column) })
	logit := m.logit(out.Value)
	if expanded != nil && logit != nil {
		out.Ends = &[2]float64{(expanded[0] + logit[0]) / 2, (expanded[1] + logit[1]) / 2}
	} else {
		out.Ends = cmp.Or(expanded, logit, out.Percentile)
	}
	return out
}

// Difference is the interval of mean(a) - mean(b) over the same resamples: a paired comparison. Statistics pair by
// position; a pair counts where both are defined.
func (r *Replicates) Difference(a, b []int) Interval {
	var keep [][2]int
	for i := range min(len(a), len(b)) {
		if !math.IsNaN(r.full[a[i]]) && !math.IsNaN(r.full[b[i]]) {
			keep = append(keep, [2]int{a[i], b[i]})
		}
	}
	index := make([]int, len(keep))
	for i := range index {
		index[i] = i
	}
	out, expanded, _ := r.resampled(func(column func(i int) float64) float64 {
		return meanDefined(index, func(i int) float64 { return column(keep[i][0]) - column(keep[i][1]) })
	})
	out.Ends = cmp.Or(expanded, out.Percentile)
	return out
}

func (r *Replicates) defined(stats []int) []int {
	return slices.DeleteFunc(slices.Clone(stats), func(i int) bool { return math.IsNaN(r.full[i]) })
}

func meanDefined(stats []int, column func(i int) float64) float64 {
	sum, n := 0.0, 0
	for _, i := range stats {
		if v := column(i); !math.IsNaN(v) {
			sum += v
			n++
		}
	}
	if n == 0 {
		return math.NaN()
	}
	return sum / float64(n)
}

// reviewed is the interval of a share of reviewed rows, few of which may stand for many.
func (r *Replicates) reviewed(of func(column func(i int) float64) float64) Interval {
	out, expanded, m := r.resampled(of)
	out.Ends = cmp.Or(m.logit(out.Value), expanded, out.Percentile)
	return out
}

// resampled evaluates of on the data, on each replicate and on each jackknife column. It leaves the choice of the ends open.
func (r *Replicates) resampled(of func(column func(i int) float64) float64) (out Interval, expanded *[2]float64, m deviations) {
	full := of(func(i int) float64 { return r.full[i] })
	if math.IsNaN(full) || len(r.draws) == 0 {
		return out, nil, m
	}
	out.Value = &full
	draws := make([]float64, 0, len(r.draws[0]))
	for b := range r.draws[0] {
		if v := of(func(i int) float64 { return r.draws[i][b] }); math.IsNaN(v) {
			out.NUndefined++
		} else {
			draws = append(draws, v)
		}
	}
	if len(draws) < 2 {
		return out, nil, m
	}
	slices.Sort(draws)
	out.Percentile = &[2]float64{quantile(draws, 0.025), quantile(draws, 0.975)}
	out.SE = Defined(deviation(draws), true)
	jack := make([]float64, r.Clusters)
	for c := range jack {
		jack[c] = of(func(i int) float64 { return r.jackknife[i][c] })
	}
	m = deviationsOf(jack)
	out.BCa, expanded = bca(full, draws, m)
	return out, expanded, m
}

// deviations are sums of powers of a jackknife's deviations.
type deviations struct{ n, squares, cubes, fourths float64 }

func deviationsOf(jack []float64) (m deviations) {
	m.n = float64(len(jack))
	mean := 0.0
	for _, v := range jack {
		mean += v / m.n
	}
	for _, v := range jack {
		d := mean - v
		m.cubes, m.squares, m.fourths = m.cubes+d*d*d, m.squares+d*d, m.fourths+d*d*d*d
	}
	return m
}

// df are the degrees of freedom that a jackknife's variance is worth (Satterthwaite, Biometrics Bulletin 1946): of 1,000 patients
// ten may hold all positives. One is for the mean, as in n - 1, which is what comes out where the patients' shares are normal.
func (m deviations) df() float64 {
	return max(1, min(m.n, 2*m.squares*m.squares/(m.fourths-m.squares*m.squares/m.n))-1)
}

// logit is Student's t on the logit scale around a share, nil at 0 and 1 and where the jackknife does not determine it.
func (m deviations) logit(share *float64) *[2]float64 {
	if m.n == 0 || share == nil {
		return nil
	}
	return logitEnds(*share, studentQuantile(.975, m.df())*math.Sqrt(m.squares*(m.n-1)/m.n))
}

// bca is Efron's bias-corrected and accelerated interval (JASA 1987) with the mean rank for ties as scipy has it and
// the cluster jackknife for the acceleration; and the same with the quantiles of Student's t for those of the normal
// distribution (Hesterberg's expanded percentiles, The American Statistician 2015). Nil where the data do not determine them.
func bca(full float64, sorted []float64, m deviations) (interval, expanded *[2]float64) {
	below, found := slices.BinarySearch(sorted, full)
	upTo := below
	for found && upTo < len(sorted) && sorted[upTo] == full {
		upTo++
	}
	z0 := normalQuantile(float64(below+upTo) / (2 * float64(len(sorted))))
	accelerate := m.cubes / (6 * math.Pow(m.squares, 1.5))
	if math.IsNaN(accelerate) || math.IsInf(z0, 0) {
		return nil, nil
	}
	ends := func(z float64) *[2]float64 {
		at := func(z float64) float64 {
			if scale := 1 - accelerate*(z0+z); scale > 0 {
				return quantile(sorted, normalCDF(z0+(z0+z)/scale))
			}
			return quantile(sorted, float64(bit(z > 0))) // beyond all draws
		}
		return &[2]float64{at(-z), at(z)}
	}
	return ends(Z95), ends(studentQuantile(.975, m.df()) * math.Sqrt(m.n/(m.n-1)))
}

// studentQuantile is Student's t for p above a half.
func studentQuantile(p, df float64) float64 {
	x := mathext.InvRegIncBeta(df/2, 0.5, 2*(1-p))
	return math.Sqrt(df * (1 - x) / x)
}

func bit(b bool) int8 {
	if b {
		return 1
	}
	return 0
}

func deviation(v []float64) float64 {
	mean, squares := 0.0, 0.0
	for _, x := range v {
		mean += x / float64(len(v))
	}
	for _, x := range v {
		squares += (x - mean) * (x - mean)
	}
	return math.Sqrt(squares / float64(len(v)-1))
}

func normalCDF(z float64) float64      { return math.Erfc(-z/math.Sqrt2) / 2 }
func normalQuantile(p float64) float64 { return -math.Sqrt2 * math.Erfcinv(2*p) }
