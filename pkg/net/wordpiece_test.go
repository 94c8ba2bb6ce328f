package net

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// testdata/wordpiece.json is what Hugging Face's tokenizers library makes of the same vocabulary and texts.
func TestWordPieceAsBert(t *testing.T) {
	b, err := os.ReadFile("testdata/wordpiece.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Vocab []string
		Cases []struct {
			Text string
			IDs  []int32
		}
	}
	if err := json.Unmarshal(b, &golden); err != nil {
		t.Fatal(err)
	}
	w, err := NewWordPiece(golden.Vocab)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range golden.Cases {
		ids, mask := make([]int32, 512), make([]int32, 512)
		n := w.Encode(ids, mask, c.Text)
		if !slices.Equal(ids[:n], c.IDs) {
			t.Errorf("%.40q: got %v, want %v", c.Text, ids[:n], c.IDs)
		}
	}
}

func TestWordPieceCutsAndPads(t *testing.T) {
	w, err := NewWordPiece([]string{PadToken, UnknownTok, ClassToken, SepToken, "a", "b", "##c"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text      string
		ids, mask []int32
	}{
		{"", []int32{2, 3, 0, 0, 0}, []int32{1, 1, 0, 0, 0}},
		{"A b", []int32{2, 4, 5, 3, 0}, []int32{1, 1, 1, 1, 0}},
		{"a b a", []int32{2, 4, 5, 4, 3}, []int32{1, 1, 1, 1, 1}},
		{"a b a b a", []int32{2, 4, 5, 4, 3}, []int32{1, 1, 1, 1, 1}},
		{"a b bccc", []int32{2, 4, 5, 6, 3}, []int32{1, 1, 1, 1, 1}}, // the middle goes: two pieces of the start, one of the end
		{"zzz", []int32{2, 1, 3, 0, 0}, []int32{1, 1, 1, 0, 0}},
		{"bd", []int32{2, 1, 3, 0, 0}, []int32{1, 1, 1, 0, 0}}, // no half-matched words
	} {
		ids, mask := make([]int32, 5), make([]int32, 5)
		w.Encode(ids, mask, c.text)
		if !slices.Equal(ids, c.ids) || !slices.Equal(mask, c.mask) {
			t.Errorf("%q: got %v %v, want %v %v", c.text, ids, mask, c.ids, c.mask)
		}
	}
}

// hug x10, pug x5, pun x12, bun x4, hugs x5: the worked example of byte-pair learning in Hugging Face's course gives
// u+g (20), u+n (16), h+ug (15) as its first joins.
func TestLearnWordPieceJoins(t *testing.T) {
	text := strings.Repeat("hug ", 10) + strings.Repeat("pug ", 5) + strings.Repeat("pun ", 12) + strings.Repeat("bun ", 4) + strings.Repeat("hugs ", 5)
	w := LearnWordPiece([]string{text}, 4+7+3)
	want := []string{PadToken, UnknownTok, ClassToken, SepToken, "##u", "##g", "p", "##n", "h", "##s", "b", "##ug", "##un", "hug"}
	if !slices.Equal(w.tokens, want) {
		t.Fatalf("got %q\nwant %q", w.tokens, want)
	}
}

func TestLearnWordPieceIsStable(t *testing.T) {
	var texts []string
	for i := range 200 {
		texts = append(texts, fmt.Sprintf("The %dth lobe is clear. No pleural effusion, no nodule of %d mm.", i%7, i%11))
	}
	a := LearnWordPiece(texts, 90)
	slices.Reverse(texts)
	if b := LearnWordPiece(texts, 90); !slices.Equal(a.tokens, b.tokens) {
		t.Fatal("order of texts changes the vocabulary")
	}
	if a.Size() > 90 {
		t.Fatalf("%d tokens, want at most 90", a.Size())
	}
	back, err := ParseWordPiece(a.Bytes())
	if err != nil || !slices.Equal(back.tokens, a.tokens) {
		t.Fatalf("vocab.txt does not read back: %v", err)
	}
	ids, mask := make([]int32, 64), make([]int32, 64)
	n := a.Encode(ids, mask, "No effusion is clear lobe")
	if slices.Contains(ids[:n], a.unk) || n > 9 {
		t.Fatalf("words of the corpus became %d pieces, some unknown: %v", n, ids[:n])
	}
}

func TestWordPieceRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no [UNK]":     "[PAD]\n[CLS]\n[SEP]\na\n",
		"token twice":  "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\na\n",
		"empty line":   "[PAD]\n[UNK]\n\n[CLS]\n[SEP]\n",
		"not UTF-8":    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n\xff\n",
		"nothing":      "",
		"not one line": "[PAD] [UNK] [CLS] [SEP]",
	} {
		if _, err := ParseWordPiece([]byte(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzWordPiece(f *testing.F) {
	w := LearnWordPiece([]string{"the lungs are clear clear lungs"}, 40)
	f.Add("The lungs, 肺 are ∅ clear\x00", 7)
	f.Fuzz(func(t *testing.T, text string, length int) {
		length = 2 + int(uint(length)%64)
		ids, mask := make([]int32, length), make([]int32, length)
		n := w.Encode(ids, mask, text)
		if ids[0] != w.cls || ids[n-1] != w.sep || n < 2 {
			t.Fatalf("not framed: %v", ids)
		}
		for i, id := range ids {
			if id < 0 || int(id) >= w.Size() || mask[i] != map[bool]int32{true: 1}[i < n] {
				t.Fatalf("at %d: id %d, mask %d, %d in use", i, id, mask[i], n)
			}
		}
	})
}

func TestWordPieceUsed(t *testing.T) {
	texts := []string{"no effusion", "no effusion", "no effusion", "rare"}
	w := LearnWordPiece(texts, 200)
	ids, mask := make([]int32, 8), make([]int32, 8)
	if n := w.Encode(ids, mask, "rare no"); slices.Contains(ids[:n], w.Unknown()) {
		t.Fatalf("before: %v holds [UNK]", ids[:n])
	}
	u := w.Used(texts, 3)
	n := u.Encode(ids, mask, "no rare effusion fun")
	want := []int32{u.cls, u.id["no"], u.unk, u.id["effusion"], u.unk, u.sep}
	if !slices.Equal(ids[:n], want) {
		t.Errorf("got %v, want %v of %q", ids[:n], want, u.tokens)
	}
	if u.Size() != 6 {
		t.Errorf("%d tokens, want the four special ones and two words", u.Size())
	}
}
