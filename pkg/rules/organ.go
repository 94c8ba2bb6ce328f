package rules

import "slices"

// Distances between a mention and an organ are counted in tokens; what separates statements counts as more.
const (
	commaSteps = 3
	verbSteps  = 1
	stopSteps  = 40
)

// carrySentences is for how many sentences an organ named earlier still holds ("Thyroid is large. A nodule is seen.").
const carrySentences = 2

// atHome reports whether the organ a mention belongs to is one its finding may sit in. The nearest organ of the sentence
// decides; in a sentence without one, the organ carried from before or the heading's. No organ at all is fine.
func (s *scratch) atHome(l *Labeler, m match, p *place) bool {
	finding := l.rows[m.row].finding
	home := l.home[finding]
	if home == 0 {
		return true
	}
	best, at := int32(1<<30), -1
	for _, o := range s.organs {
		if s.apart(o, m) {
			continue
		}
		k := l.rows[o.row].organ
		if d := s.steps(o, m); d < best || d == best && home&(1<<k) != 0 {
			best, at = d, int(k)
		}
	}
	if at < 0 && l.carries[finding] {
		at = p.organ
	} else if at < 0 {
		at = p.heading
	}
	return at < 0 || home&(1<<at) != 0
}

// apart reports whether a denial sets a mention apart from an organ: it opens a new item between them, or ends before the
// organ. In "nodule at the apex, no adenopathy" the apex is not where no adenopathy is.
func (s *scratch) apart(o, m match) bool {
	for _, c := range s.cues {
		if c.kind != deny || m.anchor < c.low || m.anchor >= c.high {
			continue
		}
		if o.from >= c.high || o.to <= c.from && s.anyFlag(int(o.to), int(c.from), comma|stop) {
			return true
		}
	}
	return false
}

// readOrgans keeps the organ names of a sentence that no longer name covers ("thyroid" in "right lobe of the thyroid"), and
// sums up the steps from the sentence's start.
func (s *scratch) readOrgans(l *Labeler, sent sentence) {
	s.organs, s.walk = s.organs[:0], append(s.walk[:0], 0)
	for _, m := range s.matches {
		if m.kind != organ {
			continue
		}
		n := 0
		covered := false
		for _, o := range s.organs {
			covered = covered || o.from <= m.from && m.to <= o.to
			if covered || !(m.from <= o.from && o.to <= m.to) {
				s.organs[n] = o
				n++
			}
		}
		s.organs = s.organs[:n]
		if !covered {
			s.organs = append(s.organs, m)
		}
	}
	s.origin = int32(sent.from)
	if len(s.organs) == 0 {
		return
	}
	for t := sent.from; t < sent.to; t++ {
		d := int32(1)
		switch f := s.toks[t].flags; {
		case f&stop != 0:
			d += stopSteps
		case f&comma != 0:
			d += commaSteps
		case f&verb != 0:
			d += verbSteps
		}
		s.walk = append(s.walk, s.walk[len(s.walk)-1]+d)
	}
}

// steps is the distance between an organ and a mention's anchor: the cost of the tokens between them.
func (s *scratch) steps(o, m match) int32 {
	from, to := o.to, m.anchor
	if o.from > m.anchor {
		from, to = m.anchor+1, o.from
	}
	if to <= from {
		return 0
	}
	return s.walk[to-s.origin] - s.walk[from-s.origin]
}

// carry notes the last organ of a sentence for the ones after it. An organ that is called normal is done with.
func (s *scratch) carry(l *Labeler, sent sentence, p *place) {
	last := match{from: -1}
	for _, o := range s.organs {
		if o.from > last.from {
			last = o
		}
	}
	if last.from >= 0 {
		p.organ, p.age, p.subject = int(l.rows[last.row].organ), 0, s.toks[last.from].class
		if slices.ContainsFunc(s.toks[sent.from:sent.to], func(t token) bool { return l.lex.has(t.class, l.fine) }) {
			p.organ = p.heading
		}
		return
	}
	p.subject = 0
	if p.age++; p.age >= carrySentences {
		p.organ = p.heading
	}
}
