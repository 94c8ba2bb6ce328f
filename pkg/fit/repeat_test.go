package fit

import (
	"math"
	"slices"
	"strings"
	"testing"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
)

// TestTrajectoryAsPyTorch: 20 steps of torch.optim.AdamW in float64 on r3d_18 and one batch, whose values pkg/engine keeps.
func TestTrajectoryAsPyTorch(t *testing.T) {
	load := func(file, kind string) map[string]net.Tensor {
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
	in := load("r3d_18.safetensors", "in")
	shapes := map[string][]int{}
	for name, v := range in {
		shapes[name] = v.Shape
	}
	o := Optimizer{LR: 1e-3, Betas: [2]float64{0.9, 0.999}, Eps: 1e-8, Decay: 0.05, NoDecay: "1d"}
	for kind, bound := range map[string]float64{"free": 1e-4, "frozen": 1e-3} { // issue 7's
		want := load("adamw.safetensors", kind)
		g, err := net.Supervised(net.ResNet3D{Width: 3, Classes: 5, FrozenBN: kind == "frozen"}, true, true)
		if err != nil {
			t.Fatal(err)
		}
		p, err := engine.Gorgonia().Compile(g, shapes, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Load(load("r3d_18.safetensors", "w")); err != nil {
			t.Fatal(err)
		}
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
			var off, top float64
			for i, w := range want[name].F32 {
				off, top = max(off, math.Abs(float64(after[name].F32[i]-w))), max(top, math.Abs(float64(w)))
			}
			if off > 1e-3*top { // Adam moves a weight of vanishing gradient by the sign of its rounding
				t.Errorf("%s: %s off by %.2g of %.2g", kind, name, off, top)
			}
		}
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
