package fit

import (
	"math"
	"testing"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/volume"
)

// A training's steps and arithmetic are those of its net: twice the products forward for the backward pass, less the gradient of
// the volume, and a pass forward more where blocks are computed again, or a clip batch in parts takes two.
func TestForesee(t *testing.T) {
	p, err := volume.PresetByName("demo")
	if err != nil {
		t.Fatal(err)
	}
	foresee := func(o Options) Forecast {
		t.Helper()
		f, err := Foresee(o, p, 18, 100)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	// docs/nets.md's net: 359.355 MFLOP forward for two volumes, 1063.909 a step
	o := Options{Recipe: Supervised, Width: 8, Batch: 2, Epochs: 3}
	if f := foresee(o); math.Abs(f.StepFLOPs-1063.909e6) > 1e3 || f.Steps != 150 || f.Studies != 100 {
		t.Errorf("%+v", f)
	}
	o.Recompute = true
	if f := foresee(o); math.Abs(f.StepFLOPs-(1063.909+359.355)*1e6) > 1e3 {
		t.Errorf("computed again: %v", f.StepFLOPs)
	}
	if f := foresee(Options{Recipe: Supervised, Epochs: 1, Batch: 8, Share: 0.5, Validate: "10%"}); f.Studies != 45 || f.Steps != 5 {
		t.Errorf("half of what validation leaves: %+v", f)
	}
	c := Options{Recipe: Clip, Width: 8, Batch: 8, Epochs: 1, Init: "vision", FrozenBN: true}
	whole := foresee(c)
	c.Accumulate = 4
	if more := foresee(c).StepFLOPs / whole.StepFLOPs; math.Abs(more-4./3) > 0.01 {
		t.Errorf("in parts: %v times the work, want 4/3", more)
	}
	if _, err := Foresee(Options{Recipe: "jepa"}, p, 18, 100); err == nil {
		t.Error("unknown recipe")
	}
}

// What is measured on a sample foretells a training's processor time, roughly: the machine may be busy.
func TestMeasureForetells(t *testing.T) {
	p, err := volume.PresetByName("demo")
	if err != nil {
		t.Fatal(err)
	}
	c := toy(8)
	c.preset = p
	for i := range c.studies {
		c.studies[i].volumes = []scan{memory{make([]int16, p.Len()), p.Shape}}
	}
	o := Options{Recipe: Supervised, Batch: 4, Epochs: 3}
	f, err := Foresee(o, p, 2, 8)
	if err != nil {
		t.Fatal(err)
	}
	pace, err := f.Measure()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := train(t.Context(), engine.Gorgonia(), c, nil, "t", dir, o, nil); err != nil {
		t.Fatal(err)
	}
	h, err := ReadHistory(dir)
	if err != nil || len(h) != f.Steps {
		t.Fatalf("%d steps, want %d: %v", len(h), f.Steps, err)
	}
	got, want := (h[len(h)-1].CPU-h[0].CPU)/float64(len(h)-1), f.StepFLOPs/(1e9*pace.PerCore)
	t.Logf("a step took %.3f CPU-s, foretold %.3f: %+v", got, want, pace)
	if got < want/2 || got > 4*want {
		t.Errorf("a step took %.3f CPU-s, foretold %.3f: %+v", got, want, pace)
	}
}

// The sample of a net that is too large is smaller, and costs what its graph says.
func TestSampleIsSmall(t *testing.T) {
	p, err := volume.PresetByName("mps-ct")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{Recipe: Supervised, Width: 64, Stem: 2, Batch: 10}, {Recipe: Clip, Width: 64, Stem: 2, Batch: 10}} {
		f, err := Foresee(o, p, 18, 100)
		if err != nil {
			t.Fatal(err)
		}
		batch, shape, cost, err := f.sample()
		if err != nil || batch < 1 || cost > calibrationFLOPs || cost < calibrationFLOPs/16 || f.StepFLOPs/float64(f.Batch) < 1e12 {
			t.Errorf("%s: %d of %v, %.3g FLOPs of %.3g: %v", o.Recipe, batch, shape, cost, f.StepFLOPs, err)
		}
	}
}
