package rules

import (
	"fmt"
	"slices"
	"strings"

	"silverbeam/pkg/taxonomy"
)

// addGeneric makes rules for a finding nobody wrote rules for: its name and synonyms name it, its exclusions do not.
// The words of a phrase may stand a little apart ("thyroid right lobe nodule"), and a phrase of two or more words may be
// turned round ("fracture of the fifth rib"). Plurals are understood.
func (l *Labeler) addGeneric(finding int, f taxonomy.Finding, synonyms []string) error {
	at := line{file: "taxonomy finding " + f.Name, number: finding + 1}
	id := slug(f.Name)
	for n, phrase := range synonyms {
		written := phrasePatterns(phrase, true)
		if written == "" {
			continue
		}
		r := row{id: fmt.Sprintf("%s.synonym-%d", id, n+1), kind: find, finding: int16(finding), sure: false}
		if err := l.addRow(r, at, written); err != nil {
			return err
		}
	}
	for n, phrase := range f.Exclusions {
		written := phrasePatterns(phrase, false)
		if written == "" {
			continue
		}
		r := row{id: fmt.Sprintf("%s.exclusion-%d", id, n+1), kind: unname, finding: int16(finding)}
		if err := l.addRow(r, at, written); err != nil {
			return err
		}
	}
	return nil
}

var prepositions = []string{"of", "in", "at", "on"}

// phrasePatterns writes a phrase as patterns; the last word is the anchor, as it is the head of an English noun phrase.
func phrasePatterns(phrase string, loose bool) string {
	s := scratchPool.Get().(*scratch)
	defer scratchPool.Put(s)
	s.tokenize(phrase)
	var words []string
	for _, t := range s.toks {
		if w := string(s.norm[t.normFrom:t.normTo]); t.kind == word && !strings.Contains(w, "~") {
			words = append(words, plural(w))
		} else if t.kind == number {
			words = append(words, "#")
		}
	}
	if len(words) == 0 {
		return ""
	}
	head := len(words) - 1
	for i, w := range words[1:] {
		if slices.Contains(prepositions, w) {
			head = i // "nodule of the thyroid": the noun before the first preposition
			break
		}
	}
	var straight []string
	for i, w := range words {
		if i > 0 && loose && len(w) > 3 && len(words[i-1]) > 3 {
			straight = append(straight, "_3")
		}
		if i == head {
			w = "^" + w
		}
		straight = append(straight, w)
	}
	out := strings.Join(straight, " ")
	if loose && len(words) == 2 {
		out += " ; ^" + words[1] + " ..9 (in|of|at|on) _6 " + words[0]
	}
	return out
}

// plural is the alternatives of a noun: rib|ribs, biopsy|biopsies, mass|masses.
func plural(w string) string {
	switch {
	case len(w) <= 3 && (len(w) < 3 || w == "the" || w == "and"):
		return w
	case strings.HasSuffix(w, "y"):
		return "(" + w + "|" + w[:len(w)-1] + "ies)"
	case strings.HasSuffix(w, "sis"):
		return "(" + w + "|" + w[:len(w)-2] + "es)"
	case strings.HasSuffix(w, "s"):
		return "(" + w + "|" + w + "es|" + w[:len(w)-1] + ")"
	case strings.HasSuffix(w, "x"), strings.HasSuffix(w, "h"):
		return "(" + w + "|" + w + "es)"
	}
	return "(" + w + "|" + w + "s)"
}
