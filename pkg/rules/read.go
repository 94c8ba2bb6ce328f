package rules

import (
	"slices"

	"silverbeam/pkg/taxonomy"
)

// saying is what one mention says about a finding.
type saying struct {
	finding  int16          // a unit
	state    taxonomy.State // NotMentioned: dropped, kept for the trace
	p        float32
	from, to int32 // bytes of the report
	row      int32 // the rule that named the finding
	cue      int32 // the row of the context rule that decided, or -1
	why      string

	sentFrom, sentTo int32      // bytes
	modifiers        []Modifier // when they are asked for
	sentence         int32
	section          sectionKind
}

// Probabilities of a flat statement. Hedges carry their own, in data/context.tsv.
const (
	pPresent      = 0.97
	pAbsent       = 0.02
	pNotMentioned = 0.04
	presentFrom   = 0.85 // a hedge at least this strong is a statement
	absentTo      = 0.2  // and one at most this strong a denial
)

// read fills s.says with everything a report says about the findings.
func (s *scratch) read(l *Labeler, report string) {
	s.says, s.about = s.says[:0], about{}
	s.each(l, report, func(i int, _, rest sentence, p *place) {
		if rest.from < rest.to {
			before := len(s.says)
			s.sentence(l, rest, i, p)
			s.weigh(l, rest, p.section, s.says[before:])
		}
	})
}

// each visits the sentences of a report in order, whole and without their heading, with the place they stand in.
func (s *scratch) each(l *Labeler, report string, visit func(i int, sent, rest sentence, p *place)) {
	s.known.of(l)
	s.tokenize(report, &s.known)
	s.split(l, report)
	place := place{organ: -1, heading: -1, denies: -1}
	last, lastFindings := s.lastBody(l)
	for i, sent := range s.sents {
		ends := i > last || place.inline && sent.paragraph && i > lastFindings
		if place.section == background && i > place.opened && ends {
			place.section = body // no heading follows: a background cannot be all the rest
		}
		rest, headed := s.heading(l, sent, &place)
		if headed || s.toks[sent.to-1].mark == ':' {
			place.denies = -1
		}
		if headed {
			place.opened, place.inline = i, rest.from < rest.to
			s.head(l, sent.from, rest.from, place.section)
		}
		if sent.paragraph && !headed {
			place.heading = -1
		}
		if sent.paragraph {
			place.organ = place.heading
		}
		visit(i, sent, rest, &place)
	}
}

// Span is a part of a report, in bytes.
type Span struct{ From, To int }

// Background gives the parts of a report under headings of history, technique, comparison and the like, their headings
// included, in order: no finding is read from them. only, "findings" or "impression", adds the other of these two; what
// stands under no heading is of the findings.
func (l *Labeler) Background(report, only string) (spans []Span) {
	s := scratchPool.Get().(*scratch)
	defer scratchPool.Put(s)
	open := false
	s.each(l, report, func(_ int, sent, _ sentence, p *place) {
		from := int(s.toks[sent.from].from)
		switch out := p.section == background || only == "findings" && p.section == conclusion || only == "impression" && p.section == body; {
		case out && !open:
			spans, open = append(spans, Span{from, len(report)}), true
		case !out && open:
			spans[len(spans)-1].To, open = from, false
		}
	})
	return spans
}

// place is what is carried from one sentence to the next.
type place struct {
	section sectionKind
	opened  int   // the sentence whose heading opened the section
	inline  bool  // and which goes on behind the heading
	organ   int   // the organ last spoken of, or -1
	age     int   // sentences since then
	subject int32 // the class of its word in the sentence before, for a pronoun; 0: none
	heading int   // the organ of the heading ("Thyroid:"), or -1
	denies  int32 // the rule that denies the items of a list, or -1
}

// lastBody is the last sentence that opens with a heading of findings, an impression or an organ, and the last of findings;
// -1: there is none.
func (s *scratch) lastBody(l *Labeler) (last, findings int) {
	last = -1
	for i := len(s.sents) - 1; i >= 0; i-- {
		m, ok := s.findHeading(l, s.sents[i])
		if !ok || l.rows[m.row].section == background {
			continue
		}
		last = max(last, i)
		if r := &l.rows[m.row]; r.kind == section && r.section == body {
			return last, i
		}
	}
	return last, -1
}

// longestHeading bounds a heading and its colon, in tokens.
const longestHeading = 8

// findHeading is the longest heading at the front of a sentence: before a colon, or alone on its line.
func (s *scratch) findHeading(l *Labeler, sent sentence) (best match, ok bool) {
	near := min(sent.to, sent.from+longestHeading)
	if !sent.colon && (!sent.paragraph || near < sent.to) {
		return best, false
	}
	s.matches = s.matches[:0]
	s.gather(l, sentence{from: sent.from, to: near})
	s.matchAt(l, sent.from, sent.to)
	for _, m := range s.matches {
		k := m.kind
		alone := int(m.to) == sent.to && sent.paragraph && k == section
		colon := int(m.to) < sent.to && s.toks[m.to].mark == ':' && (k == section || k == organ)
		if (alone || colon) && (!ok || m.to > best.to) {
			best, ok = m, true
		}
	}
	return best, ok
}

// heading takes a heading off the front of a sentence and notes what it opens.
func (s *scratch) heading(l *Labeler, sent sentence, p *place) (rest sentence, headed bool) {
	best, ok := s.findHeading(l, sent)
	if !ok {
		return sent, false
	}
	r := l.rows[best.row]
	if r.kind == section {
		p.section, p.organ, p.heading = r.section, -1, -1
		sent.from = min(int(best.to)+1, sent.to)
		return sent, true
	}
	p.heading, p.organ, p.age = int(r.organ), int(r.organ), 0
	if p.section == background {
		p.section = body
	}
	return sent, true // "Heart: normal in size" is a statement as a whole
}

// sentence reads one sentence.
func (s *scratch) sentence(l *Labeler, sent sentence, number int, p *place) {
	s.matches = s.matches[:0]
	if p.subject != 0 && !sent.paragraph && number > 0 {
		s.resolve(l, sent, p.subject)
	}
	s.gather(l, sent)
	for i := sent.from; i < sent.to; i++ {
		s.matchAt(l, i, sent.to)
	}
	s.readCues(l, sent)
	if p.denies >= 0 {
		s.cues = append(s.cues, cue{row: p.denies, kind: deny, from: int32(sent.from), to: int32(sent.from), low: int32(sent.from), high: int32(sent.to)})
	}
	s.readOrgans(l, sent)
	for k := range s.matches {
		m := s.matches[k]
		if m.kind != find && m.kind != normal || s.repeated(l, k) || s.titles(l, sent, m) {
			continue
		}
		r := &l.rows[m.row]
		y := saying{finding: r.finding, row: m.row, cue: -1, sentence: int32(number), section: p.section,
			from: s.toks[m.from].from, to: s.toks[m.to-1].to, state: taxonomy.NotMentioned}
		switch {
		case s.unnamed(l, m, r):
			y.why = "another thing"
		case p.section == background && !r.kept: // a device stays
			y.why = "background section"
		case r.kind == normal:
			s.judgeNormal(m, &y)
		case !r.sure && !s.atHome(l, m, p):
			y.why = "another organ"
		default:
			s.judge(l, m, &y)
		}
		if s.explains {
			y.sentFrom, y.sentTo = s.toks[sent.from].from, s.toks[sent.to-1].to
			y.modifiers = s.modifiers(l, m, &y)
		}
		s.says = append(s.says, y)
	}
	s.carry(l, sent, p)
	for _, c := range s.cues {
		if c.kind == deny && int(c.to) == sent.to && s.toks[sent.to-1].mark == ':' {
			p.denies = c.row // "Not seen:", and below it a list
		}
	}
}

// resolve reads a pronoun as the organ of the sentence before: "It is enlarged.", "in their walls".
func (s *scratch) resolve(l *Labeler, sent sentence, subject int32) {
	for i := sent.from; i < sent.to; i++ {
		owns := i+1 < sent.to && l.lex.has(s.toks[i].class, l.owner) && s.is(i+1, "wall", "walls")
		if owns || i == sent.from && l.lex.has(s.toks[i].class, l.pronoun) {
			s.toks[i].class = subject
			return
		}
	}
}

// titles reports whether a mention is but the title of its sentence: "Lymph nodes: No enlarged lymph nodes."
func (s *scratch) titles(l *Labeler, sent sentence, m match) bool {
	if !sent.colon {
		return false
	}
	colon := int32(-1)
	for i := sent.from; i < min(sent.to, sent.from+longestHeading); i++ {
		if s.toks[i].mark == ':' {
			colon = int32(i)
		}
	}
	return m.to <= colon && slices.ContainsFunc(s.matches, func(o match) bool {
		return o.from > colon && o.kind == find && l.rows[o.row].finding == l.rows[m.row].finding
	})
}

// repeated reports whether an earlier match already names the same finding at the same place.
func (s *scratch) repeated(l *Labeler, k int) bool {
	m, r := s.matches[k], &l.rows[s.matches[k].row]
	for _, o := range s.matches[:k] {
		if o.kind != m.kind || o.anchor != m.anchor || o.from != m.from {
			continue
		}
		if q := &l.rows[o.row]; q.finding == r.finding && q.sure == r.sure && q.value == r.value && !s.unnamed(l, o, q) {
			return true
		}
	}
	return false
}

// unnamed reports whether an exclusion covers the mention: its anchor or either end. What is sure takes a sure exclusion.
func (s *scratch) unnamed(l *Labeler, m match, found *row) bool {
	if s.kinds&(1<<unname) == 0 {
		return false
	}
	for _, o := range s.matches {
		if o.kind != unname {
			continue
		}
		if r := &l.rows[o.row]; r.finding != found.finding || found.sure && !r.sure {
			continue
		}
		covers := func(t int32) bool { return o.from <= t && t < o.to }
		if covers(m.anchor) || covers(m.from) || covers(m.to-1) {
			return true
		}
	}
	return false
}

// judgeNormal says absent unless a denial sits inside or just before the match ("is not normal").
func (s *scratch) judgeNormal(m match, y *saying) {
	for _, c := range s.cues {
		inside := c.from >= m.from && c.from < m.to && (c.kind == deny || c.kind == denied || c.kind == near || c.kind == unread)
		if inside || c.kind == near && c.low < m.to && m.to <= c.high {
			y.why, y.cue = "not normal", c.row
			return
		}
	}
	y.state, y.p = taxonomy.Absent, pAbsent
}

// judge lets the context decide what a mention says. Strongest first: what is no statement at all; a doubt that contains
// a denial ("cannot be excluded"); denials; what has gone or is history; hedges; else it is present.
func (s *scratch) judge(l *Labeler, m match, y *saying) {
	r := &l.rows[m.row]
	y.state, y.p = taxonomy.Present, pPresent
	if r.value > 0 {
		y.hedge(r.value)
	}
	rank := 0
	for _, c := range s.cues {
		if m.anchor < c.low || m.anchor >= c.high {
			continue
		}
		k := 0
		switch c.kind {
		case ask, unread:
			k = 6
		case perhaps:
			if k = 2; l.rows[c.row].id == "not-excluded" {
				k = 5
			}
		case deny, denied, near:
			k = 4
		case gone, goneOf:
			k = 3
		case past, pastBack:
			if k = 3; r.kept {
				k = 0
			}
		case maybe:
			k = 2
		}
		if k <= rank {
			continue
		}
		rank, y.cue = k, c.row
		switch k {
		case 6:
			y.state, y.p, y.why = taxonomy.NotMentioned, 0, l.rows[c.row].id
		case 4, 3:
			y.state, y.p, y.why = taxonomy.Absent, pAbsent, ""
			if c.kind == past || c.kind == pastBack {
				y.state, y.p, y.why = taxonomy.NotMentioned, 0, "history"
			}
		default:
			y.hedge(c.value)
		}
		if c.from < m.from {
			y.from = s.toks[c.from].from
		} else if c.to > m.to {
			y.to = s.toks[c.to-1].to
		}
	}
}

// modifiers lists the context rules whose scope holds a mention.
func (s *scratch) modifiers(l *Labeler, m match, y *saying) (out []Modifier) {
	for _, c := range s.cues {
		if c.low >= c.high || m.anchor < c.low || m.anchor >= c.high {
			continue
		}
		r := &l.rows[c.row]
		x := Modifier{Rule: r.id, Does: does[c.kind], ScopeFrom: int(s.toks[c.low].from), ScopeTo: int(s.toks[c.high-1].to), Decides: c.row == y.cue}
		if c.kind == maybe || c.kind == perhaps {
			x.P = c.value
		}
		if c.from < c.to {
			x.From, x.To = int(s.toks[c.from].from), int(s.toks[c.to-1].to)
		}
		out = append(out, x)
	}
	return out
}

// hedge sets state and probability of a graded statement.
func (y *saying) hedge(p float32) {
	y.p, y.why = p, ""
	switch {
	case p >= presentFrom:
		y.state = taxonomy.Present
	case p <= absentTo:
		y.state = taxonomy.Absent
	default:
		y.state = taxonomy.Uncertain
	}
}
