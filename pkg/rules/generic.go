package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"silverbeam/pkg/taxonomy"
)

// addGeneric makes rules for a finding nobody wrote rules for: its name and synonyms name it, its exclusions do not.
// The words of a phrase may stand a little apart ("thyroid right lobe nodule") and may be turned round ("fracture of the
// fifth rib", "the spleen is enlarged", "Gallbladder: no stone"). Plurals and both spellings of English are understood.
// Its organ called normal denies it, and what is enlarged is denied by its normal size.
func (l *Labeler) addGeneric(finding int, f taxonomy.Finding, synonyms []string) error {
	at := line{file: "taxonomy finding " + f.Name, number: finding + 1}
	add := func(k kind, id, patterns string) error {
		if patterns == "" {
			return nil
		}
		return l.addRow(row{id: slug(f.Name) + "." + id, kind: k, finding: int16(finding)}, at, patterns)
	}
	var errs []error
	for n, phrase := range synonyms {
		words := phraseWords(phrase)
		errs = append(errs, add(find, fmt.Sprint("synonym-", n+1), strings.Join(append(straight(words, "_3"), turned(words)...), " ; ")),
			add(normal, fmt.Sprint("normal-", n+1), normalSize(words)))
	}
	for n, phrase := range f.Exclusions {
		errs = append(errs, add(unname, fmt.Sprint("exclusion-", n+1), strings.Join(straight(phraseWords(phrase), ""), " ; ")))
	}
	if organ := phraseWords(f.Organ); len(organ) > 0 && f.Organ != "any" {
		errs = append(errs, add(normal, "organ", strings.ReplaceAll(normalOrgan, "ORGAN", strings.Join(organ, " "))))
	}
	return errors.Join(errs...)
}

// normalOrgan is how an organ is called normal as a whole, alone or in a list: "normal in size" is not.
const normalOrgan = "ORGAN [:] [(is|are|was|were|appears|appear|remains|remain)] [(otherwise|entirely|completely|grossly)] (normal|unremarkable|clear|intact) [for] [age] $ ; " +
	"ORGAN (,|and) _3 [(,|and)] _3 [(,|and)] _3 [(,|and)] _3 (is|are|was|were|appear|remain) (normal|unremarkable|clear|intact) [for] [age] $ ; " +
	"(normal|unremarkable) [appearance] [of] [the] ORGAN $"

// phraseWords are the words of a phrase as elements of a pattern, "#" for a number.
func phraseWords(phrase string) (words []string) {
	s := scratchPool.Get().(*scratch)
	defer scratchPool.Put(s)
	s.tokenize(phrase, nil)
	for _, t := range s.toks {
		if w := string(s.norm[t.normFrom:t.normTo]); t.kind == word && !strings.Contains(w, "~") {
			words = append(words, plural(w))
		} else if t.kind == number {
			words = append(words, "#")
		}
	}
	return words
}

// preposition is the place of the first preposition behind a first word, or -1.
func preposition(words []string) int {
	for i, w := range words {
		if i > 0 && slices.Contains([]string{"of", "in", "at", "on"}, w) {
			return i
		}
	}
	return -1
}

// straight is the pattern of a phrase in its own order; gap may stand before long words that follow another one or a
// preposition. The anchor is the head of the noun
// phrase: the last word, or the one before a preposition ("nodule of the thyroid").
func straight(words []string, gap string) []string {
	if len(words) == 0 {
		return nil
	}
	head, p := len(words)-1, preposition(words)
	if p > 0 {
		head = p - 1
	}
	var out []string
	for i, w := range words {
		if i > 0 && gap != "" && len(w) > 3 && (len(words[i-1]) > 3 || p > 0 && i > p) {
			out = append(out, gap)
		}
		switch {
		case i == head:
			w = "^" + w
		case w == "the":
			w = "[the]"
		}
		out = append(out, w)
	}
	return []string{strings.Join(out, " ")}
}

// turned are the patterns of a phrase in other orders: what is said of a place, before and after it, and of a noun, after it.
func turned(words []string) (out []string) {
	if len(words) < 2 {
		return nil
	}
	p := preposition(words)
	what, place := words[len(words)-1:], words[:len(words)-1]
	if p > 0 {
		what, place = words[:p], slices.DeleteFunc(slices.Clone(words[p+1:]), func(w string) bool { return w == "the" || w == "a" })
	} else {
		out = append(out, "^"+what[0]+" ..9 (in|of|at|on) _6 "+strings.Join(place, " "),
			strings.Join(words[1:], " ")+" (is|are|was|were|appears|appear|remains|remain|:) [not] _3 ^"+words[0])
	}
	if len(place) > 0 {
		named, thing := strings.Join(place, " "), strings.Join(straight(what, ""), "")
		out = append(out, named+" : [(no|without)] ..6 "+thing, named+" [,] (shows|show|contains|contain|has|have|with) [(no|without)] _5 "+thing)
	}
	return out
}

// normalSize is how something is called of normal size, of a phrase that calls it enlarged; "" for any other.
func normalSize(words []string) string {
	if len(words) < 2 || preposition(words) > 0 || !slices.ContainsFunc([]string{"enlarged", "dilated", "widened", "distended"}, func(w string) bool { return plural(w) == words[0] }) {
		return ""
	}
	return strings.ReplaceAll("THING [:] [(is|are|was|were|appears|appear|remains|remain)] [(of|within)] normal [in] (size|sized|caliber|calibre|width|diameter|limits) ; "+
		"normal (size|sized|caliber|calibre|width|diameter) [of] [the] THING", "THING", strings.Join(words[1:], " "))
}

// plural is the alternatives of a noun: rib|ribs, biopsy|biopsies, mass|masses, thrombus|thrombi, in both spellings.
func plural(w string) string {
	if len(w) <= 3 && (len(w) < 3 || w == "the" || w == "and") {
		return w
	}
	forms := []string{w}
	for _, e := range endings {
		if stem, ok := strings.CutSuffix(w, e[0]); ok {
			for _, other := range e[1:] {
				forms = append(forms, stem+other)
			}
			break
		}
	}
	for _, f := range forms {
		for _, s := range spellings {
			if british := strings.Replace(f, s[1], s[0], 1); british != f && !strings.Contains(f, s[0]) {
				forms = append(forms, british)
			} else if american := strings.Replace(f, s[0], s[1], 1); american != f {
				forms = append(forms, american)
			}
		}
	}
	return "(" + strings.Join(forms, "|") + ")"
}

// endings are an ending of a noun and those of its other forms; the first that fits counts.
var endings = [][]string{{"sis", "ses"}, {"ses", "sis", "se"}, {"us", "i", "uses"}, {"li", "lus"}, {"bi", "bus"}, {"um", "a", "ums"}, {"ula", "ulum", "ulas"}, {"ies", "y"}, {"y", "ies"},
	{"ss", "sses"}, {"sses", "ss"}, {"s", "", "ses"}, {"x", "xes", "ces"}, {"h", "hes"}, {"", "s"}}

// spellings are British and American.
var spellings = [][2]string{{"haem", "hem"}, {"aemi", "emi"}, {"oedem", "edem"}, {"tumour", "tumor"}, {"oesoph", "esoph"}, {"aesth", "esth"}, {"fibre", "fiber"}, {"centre", "center"},
	{"calibre", "caliber"}, {"isation", "ization"}, {"ised", "ized"}, {"leuco", "leuko"}, {"grey", "gray"}, {"litre", "liter"}, {"paed", "ped"}, {"gynaec", "gynec"}, {"coeli", "celi"}}
