package html

import (
	"html/template"
	"math"
)

// Width of a forest and the margin that leaves a dot at either end whole.
const forestWidth, forestPad = 156.0, 5.0

func forestScale(lo float64) scale { return scale{lo, 1, forestPad, forestWidth - forestPad} }

// forest draws estimates as dots with their intervals, one below the other, on the axis lo..1 with a line at mark
// (chance). Estimate i is drawn in colour i+1.
func forest(lo, mark float64, estimates []Estimate) template.HTML {
	const rowHeight = 9.0
	height := rowHeight*float64(len(estimates)) + 5
	s := drawing("forest", forestWidth, height, "intervals, given as numbers beside")
	x := forestScale(lo)
	for _, t := range ticks(lo, 1, 4) {
		if t >= lo && t <= 1 {
			s.line("grid", x.at(t), 0, x.at(t), height)
		}
	}
	s.line("mark", x.at(mark), 0, x.at(mark), height)
	for i, e := range estimates {
		y := rowHeight*(float64(i)+.5) + 2.5
		class := "s" + string(rune('1'+i%4))
		if e.Lo != nil && e.Hi != nil {
			s.line("whisker "+class, x.at(*e.Lo), y, x.at(*e.Hi), y)
		}
		if e.Value != nil {
			s.dot("dot "+class, x.at(*e.Value), y, 3.2)
		}
	}
	return s.done()
}

// axis is the head of a column of forests.
func axis(lo float64) template.HTML {
	s := drawing("forest axis", forestWidth, 14, "axis")
	x := forestScale(lo)
	for _, t := range ticks(lo, 1, 4) {
		if t < lo || t > 1 {
			continue
		}
		class := "m"
		if x.at(t) < 12 {
			class = ""
		} else if x.at(t) > forestWidth-12 {
			class = "e"
		}
		s.text(class, x.at(t), 11, short(t))
	}
	return s.done()
}

// mini is the picture in a headline tile: the interval on 0..1 (or wider), the reference as a tick.
func mini(h Headline) template.HTML {
	if h.Figure.Value == nil {
		return ""
	}
	const width, mid = 200.0, 8.0
	top := max(1, *h.Figure.Value)
	s := drawing("mini", width, 16, "interval on a line from 0 to "+short(top))
	x := scale{0, top, 4, width - 4}
	s.line("track", 4, mid, width-4, mid)
	if h.Reference != nil {
		s.line("mark", x.at(*h.Reference), 1, x.at(*h.Reference), 15)
	}
	if h.Figure.Lo != nil && h.Figure.Hi != nil {
		s.line("band s1", x.at(*h.Figure.Lo), mid, x.at(*h.Figure.Hi), mid)
	}
	s.dot("dot s1", x.at(*h.Figure.Value), mid, 4.5)
	return s.done()
}

// states is a bar of the four label states.
func (r LabelRow) states() template.HTML {
	const width = 150.0
	total := float64(r.Present + r.Absent + r.Uncertain + r.NotMentioned)
	s := drawing("bar", width, 12, "present, uncertain, absent, not mentioned, given as numbers beside")
	if total > 0 {
		x := 0.0
		for _, p := range []struct {
			class string
			n     int
		}{{"present", r.Present}, {"uncertain", r.Uncertain}, {"absent", r.Absent}, {"unsaid", r.NotMentioned}} {
			w := width * float64(p.n) / total
			s.rect(p.class, x, 0, w, 12)
			x += w
		}
	}
	return s.done()
}

// bar draws a retrieval figure from 0 to top with its interval and its chance level.
func (r RetrievalRow) bar(top float64) template.HTML {
	const width = 200.0
	s := drawing("bar", width, 14, "bar, given as numbers beside")
	x := scale{0, top, 0, width - 4}
	s.rect("trackbar", 0, 2, width-4, 10)
	if r.Figure.Value != nil {
		s.rect("present", 0, 2, x.at(*r.Figure.Value), 10)
	}
	if r.Figure.Lo != nil && r.Figure.Hi != nil {
		s.line("range", x.at(*r.Figure.Lo), 7, x.at(*r.Figure.Hi), 7)
	}
	if r.Chance != nil {
		s.line("mark strong", x.at(*r.Chance), 0, x.at(*r.Chance), 14)
	}
	return s.done()
}

// top is the end of the bars' common axis.
func (r *Retrieval) top() float64 {
	top := 0.0
	for _, row := range r.Rows {
		if row.Rank {
			continue
		}
		for _, v := range []*float64{row.Figure.Value, row.Figure.Hi, row.Chance} {
			if v != nil && !math.IsInf(*v, 0) {
				top = max(top, *v)
			}
		}
	}
	all := ticks(0, max(top, .01), 4)
	return min(max(1, top), all[len(all)-1])
}
