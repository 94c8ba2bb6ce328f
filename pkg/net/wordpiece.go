package net

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The special tokens, at the start of every learned vocabulary in this order; BERT's names.
const (
	PadToken   = "[PAD]"
	UnknownTok = "[UNK]"
	ClassToken = "[CLS]"
	SepToken   = "[SEP]"
)

// maxWordRunes is BERT's bound: a longer word is one [UNK].
const maxWordRunes = 100

// WordPiece is BERT's uncased tokenizer (Devlin et al. 2019; google-research/bert tokenization.py): lower case, accents
// off, split at spaces and punctuation, then each word by longest match first, inner pieces marked with "##". It is safe
// for concurrent use.
type WordPiece struct {
	tokens             []string
	id                 map[string]int32
	pad, unk, cls, sep int32
	longest            int // bytes of the longest token: no match is longer
}

// NewWordPiece takes a vocabulary in order of its ids. Special tokens may stand anywhere but must be there, and no token
// may be empty or stand twice.
func NewWordPiece(tokens []string) (*WordPiece, error) {
	w := &WordPiece{tokens: tokens, id: make(map[string]int32, len(tokens))}
	for i, t := range tokens {
		if _, twice := w.id[t]; twice || t == "" {
			return nil, fmt.Errorf("vocabulary: line %d: empty or a repeated token", i+1)
		}
		w.id[t], w.longest = int32(i), max(w.longest, len(t))
	}
	for name, at := range map[string]*int32{PadToken: &w.pad, UnknownTok: &w.unk, ClassToken: &w.cls, SepToken: &w.sep} {
		id, ok := w.id[name]
		if !ok {
			return nil, fmt.Errorf("vocabulary: no %s among %d tokens", name, len(tokens))
		}
		*at = id
	}
	return w, nil
}

// LoadWordPiece reads a vocab.txt: one token a line, the line's number (from 0) its id.
func LoadWordPiece(path string) (*WordPiece, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	w, err := ParseWordPiece(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return w, nil
}

// ParseWordPiece reads the bytes of a vocab.txt.
func ParseWordPiece(b []byte) (*WordPiece, error) {
	if !utf8.Valid(b) {
		return nil, errors.New("vocabulary: not UTF-8")
	}
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	return NewWordPiece(strings.Split(strings.TrimSuffix(string(b), "\n"), "\n"))
}

// Bytes is the content of vocab.txt.
func (w *WordPiece) Bytes() []byte { return []byte(strings.Join(w.tokens, "\n") + "\n") }

// Size is the number of tokens.
func (w *WordPiece) Size() int { return len(w.tokens) }

// Unknown is the id of [UNK].
func (w *WordPiece) Unknown() int32 { return w.unk }

// Encode writes [CLS], the text's pieces and [SEP] into ids and pads with [PAD]; mask is 1 up to [SEP] and 0 after. Both
// have one length, at least 2. A text too long loses its middle, since reports end with their conclusion (head and tail:
// Sun et al. 2019, arXiv 1905.05583, section 5.3). It returns the length in use.
func (w *WordPiece) Encode(ids, mask []int32, text string) int {
	if len(ids) != len(mask) || len(ids) < 2 {
		panic(fmt.Sprintf("net: WordPiece.Encode into %d ids and %d mask entries", len(ids), len(mask)))
	}
	var all []int32
	for _, word := range words(text) {
		all = w.pieces(all, word)
	}
	if room := len(ids) - 2; len(all) > room {
		all = append(all[:room-room/2], all[len(all)-room/2:]...)
	}
	ids[0] = w.cls
	n := 1 + copy(ids[1:], all)
	ids[n] = w.sep
	n++
	for i := range ids {
		mask[i] = 1
		if i >= n {
			ids[i], mask[i] = w.pad, 0
		}
	}
	return n
}

// pieces appends the ids of one word: the longest token that starts it, and so on; [UNK] if anything is left over.
func (w *WordPiece) pieces(out []int32, word string) []int32 {
	if utf8.RuneCountInString(word) > maxWordRunes {
		return append(out, w.unk)
	}
	start := len(out)
	for at, mark := 0, ""; at < len(word); mark = "##" {
		end := min(len(word), at+w.longest)
		for ; end > at; end-- {
			if id, ok := w.id[mark+word[at:end]]; ok {
				out = append(out, id)
				break
			}
		}
		if end == at {
			return append(out[:start], w.unk)
		}
		at = end
	}
	return out
}

// words is BERT's basic split of lower-cased text without accents: runs of letters, and every punctuation mark and
// ideograph alone.
func words(text string) []string {
	var out []string
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			out = append(out, b.String())
			b.Reset()
		}
	}
	for _, r := range norm.NFD.String(strings.ToLower(clean(text))) {
		switch {
		case unicode.Is(unicode.Mn, r):
		case unicode.IsSpace(r):
			flush()
		case punctuation(r) || ideograph(r):
			flush()
			out = append(out, string(r))
		default:
			b.WriteRune(r)
		}
	}
	flush()
	return out
}

// clean drops control characters and replacement marks and makes every white space one a space.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r' || unicode.Is(unicode.Zs, r):
			return ' '
		case r == 0 || r == utf8.RuneError || unicode.Is(unicode.C, r):
			return -1
		}
		return r
	}, text)
}

// punctuation is Unicode's, with every ASCII sign that is neither letter, digit nor space.
func punctuation(r rune) bool {
	return r > 32 && r < 48 || r > 57 && r < 65 || r > 90 && r < 97 || r > 122 && r < 127 || unicode.IsPunct(r)
}

// ideograph holds the CJK blocks that BERT splits character by character.
func ideograph(r rune) bool {
	return r >= 0x4E00 && r <= 0x9FFF || r >= 0x3400 && r <= 0x4DBF || r >= 0x20000 && r <= 0x2A6DF || r >= 0x2A700 && r <= 0x2B81F ||
		r >= 0x2B820 && r <= 0x2CEAF || r >= 0xF900 && r <= 0xFAFF || r >= 0x2F800 && r <= 0x2FA1F
}
