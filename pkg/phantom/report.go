package phantom

import (
	"fmt"
	"strings"
	"unicode"
)

// Report states, in the codes of label files.
const (
	statePresent   = 1
	stateAbsent    = 0
	stateUncertain = -1
	stateSilent    = -2 // says nothing about any of the eighteen
)

// Mention is the truth of one sentence about one finding. A sentence about several findings has several mentions, one
// about none has a single mention with an empty Finding and state -2.
type Mention struct {
	From    int    `json:"from"` // byte offsets of the sentence in Report.Text
	To      int    `json:"to"`
	Finding string `json:"finding"`
	State   int    `json:"state"` // 1 present, 0 absent, -1 uncertain, -2 no finding
	Kind    string `json:"kind"`  // present, absent, list, but, hedged, overcall, resolved, removed, small-nodes, neutral
}

// Report is a study's text and what it says.
type Report struct {
	Clinical, Technique, Findings, Impressions string // "Not given." where missing
	Mentions                                   []Mention
	States                                     [nFindings]*int // 1, 0, -1 by precedence present > uncertain > absent; nil: not mentioned
	Family                                     string          // "train" or "valid"
}

// Text is what offsets count in: Findings, a newline, Impressions.
func (r Report) Text() string { return r.Findings + "\n" + r.Impressions }

// notGiven is CT-RATE's literal for missing text.
const notGiven = "Not given."

// How often a report leaves the image: per finding that is there or not there.
const (
	silentRate   = 0.10  // present in the image, not mentioned
	hedgeRate    = 0.20  // present, reported as uncertain
	doubtRate    = 0.012 // absent, reported as uncertain
	overcallRate = 0.004 // absent, reported as present
	resolvedRate = 0.03  // absent, reported to have gone
	typoRate     = 0.012 // of sentences
)

// denied is how often a report denies an absent finding in so many words.
var denied = [nFindings]float64{.05, .15, .7, .7, .15, .2, .7, .15, .15, .5, .3, .1, .75, .06, .15, .5, .25, .12}

// canResolve are the findings that an earlier examination may have shown.
var canResolve = map[int]bool{pleuralEffusion: true, pericardialEffusion: true, consolidation: true, opacity: true, atelectasis: true, septal: true}

// claim is one thing said about one finding.
type claim struct {
	finding, state int
	kind           string
}

type sentence struct {
	text   string
	claims []claim
}

// writer composes one report.
type writer struct {
	*family
	r     *stream
	facts [nFindings]Fact
	says  [nFindings]claim // what the body is going to say
	body  [nSections][]sentence
}

// writeReport composes the report of a study with the given facts in the image.
func writeReport(s Study, facts [nFindings]Fact) Report {
	r := s.stream("report")
	w := &writer{family: &trainFamily, r: &r, facts: facts}
	if s.Split == "valid" {
		w.family = &validFamily
	}
	w.decide(s.Findings)
	w.sentences()
	return w.assemble(s.Split)
}

// Report is the study's report, made without its volumes.
func (s Study) Report(o Options) (Report, error) {
	o, err := o.defaults()
	if err != nil {
		return Report{}, err
	}
	return s.report(o), nil
}

// report builds the scene with a voxel of 3 mm for its facts: they depend on millimetres only.
func (s Study) report(o Options) Report { return writeReport(s, newChest(s, o.Difficulty, 3).facts) }

// decide draws what is said about each finding, and dreams up facts for what is said but not there.
func (w *writer) decide(truth [nFindings]bool) {
	for f, there := range truth {
		u, v := w.r.u(), w.r.u()
		dreamt := w.dream(f)
		c := claim{f, stateSilent, "silent"}
		switch {
		case there && u < silentRate:
		case there && u < silentRate+hedgeRate:
			c = claim{f, stateUncertain, "hedged"}
		case there:
			c = claim{f, statePresent, "present"}
		case u < overcallRate:
			c, w.facts[f] = claim{f, statePresent, "overcall"}, dreamt
		case u < overcallRate+doubtRate:
			c, w.facts[f] = claim{f, stateUncertain, "hedged"}, dreamt
		case u < overcallRate+doubtRate+resolvedRate && canResolve[f]:
			c = claim{f, stateAbsent, "resolved"}
		case f == material && u < overcallRate+doubtRate+resolvedRate:
			c = claim{f, stateAbsent, "removed"}
		case f == lymphadenopathy && u < overcallRate+doubtRate+resolvedRate:
			c = claim{f, statePresent, "small-nodes"}
		case v < denied[f]:
			c = claim{f, stateAbsent, "absent"}
		}
		w.says[f] = c
	}
}

// dream makes up a plausible fact.
func (w *writer) dream(f int) Fact {
	side := pick(w.r, []string{"right", "left"})
	d := Fact{Side: side, Lobe: side + pick(w.r, []string{" upper lobe", " lower lobe"}), SizeMM: w.r.count(5, 14), Count: 1}
	switch f {
	case lymphadenopathy:
		d.Lobe, d.SizeMM = pick(w.r, []string{"subcarinal", "right hilar"}), w.r.count(11, 16)
	case material:
		d = Fact{Kind: pick(w.r, []string{"port", "pacemaker"})}
	}
	return d
}

// sentences turns the claims into sentences: first what joins several findings, then the rest one by one.
func (w *writer) sentences() {
	var done [nFindings]bool
	if w.says[arterialCalc].kind == "present" && w.says[coronaryCalc].kind == "present" && w.r.chance(.4) {
		w.say(secVessels, pick(w.r, w.vessels), Fact{}, w.says[arterialCalc], w.says[coronaryCalc])
		done[arterialCalc], done[coronaryCalc] = true, true
	}
	for _, group := range together {
		w.deny(group, &done)
	}
	for _, f := range w.order() {
		c := w.says[f]
		if done[f] || c.kind == "silent" {
			continue
		}
		if c.kind == "present" && sectionOf[f] >= secLungs && w.r.chance(.12) {
			if g := w.partner(f, done); g >= 0 {
				d := w.says[g]
				d.kind = "but"
				t := strings.NewReplacer("{noun}", w.noun[g], "{clause}", w.clause(f)).Replace(pick(w.r, w.but))
				w.say(sectionOf[f], t, w.facts[f], claim{f, statePresent, "but"}, d)
				done[g] = true
				continue
			}
		}
		w.say(sectionOf[f], w.single(f), w.facts[f], c)
	}
	for sec, list := range w.neutral {
		rate := .55
		if sec == secLimits {
			rate = .35
		}
		for _, t := range list {
			if w.r.chance(rate * 2 / float64(len(list)+1)) {
				w.say(sec, t, Fact{}, claim{-1, stateSilent, "neutral"})
			}
		}
	}
}

// order is the findings' order inside the body, shuffled anew for each report.
func (w *writer) order() []int {
	out := make([]int, nFindings)
	for i := range out {
		out[i] = i
	}
	shuffle(w.r, out)
	return out
}

// deny joins absent findings of a group under one negation, in half of the reports that deny two or more.
func (w *writer) deny(group []int, done *[nFindings]bool) {
	var fs []int
	for _, f := range group {
		if w.says[f].kind == "absent" {
			fs = append(fs, f)
		}
	}
	if len(fs) < 2 || !w.r.chance(.6) {
		return
	}
	shuffle(w.r, fs)
	var names []string
	var claims []claim
	for _, f := range fs {
		names = append(names, w.noun[f])
		claims = append(claims, claim{f, stateAbsent, "list"})
		done[f] = true
	}
	list := strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
	w.say(sectionOf[fs[0]], strings.ReplaceAll(pick(w.r, append(w.before[:len(w.before):len(w.before)], w.after...)), "{list}", list), Fact{}, claims...)
}

// partner is another finding of the same part of the chest that is about to be denied, or -1.
func (w *writer) partner(f int, done [nFindings]bool) int {
	for g := range w.says {
		if g != f && !done[g] && w.says[g].kind == "absent" && sectionOf[g] >= secLungs && w.later(g) {
			return g
		}
	}
	return -1
}

// later tells whether nothing has been said about g yet.
func (w *writer) later(g int) bool {
	for _, list := range w.body {
		for _, s := range list {
			for _, c := range s.claims {
				if c.finding == g {
					return false
				}
			}
		}
	}
	return true
}

func (w *writer) clause(f int) string {
	if f == material {
		return pick(w.r, w.devices[w.facts[f].Kind])
	}
	return w.facts[f].choose(w.r, w.present[f])
}

// single is the template of a sentence about f alone.
func (w *writer) single(f int) string {
	switch c := w.says[f]; c.kind {
	case "present", "overcall":
		return w.clause(f) + "."
	case "hedged":
		return w.facts[f].choose(w.r, w.hedged[f]) + "."
	case "resolved":
		return strings.ReplaceAll(pick(w.r, w.gone), "{noun}", w.noun[f])
	case "removed":
		return pick(w.r, w.removed)
	case "small-nodes":
		return pick(w.r, w.nodes)
	}
	return pick(w.r, w.absent[f])
}

func (w *writer) say(section int, template string, fact Fact, claims ...claim) {
	w.body[section] = append(w.body[section], w.sentence(template, fact, claims...))
}

// sentence fills the slots, starts with a capital and sometimes swaps two letters.
func (w *writer) sentence(template string, fact Fact, claims ...claim) sentence {
	size := fmt.Sprintf("%d mm", fact.SizeMM)
	if w.r.chance(.2) {
		size = fmt.Sprintf("%.1f cm", float64(fact.SizeMM)/10)
	}
	lungs := fact.Side + " lung"
	if fact.Side == "bilateral" {
		lungs = "both lungs"
	} else {
		lungs = "the " + lungs
	}
	t := strings.NewReplacer("{lobe}", fact.Lobe, "{station}", fact.Lobe, "{size}", size, "{lungs}", lungs, "{side}", fact.Side).Replace(template)
	t = strings.ToUpper(t[:1]) + t[1:]
	if w.r.chance(typoRate) {
		t = typo(w.r, t)
	}
	return sentence{t, claims}
}

// typo swaps two neighbouring letters inside one word of eight letters or more.
func typo(r *stream, t string) string {
	words := strings.Fields(t)
	for _, i := range []int{r.count(0, len(words)-1), r.count(0, len(words)-1), r.count(0, len(words)-1)} {
		word := []byte(words[i])
		if len(word) < 8 || strings.IndexFunc(words[i], func(c rune) bool { return !unicode.IsLower(c) }) >= 0 {
			continue
		}
		k := r.count(3, len(word)-3)
		word[k], word[k+1] = word[k+1], word[k]
		words[i] = string(word)
		break
	}
	return strings.Join(words, " ")
}
