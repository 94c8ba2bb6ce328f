package rules

// flag is what a token does to scopes.
type flag uint16

const (
	stop     flag = 1 << iota // ends every scope: but, except, ;
	soft                      // ends a denial that runs forward: which, with, due to
	comma                     // a comma or a dash
	and                       // and
	verb                      // a finite verb: is, was, shows
	seen                      // a participle of perception: observed
	fresh                     // opens a new noun phrase: a, mild, multiple
	relative                  // which, that, who
	denial                    // no, not, without
	there                     // there (is), shows: what it introduces stands after it
)

// flagClasses are the word classes of classes.tsv that set flags.
var flagClasses = map[string]flag{
	"stop": stop, "soft": soft, "comma": comma, "and": and, "verb": verb, "seen": seen, "fresh": fresh,
	"relative": relative, "denial": denial, "there": there,
}

// maxReach bounds a forward scope, in tokens; long lists under one "no" stay within it.
const maxReach = 40

// cue is a context rule that fired, with the tokens it speaks about.
type cue struct {
	row      int32
	kind     kind
	value    float32
	from, to int32 // the words of the cue
	low      int32 // the scope: tokens [low, high)
	high     int32
}

// forward is the end of the scope of a denial whose words end before token i.
//
// It runs through a list ("no effusion, consolidation or mass") and stops where a new statement begins: at a stop word,
// at "which" or "with", at a comma or "and" once the denied clause had its verb, or before "a", "mild", "multiple".
func (s *scratch) forward(i, end int) int {
	clauseHadVerb := false
	for t := i; t < end; t++ {
		f := s.toks[t].flags
		nextFresh := t+1 < end && s.toks[t+1].flags&(fresh|there) != 0
		switch {
		case f&there != 0 && t > i && t+1 < end && (s.is(t, "show", "shows", "demonstrate", "demonstrates", "reveal", "reveals") || s.is(t, "there") && s.toks[t+1].flags&verb != 0):
			return t // a statement of its own, even where no mark divides them
		case t >= i+maxReach, f&stop != 0, f&soft != 0 && t > i, s.toks[t].mark == ':':
			return t
		case f&(comma|and) != 0 && (clauseHadVerb || nextFresh || s.newSubject(t+1, end)):
			if t+1 < end && s.is(t+1, "or", "nor") {
				continue
			}
			return t
		case f&relative != 0 && nextFresh && t > i && s.toks[t+1].flags&there != 0:
			return t // "in lungs that show emphysema"
		case f&(verb|seen) != 0:
			clauseHadVerb = true
		}
	}
	return end
}

// newSubject reports whether a statement of its own starts at token i, after a comma or "and": "the" and a verb that no
// denial or participle of perception follows ("and the arteries are calcified"), or the verb of an earlier subject
// ("the heart, without effusion, is enlarged").
func (s *scratch) newSubject(i, end int) bool {
	if i < end && s.toks[i].flags&and != 0 {
		i++
	}
	if i >= end {
		return false
	}
	if s.toks[i].flags&verb == 0 {
		if !s.is(i, "the") {
			return false
		}
		for i < end && s.toks[i].flags&(verb|comma|stop) == 0 {
			i++
		}
	}
	return i+1 < end && s.toks[i].flags&verb != 0 && s.toks[i+1].flags&(seen|denial|verb) == 0
}

// forwardHedge is the same for a hedge, which also ends at a comma that a verb follows.
func (s *scratch) forwardHedge(i, end int) int {
	high := s.forward(i, end)
	for t := i; t < high; t++ {
		if s.toks[t].flags&comma == 0 {
			continue
		}
		for u := t + 1; u < high; u++ {
			if s.toks[u].flags&verb != 0 {
				return t
			}
		}
	}
	return high
}

// backward is the start of the subject of a verb phrase whose words start at token v: what "was not observed" denies.
//
// The subject reaches back to a stop word, or to the end of the previous clause: when there is an earlier verb, the first
// comma or "and" after it (the last one after "there is", whose objects follow the verb).
func (s *scratch) backward(v, start int) int {
	low := start
	for t := v - 1; t >= start; t-- {
		if s.toks[t].flags&stop != 0 {
			low = t + 1
			break
		}
	}
	for v > low && s.toks[v-1].flags&(verb|denial) != 0 {
		v-- // the auxiliaries of this very verb
	}
	for p := v - 1; p >= low; p-- {
		f := s.toks[p].flags
		participle := f&seen != 0 && f&verb == 0
		if f&verb == 0 && !participle || participle && p > low && s.toks[p-1].flags&comma != 0 {
			continue // or an apposition: "the effusion, present in June, was not observed"
		}
		if p > low && s.toks[p-1].flags&relative != 0 || p > low+1 && s.toks[p-2].flags&relative != 0 {
			continue // "the nodule which is 5 mm was not observed": the verb belongs to the subject
		}
		cut := s.clauseCut(p, v)
		if cut < 0 && participle {
			continue // "the nodule seen before was not observed"
		}
		if cut < 0 {
			return p + 1
		}
		return cut + 1
	}
	return s.freshStart(low, v)
}

// clauseCut is the token that separates the clause of the verb at p from the subject of the verb at v, or -1.
func (s *scratch) clauseCut(p, v int) int {
	existential := s.toks[p].flags&there != 0
	for q := p; q >= 0 && q >= p-2; q-- {
		existential = existential || s.toks[q].flags&there != 0
	}
	cut := -1
	for _, sep := range []flag{comma, and} {
		for t := p + 1; t < v; t++ {
			if s.toks[t].flags&sep == 0 {
				continue
			}
			if cut = t; !existential {
				return cut
			}
		}
		if cut >= 0 {
			return cut
		}
	}
	return cut
}

// freshStart moves the start of a verbless list past items that stand for themselves: in "mild emphysema, effusion not
// seen" the first item opens with a word that a denied list would not have.
func (s *scratch) freshStart(low, v int) int {
	for low < v && s.toks[low].flags&fresh != 0 {
		next := -1
		for t := low; t < v; t++ {
			if s.toks[t].mark == ',' {
				next = t + 1
				break
			}
			if s.toks[t].flags&verb != 0 {
				return low
			}
		}
		if next < 0 {
			return low
		}
		low = next
	}
	return low
}

// is compares the folded word of a token.
func (s *scratch) is(i int, words ...string) bool {
	t := s.toks[i]
	for _, w := range words {
		if string(s.norm[t.normFrom:t.normTo]) == w {
			return true
		}
	}
	return false
}

// readCues keeps the context matches of a sentence, longest first where they overlap, and gives each its scope.
func (s *scratch) readCues(l *Labeler, sent sentence) {
	s.cues = s.cues[:0]
	for _, m := range s.matches {
		if m.kind < deny || m.kind > halt {
			continue
		}
		s.addCue(cue{row: m.row, kind: m.kind, value: l.rows[m.row].value, from: m.from, to: m.to})
	}
	for i := range s.cues {
		if c := &s.cues[i]; c.kind == halt {
			s.toks[c.from].flags |= stop
		}
	}
	for i := range s.cues {
		s.scope(&s.cues[i], sent)
	}
	s.deniedHedges()
	if s.asks(l, sent) {
		s.cues = append(s.cues, cue{row: l.question, kind: ask, from: int32(sent.from), to: int32(sent.from), low: int32(sent.from), high: int32(sent.to)})
	}
}

// asks reports whether a sentence is a question by the order of its words: "Is there a nodule?"
func (s *scratch) asks(l *Labeler, sent sentence) bool {
	return s.toks[sent.to-1].mark == '?' && l.lex.has(s.toks[sent.from].class, l.auxiliary)
}

// addCue inserts a cue unless a longer one overlaps it; it replaces shorter ones.
func (s *scratch) addCue(c cue) {
	n := 0
	for _, o := range s.cues {
		overlap := c.from < o.to && o.from < c.to
		if overlap && o.to-o.from >= c.to-c.from {
			return
		}
	}
	for _, o := range s.cues {
		if !(c.from < o.to && o.from < c.to) {
			s.cues[n] = o
			n++
		}
	}
	s.cues = append(s.cues[:n], c)
}

func (s *scratch) scope(c *cue, sent sentence) {
	from, to := int(c.from), int(c.to)
	low, high := from, from
	switch c.kind {
	case deny, goneOf, past:
		low, high = to, s.forward(to, sent.to)
		for t := to; c.kind == past && c.value > 0 && t < high; t++ {
			if s.toks[t].flags&comma != 0 {
				high = t
			}
		}
		if s.opens(from, sent.from) {
			high = s.opening(to, high)
		}
	case ask, maybe:
		low, high = to, s.forwardHedge(to, sent.to)
	case near:
		for low, high = to, to; high < min(to+int(c.value), sent.to) && s.toks[high].flags&(stop|comma) == 0; {
			high++
		}
	case denied, gone, unread, pastBack:
		low, high = s.backward(from, sent.from), from
		if c.value > 0 {
			high = to
		}
	case perhaps:
		low, high = s.backward(from, sent.from), from
		if s.toks[from].mark == '?' {
			low = s.questioned(from, sent.from)
		}
	}
	c.low, c.high = int32(low), int32(high)
}

// opens reports whether the denial at token i stands in a clause before the main one: "without", "although there is no".
func (s *scratch) opens(i, start int) bool {
	if i <= start+2 && s.is(i, "without", "absence", "lack") {
		return true
	}
	return s.is(start, "although", "though", "while", "whereas", "despite", "since", "because", "when") && !s.anyFlag(start+1, i, comma|stop)
}

// opening ends a denial that opens a sentence ("In the absence of effusion, consolidation is seen") at the last comma
// before the sentence's verb.
func (s *scratch) opening(low, high int) int {
	cut := high
	for t := low; t < high; t++ {
		if s.toks[t].flags&comma != 0 {
			cut = t
		}
		if s.toks[t].flags&verb != 0 {
			return cut
		}
	}
	return high
}

// questioned is the start of what a question mark doubts: the words just before it.
func (s *scratch) questioned(q, start int) int {
	t := q - 1
	for ; t >= start && t > q-8; t-- {
		if m := s.toks[t].mark; s.toks[t].flags&(stop|comma|verb) != 0 || m == '(' || m == ':' || m == '?' {
			break
		}
	}
	return t + 1
}

// deniedHedges turns "was not observed in favour of X" and "no finding suggesting X" into denials of X.
func (s *scratch) deniedHedges() {
	for i := range s.cues {
		h := &s.cues[i]
		if h.kind != maybe && h.kind != ask {
			continue
		}
		for _, d := range s.cues {
			close := d.kind == denied && d.to <= h.from && h.from <= d.to+6 && !s.anyFlag(int(d.to), int(h.from), comma|stop)
			if close || d.kind == deny && d.low <= h.from && h.from < d.high {
				h.kind = deny
				break
			}
		}
	}
}

func (s *scratch) anyFlag(from, to int, f flag) bool {
	for t := from; t < to; t++ {
		if s.toks[t].flags&f != 0 {
			return true
		}
	}
	return false
}
