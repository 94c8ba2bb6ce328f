package html

import (
	"bytes"
	"fmt"
	"html/template"
	"io"
	"math"
)

// Comparison is the page of two runs, A and B, on the same rows. Every difference is A − B.
type Comparison struct {
	A       string       `json:"a"` // the runs' folders
	B       string       `json:"b"`
	Changed []Change     `json:"changed"` // what was otherwise, so far as the folders tell
	Tests   []PairedTest `json:"tests"`
}

// Change is one setting of both runs; "" where one has none.
type Change struct {
	Name string `json:"name"`
	A    string `json:"a"`
	B    string `json:"b"`
}

// PairedTest is one evaluation that both runs have.
type PairedTest struct {
	Step     string `json:"step"`
	Type     string `json:"type"`
	Figure   string `json:"figure"` // what is compared: AUC, balanced accuracy, recall
	Split    string `json:"split,omitempty"`
	Truth    string `json:"truth,omitempty"`
	Unit     string `json:"unit"` // of Rows
	Rows     int    `json:"n_rows"`
	Patients int    `json:"n_patients"`
	Primary  bool   `json:"primary,omitempty"` // its macro figure, or recall@10, is the primary endpoint
	// Exploratory says why a run's figures are no test; "": they are.
	Exploratory string      `json:"exploratory,omitempty"`
	Macro       *PairedRow  `json:"macro,omitempty"`
	Findings    []PairedRow `json:"findings"`
}

// PairedRow is one finding, or one k of a recall. What is not defined is nil.
type PairedRow struct {
	Name        string   `json:"name"`
	A           *float64 `json:"value_a"`
	B           *float64 `json:"value_b"`
	Difference  Estimate `json:"difference"`       // with its interval, patients resampled
	P           *float64 `json:"p,omitempty"`      // DeLong's, paired, two-sided
	Holm        *float64 `json:"p_holm,omitempty"` // corrected over the findings
	OnlyA       int      `json:"only_a_right"`     // at each run's own thresholds
	OnlyB       int      `json:"only_b_right"`
	McNemar     *float64 `json:"mcnemar_p,omitempty"` // exact, two-sided
	McNemarHolm *float64 `json:"mcnemar_p_holm,omitempty"`
}

// RenderComparison writes the paired page.
func RenderComparison(w io.Writer, c *Comparison) error {
	var b bytes.Buffer
	err := layout.ExecuteTemplate(&b, "compare.html", struct {
		*Comparison
		Style  template.CSS
		Policy string
	}{c, template.CSS(style), policy()})
	if err != nil {
		return fmt.Errorf("html: %w", err)
	}
	_, err = w.Write(b.Bytes())
	return err
}

// Reach is the end of the test's axis: the largest end of an interval, in tenths, 0.1 at least and 1 at most.
func (t PairedTest) Reach() float64 {
	reach := .1
	for _, r := range t.Findings {
		for _, v := range []*float64{r.Difference.Value, r.Difference.Lo, r.Difference.Hi} {
			if v != nil {
				reach = max(reach, math.Abs(*v))
			}
		}
	}
	return min(1, math.Ceil(10*reach-1e-9)/10)
}

// DeLong says whether any row has its test.
func (t PairedTest) DeLong() bool {
	for _, r := range t.Findings {
		if r.P != nil {
			return true
		}
	}
	return false
}

// difference draws one difference with its interval around 0, on an axis of reach to both sides.
func difference(reach float64, e Estimate) template.HTML {
	const height = 14.0
	s := drawing("forest", forestWidth, height, "difference and its interval, given as numbers beside")
	x := scale{-reach, reach, forestPad, forestWidth - forestPad}
	for _, t := range []float64{-reach, -reach / 2, reach / 2, reach} {
		s.line("grid", x.at(t), 0, x.at(t), height)
	}
	s.line("mark strong", x.at(0), 0, x.at(0), height)
	if e.Lo != nil && e.Hi != nil {
		s.line("whisker s1", x.at(*e.Lo), height/2, x.at(*e.Hi), height/2)
	}
	if e.Value != nil {
		s.dot("dot s1", x.at(*e.Value), height/2, 3.2)
	}
	return s.done()
}

// differenceAxis is the head of a column of them.
func differenceAxis(reach float64) template.HTML {
	s := drawing("forest axis", forestWidth, 14, "axis from "+short(-reach)+" to "+short(reach))
	x := scale{-reach, reach, forestPad, forestWidth - forestPad}
	s.text("", 0, 11, short(-reach))
	s.text("m", x.at(0), 11, "0")
	s.text("e", forestWidth, 11, "+"+short(reach))
	return s.done()
}

// signed is a difference with its sign.
func signed(v *float64) string {
	if v != nil && *v > 0 {
		return "+" + f3(v)
	}
	return f3(v)
}

// pValue prints p as journals do.
func pValue(p *float64) string {
	switch {
	case p == nil:
		return "–"
	case *p < .001:
		return "< .001"
	}
	return fmt.Sprintf("%.3f", *p)
}
