package fit

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/engine/xla"
	"silverbeam/pkg/net"
)

// engines are those that can be tested here: xla where the environment names a plugin (make test-xla).
func engines(t *testing.T) map[string]engine.Engine {
	all := map[string]engine.Engine{"gorgonia": engine.Gorgonia()}
	if os.Getenv(xla.Library) == "" {
		t.Logf("without engine xla: %s names no PJRT plugin", xla.Library)
		return all
	}
	e, err := xla.New(false)
	if err != nil {
		t.Fatal(err)
	}
	all["xla"] = e
	return all
}

// ofPyTorch are the tensors of one kind in a file of package engine's.
func ofPyTorch(t *testing.T, file, kind string) map[string]net.Tensor {
	t.Helper()
	all, _, err := net.LoadSafetensors("../engine/testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]net.Tensor{}
	for name, v := range all {
		if name, ok := strings.CutPrefix(name, kind+"/"); ok {
			of[name] = v
		}
	}
	return of
}

// resnet readies the net of these values for one batch.
func resnet(t *testing.T, e engine.Engine, frozen bool) (engine.Program, map[string]net.Tensor) {
	t.Helper()
	in := ofPyTorch(t, "r3d_18.safetensors", "in")
	shapes := map[string][]int{}
	for name, v := range in {
		shapes[name] = v.Shape
	}
	g, err := net.Supervised(net.ResNet3D{Width: 3, Classes: 5, FrozenBN: frozen}, true, true)
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Compile(g, shapes, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Load(ofPyTorch(t, "r3d_18.safetensors", "w")); err != nil {
		t.Fatal(err)
	}
	return p, in
}

// TestTrajectoryAsPyTorch: 20 steps of torch.optim.AdamW in float64 on r3d_18 and one batch, whose values pkg/engine keeps.
func TestTrajectoryAsPyTorch(t *testing.T) {
	for name, e := range engines(t) {
		t.Run(name, func(t *testing.T) { trajectory(t, e) })
	}
}

func trajectory(t *testing.T, e engine.Engine) {
	o := Optimizer{LR: 1e-3, Betas: [2]float64{0.9, 0.999}, Eps: 1e-8, Decay: 0.05, NoDecay: "1d"}
	for kind, bound := range map[string]float64{"free": 1e-4, "frozen": 1e-3} { // issue 7's
		want := ofPyTorch(t, "adamw.safetensors", kind)
		p, in := resnet(t, e, kind == "frozen")
		var losses []float32
		if err := Repeat(t.Context(), p, in, o, 20, func(r Record) error {
			losses = append(losses, float32(r.Loss))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for i, w := range want["loss"].F32 {
			if off := math.Abs(float64(losses[i]/w - 1)); off > bound {
				t.Errorf("%s: loss of step %d off by %.2g, want %g", kind, i, off, bound)
			}
		}
		after := p.Export()
		for _, name := range []string{"fc.weight", "layer1.0.conv1.0.weight", "layer1.0.conv1.1.running_var"} {
			if off, top := apart(after[name].F32, want[name].F32); off > 1e-3*top { // Adam moves a weight of vanishing gradient by the sign of its rounding
				t.Errorf("%s: %s off by %.2g of %.2g", kind, name, off, top)
			}
		}
	}
}

// apart is the largest difference, and the largest value.
func apart(got, want []float32) (off, top float64) {
	for i, w := range want {
		off, top = max(off, math.Abs(float64(got[i]-w))), max(top, math.Abs(float64(w)))
	}
	return off, top
}

// What an engine that takes the optimiser into its step does is what this package's optimisers do: clipping, decay, rates
// of parts, frozen parts, momentum. A training that is kept in one engine goes on in the other.
func TestEnginesTakeTheSameSteps(t *testing.T) {
	all := engines(t)
	if len(all) < 2 {
		t.Skip("one engine alone")
	}
	rate := func(name string) float64 {
		switch {
		case strings.HasPrefix(name, "layer4."):
			return 0
		case strings.HasPrefix(name, "fc."):
			return 10
		}
		return 1
	}
	for name, by := range map[string]func() optimizer{
		"adamw":    func() optimizer { return &AdamW{Beta1: 0.9, Beta2: 0.99, Eps: 1e-6, Decay: 0.1} },
		"momentum": func() optimizer { return &SGD{Momentum: 0.9, Decay: 0.01} },
		"nesterov": func() optimizer { return &SGD{Momentum: 0.8, Nesterov: true, Decay: 0.01, DecayAll: true} },
	} {
		t.Run(name, func(t *testing.T) {
			train := func(d *descent, in map[string]net.Tensor, from, to int) (norms []float32) {
				for i := from; i < to; i++ {
					r := Record{Step: i, LR: 1e-3 * float64(1+i)}
					if err := d.step(&batch{in: in}, &r); err != nil {
						t.Fatal(err)
					}
					norms = append(norms, float32(r.Loss), float32(r.GradNorm))
				}
				return norms
			}
			p, in := resnet(t, all["gorgonia"], false)
			first := newDescent(p, by(), rate, 1)
			start := p.Export()
			want := train(first, in, 0, 8)
			q, _ := resnet(t, all["xla"], false)
			got := train(newDescent(q, by(), rate, 1), in, 0, 8)
			if off, top := apart(got, want); off > 1e-4*top {
				t.Errorf("losses and norms off by %.2g of %.2g: %v, want %v", off, top, got, want)
			}
			ours, theirs := p.Export(), q.Export()
			for name, w := range ours {
				if off, top := apart(theirs[name].F32, w.F32); off > 1e-3*max(top, 1e-1) {
					t.Errorf("%s off by %.2g of %.2g", name, off, top)
				}
				if rate(name) == 0 && !strings.Contains(name, "running") && slices.Compare(theirs[name].F32, start[name].F32) != 0 {
					t.Errorf("%s is frozen and moved", name)
				}
			}
		})
	}
	for _, way := range [][2]string{{"gorgonia", "xla"}, {"xla", "gorgonia"}} {
		t.Run(way[0]+" to "+way[1], func(t *testing.T) {
			dir := t.TempDir()
			adam := func() *AdamW { return &AdamW{Beta1: 0.9, Beta2: 0.99, Eps: 1e-6, Decay: 0.1} }
			steps := func(d *descent, in map[string]net.Tensor, from, to int) (losses []float32) {
				for i := from; i < to; i++ {
					r := Record{Step: i, LR: 5e-3}
					if err := d.step(&batch{in: in}, &r); err != nil {
						t.Fatal(err)
					}
					losses = append(losses, float32(r.Loss))
				}
				return losses
			}
			whole, in := resnet(t, all["gorgonia"], false)
			want := steps(newDescent(whole, adam(), nil, 0), in, 0, 8)
			p, _ := resnet(t, all[way[0]], false)
			a := adam()
			got := steps(newDescent(p, a, nil, 0), in, 0, 4)
			if err := saveCheckpoint(dir, "one", 4, p, a, best{}); err != nil {
				t.Fatal(err)
			}
			q, _ := resnet(t, all[way[1]], false)
			b := adam()
			d := newDescent(q, b, nil, 0)
			if at, _, err := resume(dir, "one", nil, q, b); at != 4 || err != nil {
				t.Fatalf("goes on at step %d: %v", at, err)
			}
			got = append(got, steps(d, in, 4, 8)...)
			if off, top := apart(got, want); off > 1e-4*top {
				t.Errorf("losses off by %.2g of %.2g: %v, want %v", off, top, got, want)
			}
		})
	}
}

func TestParseOptimizer(t *testing.T) {
	o, err := ParseOptimizer([]byte(`{"name": "adamw", "lr": 0.01, "no_decay": "1d", "clip": null, "schedule": {"name": "cosine", "warmup": 3, "lr_min": 0.0001}}`))
	if err != nil || o.Betas != [2]float64{0.9, 0.999} || o.Clip != 0 || o.rate(0, 12) != 0.01/3 || o.rate(3, 12) != 0.01 {
		t.Errorf("%+v, %v", o, err)
	}
	for spec, want := range map[string]string{
		`{"name": "sgd", "lr": 0}`:                      "lr 0: want more than 0",
		`{"name": "lion", "lr": 0}`:                     "name \"lion\": want adamw or sgd\nlr 0: want more than 0",
		`{"name": "adamw", "momentum": 0.9}`:            "momentum 0.9: of sgd",
		`{"name": "sgd", "nesterov": true}`:             "nesterov: want a momentum",
		`{"name": "adamw", "foreach": true}`:            "unknown field",
		`{"name": "sgd", "schedule": {"name": "step"}}`: "schedule.every 0: want at least 1",
		`{"name": "adamw"} 1`:                           "not one JSON value",
		`{"name": "adamw", "schedule": {"name": "up"}}`: "schedule.name \"up\": want constant, cosine, poly or step",
	} {
		if _, err := ParseOptimizer([]byte(spec)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", spec, err, want)
		}
	}
}

// testdata/sgd.safetensors is torch.optim.SGD's, in float64, and its schedules'.
func TestSGDAndSchedulesAsPyTorch(t *testing.T) {
	want, _, err := net.LoadSafetensors("testdata/sgd.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	values, _ := golden(t)
	for name, o := range map[string]SGD{"sgd": {}, "momentum": {Momentum: 0.9}, "nesterov": {Momentum: 0.8, Nesterov: true}} {
		w := &engine.Param{Name: "w", Shape: []int{5, 7}, Value: slices.Clone(values["w0"].F32)}
		b := &engine.Param{Name: "b", Shape: []int{7}, Value: slices.Clone(values["b0"].F32)}
		o.Decay = 0.1
		o.Bind([]*engine.Param{w, b}, nil)
		for i := range 12 {
			w.Grad, b.Grad = values["grad_w"].F32[i*35:][:35], values["grad_b"].F32[i*7:][:7]
			o.Step(0.05, 1)
			near(t, name, slices.Concat(w.Value, b.Value), want[name].F32[i*42:][:42])
		}
	}
	for name, s := range map[string]Schedule{"poly": {Name: "poly"}, "step": {Name: "step", Every: 4, Gamma: 0.5}, "cosine": {Name: "cosine", Floor: 0.01}} {
		var rates []float32
		for i := range 10 {
			rates = append(rates, float32(s.at(i, 10, 1)))
		}
		near(t, "schedule "+name, rates, want["lr_"+name].F32)
	}
	var rates []float32
	for i := range 6 {
		rates = append(rates, float32(Schedule{Name: "step", Warmup: 2, Every: 2}.at(i, 6, 1)))
	}
	near(t, "up, then steps", rates, []float32{0.5, 1, 1, 1, 0.1, 0.1})
}
