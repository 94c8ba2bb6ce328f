package metrics

import (
	"encoding/json"
	"fmt"
	"math"
)

// Survey says how reviewed rows were drawn from a table: each stratum a simple random sample of its rows.
type Survey struct {
	Weight  []float64 // of each row: rows of the table that it stands for, 1/(its chance of being drawn), so 1 or more
	Stratum []int32   // of each row, from 0; nil: one stratum
	Patient Clusters
}

// NewSurvey checks the rows' weights. A nil weight is 1 for every row; a nil patient makes every row its own.
func NewSurvey(rows int, weight []float64, stratum, patient []string) (*Survey, error) {
	s := &Survey{Weight: weight, Patient: Clusters{N: rows, Of: make([]int32, rows)}}
	for i := range s.Patient.Of {
		s.Patient.Of[i] = int32(i)
	}
	if patient != nil {
		s.Patient = ClustersOf(patient)
	}
	if weight == nil {
		s.Weight = make([]float64, rows)
		for i := range s.Weight {
			s.Weight[i] = 1
		}
	}
	if stratum != nil {
		s.Stratum = ClustersOf(stratum).Of
	}
	for i, w := range s.Weight {
		if !(w >= 1) || math.IsInf(w, 0) {
			return nil, fmt.Errorf("metrics: row %d: weight %v: a finite number of 1 or more", i, w)
		}
	}
	if len(s.Weight) != rows || len(s.Patient.Of) != rows || stratum != nil && len(s.Stratum) != rows {
		return nil, fmt.Errorf("metrics: %d rows, %d weights, %d strata, %d patients", rows, len(s.Weight), len(s.Stratum), len(s.Patient.Of))
	}
	return s, nil
}

// Figure is a rate of the whole table, estimated from a sample of it.
//
// The interval is Wilson's with the number of independent rows that the linearised variance is worth (compared with others
// for surveys by Franco, Little, Louis and Slud, Journal of Survey Statistics and Methodology 2019). At each end the variance
// is that of half an event more of the kind that was perhaps missed, as heavy as the rows in which it could have been seen:
// a sample of rows that stand for many others is never taken to prove a rate of 1. docs/benchmarks.md has the simulation by
// which it was chosen.
type Figure struct {
	Value    *float64
	N        int         // reviewed rows of the denominator
	Interval *[2]float64 // 95 %; nil where the sample does not determine it

	low, high end
}

// MarshalJSON writes value, n and interval.
func (f Figure) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"value": f.Value, "n": f.N, "interval": f.Interval})
}

// end is a figure as one end of its interval sees it.
type end struct {
	value float64
	z     []float64 // of each row: the figure's variance is that of the sum of weight * z (Taylor linearisation)
	extra float64   // variance that half an event adds
}

// Ratio estimates sum(a)/(sum(a)+sum(b)) over the table. a and b are what each row adds; missedA and missedB say in which
// rows an a or a b was to be expected, had there been more of them.
func (s *Survey) Ratio(a, b []float64, missedA, missedB []bool) (f Figure) {
	sumA, sumB := 0.0, 0.0
	for i, w := range s.Weight {
		sumA, sumB = sumA+w*a[i], sumB+w*b[i]
		if a[i]+b[i] != 0 {
			f.N++
		}
	}
	if f.N == 0 {
		return f
	}
	f.Value = Defined(sumA/(sumA+sumB), true)
	wA, wB := s.typical(missedA), s.typical(missedB)
	f.low = s.end(a, b, sumA, sumB+wB/2)
	f.low.extra = wB * wB / 2 * sq(f.low.value/(sumA+sumB+wB/2))
	f.high = s.end(a, b, sumA+wA/2, sumB)
	f.high.extra = wA * wA / 2 * sq((1-f.high.value)/(sumA+wA/2+sumB))
	f.Interval = s.interval(*f.Value, f.low, f.high)
	return f
}

func (s *Survey) end(a, b []float64, sumA, sumB float64) end {
	e := end{value: sumA / (sumA + sumB), z: make([]float64, len(a))}
	for i := range a {
		e.z[i] = (a[i]*(1-e.value) - b[i]*e.value) / (sumA + sumB)
	}
	return e
}

// typical is the expected weight of a row that is drawn from the table, not from the sample, among those that are in.
func (s *Survey) typical(in []bool) float64 {
	var sum, squares float64
	for i, w := range s.Weight {
		if in[i] {
			sum, squares = sum+w, squares+w*w
		}
	}
	if sum == 0 {
		return 1
	}
	return squares / sum
}

// Mean is the unweighted mean of the figures that are defined: a macro figure. Its n is the least of theirs.
func (s *Survey) Mean(figures ...Figure) (f Figure) {
	k := 0.0
	for _, g := range figures {
		if g.Value != nil {
			k++
		}
	}
	value := 0.0
	for _, g := range figures {
		if g.Value == nil {
			continue
		}
		if f.low.z == nil {
			f.N, f.low.z, f.high.z = g.N, make([]float64, len(s.Weight)), make([]float64, len(s.Weight))
		}
		f.N = min(f.N, g.N)
		value += *g.Value / k
		f.low.add(g.low, k)
		f.high.add(g.high, k)
	}
	if k == 0 {
		return f
	}
	f.Value = Defined(value, true)
	f.Interval = s.interval(*f.Value, f.low, f.high)
	return f
}

// halfway is the interval of the mean of two rates of different rows, made of theirs: its ends are as far from the mean as
// the rates' own, which may be skewed, are from them, taken together (Zou and Donner, Statistics in Medicine 2008).
func halfway(a, b Figure) *[2]float64 {
	if a.Interval == nil || b.Interval == nil {
		return nil
	}
	mean, v := (*a.Value+*b.Value)/2, [2]float64{}
	for i, sign := range []float64{-1, 1} {
		v[i] = mean + sign*math.Hypot(*a.Value-a.Interval[i], *b.Value-b.Interval[i])/2
	}
	return &v
}

func (e *end) add(o end, k float64) {
	e.value += o.value / k
	e.extra += o.extra / (k * k)
	for i, z := range o.z {
		e.z[i] += z / k
	}
}

// interval gives the two ends, around a value.
func (s *Survey) interval(value float64, low, high end) *[2]float64 {
	v := [2]float64{0, 1}
	for i, e := range []end{low, high} {
		if e.value <= 0 || e.value >= 1 {
			continue // no rate lies beyond this end
		}
		variance, told := s.variance(e.z)
		n := e.value * (1 - e.value) / (variance + e.extra)
		if told < 2 || !(n > 0) {
			return nil
		}
		const z2 = Z95 * Z95
		centre := (value + z2/(2*n)) / (1 + z2/n)
		half := Z95 / (1 + z2/n) * math.Sqrt(value*(1-value)/n+z2/(4*n*n))
		v[i] = min(1, max(0, centre+float64(2*i-1)*half))
	}
	return &v
}

// variance is that of sum(weight * z), whose expectation is 0, over both phases of the sampling: patients came to the
// table with all their rows, and the strata's rows were drawn from it (Särndal, Swensson and Wretman, Model Assisted
// Survey Sampling, 1992, section 9.3). patients counts those
// that tell of it.
func (s *Survey) variance(z []float64) (v float64, patients float64) {
	strata := int32(1)
	for _, h := range s.Stratum {
		strata = max(strata, h+1)
	}
	type sum struct{ n, z, w, wz, wzz float64 }
	byStratum, byPatient, own := make([]sum, strata), make([]float64, s.Patient.N), 0.0
	told := make([]bool, s.Patient.N)
	for i, w := range s.Weight {
		h := &byStratum[0]
		if s.Stratum != nil {
			h = &byStratum[s.Stratum[i]]
		}
		c := w * (w - 1)
		h.n, h.z, h.w, h.wz, h.wzz = h.n+1, h.z+z[i], h.w+c, h.wz+c*z[i], h.wzz+c*z[i]*z[i]
		own += w*z[i]*z[i] - sq(w*z[i])
		p := s.Patient.Of[i]
		byPatient[p] += w * z[i]
		told[p] = told[p] || z[i] != 0
	}
	first := own // rows of one patient together, each product once weighted for either row
	for p, t := range byPatient {
		first += t * t
		if told[p] {
			patients++
		}
	}
	for _, h := range byStratum {
		if h.n == 1 {
			v += h.wzz // nothing to compare it with
		} else if h.n > 1 {
			m := h.z / h.n
			v += h.n / (h.n - 1) * (h.wzz - 2*m*h.wz + m*m*h.w)
		}
	}
	if n := patients; n > 1 {
		first *= n / (n - 1)
	}
	return v + max(first, 0), patients
}

func sq(x float64) float64 { return x * x }

// SampleRates are the figures of one finding.
type SampleRates struct {
	Sensitivity      Figure `json:"sensitivity"`
	Specificity      Figure `json:"specificity"`
	PPV              Figure `json:"ppv"`
	NPV              Figure `json:"npv"`
	F1               Figure `json:"f1"`                // of the positive class
	BalancedAccuracy Figure `json:"balanced_accuracy"` // mean of sensitivity and specificity
}

func (r *SampleRates) fields() [6]*Figure {
	return [6]*Figure{&r.Sensitivity, &r.Specificity, &r.PPV, &r.NPV, &r.F1, &r.BalancedAccuracy}
}

// Rates compares labels with the truth, 1 or 0 each; rows where either is anything else are left out. A mistake or hit
// that is not in the sample was to be expected among the rows whose label it would have had.
func (s *Survey) Rates(truth, label []int8) (r SampleRates) {
	rows := len(truth)
	tp, fp, tn, fn := make([]float64, rows), make([]float64, rows), make([]float64, rows), make([]float64, rows)
	twice, wrong := make([]float64, rows), make([]float64, rows)
	positive, negative, all := make([]bool, rows), make([]bool, rows), make([]bool, rows)
	for i, t := range truth {
		l := label[i]
		if t != 0 && t != 1 || l != 0 && l != 1 {
			continue
		}
		positive[i], negative[i], all[i] = l == 1, l == 0, true
		switch {
		case t == 1 && l == 1:
			tp[i], twice[i] = 1, 2
		case t == 1:
			fn[i], wrong[i] = 1, 1
		case l == 1:
			fp[i], wrong[i] = 1, 1
		default:
			tn[i] = 1
		}
	}
	r.Sensitivity = s.Ratio(tp, fn, positive, negative)
	r.Specificity = s.Ratio(tn, fp, negative, positive)
	r.PPV = s.Ratio(tp, fp, positive, positive)
	r.NPV = s.Ratio(tn, fn, negative, negative)
	r.F1 = s.Ratio(twice, wrong, positive, all)
	if r.Sensitivity.Value != nil && r.Specificity.Value != nil {
		r.BalancedAccuracy = s.Mean(r.Sensitivity, r.Specificity)
		r.BalancedAccuracy.Interval = halfway(r.Sensitivity, r.Specificity)
	}
	return r
}
