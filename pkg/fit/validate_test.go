package fit

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
)

// validated trains on 24 studies, each epoch judged by 10 others, of which some labels are wrong: the loss on them soon grows.
func validated(ctx context.Context, dir string, o Options, told func(Progress)) (Result, error) {
	all := toy(34)
	learn, valid := *all, *all
	learn.studies, valid.studies = all.studies[:24], all.studies[24:]
	return train(ctx, engine.Gorgonia(), &learn, &valid, "t", dir, o, told)
}

var validOptions = Options{Recipe: Supervised, Width: 4, Epochs: 12, Batch: 4, LR: 0.02, Validate: "valid"}

// epochs are the validation losses of a model's history, by epoch.
func epochs(t *testing.T, dir string) (all []float64) {
	for i, r := range losses(t, dir) {
		if (r.Valid > 0) != (i%6 == 5) {
			t.Fatalf("step %d: validation loss %v", i, r.Valid)
		}
		if r.Valid > 0 {
			all = append(all, r.Valid)
		}
	}
	return all
}

// The best epoch's weights are kept, and patience ends a training that no longer improves; it changes no step before that.
func TestBestEpochIsKept(t *testing.T) {
	whole, short := t.TempDir(), t.TempDir()
	if _, err := validated(t.Context(), whole, validOptions, nil); err != nil {
		t.Fatal(err)
	}
	all := epochs(t, whole)
	c, err := ReadConfig(whole)
	if err != nil || len(all) != 12 || c.Valid != slices.Min(all) || all[c.Best-1] != c.Valid || c.Taken != 0 || !slices.Equal(c.Chosen, []string{"valid"}) {
		t.Fatalf("%v: epoch %d of loss %v, %d steps, chosen on %v: %v", all, c.Best, c.Valid, c.Taken, c.Chosen, err)
	}
	if c.Best > 9 {
		t.Fatalf("epoch %d of %v is the best: nothing to stop", c.Best, all)
	}
	o := validOptions
	o.Patience = 2
	res, err := validated(t.Context(), short, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	wait := 0 // epochs that were not the best, in a row
	for i, low := 0, math.Inf(1); i < len(all) && wait < 2; i++ {
		if wait++; all[i] < low {
			low, wait = all[i], 0
		}
		res.Steps -= 6
	}
	got := epochs(t, short)
	if res.Steps != 0 || !slices.Equal(got, all[:len(got)]) {
		t.Errorf("%d steps too many or few: %v, without patience %v", res.Steps, got, all)
	}
	m, err := loadModel(engine.Gorgonia(), short)
	if err != nil {
		t.Fatal(err)
	}
	v := &validator{m, &corpus{studies: toy(34).studies[24:]}, 4, func() {}}
	if loss, err := v.loss(t.Context(), m.weights); err != nil || loss != slices.Min(got) || m.Config.Taken != 6*len(got) {
		t.Errorf("the model's loss is %v, of epochs %v; %d steps: %v", loss, got, m.Config.Taken, err)
	}
}

// Stopped wherever it may be, early stopping too, a training ends with the same weights and history.
func TestStoppedValidationGoesOn(t *testing.T) {
	o := validOptions
	o.Patience = 2
	whole := t.TempDir()
	if _, err := validated(t.Context(), whole, o, nil); err != nil {
		t.Fatal(err)
	}
	last := len(losses(t, whole))
	for _, stops := range [][]int{{1, 5, 6, 7}, {12, 17}, {last - 6, last - 1}, {last - 7, last - 2}} {
		dir := t.TempDir()
		for _, at := range stops {
			ctx, stop := context.WithCancel(t.Context())
			_, err := validated(ctx, dir, o, func(p Progress) {
				if p.Step == at {
					stop()
				}
			})
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("stopped at step %d: %v", at, err)
			}
		}
		if _, err := validated(t.Context(), dir, o, nil); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(model(t, whole), model(t, dir)) || !slices.Equal(losses(t, whole), losses(t, dir)) {
			t.Errorf("stopped at %v: another model or history", stops)
		}
		if _, err := os.Stat(filepath.Join(dir, checkpointFile)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the checkpoint was left behind: %v", err)
		}
	}
}

// The validation loss is that of the graph, whose losses are PyTorch's, in evaluation.
func TestValidationLossIsTheGraphs(t *testing.T) {
	c := toy(6)
	for _, recipe := range []string{Supervised, Clip} {
		j := &job{options: Options{Recipe: recipe, Width: 4, Stem: 2, Batch: 6, Epochs: 1}}
		if _, err := j.describe(c, "t"); err != nil {
			t.Fatal(err)
		}
		r, err := newRecipe(j.config, j.config.textView(j.tokens, nil), starts{})
		if err != nil {
			t.Fatal(err)
		}
		weights := r.weights(3)
		v := newValidator(&Model{Config: j.config, engine: engine.Gorgonia(), tokens: j.tokens}, c, func() {})
		got, err := v.loss(t.Context(), weights)
		if err != nil {
			t.Fatal(err)
		}
		in := map[string]net.Tensor{}
		image := newImageView(c.preset, augment{})
		text := textView{tokens: j.tokens, length: textLength}
		views := []view{image, labelView{findings: 2}}
		if recipe == Clip {
			views = []view{image, text}
		}
		for _, w := range views {
			maps.Copy(in, blank(w.inputs(6)))
		}
		for i := range c.studies {
			c.preset.Window(in["x"].F32[i*c.preset.Len():][:c.preset.Len()], c.studies[i].volumes[0].(memory).hu)
			if recipe == Clip {
				text.encode(in, i, conclusion(c.studies[i].report))
			} else if err := (labelView{findings: 2}).fill(in, i, draw{study: &c.studies[i]}); err != nil {
				t.Fatal(err)
			}
		}
		shapes := map[string][]int{}
		for name, x := range in {
			shapes[name] = x.Shape
		}
		p, err := engine.Gorgonia().Compile(r.graph, shapes, false)
		p = compiled(t, p, err, weights)
		out, err := p.Run(in)
		if err != nil {
			t.Fatal(err)
		}
		if want := float64(out["loss"].F32[0]); math.Abs(got-want) > 1e-5*want {
			t.Errorf("%s: %v, the graph's %v", recipe, got, want)
		}
	}
}

// A share of the patients is held out whole, the same for any share that is trained on, and never trained on.
func TestHeldOutPatients(t *testing.T) {
	c := toy(20)
	for i := range c.studies {
		c.studies[i].patient = string(rune('a' + i/2))
	}
	learn, valid, err := c.hold(Options{Validate: "25%"}, nil)
	if err != nil || len(valid.studies) != 6 || len(learn.studies) != 14 {
		t.Fatalf("%d and %d studies: %v", len(learn.studies), len(valid.studies), err)
	}
	for _, s := range valid.studies {
		if slices.ContainsFunc(learn.studies, func(o study) bool { return o.patient == s.patient }) {
			t.Errorf("patient %s on both sides", s.patient)
		}
	}
	for _, bad := range []string{"train", "0%", "60%", "NaN%", "%"} {
		if _, err := (Options{Recipe: Supervised, Validate: bad}).defaults(); err == nil || !strings.Contains(err.Error(), "validate") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := (Options{Recipe: Supervised, Patience: 3}).defaults(); err == nil {
		t.Error("patience without validate")
	}
}
