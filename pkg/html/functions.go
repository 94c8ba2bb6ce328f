package html

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
)

var functions = template.FuncMap{
	"n":        func(v int) string { return count(v) },
	"n64":      func(v int64) string { return count(v) },
	"f3":       f3,
	"percent":  percent,
	"bounds":   bounds,
	"money":    Money,
	"seconds":  seconds,
	"axis":     axis,
	"forest":   forest,
	"list":     func(e ...Estimate) []Estimate { return e },
	"tick":     short,
	"sum":      func(a, b int) int { return a + b },
	"f3f":      func(v float64) string { return f3(&v) },
	"f2":       func(v *float64) string { return num2(*v) },
	"mini":     mini,
	"rocs":     rocs,
	"uri":      func(s string) template.URL { return template.URL(s) }, // trim has checked it
	"interval": interval,
	"signed":   signed,
	"p":        pValue,
	"why":      why,
	"met":      func(h Headline) bool { return h.Figure.Value != nil && *h.Figure.Value >= *h.Goal },
	"ratio":    ratio,
	"shared":   func(f string, of []string) bool { return slices.Contains(of, f) },
	"zero":     func(v int) bool { return v == 0 },
	"inc":      func(i int) int { return i + 1 },
	"join":     strings.Join,
	// Of the paired page.
	"difference":     difference,
	"differenceAxis": differenceAxis,
	// Methods that templates call on values.
	"precision":   FindingCurve.precision,
	"reliability": FindingCurve.reliability,
	"agreement":   (*Labels).agreement,
	"states":      LabelRow.states,
	"bar":         RetrievalRow.bar,
	"top":         (*Retrieval).top,
	"losses":      Training.losses,
	"rates":       Training.rates,
	"last":        Training.last,
	"shots":       Images.shots,
	"perThousand": (*Cost).perThousand,
	"savedTotal":  func(s Saved) string { return money(s.total()) },
}

// f3 prints a figure with three decimals; large ones with fewer.
func f3(v *float64) string {
	switch {
	case v == nil:
		return "–"
	case math.Abs(*v) >= 100:
		return strconv.FormatFloat(*v, 'f', 0, 64)
	case math.Abs(*v) >= 10:
		return strconv.FormatFloat(*v, 'f', 1, 64)
	}
	return strings.Replace(strconv.FormatFloat(*v, 'f', 3, 64), "-", "−", 1)
}

// interval prints the two ends, or nothing.
func interval(e Estimate) string {
	if e.Value == nil || e.Lo == nil || e.Hi == nil {
		return ""
	}
	return f3(e.Lo) + "–" + f3(e.Hi)
}

func why(e Estimate) string {
	if e.Why == "" {
		return "undefined"
	}
	return "undefined: " + e.Why
}

func percent(s Share) string {
	if s.N == 0 {
		return "undefined"
	}
	return fmt.Sprintf("%.1f", 100*float64(s.K)/float64(s.N))
}

// bounds are the ends of a share's interval, in percent, or nothing.
func bounds(s Share) string {
	if s.Interval == nil {
		return ""
	}
	return fmt.Sprintf("%.1f–%.1f", 100*s.Interval[0], 100*s.Interval[1])
}

// ratio says how many times chance a figure is.
func ratio(v, chance *float64) string {
	if v == nil || chance == nil || *chance <= 0 {
		return ""
	}
	return fmt.Sprintf("%.1f×", *v / *chance)
}

func seconds(s float64) string {
	switch {
	case s <= 0:
		return ""
	case s < 10:
		return fmt.Sprintf("%.1f s", s)
	case s < 120:
		return fmt.Sprintf("%.0f s", s)
	case s < 7200:
		return fmt.Sprintf("%d min %02d s", int(s)/60, int(s)%60)
	}
	return fmt.Sprintf("%d h %02d min", int(s)/3600, int(s)/60%60)
}

// table is the classification by finding: rows sorted by the first system's AUC, undefined last.
type table struct {
	Lo   float64 // left end of the forest's axis
	Rows []tableRow
	ROC  bool // some row has a curve
}

type tableRow struct {
	Finding    string
	NPos, NNeg int
	Scores     []FindingScore // one a system, in their order
	Estimates  []Estimate
	Curves     [][][2]float64
	Drawn      bool
}

func (c *Classification) table() *table {
	t := &table{Lo: 0.5}
	index := map[string]int{}
	for i, s := range c.Systems {
		for _, f := range s.Findings {
			r, seen := index[f.Finding]
			if !seen {
				r = len(t.Rows)
				index[f.Finding] = r
				t.Rows = append(t.Rows, newRow(f.Finding, len(c.Systems)))
			}
			t.Rows[r].set(i, f)
			t.ROC = t.ROC || len(f.ROC) > 1
			t.Lo = min(t.Lo, lowest(f.AUC))
		}
		t.Lo = min(t.Lo, lowest(s.Macro))
	}
	t.Lo = max(0, math.Floor(t.Lo*10)/10)
	slices.SortStableFunc(t.Rows, func(a, b tableRow) int {
		x, y := a.order(), b.order()
		switch {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return t
}

func newRow(finding string, systems int) tableRow {
	r := tableRow{Finding: finding, Scores: make([]FindingScore, systems), Estimates: make([]Estimate, systems), Curves: make([][][2]float64, systems)}
	for i := range systems {
		r.Scores[i].AUC.Why = "not scored"
	}
	return r
}

func (r *tableRow) set(i int, f FindingScore) {
	r.Scores[i], r.Estimates[i], r.Curves[i] = f, f.AUC, f.ROC
	r.Drawn = r.Drawn || len(f.ROC) > 1
	if r.NPos+r.NNeg == 0 {
		r.NPos, r.NNeg = f.NPos, f.NNeg
	}
}

func (r tableRow) order() float64 {
	for _, e := range r.Estimates {
		if e.Value != nil {
			return *e.Value
		}
	}
	return math.Inf(-1)
}

// lowest is the left end of an estimate; 1 when there is none.
func lowest(e Estimate) float64 {
	switch {
	case e.Value == nil:
		return 1
	case e.Lo != nil:
		return *e.Lo
	}
	return *e.Value
}

// Macros is each system's macro figure, for the forest.
func (c *Classification) Macros() []Estimate {
	out := make([]Estimate, len(c.Systems))
	for i, s := range c.Systems {
		out[i] = s.Macro
	}
	return out
}

// SumRejects is what the steps refused together.
func (f *Flow) SumRejects() (n int) {
	for _, s := range f.Steps {
		n += s.Rejects
	}
	return n
}

// Has says which columns of the split table hold anything.
func (f *Flow) Has(column string) bool {
	for _, s := range f.Splits {
		switch {
		case column == "patients" && s.Patients > 0, column == "studies" && s.Studies > 0, column == "volumes" && s.Volumes > 0:
			return true
		}
	}
	return false
}

// HasQuality says whether any finding was compared with a truth.
func (l *Labels) HasQuality() bool {
	return slices.ContainsFunc(l.Findings, func(r LabelRow) bool { return r.Quality != nil })
}

// QualityLo is the left end of the quality forest's axis.
func (l *Labels) QualityLo() float64 {
	lo := 0.9
	for _, r := range l.Findings {
		if r.Quality != nil {
			lo = min(lo, lowest(r.Quality.BalancedAccuracy))
		}
	}
	return max(0, math.Floor(lo*10)/10)
}
