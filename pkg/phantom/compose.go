package phantom

import "strings"

// assemble orders the sentences, writes the impression and counts the offsets.
func (w *writer) assemble(familyName string) Report {
	rep := Report{Clinical: notGiven, Technique: notGiven, Impressions: notGiven, Family: familyName}
	if w.r.chance(.6) {
		rep.Clinical = pick(w.r, w.clinical)
	}
	if w.r.chance(.8) {
		rep.Technique = pick(w.r, w.tech)
	}
	var b strings.Builder
	for sec := range w.body {
		if list := w.body[sec]; sec == secLungs && w.r.chance(.6) {
			w.body[sec] = append([]sentence{{pick(w.r, w.window), []claim{{-1, stateSilent, "neutral"}}}}, list...)
		}
		for _, s := range w.body[sec] {
			if b.Len() > 0 {
				b.WriteByte(' ')
			}
			rep.put(&b, s)
		}
	}
	if b.Len() == 0 {
		rep.put(&b, w.sentence(pick(w.r, w.neutral[secAirway]), Fact{}, claim{-1, stateSilent, "neutral"}))
	}
	rep.Findings = b.String()
	b.WriteByte('\n')
	items := w.impression()
	if w.r.chance(.05) {
		items = nil
	}
	start := b.Len()
	// Three manners of listing: CT-RATE's quotation marks between items, bullets, plain sentences.
	manner := w.r.u()
	for i, s := range items {
		switch {
		case manner < .35 && i > 0:
			b.WriteString(` "`)
		case manner > .85:
			b.WriteString("• ")
		case i > 0:
			b.WriteByte(' ')
		}
		rep.put(&b, s)
		if manner > .85 && i < len(items)-1 {
			b.WriteByte('\n')
		}
	}
	if len(items) > 0 {
		rep.Impressions = b.String()[start:]
	}
	return rep
}

// impression repeats up to four positive findings in other words; each may be forgotten.
func (w *writer) impression() (items []sentence) {
	positive := false
	for _, f := range w.order() {
		c := w.says[f]
		if c.kind != "present" && c.kind != "overcall" && (c.kind != "hedged" || !w.r.chance(.5)) {
			continue
		}
		positive = true
		if len(items) == 4 || w.r.chance(.15) {
			continue
		}
		t := w.facts[f].choose(w.r, w.title[f])
		if c.state == stateUncertain {
			t = strings.ReplaceAll(pick(w.r, w.maybe), "{noun}", w.noun[f])
		}
		items = append(items, w.sentence(t, w.facts[f], c))
	}
	quiet := claim{-1, stateSilent, "neutral"}
	if !positive {
		for _, c := range w.says {
			if c.state == statePresent || c.state == stateUncertain {
				return nil // nothing to repeat, but not normal either
			}
		}
		return []sentence{{pick(w.r, w.normal), []claim{quiet}}}
	}
	if w.r.chance(.4) {
		items = append(items, sentence{pick(w.r, w.advice), []claim{quiet}})
	}
	return items
}

// put appends a sentence and records what it says.
func (rep *Report) put(b *strings.Builder, s sentence) {
	from := b.Len()
	b.WriteString(s.text)
	for _, c := range s.claims {
		m := Mention{From: from, To: b.Len(), State: c.state, Kind: c.kind}
		if c.finding >= 0 {
			m.Finding = Findings[c.finding]
			rep.States[c.finding] = stronger(rep.States[c.finding], c.state)
		}
		rep.Mentions = append(rep.Mentions, m)
	}
}

// stronger applies the precedence present > uncertain > absent > not mentioned.
func stronger(old *int, state int) *int {
	rank := map[int]int{statePresent: 3, stateUncertain: 2, stateAbsent: 1}
	if old != nil && rank[*old] >= rank[state] {
		return old
	}
	return &state
}
