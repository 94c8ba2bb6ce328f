package html

import (
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// svg writes one drawing. Colours come from the style sheet by class, so that dark mode and print reach them.
type svg struct{ b strings.Builder }

// drawing opens an SVG of a viewBox w×h. label is what a screen reader says.
func drawing(class string, w, h float64, label string) *svg {
	s := &svg{}
	s.put(`<svg class="`, class, `" viewBox="0 0 `, num(w), ` `, num(h), `" width="`, num(w), `" height="`, num(h), `" role="img" aria-label="`, html.EscapeString(label), `">`)
	return s
}

func (s *svg) put(parts ...string) {
	for _, p := range parts {
		s.b.WriteString(p)
	}
}

func (s *svg) done() template.HTML {
	s.put(`</svg>`)
	return template.HTML(s.b.String())
}

func (s *svg) line(class string, x1, y1, x2, y2 float64) {
	s.put(`<line class="`, class, `" x1="`, num(x1), `" y1="`, num(y1), `" x2="`, num(x2), `" y2="`, num(y2), `"/>`)
}

func (s *svg) rect(class string, x, y, w, h float64) {
	if w > 0 && h > 0 {
		s.put(`<rect class="`, class, `" x="`, num(x), `" y="`, num(y), `" width="`, num(w), `" height="`, num(h), `"/>`)
	}
}

// cell is a rect of some opacity, with a title shown on hovering.
func (s *svg) cell(class string, x, y, w, h, opacity float64, title string) {
	s.put(`<rect class="`, class, `" x="`, num(x), `" y="`, num(y), `" width="`, num(w), `" height="`, num(h), `" fill-opacity="`, num2(opacity), `"><title>`, html.EscapeString(title), `</title></rect>`)
}

func (s *svg) dot(class string, x, y, r float64) {
	s.put(`<circle class="`, class, `" cx="`, num(x), `" cy="`, num(y), `" r="`, num(r), `"/>`)
}

// text is anchored by class: "e" ends at x, "m" is centred on it.
func (s *svg) text(class string, x, y float64, text string) {
	s.put(`<text class="`, class, `" x="`, num(x), `" y="`, num(y), `">`, html.EscapeString(text), `</text>`)
}

// slanted turns a text that starts at x, y upwards by 45 degrees.
func (s *svg) slanted(x, y float64, text string) {
	s.put(`<text transform="translate(`, num(x), ` `, num(y), `) rotate(-45)">`, html.EscapeString(text), `</text>`)
}

// path joins points; one that rounds to its predecessor's place is left out.
func (s *svg) path(class string, points [][2]float64) {
	s.put(`<path class="`, class, `" d="`)
	last := ""
	for _, p := range points {
		at := num(p[0]) + " " + num(p[1])
		if at == last {
			continue
		}
		if last == "" {
			s.put("M", at)
		} else {
			s.put("L", at)
		}
		last = at
	}
	s.put(`"/>`)
}

// num is a coordinate: a tenth of a pixel is enough.
func num(v float64) string {
	s := strconv.FormatFloat(v, 'f', 1, 64)
	s = strings.TrimSuffix(s, ".0")
	if s == "-0" {
		return "0"
	}
	return s
}

func num2(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }

// scale maps [lo,hi] to [from,to], clamping outside.
type scale struct{ lo, hi, from, to float64 }

func (s scale) at(v float64) float64 {
	if s.hi <= s.lo {
		return s.from
	}
	return s.from + (s.to-s.from)*clamp((v-s.lo)/(s.hi-s.lo), 1)
}

// ticks are about n round values from the lowest multiple of 1, 2 or 5 times a power of ten at or below lo to the first
// at or above hi.
func ticks(lo, hi float64, n int) []float64 {
	if !(hi > lo) {
		hi = lo + 1
	}
	raw := (hi - lo) / float64(n)
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	step := 10 * unit
	for _, f := range []float64{1, 2, 5} {
		if f*unit >= raw*0.999 {
			step = f * unit
			break
		}
	}
	var out []float64
	for i := math.Floor(lo/step + 1e-9); ; i++ {
		out = append(out, i*step)
		if i*step >= hi-step*1e-9 || len(out) > 50 {
			return out
		}
	}
}

// short prints a tick without needless digits.
func short(v float64) string {
	a := math.Abs(v)
	switch {
	case v == 0:
		return "0"
	case a >= 10000:
		return count(int64(math.Round(v)))
	case a < 0.001:
		return strconv.FormatFloat(v, 'e', 0, 64)
	}
	return strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64)
}
