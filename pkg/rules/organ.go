package rules

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
func (s *scratch) atHome(l *Labeler, m match, sent sentence, p *place) bool {
	finding := l.rows[m.row].finding
	home := l.home[finding]
	if home == 0 {
		return true
	}
	best, at := 1<<30, -1
	for _, o := range s.matches {
		r := &l.rows[o.row]
		if r.kind != organ || s.insideLarger(l, o) {
			continue
		}
		if d := s.steps(o, m); d < best || d == best && home&(1<<r.organ) != 0 {
			best, at = d, int(r.organ)
		}
	}
	if at < 0 && l.carries[finding] {
		at = p.organ
	} else if at < 0 {
		at = p.heading
	}
	return at < 0 || home&(1<<at) != 0
}

// insideLarger reports whether a longer organ name covers this one ("aortic arch" in "aortic arch nodes").
func (s *scratch) insideLarger(l *Labeler, m match) bool {
	for _, o := range s.matches {
		if l.rows[o.row].kind == organ && o.from <= m.from && m.to <= o.to && o.to-o.from > m.to-m.from {
			return true
		}
	}
	return false
}

// steps is the distance between an organ and a mention's anchor.
func (s *scratch) steps(o, m match) int {
	from, to := int(o.to), int(m.anchor)
	if o.from > m.anchor {
		from, to = int(m.anchor)+1, int(o.from)
	}
	d := max(to-from, 0)
	for t := from; t < to; t++ {
		switch f := s.toks[t].flags; {
		case f&stop != 0:
			d += stopSteps
		case f&comma != 0:
			d += commaSteps
		case f&verb != 0:
			d += verbSteps
		}
	}
	return d
}

// carry notes the last organ of a sentence for the ones after it.
func (s *scratch) carry(l *Labeler, p *place) {
	last := match{from: -1}
	for _, o := range s.matches {
		if l.rows[o.row].kind == organ && o.from > last.from && !s.insideLarger(l, o) {
			last = o
		}
	}
	if last.from >= 0 {
		p.organ, p.age = int(l.rows[last.row].organ), 0
		return
	}
	if p.age++; p.age >= carrySentences {
		p.organ = p.heading
	}
}
