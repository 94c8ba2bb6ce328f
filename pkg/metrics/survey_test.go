package metrics

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"gonum.org/v1/gonum/mathext"
)

// world is a made-up hospital whose true rates are known: reports of patients who have one to six, with findings that
// patients keep from one report to the next, and a labeler that keeps its mistakes too.
type world struct {
	rows, drawn int
	findings    []trueRates
	keep        float64 // share of reports that repeat the patient's own state, and of labels that repeat its mistake
}

type trueRates struct{ prevalence, sensitivity, specificity float64 }

func (r trueRates) of() map[string]float64 {
	tp, fn := r.prevalence*r.sensitivity, r.prevalence*(1-r.sensitivity)
	fp, tn := (1-r.prevalence)*(1-r.specificity), (1-r.prevalence)*r.specificity
	return map[string]float64{"sensitivity": r.sensitivity, "specificity": r.specificity, "ppv": tp / (tp + fp), "npv": tn / (tn + fn),
		"f1": 2 * tp / (2*tp + fp + fn), "balanced accuracy": (r.sensitivity + r.specificity) / 2}
}

// sampled is a reviewed sample.
type sampled struct {
	truth, label [][]int8 // [finding][row]
	survey       *Survey
}

func (w world) sample(rng *rand.Rand) sampled {
	k := len(w.findings)
	var truth, label, doubt [][]bool // [row][finding]
	var patient []string
	count := make([]int, k)
	for p := 0; len(truth) < w.rows; p++ {
		own := make([][2]float64, k)
		for f := range own {
			own[f] = [2]float64{rng.Float64(), rng.Float64()}
		}
		reports := 1
		for reports < 6 && rng.Float64() < 0.45 {
			reports++
		}
		for range min(reports, w.rows-len(truth)) {
			t, l, d := make([]bool, k), make([]bool, k), make([]bool, k)
			for f, r := range w.findings {
				u := [2]float64{rng.Float64(), rng.Float64()}
				for j := range u {
					if rng.Float64() < w.keep {
						u[j] = own[f][j]
					}
				}
				t[f] = u[0] < r.prevalence
				right := r.specificity
				if t[f] {
					right = r.sensitivity
				}
				l[f] = t[f] == (u[1] < right)
				d[f] = rng.Float64() < 0.02 || l[f] != t[f] && rng.Float64() < 0.4 || l[f] && rng.Float64() < 0.1
				if l[f] || d[f] {
					count[f]++
				}
			}
			truth, label, doubt, patient = append(truth, t), append(label, l), append(doubt, d), append(patient, strconv.Itoa(p))
		}
	}
	strata := NewStrata(count, w.drawn)
	draw := NewDrawing(strata.N(), w.drawn, rng.Uint64())
	marked := make([]bool, k)
	for i := range truth {
		for f := range marked {
			marked[f] = label[i][f] || doubt[i][f]
		}
		draw.Add("", strata.Of(marked, doubt[i]))
	}
	var weight []float64
	var stratum, patients []string
	s := sampled{truth: make([][]int8, k), label: make([][]int8, k)}
	for _, x := range draw.Sample() {
		weight = append(weight, x.Weight)
		stratum, patients = append(stratum, strconv.Itoa(x.Stratum)), append(patients, patient[x.Row])
		for f := range k {
			s.truth[f], s.label[f] = append(s.truth[f], bit(truth[x.Row][f])), append(s.label[f], bit(label[x.Row][f]))
		}
	}
	var err error
	if s.survey, err = NewSurvey(len(weight), weight, stratum, patients); err != nil {
		panic(err)
	}
	return s
}

type coverage struct {
	below, above, undefined, n int
	width                      float64
}

// methods are ways to an interval: ours, and those of the literature that it was chosen among.
var methods = map[string]func(s *Survey, f Figure, a, b []float64) *[2]float64{
	"plain Wilson":        func(_ *Survey, _ Figure, a, b []float64) *[2]float64 { return Wilson(int(sum(a)), int(sum(a)+sum(b))) },
	"ours":                func(_ *Survey, f Figure, _, _ []float64) *[2]float64 { return f.Interval },
	"logit":               func(s *Survey, f Figure, a, b []float64) *[2]float64 { return s.classic(a, b, logitInterval) },
	"Korn-Graubard":       func(s *Survey, f Figure, a, b []float64) *[2]float64 { return s.classic(a, b, clopperPearson) },
	"Wilson, effective n": func(s *Survey, f Figure, a, b []float64) *[2]float64 { return s.classic(a, b, wilson) },
}

// methodNames are the methods in the order of the table.
var methodNames = []string{"ours", "Wilson, effective n", "logit", "Korn-Graubard", "plain Wilson"}

func (s *Survey) classic(a, b []float64, of func(p, n, t float64) *[2]float64) *[2]float64 {
	sumA, sumB := 0.0, 0.0
	rows := 0.0
	for i, w := range s.Weight {
		sumA, sumB = sumA+w*a[i], sumB+w*b[i]
		if a[i]+b[i] > 0 {
			rows++
		}
	}
	if rows == 0 {
		return nil
	}
	e := s.end(a, b, sumA, sumB)
	v, patients := s.variance(e.z)
	df := max(patients-1, 1)
	n := e.value * (1 - e.value) / v
	if e.value == 0 || e.value == 1 {
		n = rows
	}
	return of(e.value, n, studentQuantile(0.975, df))
}

func logitInterval(p, n, t float64) *[2]float64 {
	if p == 0 || p == 1 {
		return &[2]float64{p, p}
	}
	l, h := math.Log(p/(1-p)), t/math.Sqrt(n*p*(1-p))
	return &[2]float64{sigmoid(l - h), sigmoid(l + h)}
}

func clopperPearson(p, n, t float64) *[2]float64 {
	n *= sq(Z95 / t)
	x, i := p*n, [2]float64{0, 1}
	if p > 0 {
		i[0] = mathext.InvRegIncBeta(x, n-x+1, 0.025)
	}
	if p < 1 {
		i[1] = mathext.InvRegIncBeta(x+1, n-x, 0.975)
	}
	return &i
}

func wilson(p, n, t float64) *[2]float64 {
	z2 := t * t
	c, h := (p+z2/(2*n))/(1+z2/n), t/(1+z2/n)*math.Sqrt(p*(1-p)/n+z2/(4*n*n))
	return &[2]float64{c - h, c + h}
}

// cover draws repetitions samples and counts how often each figure's interval holds the true rate: [finding][method][figure].
func (w world) cover(repetitions int) []map[string]map[string]*coverage {
	out := make([]map[string]map[string]*coverage, len(w.findings))
	for f := range out {
		out[f] = map[string]map[string]*coverage{}
		for m := range methods {
			out[f][m] = map[string]*coverage{}
			for name := range w.findings[f].of() {
				out[f][m][name] = &coverage{}
			}
		}
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for half := range 2 {
		wg.Go(func() {
			for r := half; r < repetitions; r += 2 {
				s := w.sample(rand.New(rand.NewPCG(uint64(r), 7)))
				for f, rates := range w.findings {
					got := s.survey.Rates(s.truth[f], s.label[f])
					mu.Lock()
					for m, interval := range methods {
						for name, want := range rates.of() {
							a, b := parts(name, s.truth[f], s.label[f])
							if a == nil && m != "ours" {
								continue
							}
							out[f][m][name].add(want, interval(s.survey, got.of(name), a, b))
						}
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return out
}

func (c *coverage) add(want float64, i *[2]float64) {
	c.n++
	if i == nil {
		c.undefined++
		return
	}
	c.width += i[1] - i[0]
	if want < i[0] {
		c.below++
	} else if want > i[1] {
		c.above++
	}
}

func parts(name string, truth, label []int8) (a, b []float64) {
	a, b = make([]float64, len(truth)), make([]float64, len(truth))
	for i := range truth {
		t, l := truth[i] == 1, label[i] == 1
		switch {
		case name == "sensitivity" && t, name == "specificity" && !t, name == "ppv" && l, name == "npv" && !l:
			if t == l {
				a[i] = 1
			} else {
				b[i] = 1
			}
		case name == "f1" && t && l:
			a[i] = 2
		case name == "f1" && t != l:
			b[i] = 1
		case name == "balanced accuracy":
			return nil, nil
		}
	}
	return a, b
}

func (r SampleRates) of(name string) Figure {
	return map[string]Figure{"sensitivity": r.Sensitivity, "specificity": r.Specificity, "ppv": r.PPV, "npv": r.NPV, "f1": r.F1, "balanced accuracy": r.BalancedAccuracy}[name]
}

// figureNames are those of a simulation, in the order of its table.
var figureNames = []string{"sensitivity", "specificity", "ppv", "npv", "f1", "balanced accuracy"}

// hospital has common and rare findings; labels of 5,000 reports, of which 300 are read.
var hospital = world{5000, 300, []trueRates{{.3, .9, .95}, {.15, .8, .97}, {.06, .85, .98}, {.02, .8, .995}}, .5}

// eighteen is another with as many findings as ctrate-18, about as common as in CT-RATE.
var eighteen = world{rows: 5000, drawn: 300, keep: .5}

func init() {
	for i, p := range []float64{.11, .28, .11, .07, .25, .14, .26, .19, .26, .45, .37, .27, .12, .08, .10, .18, .10, .08} {
		eighteen.findings = append(eighteen.findings, trueRates{p, []float64{.9, .8, .95}[i%3], []float64{.97, .99, .95}[i/3%3]})
	}
}

// share is how often an interval held the true rate, in percent.
func (c *coverage) share() float64 {
	return 100 * float64(c.n-c.undefined-c.below-c.above) / float64(c.n)
}

// The ordinary test draws few samples of a small world; SILVERBEAM_SIMULATE=2000 draws that many of five and prints the tables
// of docs/benchmarks.md. Over the findings of a world, 95 % intervals of 2,000 samples hold the truth 95 ± 1 % of the
// time; those of a single finding may miss no more often than 7 %.
func TestIntervalsCover(t *testing.T) {
	repetitions, err := strconv.Atoi(os.Getenv("SILVERBEAM_SIMULATE"))
	if err != nil {
		c := world{1200, 300, []trueRates{{.3, .85, .93}, {.05, .8, .98}}, .5}.cover(300)
		for f := range c {
			for _, name := range figureNames {
				if got := c[f]["ours"][name].share(); got < 91 || f == 0 && got > 98.5 {
					t.Errorf("finding %d: %s: intervals of 300 samples hold the true rate %.1f %% of the time", f, name, got)
				}
			}
		}
		// The test can tell: intervals that take rows for equal and unrelated do not hold it.
		if got := c[0]["plain Wilson"]["sensitivity"].share(); got > 91.5 {
			t.Errorf("plain Wilson intervals hold the true sensitivity %.1f %% of the time: the simulation is too easy", got)
		}
		return
	}
	for _, w := range []world{hospital, {1000, 300, hospital.findings, .5}, {20_000, 1000, hospital.findings, .5}, {800, 800, hospital.findings, .5}, eighteen} {
		fmt.Printf("\n%d of %d reports read\n\n| prevalence | figure | true | %s |\n|---|---|---|%s\n", w.drawn, w.rows, strings.Join(methodNames, " | "), strings.Repeat("---|", len(methodNames)))
		c := w.cover(repetitions)
		all := map[string]map[string]*coverage{}
		for _, m := range methodNames {
			all[m] = map[string]*coverage{}
			for _, name := range figureNames {
				all[m][name] = &coverage{}
			}
		}
		for f, rates := range w.findings {
			for _, name := range figureNames {
				printCoverage(fmt.Sprintf("%.2f | %s | %.3f", rates.prevalence, name, rates.of()[name]), name, c[f], methodNames)
				for _, m := range methodNames {
					all[m][name].merge(c[f][m][name])
				}
				if got := c[f]["ours"][name].share(); got < 93 {
					t.Errorf("%d of %d, prevalence %v: %s: intervals hold the true rate %.2f %% of the time", w.drawn, w.rows, rates.prevalence, name, got)
				}
			}
		}
		for _, name := range figureNames {
			printCoverage("all | "+name+" | ", name, all, methodNames)
			if got := all["ours"][name].share(); got < 94 || got > 96 {
				t.Errorf("%d of %d: %s: intervals hold the true rate %.2f %% of the time", w.drawn, w.rows, name, got)
			}
		}
	}
}

// printCoverage prints one figure's row: of each method, how often its interval held the truth, and its mean width.
func printCoverage(head, name string, by map[string]map[string]*coverage, methods []string) {
	fmt.Printf("| %s |", head)
	for _, m := range methods {
		x := by[m][name]
		if x.n == 0 {
			fmt.Print(" |")
			continue
		}
		fmt.Printf(" %.1f (%.3f) |", x.share(), x.width/float64(x.n-x.undefined))
	}
	fmt.Println()
}

func (c *coverage) merge(o *coverage) {
	c.below, c.above, c.undefined, c.n, c.width = c.below+o.below, c.above+o.above, c.undefined+o.undefined, c.n+o.n, c.width+o.width
}

func TestSurveyAgainstOthers(t *testing.T) {
	g := readGolden(t).Survey
	s, err := NewSurvey(len(g.Truth), g.Weight, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := s.Rates(g.Truth, g.Label)
	for name, want := range g.Weighted {
		near(t, name, *r.of(strings.ReplaceAll(name, "_", " ")).Value, want, 1e-12)
	}
	if s, err = NewSurvey(len(g.Truth), nil, nil, g.Patient); err != nil {
		t.Fatal(err)
	}
	a, b := parts("sensitivity", g.Truth, g.Label)
	v, _ := s.variance(s.end(a, b, sum(a), sum(b)).z)
	near(t, "variance by patient", v, g.Variance, 1e-12)
	c, _ := Agree(g.Label, g.Other)
	near(t, "kappa", *c.Agreement().Kappa, g.Kappa, 1e-12)
	near(t, "pabak", *c.Agreement().PABAK, g.PABAK, 1e-12)
	var ps []float64
	for i, n := range g.McNemar {
		m := NewMcNemar(paired(n[0], n[1]))
		near(t, "McNemar p", m.P, g.P[i], 1e-12)
		if m.OnlyA != n[0] || m.OnlyB != n[1] {
			t.Errorf("counts %d, %d, want %v", m.OnlyA, m.OnlyB, n)
		}
		ps = append(ps, m.P)
	}
	for i, p := range Holm(ps) {
		near(t, "Holm", p, g.Holm[i], 1e-12)
	}
	for _, x := range g.Student {
		near(t, "Student's t", studentQuantile(.975, x[0])/x[1], 1, 1e-9)
	}
}

// paired makes rows on which only the first labeler is right b times and only the second c times.
func paired(b, c int) (truth, one, two []int8) {
	for i := range b + c + 3 {
		y := int8(i % 2)
		truth, one, two = append(truth, y), append(one, y), append(two, y)
		switch {
		case i < b:
			two[i] = 1 - y
		case i < b+c:
			one[i] = 1 - y
		}
	}
	return append(truth, 1), append(one, Missing), append(two, 0)
}

// 20 rows of which four were drawn, and 80 of which four were: 3 of 4 and 1 of 4 are right, so (15+20)/100 are.
func TestStratifiedByHand(t *testing.T) {
	a := []float64{1, 1, 1, 0, 1, 0, 0, 0}
	b := []float64{0, 0, 0, 1, 0, 1, 1, 1}
	every := []bool{true, true, true, true, true, true, true, true}
	s, err := NewSurvey(8, []float64{5, 5, 5, 5, 20, 20, 20, 20}, []string{"x", "x", "x", "x", "y", "y", "y", "y"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := s.Ratio(a, b, every, every)
	near(t, "share", *f.Value, .35, 1e-15)
	// The table's rows vary as 5(3*.65²+.35²)+20(.65²+3*.35²) = 22.75, times 8/7 = 26; the draws as 20²(1-1/5)s²/4 +
	// 80²(1-1/20)s²/4 with s² = .25, so 20 + 380; all over 100².
	v, patients := s.variance(s.end(a, b, 35, 65).z)
	near(t, "variance", v, .0426, 1e-15)
	near(t, "patients", patients, 8, 0)
	for i, want := range readGolden(t).Survey.Stratified {
		near(t, "interval", f.Interval[i], want, 1e-9)
	}
}

func TestSurveyOfLittle(t *testing.T) {
	one, _ := NewSurvey(1, nil, nil, nil)
	r := one.Rates([]int8{1}, []int8{1})
	if *r.Sensitivity.Value != 1 || r.Sensitivity.Interval != nil || r.Specificity.Value != nil || r.BalancedAccuracy.Value != nil || *r.F1.Value != 1 {
		t.Errorf("one row: %+v", r)
	}
	none, _ := NewSurvey(2, nil, nil, nil)
	r = none.Rates([]int8{Missing, 0}, []int8{1, Missing})
	if r.Sensitivity.Value != nil || r.F1.N != 0 || none.Mean(r.F1, r.PPV).Value != nil {
		t.Errorf("nothing known: %+v", r)
	}
	if b, err := json.Marshal(r.F1); err != nil || string(b) != `{"interval":null,"n":0,"value":null}` {
		t.Errorf("%s, %v", b, err)
	}
	for _, w := range []float64{0, -1, .5, math.NaN(), math.Inf(1)} {
		if _, err := NewSurvey(2, []float64{1, w}, nil, nil); err == nil {
			t.Errorf("weight %v is taken", w)
		}
	}
	// 40 right of 40 that stand for themselves prove more than 40 of 40 that stand for 50 each beside others that were not seen
	few, _ := NewSurvey(80, nil, nil, nil)
	weights := make([]float64, 80)
	truth, label := make([]int8, 80), make([]int8, 80)
	for i := range weights {
		weights[i] = 50
		if i < 40 {
			weights[i], truth[i], label[i] = 1, 1, 1
		}
	}
	many, _ := NewSurvey(80, weights, nil, nil)
	a, b := few.Rates(truth, label).Sensitivity.Interval[0], many.Rates(truth, label).Sensitivity.Interval[0]
	if a < .85 || b > .5 {
		t.Errorf("lower ends %.3f and %.3f", a, b)
	}
}
