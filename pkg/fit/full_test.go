package fit

import (
	"os"
	"path/filepath"
	"testing"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
	"silverbeam/pkg/phantom"
	"silverbeam/pkg/taxonomy"
	"silverbeam/pkg/volume"
)

// TestFullSize takes three steps of either training on phantoms, in parts of one study, with recomputation. With SILVERBEAM_FULL
// it is the published configuration: width 64, 96 x 192 x 192 voxels, batches of 10, a text tower of BERT-base's size on 128 tokens,
// which must fit in 20 GiB; it then takes CPU hours, and what was done when it is stopped stays in that folder, from where the same
// command goes on. Otherwise it is a small net, to see that the test works.
func TestFullSize(t *testing.T) {
	tower, length := textTower, textLength
	t.Cleanup(func() { textTower, textLength = tower, length })
	textTower, textLength = net.Bert{Layers: 1, Hidden: 16, Heads: 2, Intermediate: 32, Vocab: 3000}, 8
	preset := volume.Preset{Name: "small", SpacingMM: [3]float64{24, 12, 12}, Shape: [3]int{16, 24, 24}, LoHU: -1000, HiHU: 200}
	o, dir := Options{Recipe: Supervised, Width: 4, Stem: 2}, os.Getenv("SILVERBEAM_FULL")
	if dir != "" {
		o.Width = 64
		textTower, textLength = net.Bert{Layers: 12, Hidden: 768, Heads: 12, Intermediate: 3072, Vocab: 30522}, 128
		var err error
		if preset, err = volume.PresetByName("mps-ct"); err != nil {
			t.Fatal(err)
		}
	} else {
		dir = t.TempDir()
	}
	o.Epochs, o.Batch, o.Accumulate, o.Recompute, o.LR, o.Checkpoint = 3, 10, 10, true, 1e-4, -1
	c := phantoms(t, preset, o.Batch)
	vision := filepath.Join(dir, "vision")
	three(t, c, vision, o)
	o.Recipe, o.Init, o.Width, o.Stem = Clip, vision, 0, 0
	three(t, c, filepath.Join(dir, "clip"), o)
	if !t.Failed() {
		os.RemoveAll(dir)
	}
}

// three is a training of three steps, and tells of each.
func three(t *testing.T, c *corpus, dir string, o Options) {
	t.Helper()
	r, err := train(t.Context(), engine.Gorgonia(), c, nil, "t", dir, o, func(p Progress) {
		t.Logf("%s, step %d: loss %.4f; %.0f s, peak of this process %.0f MB", o.Recipe, p.Step, p.Loss, p.Seconds, peakMB())
	})
	if err != nil {
		t.Fatal(err)
	}
	h, err := ReadHistory(dir)
	if err != nil || len(h) != 3 || r.Steps != 3 {
		t.Fatalf("%d steps in the history, %+v: %v", len(h), r, err)
	}
	t.Logf("%s: 3 steps of %d phantoms in %.0f s and %.0f CPU-s; losses %.4f %.4f %.4f, gradients %.3g %.3g %.3g", o.Recipe, o.Batch, h[2].Seconds, h[2].CPU,
		h[0].Loss, h[1].Loss, h[2].Loss, h[0].GradNorm, h[1].GradNorm, h[2].GradNorm)
	if got := peakMB(); got > 20<<30/1e6 {
		t.Errorf("%s: %.0f MB, want at most 20 GiB", o.Recipe, got)
	}
}

// phantoms are studies of package phantom, rendered as fine as the preset resamples them, with the labels that their reports give.
func phantoms(t *testing.T, p volume.Preset, n int) *corpus {
	t.Helper()
	o := phantom.Options{Studies: n, Seed: 1, Shape: p.Shape}
	all, err := phantom.Draw(o)
	if err != nil {
		t.Fatal(err)
	}
	c := &corpus{digest: "phantoms", preset: p, findings: phantom.Findings[:]}
	for _, s := range all {
		r, err := s.Report(o)
		if err != nil {
			t.Fatal(err)
		}
		volumes, err := s.Render(o)
		if err != nil {
			t.Fatal(err)
		}
		hu, err := p.Tensor(volumes[0].Scan())
		if err != nil {
			t.Fatal(err)
		}
		one := study{id: s.ID, patient: s.Patient, report: r.Text(), volumes: []scan{memory{hu, p.Shape}}}
		for _, state := range r.States {
			l := taxonomy.Label{State: taxonomy.NotMentioned}
			if state != nil {
				l.State = map[int]taxonomy.State{1: taxonomy.Present, 0: taxonomy.Absent, -1: taxonomy.Uncertain}[*state]
			}
			one.labels = append(one.labels, l)
		}
		c.studies = append(c.studies, one)
	}
	return c
}
