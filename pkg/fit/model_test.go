package fit

import (
	"math"
	"testing"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
	"silverbeam/pkg/volume"
)

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

// TestEnginesEvaluateAlike: a model that was trained by one engine gives the same in evaluation by the other, but for rounding.
func TestEnginesEvaluateAlike(t *testing.T) {
	if engines(t)["xla"] == nil {
		t.Skip("one engine")
	}
	tower, length := textTower, textLength
	t.Cleanup(func() { textTower, textLength = tower, length })
	textTower, textLength = net.Bert{Layers: 1, Hidden: 16, Heads: 2, Intermediate: 32}, 8
	c := phantoms(t, volume.Preset{Name: "small", SpacingMM: [3]float64{24, 12, 12}, Shape: [3]int{16, 24, 24}, LoHU: -1000, HiHU: 200}, 6)
	o := Options{Recipe: Supervised, Width: 4, Stem: 2, Epochs: 2, Batch: 2, LR: 1e-3}
	for _, recipe := range []string{Supervised, Clip} {
		dir := t.TempDir()
		if o.Recipe = recipe; recipe == Clip {
			o.Width, o.Stem = 8, 2
		}
		if _, err := train(t.Context(), engine.Gorgonia(), c, nil, "t", dir, o, nil); err != nil {
			t.Fatal(err)
		}
		var found [2]map[string][][]float32
		for i, name := range []string{"gorgonia", "xla"} {
			m, err := LoadModel(dir, name)
			if err != nil {
				t.Fatal(err)
			}
			var scanned []scan
			var texts []Passage
			for _, s := range c.studies {
				scanned, texts = append(scanned, s.volumes[0]), append(texts, Passage{Report: s.report})
			}
			found[i] = map[string][][]float32{}
			of := pick(recipe == Clip, "image_embedding", "logits")
			if found[i][of], err = m.volumes(t.Context(), of, scanned); err != nil {
				t.Fatal(err)
			}
			if recipe == Clip {
				if found[i]["reports"], err = m.EmbedReports(t.Context(), texts, false); err != nil {
					t.Fatal(err)
				}
			}
		}
		for of, want := range found[0] {
			off, top := 0.0, 0.0
			for i, row := range want {
				for j, x := range row {
					off, top = max(off, math.Abs(float64(x-found[1][of][i][j]))), max(top, math.Abs(float64(x)))
				}
			}
			if !(off <= 1e-4*top) || top == 0 || len(found[1][of]) != len(c.studies) {
				t.Errorf("%s: %s: off by %.2g of %.2g", recipe, of, off, top)
			}
		}
	}
}
