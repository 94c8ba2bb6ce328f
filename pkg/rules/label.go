package rules

import (
	"strings"

	"silverbeam/pkg/taxonomy"
)

// Mention is one line of the trace: one place where a finding is named, and what became of it.
type Mention struct {
	Finding  string
	State    taxonomy.State // NotMentioned: the mention was dropped, Why says for what reason
	P        float32
	From, To int    // bytes of the report: the finding's words and the context that decided
	Rule     string // the rule that named the finding, a finding's slug and number
	Context  string // the context rule that decided, "" when none did
	Why      string // why it was dropped
	Sentence int    // from 0
	Section  string // body, conclusion or background

	SentenceFrom, SentenceTo int        // bytes of the report
	Modifiers                []Modifier // every context rule whose scope holds the mention, in reading order
}

// Modifier is a context rule that speaks about a mention.
type Modifier struct {
	Rule                         string
	Does                         string  // in words: "denies what follows"
	P                            float32 // of hedges: the probability it stands for; 0: none
	From, To, ScopeFrom, ScopeTo int     // bytes: its own words, and those it speaks about
	Decides                      bool
}

// does says in words what a context rule of a kind does.
var does = map[kind]string{
	deny: "denies what follows", denied: "denies what came before", near: "denies the next words",
	maybe: "hedges what follows", perhaps: "hedges what came before", ask: "asks or plans what follows",
	unread: "leaves open what came before", gone: "says that what came before has gone", goneOf: "says that what follows has gone",
	past: "puts what follows into the past", pastBack: "puts what came before into the past",
}

// Label answers every finding of the taxonomy, in order. The error is a taxonomy.NotAssessable.
//
// A finding is present when any mention says so, else uncertain when any does (with the largest probability), else
// absent, else not mentioned. Evidence is the surest mention with the deciding state, the first of equals. Findings
// implied by a present one are present.
func (l *Labeler) Label(report string) ([]taxonomy.Label, error) {
	if strings.TrimSpace(report) == "" {
		return nil, taxonomy.NotAssessable{Class: "empty", Reason: "the report has no text"}
	}
	s := scratchPool.Get().(*scratch)
	defer scratchPool.Put(s)
	s.read(l, report)
	if err := s.assessable(l, report); err != nil {
		return nil, err
	}
	labels, best := make([]taxonomy.Label, len(l.findings)), s.best[:0]
	for i := range labels {
		labels[i], best = taxonomy.Label{State: taxonomy.NotMentioned, P: pNotMentioned}, append(best, -1)
	}
	for i := range s.says {
		y := &s.says[i]
		column := l.column[y.finding]
		if b := &labels[column]; stronger(y, b) {
			b.State, b.P, best[column] = y.state, max(y.p, b.P*same(y, b)), i
		}
	}
	for i, k := range best {
		if k >= 0 {
			y := &s.says[k]
			labels[i].From, labels[i].To, labels[i].Source = int(y.from), int(y.to), s.known.source(y)
		}
	}
	s.best = best
	for i, implied := range l.implied {
		if labels[i].State != taxonomy.Present {
			continue
		}
		for _, j := range implied {
			if labels[j].State != taxonomy.Present {
				labels[j] = labels[i]
				labels[j].Source = "implied-by:" + slug(l.findings[i].Name)
			}
		}
	}
	return labels, nil
}

// weight orders the states by what wins.
func weight(s taxonomy.State) int {
	switch s {
	case taxonomy.Present:
		return 3
	case taxonomy.Uncertain:
		return 2
	case taxonomy.Absent:
		return 1
	}
	return 0
}

func stronger(y *saying, b *taxonomy.Label) bool {
	w, v := weight(y.state), weight(b.State)
	return w > v || w == v && w > 0 && y.p > b.P
}

// same is 1 when the state stays, so that P is the largest of the mentions with the winning state.
func same(y *saying, b *taxonomy.Label) float32 {
	if y.state == b.State {
		return 1
	}
	return 0
}

// Explain lists every mention in reading order, dropped ones included. An empty report has none.
func (l *Labeler) Explain(report string) []Mention {
	s := scratchPool.Get().(*scratch)
	defer scratchPool.Put(s)
	s.explains = true
	s.read(l, report)
	s.explains = false
	out := make([]Mention, 0, len(s.says))
	for i := range s.says {
		y := &s.says[i]
		m := Mention{Finding: l.findings[l.column[y.finding]].Name, State: y.state, P: y.p, From: int(y.from), To: int(y.to),
			Rule: l.rows[y.row].id, Why: y.why, Sentence: int(y.sentence), Section: [...]string{"body", "conclusion", "background"}[y.section]}
		if y.cue >= 0 {
			m.Context = l.rows[y.cue].id
		}
		m.SentenceFrom, m.SentenceTo, m.Modifiers = int(y.sentFrom), int(y.sentTo), y.modifiers
		out = append(out, m)
	}
	return out
}
