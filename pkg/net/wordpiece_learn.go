package net

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// spelled is one distinct word of the corpus: how often it stands there, and its pieces so far.
type spelled struct {
	count  int
	pieces []string
}

// pair is two neighbouring pieces.
type pair struct{ left, right string }

// LearnWordPiece makes a vocabulary of at most size tokens from texts: the special tokens, the characters, then the
// pairs of pieces that stand together most often, joined one after the other (Sennrich et al. 2016, with BERT's marks).
// Ties go to the pair that sorts first, so the same texts in any order give the same vocabulary. Pairs seen once are not
// joined; the rarest characters are left out when not all fit.
func LearnWordPiece(texts []string, size int) *WordPiece {
	corpus := spell(texts)
	tokens := append([]string{PadToken, UnknownTok, ClassToken, SepToken}, alphabet(corpus)...)
	tokens = tokens[:min(len(tokens), max(size, 4))]
	known := map[string]bool{}
	for _, t := range tokens {
		known[t] = true
	}
	counts := map[pair]int{}
	for _, w := range corpus {
		w.tally(counts, w.count)
	}
	for len(tokens) < size {
		best, n := mostOften(counts)
		if n < 2 {
			break
		}
		joined := best.left + strings.TrimPrefix(best.right, "##")
		if !known[joined] { // another pair may spell the same
			tokens, known[joined] = append(tokens, joined), true
		}
		for i := range corpus {
			corpus[i].join(best, joined, counts)
		}
		delete(counts, best)
	}
	w, err := NewWordPiece(tokens)
	if err != nil {
		panic("net: " + err.Error()) // tokens are distinct and the special ones are there
	}
	return w
}

// Used is the vocabulary without the tokens that texts hold less than least times. What few or no texts hold has an
// embedding that training hardly moves; without it, a word of another style becomes [UNK] and not a row of such pieces.
func (w *WordPiece) Used(texts []string, least int) *WordPiece {
	used := make([]int, len(w.tokens))
	for _, s := range spell(texts) {
		for _, id := range w.pieces(nil, strings.ReplaceAll(strings.Join(s.pieces, ""), "##", "")) {
			used[id] += s.count
		}
	}
	for _, special := range []int32{w.pad, w.unk, w.cls, w.sep} {
		used[special] = least
	}
	var kept []string
	for id, t := range w.tokens {
		if used[id] >= least {
			kept = append(kept, t)
		}
	}
	out, err := NewWordPiece(kept)
	if err != nil {
		panic("net: " + err.Error()) // a part of a vocabulary that was one
	}
	return out
}

// spell counts the distinct words of texts, in alphabetical order, split into characters.
func spell(texts []string) []spelled {
	counts := map[string]int{}
	for _, t := range texts {
		for _, w := range words(t) {
			if utf8.RuneCountInString(w) <= maxWordRunes {
				counts[w]++
			}
		}
	}
	var corpus []spelled
	for _, w := range slices.Sorted(maps.Keys(counts)) {
		s := spelled{count: counts[w]}
		for i, r := range w {
			if i == 0 {
				s.pieces = append(s.pieces, string(r))
			} else {
				s.pieces = append(s.pieces, "##"+string(r))
			}
		}
		corpus = append(corpus, s)
	}
	return corpus
}

// alphabet lists the pieces of one character, most frequent first.
func alphabet(corpus []spelled) []string {
	counts := map[string]int{}
	for _, w := range corpus {
		for _, p := range w.pieces {
			counts[p] += w.count
		}
	}
	return slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(counts[b]-counts[a], strings.Compare(a, b))
	})
}

// tally adds n to the count of every pair of the word.
func (w spelled) tally(counts map[pair]int, n int) {
	for i := 1; i < len(w.pieces); i++ {
		counts[pair{w.pieces[i-1], w.pieces[i]}] += n
	}
}

// join replaces every p in the word by one piece and keeps the counts right.
func (w *spelled) join(p pair, joined string, counts map[pair]int) {
	if !w.has(p) {
		return
	}
	w.tally(counts, -w.count)
	out := w.pieces[:0]
	for i := 0; i < len(w.pieces); i++ {
		if i+1 < len(w.pieces) && w.pieces[i] == p.left && w.pieces[i+1] == p.right {
			out = append(out, joined)
			i++
		} else {
			out = append(out, w.pieces[i])
		}
	}
	w.pieces = out
	w.tally(counts, w.count)
}

func (w *spelled) has(p pair) bool {
	for i := 1; i < len(w.pieces); i++ {
		if w.pieces[i-1] == p.left && w.pieces[i] == p.right {
			return true
		}
	}
	return false
}

func mostOften(counts map[pair]int) (best pair, n int) {
	for p, c := range counts {
		if c > n || c == n && (p.left < best.left || p.left == best.left && p.right < best.right) {
			best, n = p, c
		}
	}
	return best, n
}
