package student

import (
	"math"
	"slices"

	"silverbeam/pkg/metrics"
	"silverbeam/pkg/taxonomy"
)

// Figures are one finding's cross-validated figures, beside those of the rules on the same reports.
type Figures struct {
	Finding   string `json:"finding"`
	N         int    `json:"n"` // reports with a known truth
	Positives int    `json:"positives"`
	Fitted    bool   `json:"fitted"` // false: too few labels to learn from, the rules answer
	Rules     Figure `json:"rules"`
	Student   Figure `json:"student"`
}

// Figure is a labeler's; nil where it is undefined. F1 counts uncertain as present; ECE has 15 bins of equal width.
type Figure struct {
	AUC *float64 `json:"auc"`
	F1  *float64 `json:"f1"`
	ECE *float64 `json:"ece"`
}

// Crossed is what the student answers on each report by models that have not seen it, its copies or its cluster.
type Crossed struct {
	reports []Report
	labels  [][]taxonomy.Label // report → finding, by the rules
	p       [][]float64        // finding → report; nil: not fitted
}

// answers of a labeler for one finding: the truth, the probability, and present or not.
type answers struct {
	y    []int8
	p    []float64
	hard []float64
}

func (c *Crossed) byRules(f int) (a answers) {
	for row, r := range c.reports {
		l := c.labels[row][f]
		v, _ := taxonomy.Binary(l, "one")
		a.y, a.p, a.hard = append(a.y, r.Truth[f]), append(a.p, float64(l.P)), append(a.hard, float64(v))
	}
	return a
}

func (c *Crossed) byStudent(f int) answers {
	a := c.byRules(f)
	if c.p[f] != nil {
		a.p, a.hard = c.p[f], c.p[f]
	}
	return a
}

func (a answers) figure() (f Figure) {
	auc, ok, err := metrics.AUC(a.y, a.p)
	f.AUC = metrics.Defined(auc, ok && err == nil)
	if c, err := metrics.At(a.y, a.hard, 0.5); err == nil {
		f.F1 = c.Rates().F1
	}
	ece, ok := metrics.ECE(a.y, a.p, 15, false)
	f.ECE = metrics.Defined(ece, ok)
	return f
}

// measure fills in the figures.
func (c *Crossed) measure(m *Made, names []string, models []*model) {
	for f, name := range names {
		x := Figures{Finding: name, Fitted: models[f] != nil, Rules: c.byRules(f).figure(), Student: c.byStudent(f).figure()}
		for _, r := range c.reports {
			if y := r.Truth[f]; y == 0 || y == 1 {
				x.N++
				x.Positives += int(y)
			}
		}
		m.Figures = append(m.Figures, x)
		m.Macro.N, m.Macro.Positives = m.Macro.N+x.N, m.Macro.Positives+x.Positives
	}
	m.Macro.Finding, m.Macro.Fitted = "macro", true
	for _, of := range []func(*Figures) *Figure{func(x *Figures) *Figure { return &x.Rules }, func(x *Figures) *Figure { return &x.Student }} {
		var auc, f1, ece []*float64
		for i := range m.Figures {
			x := of(&m.Figures[i])
			auc, f1, ece = append(auc, x.AUC), append(f1, x.F1), append(ece, x.ECE)
		}
		*of(&m.Macro) = Figure{mean(auc), mean(f1), mean(ece)}
	}
}

func mean(values []*float64) *float64 {
	v, _, ok := metrics.Macro(values)
	return metrics.Defined(v, ok)
}

// Point is what a cascade costs and gives when its last labeler is asked where an earlier one doubts.
type Point struct {
	Labelers string   `json:"labelers"`
	Doubt    float64  `json:"doubt"`    // of the student; 0: none
	Findings float64  `json:"findings"` // share of labels that are asked for
	Reports  float64  `json:"reports"`  // share of reports that are asked about
	Right    *float64 `json:"f1_right"` // macro F1 if every answer is right
	Mostly   *float64 `json:"f1_95"`    // macro F1 expected if 95 % of the answers are right
}

// shares of reports that the curve has a point for.
var shares = []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9}

// Curve is the cascades worth a look: the rules and the student alone, and with a last labeler, which is asked of more and
// more reports.
func (c *Crossed) Curve() []Point {
	ruled := func(f, row int) bool { return c.labels[row][f].State == taxonomy.Uncertain }
	curve := []Point{
		c.point("rules", 0, c.byRules, func(int, int) bool { return false }),
		c.point("rules,llm", 0, c.byRules, ruled),
		c.point("student", 0, c.byStudent, func(int, int) bool { return false }),
	}
	for _, share := range shares {
		d := c.doubt(share)
		if d == curve[len(curve)-1].Doubt {
			continue
		}
		curve = append(curve, c.point("student,llm", d, c.byStudent, c.doubted(d)))
	}
	return curve
}

// doubt is the smallest doubt, in steps of 0.0001, that asks of no more than a share of the reports; 0.5 where none does.
func (c *Crossed) doubt(share float64) float64 {
	most := make([]float64, len(c.reports)) // report → the largest doubt that still asks of it
	for row := range most {
		for f, p := range c.p {
			switch {
			case p != nil:
				most[row] = max(most[row], min(p[row], 1-p[row]))
			case c.labels[row][f].State == taxonomy.Uncertain:
				most[row] = 0.5
			}
		}
	}
	slices.Sort(most)
	at := len(most) - int(share*float64(len(most))) // the reports from here on may be asked of
	if at == 0 {
		return 0.0001
	}
	return min(math.Floor(most[at-1]*10000+1)/10000, 0.5)
}

func (c *Crossed) doubted(d float64) func(f, row int) bool {
	return func(f, row int) bool {
		if c.p[f] == nil {
			return c.labels[row][f].State == taxonomy.Uncertain
		}
		return wavers(c.p[f][row], d)
	}
}

func (c *Crossed) point(labelers string, doubt float64, by func(f int) answers, asks func(f, row int) bool) Point {
	const accuracy = 0.95
	var right, mostly []*float64
	reports, findings := make([]bool, len(c.reports)), 0
	for f := range c.p {
		a := by(f)
		var tp, fp, fn, atp, afp, afn float64 // a: of the asked, all right
		for row, y := range a.y {
			asked := asks(f, row)
			if asked {
				reports[row] = true
				findings++
			}
			present := a.hard[row] >= 0.5
			switch {
			case y != 0 && y != 1:
			case asked && y == 1:
				atp++
			case asked:
				afp++
			case y == 1 && present:
				tp++
			case y == 1:
				fn++
			case present:
				fp++
			}
		}
		afp, afn = afp*(1-accuracy), atp*(1-accuracy)
		right = append(right, f1(tp+atp, fp, fn))
		mostly = append(mostly, f1(tp+atp*accuracy, fp+afp, fn+afn))
	}
	n := 0
	for _, asked := range reports {
		if asked {
			n++
		}
	}
	rows := float64(len(reports))
	return Point{labelers, doubt, float64(findings) / (rows * float64(len(c.p))), float64(n) / rows, mean(right), mean(mostly)}
}

func f1(tp, fp, fn float64) *float64 { return metrics.Defined(2*tp/(2*tp+fp+fn), tp+fp+fn > 0) }
