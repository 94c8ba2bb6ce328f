package phantom

import (
	"strings"
	"testing"
	"unicode"
)

// bare is a template without case, punctuation or doubled spaces, so that near copies count as copies.
func bare(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '{' && c != '}' }), " ")
}

func TestFamiliesAreDisjoint(t *testing.T) {
	train := map[string]bool{}
	for _, s := range trainFamily.strings() {
		train[bare(s)] = true
	}
	for _, s := range validFamily.strings() {
		if b := bare(s); train[b] && strings.Trim(b, "{} nouclaist") != "" {
			t.Errorf("both families have %q", s)
		}
	}
	for f := range Findings {
		if bare(trainFamily.noun[f]) == bare(validFamily.noun[f]) {
			t.Errorf("both families call %s %q", Findings[f], validFamily.noun[f])
		}
	}
}

// TestFamiliesAreComplete: every finding can be said, denied and doubted whatever is known about it.
func TestFamiliesAreComplete(t *testing.T) {
	for _, fam := range []*family{&trainFamily, &validFamily} {
		for f, name := range Findings {
			for what, list := range map[string][]string{"present": fam.present[f], "hedged": fam.hedged[f], "absent": fam.absent[f], "title": fam.title[f]} {
				if f == material && what == "present" {
					continue
				}
				bare := 0
				for _, s := range list {
					if (Fact{}).fits(s) {
						bare++
					}
					if clause := what == "present" || what == "hedged"; clause == strings.HasSuffix(s, ".") {
						t.Errorf("%s, %s: %q: clauses end without a stop, sentences with one", name, what, s)
					}
				}
				if bare == 0 && (what != "present" && what != "title" || f != mosaic) {
					t.Errorf("%s, %s: no template without slots", name, what)
				}
			}
		}
		for _, kind := range []string{"port", "pacemaker", "sternal wires"} {
			if len(fam.devices[kind]) == 0 {
				t.Errorf("no words for %s", kind)
			}
		}
	}
}

// reports writes the reports of n studies.
func reports(t *testing.T, n int) ([]Study, []Report) {
	t.Helper()
	list, err := Draw(Options{Studies: n, Seed: 21})
	if err != nil {
		t.Fatal(err)
	}
	out := make([]Report, n)
	for i, s := range list {
		out[i] = writeReport(s, newChest(s, .5, 3).facts)
	}
	return list, out
}

// TestSentences checks offsets, coverage and precedence on 600 reports.
func TestSentences(t *testing.T) {
	list, reps := reports(t, 600)
	kinds := map[string]int{}
	for i, r := range reps {
		text := r.Text()
		if strings.ContainsAny(text, "{}") {
			t.Fatalf("%s: an unfilled slot", list[i].ID)
		}
		covered := make([]bool, len(text))
		best := map[string]int{}
		for _, m := range r.Mentions {
			kinds[m.Kind]++
			if m.From < 0 || m.To > len(text) || m.From >= m.To {
				t.Fatalf("%s: mention at %d..%d of %d bytes", list[i].ID, m.From, m.To, len(text))
			}
			s := text[m.From:m.To]
			if s != strings.TrimSpace(s) || strings.Contains(s, "\n") || !strings.ContainsAny(s[len(s)-1:], ".;:?") {
				t.Errorf("%s: not one sentence at %d..%d", list[i].ID, m.From, m.To)
			}
			if m.From <= len(r.Findings) != (m.To <= len(r.Findings)) {
				t.Errorf("%s: a sentence crosses from findings to impression", list[i].ID)
			}
			for k := m.From; k < m.To; k++ {
				covered[k] = true
			}
			if m.Finding == "" != (m.State == stateSilent) {
				t.Errorf("%s: finding %q in state %d", list[i].ID, m.Finding, m.State)
			}
			rank := map[int]int{1: 3, -1: 2, 0: 1}
			if rank[m.State] > best[m.Finding] {
				best[m.Finding] = rank[m.State]
			}
		}
		for k, c := range []byte(text) {
			if !covered[k] && !strings.ContainsRune(" \n\"\xe2\x80\xa2", rune(c)) && c < 0x80 && text[len(r.Findings)+1:] != notGiven {
				t.Fatalf("%s: byte %d (%q) belongs to no sentence", list[i].ID, k, c)
			}
		}
		for f, name := range Findings {
			want := map[int]int{3: 1, 2: -1, 1: 0}[best[name]]
			if got := r.States[f]; (got == nil) != (best[name] == 0) || got != nil && *got != want {
				t.Errorf("%s: %s is not the strongest of its sentences", list[i].ID, name)
			}
		}
		if (list[i].Split == "valid") != (r.Family == "valid") {
			t.Errorf("%s of the %s split is written by family %s", list[i].ID, list[i].Split, r.Family)
		}
	}
	for _, k := range []string{"present", "absent", "list", "but", "hedged", "overcall", "resolved", "removed", "small-nodes", "neutral"} {
		if kinds[k] == 0 {
			t.Errorf("no sentence of kind %s in 600 reports", k)
		}
	}
}

// TestReportRates: how often the text leaves the image, and how long it is.
func TestReportRates(t *testing.T) {
	list, reps := reports(t, 900)
	var there, silent, hedged, wrong, absent, words float64
	for i, r := range reps {
		words += float64(len(strings.Fields(r.Text())))
		for f, on := range list[i].Findings {
			state := r.States[f]
			switch {
			case on && state == nil:
				silent++
			case on && *state == stateUncertain:
				hedged++
			case on && *state == stateAbsent:
				t.Errorf("%s: %s is in the image and denied", list[i].ID, Findings[f])
			case !on && state != nil && *state != stateAbsent:
				wrong++
			}
			if on {
				there++
			} else {
				absent++
			}
		}
	}
	near(t, "silent", silent/there, silentRate, .02)
	near(t, "hedged", hedged/there, hedgeRate, .03)
	near(t, "said though absent", wrong/absent, doubtRate+overcallRate+.002, .006) // small nodes are a thirtieth of 1/18
	near(t, "words", words/900, 140, 30)
}

// TestTruthBySubstring reads single sentences with the crudest of means: a denial holds a word of denial, a doubt one of
// doubt, and what is present neither (but for the sentences that do both).
func TestTruthBySubstring(t *testing.T) {
	_, reps := reports(t, 400)
	has := func(s string, words ...string) bool {
		for _, w := range words {
			if strings.Contains(" "+strings.ToLower(s), w) {
				return true
			}
		}
		return false
	}
	denies := func(s string) bool {
		return has(s, " no ", " not ", "absent", " free of", "normal", "neither", "regressed", "disappeared", "resolved", "removed", "cannot be identified", "without")
	}
	doubts := func(s string) bool {
		return has(s, "may ", "possibl", "suspi", "suspect", "cannot be", "questionable", "?")
	}
	bad := 0
	for _, r := range reps {
		for _, m := range r.Mentions {
			s := r.Text()[m.From:m.To]
			ok := true
			switch m.Kind {
			case "present", "overcall":
				ok = !denies(s) || has(s, "than normal") // larger than normal
			case "absent", "list", "resolved", "removed", "but":
				ok = denies(s)
			case "hedged":
				ok = doubts(s)
			}
			if !ok {
				bad++
			}
		}
	}
	if bad > 12 { // typos may hide a word
		t.Errorf("%d sentences do not read like their truth", bad)
	}
}
