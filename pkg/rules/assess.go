package rules

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"silverbeam/pkg/taxonomy"
)

// hint is what a word tells of the text it stands in, by the classes of data/assess.tsv.
type hint uint16

const (
	chestWord hint = 1 << iota
	titleWord
	stateWord
	plainWord
	asideWord
	elsewhereWord
	neverWord
	lobeWord  // lobe, zone
	levelWord // upper, lower: of a lung, before lobe
	englishWord
	foreignWord
)

var hintClasses = map[string]hint{"chest": chestWord, "title": titleWord, "state": stateWord, "plain": plainWord,
	"aside": asideWord, "elsewhere": elsewhereWord, "never": neverWord, "lobe": lobeWord, "level": levelWord, "english": englishWord, "foreign": foreignWord}

// about is what a text seems to be about.
type about struct {
	words            int  // of any kind
	english, foreign int  // words of one language alone; foreign counts words in other letters too
	chest, title     int  // words of the chest, and names of it
	elsewhere, never int  // words of other regions, and those that no report of the chest holds
	plain            int  // statements about the chest as a whole
	found            int  // mentions of findings, denied and doubted ones too, but not those of other organs
	named            int  // and those too, if the sentence is not about papers or orders
	states           bool // something is said to be so
}

// weigh adds a sentence. What is said under a heading of history or technique tells the language alone.
func (s *scratch) weigh(l *Labeler, sent sentence, in sectionKind, says []saying) {
	var chest, title, elsewhere, never int
	var all hint
	for i := sent.from; i < sent.to; i++ {
		t := &s.toks[i]
		if t.kind != word {
			continue
		}
		h := l.hints[t.class]
		all |= h
		s.about.words++
		if h == 0 && !t.abroad {
			continue
		}
		switch {
		case h&foreignWord != 0, t.abroad:
			s.about.foreign++
		case h&(englishWord|chestWord) != 0:
			s.about.english++
		}
		if h&chestWord != 0 || h&lobeWord != 0 && i > 0 && l.hints[s.toks[i-1].class]&levelWord != 0 {
			chest++
		}
		title += int(h & titleWord / titleWord)
		elsewhere += int(h & elsewhereWord / elsewhereWord)
		never += int(h & neverWord / neverWord)
	}
	if in == background {
		return
	}
	s.about.elsewhere += elsewhere
	s.about.never += never
	found := 0
	for i := range says {
		y := &says[i]
		if own := y.state != taxonomy.NotMentioned || y.cue >= 0; own && !(l.rows[y.row].kept && all&asideWord != 0) {
			found++
		}
	}
	s.about.found += found
	if found == 0 && all&asideWord != 0 {
		return
	}
	s.about.named += len(says)
	s.about.states = s.about.states || found > 0 || chest > 1 || all&stateWord != 0
	s.about.chest += chest
	s.about.title += title
	if title > 0 && all&plainWord != 0 {
		s.about.plain++
	}
}

// head adds the words of a heading: "Chest CT" names what the text is about.
func (s *scratch) head(l *Labeler, from, to int, opens sectionKind) {
	for _, t := range s.toks[from:to] {
		if opens != background && l.hints[t.class]&titleWord != 0 {
			s.about.title++
		}
	}
}

const (
	farFrom   = 3  // words of other regions outweigh one of the chest
	shortNote = 14 // words: a note that names a finding, if only of another organ, may belong to a report of the chest
)

// assessable says why a text is no report that the findings can be read from. Of findings without rules of their own, the
// region is unknown: only empty texts and other languages are refused.
func (s *scratch) assessable(l *Labeler, report string) error {
	a := s.about
	no := func(class, reason string) error { return taxonomy.NotAssessable{Class: class, Reason: reason} }
	switch {
	case a.words == 0:
		return no("empty", "the report has no words")
	case a.foreign > a.english:
		return no("language", "the report is not in English")
	case !l.chest:
		return nil
	case a.states && a.chest+a.found > 0 && a.title > 0, a.states && a.chest > 0 && a.never == 0 && a.elsewhere <= farFrom*a.chest:
		return nil
	case a.named > 0 && a.words <= shortNote && a.never == 0:
		return nil
	case a.chest == 0 && a.elsewhere+a.never == 0 && (a.plain > 0 || a.found > 0):
		return nil
	case s.amends():
		return no("addendum", "an addendum without the report it adds to")
	case a.elsewhere+a.never > 0:
		return no("region", "the report is about another part of the body")
	case cutOff(report):
		return no("truncated", "the text ends before it says anything about the chest")
	}
	return no("no-findings", "the text says nothing about the chest")
}

// amends reports whether the text opens as an addition to another one.
func (s *scratch) amends() bool {
	return len(s.toks) > 0 && s.is(0, "addendum", "correction", "corrigendum", "erratum", "amendment", "amended", "supplementary", "supplement", "late")
}

// cutOff reports whether a text ends in a letter: no mark closes its last sentence.
func cutOff(report string) bool {
	r, _ := utf8.DecodeLastRuneInString(strings.TrimSpace(report))
	return unicode.IsLetter(r)
}
