package html

import (
	"fmt"
	"html/template"
	"math"
)

// Curves are small multiples of one system, a drawing for each finding.
type Curves struct {
	System   string         `json:"system"`
	Note     string         `json:"note,omitempty"` // what makes its scores probabilities; where nothing does, Findings have no Bins
	Findings []FindingCurve `json:"findings"`
}

// FindingCurve is one finding of one system.
type FindingCurve struct {
	Finding    string       `json:"finding"`
	Prevalence float64      `json:"prevalence"`     // chance level of precision
	PR         [][2]float64 `json:"pr,omitempty"`   // recall, precision at each distinct score, at most 200
	Bins       []Bin        `json:"bins,omitempty"` // reliability
	Brier      *float64     `json:"brier,omitempty"`
	ECE        *float64     `json:"ece,omitempty"` // 15 bins of equal width
}

// Bin are the rows with nearly the same probability.
type Bin struct {
	Mean float64     `json:"mean"` // of their probabilities
	Rate float64     `json:"rate"` // present among them
	N    int         `json:"n"`
	CI   *[2]float64 `json:"ci,omitempty"` // of the rate, rows taken as independent
}

// HasBins says whether the system's scores are probabilities.
func (c Curves) HasBins() bool {
	for _, f := range c.Findings {
		if len(f.Bins) > 0 {
			return true
		}
	}
	return false
}

const squareSide = 120.0

// square opens a drawing of the unit square.
func square(class, label string) *svg {
	s := drawing(class, squareSide+2, squareSide+2, label)
	s.rect("frame", 1, 1, squareSide, squareSide)
	for _, t := range []float64{.25, .5, .75} {
		s.line("grid", 1+squareSide*t, 1, 1+squareSide*t, 1+squareSide)
		s.line("grid", 1, 1+squareSide*t, 1+squareSide, 1+squareSide*t)
	}
	return s
}

// inSquare is where x, y of the unit square is drawn.
func inSquare(x, y float64) [2]float64 {
	return [2]float64{1 + squareSide*clamp(x, 1), 1 + squareSide*(1-clamp(y, 1))}
}

// precision draws precision over recall; the dashed line is the prevalence.
func (f FindingCurve) precision() template.HTML {
	s := square("roc", fmt.Sprintf("precision over recall of %s, prevalence %.2f", f.Finding, f.Prevalence))
	at := inSquare(0, f.Prevalence)
	s.line("mark", 1, at[1], 1+squareSide, at[1])
	var points [][2]float64
	for i, p := range f.PR { // a step for each distinct score: no interpolation
		if i > 0 {
			points = append(points, inSquare(f.PR[i-1][0], p[1]))
		}
		points = append(points, inSquare(p[0], p[1]))
	}
	s.path("curve s1", points)
	return s.done()
}

// reliability draws the rate of present over the probability, a dot a bin.
func (f FindingCurve) reliability() template.HTML {
	s := square("roc", fmt.Sprintf("reliability of %s: share present over probability, %d bins", f.Finding, len(f.Bins)))
	s.line("mark", 1, 1+squareSide, 1+squareSide, 1)
	most := 1
	for _, b := range f.Bins {
		most = max(most, b.N)
	}
	for _, b := range f.Bins {
		p := inSquare(b.Mean, b.Rate)
		if b.CI != nil {
			lo, hi := inSquare(b.Mean, b.CI[0]), inSquare(b.Mean, b.CI[1])
			s.line("whisker s1", p[0], lo[1], p[0], hi[1])
		}
		s.dot("dot s1", p[0], p[1], 1.5+3*math.Sqrt(float64(b.N)/float64(most)))
	}
	return s.done()
}

// Subgroups are the parts of one evaluation's rows, by several properties.
type Subgroups struct {
	System     string             `json:"system"`
	Properties []SubgroupProperty `json:"properties"`
}

// SubgroupProperty is one property of the rows and the figures of each part.
type SubgroupProperty struct {
	Property string     `json:"property"`
	Groups   []Subgroup `json:"groups,omitempty"`
	NUnknown int        `json:"n_unknown,omitempty"` // rows of which it is not known
}

// Subgroup is a part of the rows.
type Subgroup struct {
	Name     string   `json:"name"`
	Rows     int      `json:"rows"`
	Patients int      `json:"patients"`
	Macro    Estimate `json:"macro"`
	NLabels  int      `json:"n_labels"` // findings in Macro
	// Difference is Macro less that of the other parts' rows; P is of none, corrected over all parts.
	Difference Estimate `json:"difference"`
	P          *float64 `json:"p,omitempty"`
}

// Differs says whether a part differs from the others, at 5 % over all parts.
func (s Subgroup) Differs() bool { return s.P != nil && *s.P < .05 }

// ScoredExample is one volume and what was said of one finding.
type ScoredExample struct {
	Kind    string  `json:"kind"` // "present, rightly", ...
	Right   bool    `json:"right"`
	Finding string  `json:"finding"`
	Volume  string  `json:"volume"`
	Score   float64 `json:"score"`
	Images  Images  `json:"images"`
}

// Checklist is a reporting guideline with what the run knows of its items.
type Checklist struct {
	Name  string `json:"name"`
	Items []Item `json:"items"`
}

// Item is one thing that a guideline asks for.
type Item struct {
	Topic string `json:"topic"`
	Known string `json:"known"` // "": not known to the run
}

// Egress says what left this machine for one host.
type Egress struct {
	Host     string `json:"host"`
	Requests int    `json:"requests"`
	Out      int64  `json:"bytes_out"`
	In       int64  `json:"bytes_in"`
	Removed  string `json:"removed,omitempty"` // from reports before they left, by kind
}

// agreement draws how far labels and truth agree, a row a finding: share of studies, kappa, PABAK, sensitivity, specificity.
func (l *Labels) agreement() template.HTML {
	const cell, width, left, top = 27.0, 72.0, 216.0, 24.0
	heads := []string{"agreement", "kappa", "PABAK", "sensitivity", "specificity"}
	var rows []LabelRow
	for _, r := range l.Findings {
		if r.Quality != nil {
			rows = append(rows, r)
		}
	}
	s := drawing("heat", left+width*float64(len(heads))+4, top+cell*float64(len(rows))+4, "agreement of labels and truth by finding, as numbers in cells")
	for c, h := range heads {
		s.text("m", left+width*(float64(c)+.5), top-8, h)
	}
	for i, r := range rows {
		y, q := top+cell*float64(i), r.Quality
		s.text("e", left-8, y+cell/2+4, clip(r.Finding, 34))
		for c, v := range []*float64{q.Agreement, q.Kappa, q.PABAK, q.Sensitivity.Value, q.Specificity.Value} {
			x := left + width*float64(c)
			if v == nil {
				s.cell("none", x+.5, y+.5, width-1, cell-1, 1, r.Finding+": "+heads[c]+" undefined")
				continue
			}
			share := clamp(*v, 1)
			s.cell("heat", x+.5, y+.5, width-1, cell-1, heatOpacity(share), fmt.Sprintf("%s: %s %s", r.Finding, heads[c], f3(v)))
			s.text("m", x+width/2, y+cell/2+3.5, num2(*v))
		}
	}
	return s.done()
}
