package fit

import (
	"bytes"
	"context"
	"errors"
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
)

// bagOfWords embeds texts by counts of hashed words, and counts what it embeds.
type bagOfWords struct {
	width int
	lacks func(text string) bool // nil: nothing
	asked int
}

func (b *bagOfWords) embed(_ context.Context, texts []Passage) ([][]float32, error) {
	out := make([][]float32, len(texts))
	for i, t := range texts {
		b.asked++
		if b.lacks != nil && b.lacks(t.Text) {
			continue
		}
		out[i] = make([]float32, b.width)
		for _, w := range strings.Fields(strings.ToLower(t.Text)) {
			h := fnv.New32a()
			h.Write([]byte(w))
			out[i][h.Sum32()%uint32(b.width)]++
		}
	}
	return out, nil
}

func (b *bagOfWords) options() Options {
	return Options{Recipe: Clip, Width: 8, Stem: 4, Epochs: 2, Batch: 3, LR: 1e-3, Workers: 1, Embedder: &Embedder{Model: "words", Digest: "words", Vectors: b.embed}}
}

// A net whose texts are embedded elsewhere has a norm and a projection in place of a text tower; in evaluation a text's vector is what
// these make of it.
func TestEmbeddings(t *testing.T) {
	c, dir, b := phantoms(t, small, 6), t.TempDir(), &bagOfWords{width: 12}
	o := b.options()
	if _, err := train(t.Context(), engine.Gorgonia(), c, nil, "t", dir, o, nil); err != nil {
		t.Fatal(err)
	}
	cfg, weights, err := loadWeights(dir)
	if err != nil {
		t.Fatal(err)
	}
	if w := weights["text_projection.weight"]; cfg.Embeddings.Width != 12 || cfg.Text != nil || len(w.Shape) != 2 || w.Shape[1] != 12 {
		t.Fatalf("embeddings %+v, text tower %v, projection %v", cfg.Embeddings, cfg.Text, w.Shape)
	}
	for name := range weights {
		if strings.HasPrefix(name, "text.") {
			t.Errorf("a text tower: %s", name)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, vocabFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a vocabulary: %v", err)
	}
	asked := b.asked
	if res, err := train(t.Context(), engine.Gorgonia(), c, nil, "t", dir, o, nil); err != nil || !res.Skipped || b.asked != asked {
		t.Errorf("again: %+v, %v, %d texts embedded", res, err, b.asked-asked)
	}
	m, err := loadModel(engine.Gorgonia(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.EmbedTexts(t.Context(), []string{"The lungs are clear."}); err == nil {
		t.Error("a text without what embeds it")
	}
	if err := m.Embed(&Embedder{Model: "letters", Digest: "letters", Vectors: b.embed}); err == nil || !strings.Contains(err.Error(), "other vectors than those of words") {
		t.Error("another model embeds: ", err)
	}
	if err := m.Embed(o.Embedder); err != nil {
		t.Fatal(err)
	}
	text := "Cardiomegaly is present."
	got, err := m.EmbedReports(t.Context(), []Passage{{Report: "The heart is large.\n" + text}}, false)
	if err != nil {
		t.Fatal(err)
	}
	vectors, _ := b.embed(t.Context(), []Passage{{Text: text}})
	if want := projected(weights, vectors[0]); off(got[0], want) > 1e-5 {
		t.Errorf("%v\nwant %v", got[0], want)
	}
	b.width = 13
	if _, err := m.EmbedTexts(t.Context(), []string{text}); err == nil || !strings.Contains(err.Error(), "13 numbers, the model takes 12") {
		t.Errorf("vectors of another width: %v", err)
	}
}

// projected is batch normalisation by running statistics, a projection, and length 1.
func projected(weights map[string]net.Tensor, v []float32) []float64 {
	of := func(name string, i int) float64 { return float64(weights[name].F32[i]) }
	out, norm := make([]float64, weights["text_projection.weight"].Shape[0]), 0.0
	for d := range out {
		for i, x := range v {
			y := (float64(x)-of("text_norm.running_mean", i))/math.Sqrt(of("text_norm.running_var", i)+1e-5)*of("text_norm.weight", i) + of("text_norm.bias", i)
			out[d] += of("text_projection.weight", d*len(v)+i) * y
		}
		norm += out[d] * out[d]
	}
	for d := range out {
		out[d] /= math.Sqrt(norm)
	}
	return out
}

func off(got []float32, want []float64) (off float64) {
	for i, w := range want {
		off = max(off, math.Abs(float64(got[i])-w))
	}
	return off
}

// A training on embeddings that is stopped goes on to the same bits, in parts and whole, with validation.
func TestEmbeddedTrainingGoesOn(t *testing.T) {
	c, valid := phantoms(t, small, 6), phantoms(t, small, 4)
	for _, parts := range []int{1, 3} {
		whole, cut := t.TempDir(), t.TempDir()
		o := (&bagOfWords{width: 12}).options()
		o.Accumulate, o.Validate = parts, "valid"
		if _, err := train(t.Context(), engine.Gorgonia(), c, valid, "t", whole, o, nil); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		if _, err := train(ctx, engine.Gorgonia(), c, valid, "t", cut, o, func(Progress) { stop() }); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if _, err := train(t.Context(), engine.Gorgonia(), c, valid, "t", cut, o, nil); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(model(t, whole), model(t, cut)) {
			t.Errorf("in %d parts: other weights after a stop", parts)
		}
	}
}

// Parts are of what may be sent of a report, in training and in evaluation.
func TestWhatMayBeSentIsEmbedded(t *testing.T) {
	c, dir, b := phantoms(t, small, 6), t.TempDir(), &bagOfWords{width: 12}
	o := b.options()
	o.Embedder.Sent = func(report string) string { return "FINDINGS: A. B.\nNo more than this." }
	var seen []string
	o.Embedder.Vectors = func(ctx context.Context, texts []Passage) ([][]float32, error) {
		for _, p := range texts {
			seen = append(seen, p.Text)
		}
		return b.embed(ctx, texts)
	}
	if _, err := train(t.Context(), engine.Gorgonia(), c, nil, "t", dir, o, nil); err != nil {
		t.Fatal(err)
	}
	m, err := loadModel(engine.Gorgonia(), dir)
	if err == nil {
		err = m.Embed(o.Embedder)
	}
	for _, whole := range []bool{true, false} {
		if err == nil {
			_, err = m.EmbedReports(t.Context(), []Passage{{Report: c.studies[0].report, Study: "s"}}, whole)
		}
	}
	if want := []string{"FINDINGS: A. B.\nNo more than this.", "No more than this.", "FINDINGS: A.", "B.", "FINDINGS: A. B.\nNo more than this.", "No more than this."}; err != nil || !slices.Equal(seen, want) {
		t.Errorf("%v: %q", err, seen)
	}
}

// Where a file of vectors has not all texts, a draw takes what there is of a report, and a conclusion that has none is asked whole; a
// study or a prompt without any is named.
func TestMissingEmbeddings(t *testing.T) {
	c, b := phantoms(t, small, 6), &bagOfWords{width: 12}
	whole := map[string]bool{}
	for _, s := range c.studies {
		whole[s.report] = true
	}
	b.lacks = func(text string) bool { return !whole[text] }
	dir := t.TempDir()
	if _, err := train(t.Context(), engine.Gorgonia(), c, nil, "t", dir, b.options(), nil); err != nil {
		t.Fatal(err)
	}
	m, err := loadModel(engine.Gorgonia(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Embed(b.options().Embedder); err != nil {
		t.Fatal(err)
	}
	var reports []Passage
	for _, s := range c.studies {
		reports = append(reports, Passage{Report: s.report, Study: s.id})
	}
	all, err := m.EmbedReports(t.Context(), reports, true)
	if err != nil {
		t.Fatal(err)
	}
	queries, err := m.EmbedReports(t.Context(), reports, false)
	if err != nil || !bytes.Equal(bits(queries), bits(all)) {
		t.Errorf("conclusions without a vector are not taken whole: %v", err)
	}
	if _, err := m.EmbedTexts(t.Context(), []string{"Pleural effusion."}); err == nil || !strings.Contains(err.Error(), `no embedding of 1 prompts: "Pleural effusion."`) {
		t.Errorf("a prompt without a vector: %v", err)
	}
	b.lacks = func(text string) bool { return strings.Contains(c.studies[4].report, text) }
	if _, err := m.EmbedReports(t.Context(), reports, false); err == nil || !strings.Contains(err.Error(), c.studies[4].id) {
		t.Errorf("in evaluation, a study without a vector: %v", err)
	}
	if _, err := train(t.Context(), engine.Gorgonia(), c, nil, "t", t.TempDir(), b.options(), nil); err == nil || !strings.Contains(err.Error(), c.studies[4].id) {
		t.Errorf("a study without a vector: %v", err)
	}
}

// The vectors of a training's texts decide what it makes, where nothing else says what does: others are another training, further texts
// none.
func TestEmbeddingsOfAFileDecide(t *testing.T) {
	c, dir, b := phantoms(t, small, 6), t.TempDir(), &bagOfWords{width: 12}
	o := b.options()
	o.Embedder.Model, o.Embedder.Digest = "", ""
	for i, skipped := range []bool{false, true, false} {
		if i == 2 {
			b.width = 10
		}
		res, err := train(t.Context(), engine.Gorgonia(), c, nil, "t", dir, o, nil)
		if err != nil || res.Skipped != skipped {
			t.Fatalf("training %d: skipped %v, %v", i, res.Skipped, err)
		}
	}
}

func bits(rows [][]float32) (b []byte) {
	for _, row := range rows {
		for _, x := range row {
			u := math.Float32bits(x)
			b = append(b, byte(u), byte(u>>8), byte(u>>16), byte(u>>24))
		}
	}
	return b
}
