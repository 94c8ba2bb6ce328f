package llm

import (
	"testing"

	"silverbeam/pkg/phantom"
	"silverbeam/pkg/rules"
)

// TestRedactionLeavesLabels asks the rules about generated reports before and after identifiers are removed.
func TestRedactionLeavesLabels(t *testing.T) {
	l, err := rules.New(ctRate(t), rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	o := phantom.Options{Studies: 1000, Seed: 21, ValidFraction: 0.5}
	list, err := phantom.Draw(o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		r, err := list[i].Report(o)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, normalise(r.Text()))
	}
	generated := len(texts)
	for _, set := range []string{"heldout1", "heldout2"} {
		g := readGrammar(t, "testdata/"+set+".txt", 3)
		for range 500 {
			texts = append(texts, g.draw().Text)
		}
	}
	removed, changed, labels, lost := 0, 0, 0, 0
	for i, text := range texts {
		after, gone := (&redactor{Labeler: l}).redact(text)
		if i < generated {
			for _, n := range gone {
				removed += n
			}
			removed -= gone["section"]
		}
		was, err := l.Label(text)
		if err != nil {
			continue // not about the chest, to the rules
		}
		is, err := l.Label(after)
		if err != nil {
			lost++ // what told that it is about the chest was in a header, or next to nothing else was said
			continue
		}
		for k := range was {
			if labels++; was[k].State != is[k].State {
				changed++
				t.Logf("%v became %v: %q", was[k].State, is[k].State, after)
			}
		}
	}
	t.Logf("%d of %d labels changed, %d of %d reports are no longer assessable; %d identifiers in %d reports without", changed, labels, lost, len(texts), removed, generated)
	if changed > labels/10_000 || lost > len(texts)/200 || removed > generated/100 {
		t.Error("too many")
	}
}
