package html

import (
	"fmt"
	"html/template"
	"math"
	"slices"
)

// losses draws training and held-out loss over steps.
func (t Training) losses() template.HTML {
	var train, valid [][2]float64
	for _, p := range t.Points {
		train, valid = appendPoint(train, p.Step, p.Loss), appendPoint(valid, p.Step, p.Valid)
	}
	train, span := averaged(train)
	name := "training"
	if span > 1 {
		name = fmt.Sprintf("training, mean of %d", span)
	}
	return lines("loss", "step", 210, []series{{"s1", name, train}, {"s2", "held out", valid}})
}

// rates draws the learning rate over steps.
func (t Training) rates() template.HTML {
	var lr [][2]float64
	for _, p := range t.Points {
		lr = appendPoint(lr, p.Step, p.LR)
	}
	return lines("learning rate", "step", 104, []series{{"s3", "learning rate", lr}})
}

// last is the last loss that was written, by kind.
func (t Training) last(valid bool) *float64 {
	for i := len(t.Points) - 1; i >= 0; i-- {
		if v := t.Points[i].Loss; !valid && v != nil {
			return v
		}
		if v := t.Points[i].Valid; valid && v != nil {
			return v
		}
	}
	return nil
}

// averaged joins neighbours into their mean until at most 150 points are left, and says how many make one.
func averaged(p [][2]float64) (out [][2]float64, span int) {
	span = (len(p) + 149) / 150
	for len(p) > 0 {
		n := min(span, len(p))
		var m [2]float64
		for _, v := range p[:n] {
			m[0] += v[0] / float64(n)
			m[1] += v[1] / float64(n)
		}
		out, p = append(out, m), p[n:]
	}
	return out, span
}

type series struct {
	class, name string
	points      [][2]float64
}

func appendPoint(to [][2]float64, step int, v *float64) [][2]float64 {
	if v == nil || math.IsNaN(*v) || math.IsInf(*v, 0) {
		return to
	}
	return append(to, [2]float64{float64(step), *v})
}

// lines draws series on common axes, 520 wide; nothing when all are empty.
func lines(what, by string, height float64, all []series) template.HTML {
	const width, left, right, bottom = 520.0, 46.0, 10.0, 22.0
	loX, hiX, loY, hiY := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, s := range all {
		for _, p := range s.points {
			loX, hiX, loY, hiY = min(loX, p[0]), max(hiX, p[0]), min(loY, p[1]), max(hiY, p[1])
		}
	}
	if hiX < loX {
		return ""
	}
	if loY > 0 && loY < hiY/2 {
		loY = 0
	}
	if hiY == loY {
		hiY = loY + max(1e-12, math.Abs(loY)/10)
	}
	marks := ticks(loY, hiY, int(height/45))
	s := drawing("chart", width, height, fmt.Sprintf("%s by %s, from %s to %s", what, by, short(loX), short(hiX)))
	x := scale{loX, hiX, left, width - right}
	y := scale{marks[0], marks[len(marks)-1], height - bottom, 18}
	for _, t := range marks {
		s.line("grid", left, y.at(t), width-right, y.at(t))
		s.text("e", left-6, y.at(t)+3.5, short(t))
	}
	for _, t := range ticks(loX, hiX, 5) {
		if t >= loX && t <= hiX {
			s.text("m", x.at(t), height-6, short(t))
		}
	}
	legend := left
	for _, c := range all {
		if len(c.points) == 0 {
			continue
		}
		drawn := make([][2]float64, 0, 400)
		for i, p := range c.points {
			if keep := max(1, (len(c.points)+399)/400); i%keep == 0 || i == len(c.points)-1 {
				drawn = append(drawn, [2]float64{x.at(p[0]), y.at(p[1])})
			}
		}
		if len(drawn) == 1 {
			s.dot("dot "+c.class, drawn[0][0], drawn[0][1], 3)
		} else {
			s.path("curve "+c.class, drawn)
		}
		s.line("curve "+c.class, legend, 8, legend+16, 8)
		s.text("", legend+21, 11.5, c.name)
		legend += 40 + 6.2*float64(len(c.name))
	}
	s.text("e", width-right, 11.5, by)
	return s.done()
}

// rocs draws the curves of one finding, one a system, in a square.
func rocs(finding string, curves [][][2]float64) template.HTML {
	const side = 120.0
	s := drawing("roc", side+2, side+2, "ROC curves of "+finding)
	s.rect("frame", 1, 1, side, side)
	for _, t := range []float64{.25, .5, .75} {
		s.line("grid", 1+side*t, 1, 1+side*t, 1+side)
		s.line("grid", 1, 1+side*t, 1+side, 1+side*t)
	}
	s.line("mark", 1, 1+side, 1+side, 1)
	for i := len(curves) - 1; i >= 0; i-- { // the first system on top
		if len(curves[i]) < 2 {
			continue
		}
		points := make([][2]float64, len(curves[i]))
		for j, p := range curves[i] {
			points[j] = [2]float64{1 + side*clamp(p[0], 1), 1 + side*(1-clamp(p[1], 1))}
		}
		s.path(fmt.Sprintf("curve s%d", i%4+1), points)
	}
	return s.done()
}

// heatOpacity is that of a share: the darkest still lets the number in the cell be read, in light and in dark.
func heatOpacity(share float64) float64 { return .04 + .46*share }

// maxHeat is how many findings a heat map shows; the most frequent are kept.
const maxHeat = 40

// heat draws the share of the studies with the row's finding that also have the column's.
func (c *CoOccurrence) heat() (template.HTML, error) {
	for i := range c.Findings {
		if len(c.Count) != len(c.Findings) || len(c.Count[i]) != len(c.Findings) {
			return "", fmt.Errorf("html: co-occurrence of %d findings is not square", len(c.Findings))
		}
	}
	keep := c.frequent()
	const cell, left, top, right = 27.0, 216.0, 160.0, 140.0
	n := float64(len(keep))
	s := drawing("heat", left+cell*n+right, top+cell*n+4, "co-occurrence of findings; hover a cell for its numbers")
	for r, i := range keep {
		y := top + cell*float64(r)
		s.text("e", left-8, y+cell/2+4, clip(c.Findings[i], 34))
		s.slanted(left+cell*(float64(r)+.5)+3, top-7, clip(c.Findings[i], 34))
		for k, j := range keep {
			x := left + cell*float64(k)
			own, both := c.Count[i][i], c.Count[i][j]
			if i == j {
				s.cell("own", x+.5, y+.5, cell-1, cell-1, 1, fmt.Sprintf("%s: %s of %s", c.Findings[i], count(own), count(c.N)))
				s.text("m", x+cell/2, y+cell/2+3.5, count(own))
				continue
			}
			if own == 0 {
				s.cell("none", x+.5, y+.5, cell-1, cell-1, 1, c.Findings[i]+": none, undefined")
				continue
			}
			share := float64(both) / float64(own)
			s.cell("heat", x+.5, y+.5, cell-1, cell-1, heatOpacity(share), fmt.Sprintf("%s of %s with %s also have %s (%.0f %%)", count(both), count(own), c.Findings[i], c.Findings[j], 100*share))
			s.text("m", x+cell/2, y+cell/2+3.5, fmt.Sprintf("%.0f", 100*share))
		}
	}
	return s.done(), nil
}

// frequent is the findings to show, in their own order.
func (c *CoOccurrence) frequent() []int {
	keep := make([]int, len(c.Findings))
	for i := range keep {
		keep[i] = i
	}
	slices.SortStableFunc(keep, func(a, b int) int { return c.Count[b][b] - c.Count[a][a] })
	keep = keep[:min(len(keep), maxHeat)]
	slices.Sort(keep)
	return keep
}

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
