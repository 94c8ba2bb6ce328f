package rules

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// symbol is one element of a pattern: a set of words and stems. A token matches it or not.
type symbol int32

// symbols is a set of symbols.
type symbols []uint64

// hashed is a set of symbols that may claim too many, never too few.
type hashed uint64

func (h *hashed) add(s symbol) { *h |= 1 << (uint64(s) * 0x9e3779b97f4a7c15 >> 58) }

// lexicon turns a word into its class, the set of symbols it matches, in one walk over its bytes.
//
// Exact words match at their end and stems ("calcif*") as soon as they are read, so word boundaries hold by construction.
// Every node's answer is worked out beforehand; a class is an index into sets.
type lexicon struct {
	symbols map[string]symbol // canonical alternatives to symbol
	words   [][]string        // by symbol
	nodes   []lexNode
	sets    []symbols // by class; class 0 is the empty set
	flat    symbols   // sets one behind the other, each of width numbers
	width   int32
	long    map[[2]byte][]string // long words and stems by their first two letters, for slips of the pen
	number  int32                // class of every number
}

type lexNode struct {
	next          [lexLetters]int32
	exact, prefix int32 // classes: the word ends here, the word goes on
}

// lexLetters: a-z, 0-9, and the marks a pattern may name.
const lexLetters = 26 + 10 + 8

// letter is the number of a byte among a node's children, or -1.
var letter = func() (n [256]int8) {
	for c := range n {
		n[c] = int8(strings.IndexByte("abcdefghijklmnopqrstuvwxyz0123456789,;:?()/-", byte(c)))
	}
	return n
}()

func newLexicon() *lexicon {
	return &lexicon{symbols: map[string]symbol{}, long: map[[2]byte][]string{}}
}

// symbol interns a set of alternatives: words, stems ending in *, or "#" for any number.
func (x *lexicon) symbol(alternatives []string) (symbol, error) {
	alternatives = slices.Clone(alternatives)
	slices.Sort(alternatives)
	alternatives = slices.Compact(alternatives)
	for _, a := range alternatives {
		stem := strings.TrimSuffix(a, "*")
		if stem == "" || stem != "#" && strings.ContainsFunc(stem, func(r rune) bool { return r > 127 || letter[byte(r)] < 0 }) {
			return 0, fmt.Errorf("%q is not a lower-case word, stem*, mark or #", a)
		}
	}
	key := strings.Join(alternatives, "|")
	if s, ok := x.symbols[key]; ok {
		return s, nil
	}
	s := symbol(len(x.words))
	x.symbols[key] = s
	x.words = append(x.words, alternatives)
	return s, nil
}

// build works out the class of every node. No symbol may be added later.
func (x *lexicon) build() {
	type own struct{ exact, stem []symbol }
	owns := []own{{}}
	x.nodes = []lexNode{{}}
	var numbers []symbol
	for s, alternatives := range x.words {
		for _, a := range alternatives {
			if a == "#" {
				numbers = append(numbers, symbol(s))
				continue
			}
			w, isStem := strings.CutSuffix(a, "*")
			n := int32(0)
			for i := range len(w) {
				k := letter[w[i]]
				if x.nodes[n].next[k] == 0 {
					x.nodes[n].next[k] = int32(len(x.nodes))
					x.nodes = append(x.nodes, lexNode{})
					owns = append(owns, own{})
				}
				n = x.nodes[n].next[k]
			}
			if isStem {
				owns[n].stem = append(owns[n].stem, symbol(s))
			} else {
				owns[n].exact = append(owns[n].exact, symbol(s))
			}
			x.addLong(a)
		}
	}
	size := (len(x.words) + 63) / 64
	x.sets = []symbols{make(symbols, size)}
	interned := map[string]int32{fmt.Sprint(x.sets[0]): 0}
	class := func(from int32, add []symbol) int32 {
		if len(add) == 0 {
			return from
		}
		b := slices.Clone(x.sets[from])
		for _, s := range add {
			b[s>>6] |= 1 << (s & 63)
		}
		key := fmt.Sprint(b)
		c, ok := interned[key]
		if !ok {
			c = int32(len(x.sets))
			interned[key] = c
			x.sets = append(x.sets, b)
		}
		return c
	}
	x.width = int32(size)
	for n := range x.nodes { // parents come before children
		x.nodes[n].prefix = class(x.nodes[n].prefix, owns[n].stem)
		x.nodes[n].exact = class(x.nodes[n].prefix, owns[n].exact)
		for _, child := range x.nodes[n].next {
			if child != 0 {
				x.nodes[child].prefix = x.nodes[n].prefix
			}
		}
	}
	x.number = class(0, numbers)
	x.flat = slices.Concat(x.sets...)
}

// class looks a folded word up.
func (x *lexicon) class(w []byte) int32 {
	n := int32(0)
	for _, c := range w {
		k := letter[c]
		if k < 0 || x.nodes[n].next[k] == 0 {
			if c := x.nodes[n].prefix; c != 0 || len(w) < fuzzyLetters {
				return c
			}
			return x.fuzzy(w)
		}
		n = x.nodes[n].next[k]
	}
	if c := x.nodes[n].exact; c != 0 || len(w) < fuzzyLetters {
		return c
	}
	return x.fuzzy(w)
}

// known remembers what was worked out for the words last met: reports say the same things.
type known struct {
	l       *Labeler
	marks   [utf8.RuneSelf]knownWord
	long    knownWord // the last word of more letters than a key holds
	words   [1 << knownBits]knownWord
	pairs   [1 << knownBits]knownPair
	sources [1 << knownBits]knownSource
}

const knownBits = 12

// wordKey is the letters of a word of up to 16, eight to a number. Of longer ones it tells nothing.
type wordKey struct{ head, tail uint64 }

type knownWord struct {
	key   wordKey
	class int32
	flags flag
}

// knownPair is the patterns that a token of one class can start before one of another.
type knownPair struct {
	class, next int32
	starts      []start
}

// knownSource is what names a rule and the context that decided.
type knownSource struct {
	row, cue int32
	text     string
}

// of empties it if it was another labeler's.
func (c *known) of(l *Labeler) {
	if c.l == l {
		return
	}
	*c = known{l: l}
	for mark := range c.marks {
		c.marks[mark].answer(l, []byte{byte(mark)})
	}
}

// word tells class and flags of a word. The answer holds until the next one.
func (c *known) word(key wordKey, w []byte) *knownWord {
	if len(w) > 16 {
		c.long.answer(c.l, w)
		return &c.long
	}
	h := (key.head ^ key.tail*0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd
	k := &c.words[h>>(64-knownBits)]
	if k.key != key {
		k.key = key
		k.answer(c.l, w)
	}
	return k
}

func (k *knownWord) answer(l *Labeler, w []byte) {
	k.class = l.lex.class(w)
	k.flags = l.flags[k.class]
}

// starts tells the patterns that a pair can start. They hold until the next pair.
func (c *known) starts(l *Labeler, class, next int32) []start {
	k := &c.pairs[slot(class, next)]
	if k.class != class || k.next != next || k.starts == nil {
		k.class, k.next, k.starts = class, next, slices.Grow(k.starts[:0], 1)
		for _, t := range l.starts[class] {
			if t.second < 0 || l.lex.has(next, t.second) {
				k.starts = append(k.starts, t)
			}
		}
	}
	return k.starts
}

// source names the rule, and the context that decided if there was one.
func (c *known) source(y *saying) string {
	if y.cue < 0 {
		return c.l.rows[y.row].id
	}
	k := &c.sources[slot(y.row, y.cue)]
	if k.row != y.row || k.cue != y.cue || k.text == "" {
		*k = knownSource{y.row, y.cue, c.l.rows[y.row].id + "+" + c.l.rows[y.cue].id}
	}
	return k.text
}

// slot is the place of a pair among those that are remembered.
func slot(a, b int32) uint64 {
	return (uint64(a)<<32 | uint64(uint32(b))) * 0xff51afd7ed558ccd >> (64 - knownBits)
}

func (x *lexicon) has(class int32, s symbol) bool {
	return x.flat[class*x.width+int32(s>>6)]&(1<<(s&63)) != 0
}

// fuzzyLetters is the least length of a word whose single slip of the pen is forgiven; below it, other words are near.
const fuzzyLetters = 7

func (x *lexicon) addLong(w string) {
	if len(strings.TrimSuffix(w, "*")) < fuzzyLetters {
		return
	}
	if first := [2]byte{w[0], w[1]}; !slices.Contains(x.long[first], w) {
		x.long[first] = append(x.long[first], w)
	}
}

// fuzzy finds the class of a long word that is one insertion, deletion, substitution or swap away from a known long word
// or stem with the same first two letters; 0 when there is none.
func (x *lexicon) fuzzy(w []byte) int32 {
	for _, known := range x.long[[2]byte(w)] {
		stem, isStem := strings.CutSuffix(known, "*")
		if oneSlip(w, stem, isStem) {
			return x.class([]byte(stem))
		}
	}
	return 0
}

// oneSlip reports whether w, or with prefix the beginning of w, is exactly one slip away from known.
func oneSlip(w []byte, known string, prefix bool) bool {
	i := 0
	for i < len(w) && i < len(known) && w[i] == known[i] {
		i++
	}
	if i < 2 || i > len(known)-3 {
		return false // another ending is another word ("defect", "defective"), not a slip
	}
	rest, want := w[i:], known[i:]
	fits := func(rest []byte, want string) bool {
		return string(rest) == want || prefix && len(rest) > len(want) && string(rest[:len(want)]) == want
	}
	if len(rest) == 0 {
		return false
	}
	return fits(rest[1:], want[1:]) || // substituted
		fits(rest[1:], want) || // inserted
		fits(rest, want[1:]) || // dropped
		len(rest) > 1 && len(want) > 1 && rest[0] == want[1] && rest[1] == want[0] && fits(rest[2:], want[2:])
}
