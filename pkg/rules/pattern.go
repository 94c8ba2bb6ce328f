package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// element is one step of a pattern.
type element struct {
	symbol symbol
	gap    int8  // up to this many tokens may come before it
	tight  bool  // the gap crosses no comma, verb or denial
	anchor bool  // the token whose denial denies the finding
	least  int16 // for "#": least size in mm, 0 for any number
}

// pattern is a rule's left side after its options are spelled out: a plain sequence.
type pattern struct {
	row      int32
	elements []element
	kind     kind // of the row
	atEnd    bool // what follows is the end of the sentence or a mark that separates statements
}

// maxVariants bounds what one written pattern may expand to.
const maxVariants = 512

// compilePattern expands the written form:
//
//	word  stem*  (a|b*|c)  <class>   one token
//	[x]                              the token may be missing
//	..N  _N                          up to N tokens in between; _N crosses no comma, verb or denial
//	^x                               the anchor (else the first token)
//	#  #>=10mm                       a number; a length of at least 10 mm
//	$                                last: nothing more may come in this part of the sentence
func compilePattern(x *lexicon, classes map[string][]string, written string, row int32) ([]pattern, error) {
	variants := [][]element{nil}
	gap, tight := 0, false
	written, atEnd := strings.CutSuffix(written, " $")
	for _, f := range strings.Fields(written) {
		if n, ok := strings.CutPrefix(f, ".."); ok {
			g, err := strconv.Atoi(n)
			if err != nil {
				return nil, fmt.Errorf("gap %q: %w", f, err)
			}
			gap, tight = g, false
			continue
		}
		if n, ok := strings.CutPrefix(f, "_"); ok {
			g, err := strconv.Atoi(n)
			if err != nil {
				return nil, fmt.Errorf("gap %q: %w", f, err)
			}
			gap, tight = g, true
			continue
		}
		optional := strings.HasPrefix(f, "[") && strings.HasSuffix(f, "]")
		if optional {
			f = f[1 : len(f)-1]
		}
		e, err := compileElement(x, classes, f)
		if err != nil {
			return nil, err
		}
		e.gap, e.tight = int8(gap), tight
		grown := make([][]element, 0, 2*len(variants))
		for _, v := range variants {
			grown = append(grown, append(v[:len(v):len(v)], e))
			if optional {
				grown = append(grown, v)
			}
		}
		if variants = grown; len(variants) > maxVariants {
			return nil, fmt.Errorf("more than %d variants", maxVariants)
		}
		if !optional {
			gap, tight = 0, false
		}
	}
	out := make([]pattern, 0, len(variants))
	for _, v := range variants {
		if len(v) == 0 {
			return nil, fmt.Errorf("pattern %q can be empty", written)
		}
		anchored := false
		for _, e := range v {
			anchored = anchored || e.anchor
		}
		v[0].anchor = v[0].anchor || !anchored
		if !slices.ContainsFunc(out, func(p pattern) bool { return slices.Equal(p.elements, v) }) {
			out = append(out, pattern{row: row, elements: v, atEnd: atEnd})
		}
	}
	return out, nil
}

func compileElement(x *lexicon, classes map[string][]string, f string) (e element, err error) {
	f, e.anchor = strings.CutPrefix(f, "^")
	if n, ok := strings.CutPrefix(f, "#>="); ok {
		least, err := strconv.ParseInt(strings.TrimSuffix(n, "mm"), 10, 16)
		if err != nil {
			return e, fmt.Errorf("size %q: %w", f, err)
		}
		e.least = int16(least)
		f = "#"
	}
	if f != "(" && f != ")" && strings.HasPrefix(f, "(") != strings.HasSuffix(f, ")") {
		return e, fmt.Errorf("unbalanced %q; alternatives are single words", f)
	}
	var alternatives []string
	for _, a := range strings.Split(strings.Trim(f, "()"), "|") {
		if f == "(" || f == ")" {
			a = f
		} else if strings.ContainsAny(a, "()[]^") {
			return e, fmt.Errorf("brackets inside %q", f)
		}
		if name, ok := strings.CutPrefix(a, "<"); ok {
			words, ok := classes[strings.TrimSuffix(name, ">")]
			if !ok {
				return e, fmt.Errorf("no class %s", a)
			}
			alternatives = append(alternatives, words...)
			continue
		}
		alternatives = append(alternatives, a)
	}
	e.symbol, err = x.symbol(alternatives)
	return e, err
}

// match is one place where a pattern fits.
type match struct {
	row      int32
	from, to int32 // tokens, to exclusive
	anchor   int32
	kind     kind // of the row
}

// gather notes which of the symbols that starts need a sentence has.
func (s *scratch) gather(l *Labeler, sent sentence) {
	s.has, s.kinds = 0, 0
	for i := sent.from; i < sent.to; i++ {
		s.has |= l.gives[s.toks[i].class]
	}
}

// matchAt appends every pattern that starts at token i and ends before token end.
func (s *scratch) matchAt(l *Labeler, i, end int) {
	if len(l.starts[s.toks[i].class]) == 0 {
		return
	}
	next := int32(0)
	if i+1 < end {
		next = s.toks[i+1].class
	}
	starts := s.known.starts(l, s.toks[i].class, next)
	for k := range starts {
		t := &starts[k]
		if t.needs&^s.has != 0 {
			continue
		}
		p := &l.patterns[t.pattern]
		m := match{row: p.row, kind: p.kind, from: int32(i), anchor: int32(i)}
		if s.follow(l, p.elements, i, end, &m) && (!p.atEnd || int(m.to) >= end || s.toks[m.to].flags&(comma|stop) != 0 || s.toks[m.to].mark == ')') {
			s.matches = append(s.matches, m)
			s.kinds |= 1 << m.kind
		}
	}
}

// follow matches elements with the first one at token i. Gaps take the nearest fit first.
func (s *scratch) follow(l *Labeler, elements []element, i, end int, m *match) bool {
	for k := range elements {
		e := &elements[k]
		if e.least > 0 && s.millimetres(i, end) < float64(e.least) {
			return false
		}
		if e.anchor {
			m.anchor = int32(i)
		}
		i++
		m.to = int32(i)
		if k+1 == len(elements) {
			return true
		}
		next := &elements[k+1]
		if next.gap > 0 {
			return s.leap(l, elements[k+1:], i, end, m)
		}
		if i == end || !l.lex.has(s.toks[i].class, next.symbol) {
			return false
		}
	}
	return false
}

// leap matches elements with the first one at token i or within its gap.
func (s *scratch) leap(l *Labeler, elements []element, i, end int, m *match) bool {
	e, saved := &elements[0], *m
	for last := min(i+int(e.gap), end-1); i <= last; i++ {
		if l.lex.has(s.toks[i].class, e.symbol) && s.follow(l, elements, i, end, m) {
			return true
		}
		*m = saved
		if f := s.toks[i].flags; f&stop != 0 || e.tight && f&(comma|verb|denial) != 0 {
			return false
		}
	}
	return false
}

// millimetres is the length that starts at the number token i, or 0 when no unit of length follows it.
// The larger of "12x8 mm" is the first by convention; the smaller is used, as short axes decide.
func (s *scratch) millimetres(i, end int) float64 {
	t := s.toks[i]
	least := 1e9
	for _, part := range strings.Split(string(s.norm[t.normFrom:t.normTo]), "x") {
		if v, err := strconv.ParseFloat(part, 64); err == nil {
			least = min(least, v)
		}
	}
	for j := i + 1; j < end && j <= i+3; j++ {
		switch string(s.norm[s.toks[j].normFrom:s.toks[j].normTo]) {
		case "mm", "millimeter", "millimeters", "millimetre", "millimetres":
			return least
		case "cm", "centimeter", "centimeters", "centimetre", "centimetres":
			return 10 * least
		}
	}
	return 0
}
