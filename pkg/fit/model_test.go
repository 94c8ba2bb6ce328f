package fit

import (
	"context"
	"fmt"
	"math"
	"testing"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
)

// TestAdaptedIsTheBatchsOwnNormalisation: on the texts that a model adapts to, it gives what its net gives in training
// mode for the batch of them. (That divides by the biased variance: one factor for all channels, which the unit length
// takes away.)
func TestAdaptedIsTheBatchsOwnNormalisation(t *testing.T) {
	var texts []string
	for i := range evalTexts {
		texts = append(texts, fmt.Sprintf("no effusion %d nodules %d in the left lobe", i, i*i))
	}
	tokens := net.LearnWordPiece(texts, 200)
	text := net.Bert{Layers: 1, Hidden: 32, Heads: 2, Intermediate: 64, Vocab: tokens.Size(), MaxPositions: 24}
	m := &Model{Config: &Config{Recipe: Clip, Width: 8, Stem: 4, Text: &text, Dim: 16, Tokens: 24}, engine: engine.Gorgonia(), tokens: tokens}
	g, err := net.TextEncoder(m.Config.clip())
	if err != nil {
		t.Fatal(err)
	}
	m.weights = g.Init(3)
	v := textView{tokens: tokens, length: 24}
	p, err := engine.Gorgonia().Compile(g, shapes(v.inputs(evalTexts)), true)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Load(m.weights); err != nil {
		t.Fatal(err)
	}
	in := blank(v.inputs(evalTexts))
	for i, s := range texts {
		v.encode(in, i, s)
	}
	out, err := p.Run(in)
	if err != nil {
		t.Fatal(err)
	}
	a, err := m.Adapted(context.Background(), texts)
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.EmbedTexts(context.Background(), texts)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := m.EmbedTexts(context.Background(), texts)
	if err != nil {
		t.Fatal(err)
	}
	want, changed := out["text_embedding"].F32, 0.0
	for i := range got {
		for c, x := range got[i] {
			if w := want[i*16+c]; math.Abs(float64(x-w)) > 1e-3 {
				t.Fatalf("text %d, channel %d: %v, in training mode %v", i, c, x, w)
			}
			changed = max(changed, math.Abs(float64(x-plain[i][c])))
		}
	}
	if changed < 0.1 {
		t.Errorf("adapting changed embeddings by %v at most", changed)
	}
	if _, err := m.Adapted(context.Background(), texts[:1]); err == nil {
		t.Error("one text has no variance, yet there was no error")
	}
}

func TestConclusion(t *testing.T) {
	for report, want := range map[string]string{
		"The heart is large.\nCardiomegaly is present.": "Cardiomegaly is present.",
		"The heart is large.\nNot given.":               "The heart is large.\nNot given.",
		"The heart is large.":                           "The heart is large.",
		"":                                              "",
	} {
		if got := conclusion(report); got != want {
			t.Errorf("%q: got %q, want %q", report, got, want)
		}
	}
}
