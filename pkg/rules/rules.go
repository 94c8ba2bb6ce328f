// Package rules labels a radiology report without a model, a key or a network.
//
// One pass: fold and cut the text into tokens with byte offsets, into sections and sentences; find the words of findings,
// organs and context with one trie of words and stems; let context (denial before and after the noun, hedges, history,
// questions, plans) decide what each mention says; put the mentions of a finding together, present before uncertain before
// absent. The method follows NegEx/ConText (Chapman 2001, Harkema 2009), the order of CheXpert's labeler (Irvin 2019,
// uncertainty that contains a denial comes first) and SARLE (Draelos 2021, recommendations are dropped). The words are our
// own and are data: data/*.tsv.
package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"silverbeam/pkg/taxonomy"
)

// Options say which habits of annotation to follow.
type Options struct {
	// Convention is "ct-rate" (default when empty): any seen node counts as lymphadenopathy, consolidation alone is not
	// opacity, and so on; or "clinical": size decides about nodes, infiltrates and consolidations are opacities.
	Convention string
}

// Conventions lists the values of Options.Convention.
func Conventions() []string { return []string{"ct-rate", "clinical"} }

// Labeler labels reports by rules. It is read-only once made, so any number of goroutines may use it.
type Labeler struct {
	convention   string
	findings     []taxonomy.Finding
	lex          *lexicon
	classes      map[string][]string
	rows         []row
	patterns     []pattern
	starts       [][]start // by class: the patterns that can start there
	gives        []hashed  // by class: those of its symbols that come second or later in some pattern
	flags        []flag    // by class
	organs       []string
	column       []int    // by unit, a set of rules that know of each other: the finding it is about; first each finding's own
	home         []uint64 // by unit: the organs it may sit in, as bits; 0: anywhere
	carries      []bool   // by unit: an organ named earlier holds
	implied      [][]int  // by finding: findings it implies, closed under implication
	abbreviation symbol
	answer       symbol // words that answer a heading: none, negative
	pronoun      symbol // it, they, their
	owner        symbol // its, their
	fine         symbol // normal, natural
	auxiliary    symbol // what a question opens with
	question     int32  // the row of the rule ask
	assess       map[string][]string
	hints        []hint // by class
	chest        bool   // a text must be about the chest: all findings have rules of their own
	version      string
}

// start is one pattern by number, with the symbol that must come right after its first token, or -1, and those that must
// stand somewhere in the sentence.
type start struct {
	needs   hashed
	pattern int32
	second  symbol
}

func newStart(pattern int32, e []element) start {
	t := start{pattern: pattern, second: -1}
	if len(e) > 1 && e[1].gap == 0 {
		t.second = e[1].symbol
	}
	for _, more := range e[1:] {
		t.needs.add(more.symbol)
	}
	return t
}

// made is the Labeler that was last prepared: a run asks for the same one several times, and to prepare it takes 25 ms.
var made struct {
	sync.Mutex
	of string // taxonomy and convention
	l  *Labeler
}

// New prepares the rules for a taxonomy. Findings with rules of their own (by name) use them, and synonyms that the shipped
// taxonomy does not list; all others are found by synonyms.
func New(t *taxonomy.Taxonomy, o Options) (*Labeler, error) {
	if o.Convention == "" {
		o.Convention = "ct-rate"
	}
	made.Lock()
	defer made.Unlock()
	of := o.Convention + t.Digest()
	if made.l != nil && made.of == of {
		return made.l, nil
	}
	l, err := prepare(t, o)
	if err == nil {
		made.of, made.l = of, l
	}
	return l, err
}

func prepare(t *taxonomy.Taxonomy, o Options) (*Labeler, error) {
	if !slices.Contains(Conventions(), o.Convention) {
		return nil, fmt.Errorf("rules: convention %q is not one of %s", o.Convention, strings.Join(Conventions(), ", "))
	}
	l := &Labeler{convention: o.Convention, findings: slices.Clone(t.Findings), lex: newLexicon(),
		column: make([]int, len(t.Findings)), home: make([]uint64, len(t.Findings)), carries: make([]bool, len(t.Findings))}
	for i := range l.column {
		l.column[i] = i
	}
	if err := l.load(t); err != nil {
		return nil, err
	}
	l.index()
	l.imply(t)
	var err error
	l.version, err = dataVersion(o.Convention)
	return l, err
}

// load reads the data files and the taxonomy into rows.
func (l *Labeler) load(t *taxonomy.Taxonomy) (err error) {
	if l.classes, err = readClasses("classes.tsv"); err != nil {
		return err
	}
	if l.assess, err = readClasses("assess.tsv"); err != nil {
		return err
	}
	if l.abbreviation, err = l.lex.symbol(l.classes["abbreviation"]); err != nil {
		return err
	}
	if l.answer, err = l.lex.symbol(l.classes["answer"]); err != nil {
		return err
	}
	if l.pronoun, err = l.lex.symbol(l.classes["pronoun"]); err != nil {
		return err
	}
	if l.fine, err = l.lex.symbol(l.classes["fine"]); err != nil {
		return err
	}
	if l.owner, err = l.lex.symbol(l.classes["owner"]); err != nil {
		return err
	}
	if l.auxiliary, err = l.lex.symbol(l.classes["auxiliary"]); err != nil {
		return err
	}
	if err = l.addContext(); err != nil {
		return err
	}
	l.question = int32(slices.IndexFunc(l.rows, func(r row) bool { return r.id == "ask" }))
	if err = l.addNames("organs.tsv", organ); err != nil {
		return err
	}
	if err = l.addNames("sections.tsv", section); err != nil {
		return err
	}
	known, err := l.addFindings(t.Index)
	if err != nil {
		return err
	}
	l.chest = len(known) == len(t.Findings)
	shipped, err := written()
	if err != nil {
		return err
	}
	for i, f := range t.Findings {
		phrases := append([]string{f.Name}, f.Synonyms...)
		if known[i] {
			phrases, f.Exclusions = without(f.Synonyms, shipped[f.Name].Synonyms), without(f.Exclusions, shipped[f.Name].Exclusions)
			f.Organ = "" // written as rules, where it tells something
		}
		if err := l.addGeneric(i, f, phrases); err != nil {
			return err
		}
	}
	return nil
}

// written is the shipped findings by name: of those with rules of their own, synonyms and exclusions are rules already.
func written() (map[string]taxonomy.Finding, error) {
	all := map[string]taxonomy.Finding{}
	for _, name := range taxonomy.Shipped() {
		t, err := taxonomy.Load(name)
		if err != nil {
			return nil, err
		}
		for _, f := range t.Findings {
			all[f.Name] = f
		}
	}
	return all, nil
}

func without(phrases, known []string) []string {
	return slices.DeleteFunc(slices.Clone(phrases), func(w string) bool { return slices.Contains(known, w) })
}

// index builds the lexicon, the patterns' starting points and the flags of each class of words.
func (l *Labeler) index() {
	hintOf := map[symbol]hint{}
	for name, words := range l.assess {
		s, err := l.lex.symbol(words)
		if err != nil {
			panic("rules: assess " + name + ": " + err.Error()) // embedded data, held by a test
		}
		hintOf[s] = hintClasses[name]
	}
	flagOf := map[symbol]flag{}
	for name, f := range flagClasses {
		s, err := l.lex.symbol(l.classes[name])
		if err != nil {
			panic("rules: class " + name + ": " + err.Error()) // embedded data, held by a test
		}
		flagOf[s] |= f
	}
	l.lex.build()
	l.starts = make([][]start, len(l.lex.sets))
	l.gives = make([]hashed, len(l.lex.sets))
	needed := map[symbol]bool{}
	for k := range l.patterns {
		p := &l.patterns[k]
		p.kind = l.rows[p.row].kind
		for _, e := range p.elements[1:] {
			needed[e.symbol] = true
		}
	}
	l.flags = make([]flag, len(l.lex.sets))
	l.hints = make([]hint, len(l.lex.sets))
	for c := range l.lex.sets {
		for k := range l.patterns {
			if e := l.patterns[k].elements; l.lex.has(int32(c), e[0].symbol) {
				l.starts[c] = append(l.starts[c], newStart(int32(k), e))
			}
		}
		for s := range needed {
			if l.lex.has(int32(c), s) {
				l.gives[c].add(s)
			}
		}
		for s, f := range flagOf {
			if l.lex.has(int32(c), s) {
				l.flags[c] |= f
			}
		}
		for s, h := range hintOf {
			if l.lex.has(int32(c), s) {
				l.hints[c] |= h
			}
		}
	}
}

// imply closes the taxonomy's implications.
func (l *Labeler) imply(t *taxonomy.Taxonomy) {
	l.implied = make([][]int, len(t.Findings))
	for i := range t.Findings {
		reached := []int{i}
		for k := 0; k < len(reached); k++ {
			for _, name := range t.Findings[reached[k]].Implies {
				if j := t.Index(name); j >= 0 && !slices.Contains(reached, j) {
					reached = append(reached, j)
				}
			}
		}
		l.implied[i] = reached[1:]
	}
}

// Version identifies the answers: the digest of the rule data and the convention. It does not cover the taxonomy.
func (l *Labeler) Version() string { return l.version }

func dataVersion(convention string) (string, error) {
	h := sha256.New()
	names, err := fs.Glob(files, "data/*.tsv")
	if err != nil {
		return "", fmt.Errorf("rules: %w", err)
	}
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return "", fmt.Errorf("rules: %w", err)
		}
		fmt.Fprintf(h, "%s %d\n", name, len(text))
		h.Write(text)
	}
	return "rules-" + engine + "-" + convention + "-" + hex.EncodeToString(h.Sum(nil))[:16], nil
}

// engine is raised whenever code changes what the same data answers.
const engine = "3"

// scratch is the working memory of one report.
type scratch struct {
	toks     []token
	norm     []byte
	sents    []sentence
	matches  []match
	cues     []cue
	organs   []match // of the sentence
	walk     []int32 // steps from the sentence's start to each of its tokens
	origin   int32   // the sentence's first token
	says     []saying
	best     []int // by finding: the saying that labels it, or -1
	about    about
	explains bool   // the modifiers of each mention are wanted
	has      hashed // symbols of the sentence
	kinds    uint32 // of its matches, a bit for each
	known    known
}

var scratchPool = sync.Pool{New: func() any { return new(scratch) }}
