package fit

import (
	"encoding/json"
	"math"
	"os"
	"runtime"
	"slices"
	"testing"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
)

// golden is testdata/adamw.*: twelve steps of torch.optim.AdamW in float64, with and without clip_grad_norm_(1).
func golden(t *testing.T) (values map[string]net.Tensor, s struct {
	Steps, Warmup int
	LR            float64
	LRMin         float64   `json:"lr_min"`
	LRValues      []float64 `json:"lr_values"`
	Betas         [2]float64
	Eps           float64
	Decay         float64 `json:"weight_decay_w"`
}) {
	t.Helper()
	values, _, err := net.LoadSafetensors("testdata/adamw.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("testdata/adamw.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return values, s
}

func TestCosineAsGolden(t *testing.T) {
	_, s := golden(t)
	c := Cosine{Peak: s.LR, Floor: s.LRMin, Warmup: s.Warmup, Steps: s.Steps}
	for i, want := range s.LRValues {
		if got := c.At(i); math.Abs(got-want) > 1e-15 {
			t.Errorf("step %d: %v, want %v", i, got, want)
		}
	}
	if got := c.At(s.Steps); math.Abs(got-s.LRMin) > 1e-15 {
		t.Errorf("after the last step: %v, want %v", got, s.LRMin)
	}
}

func TestAdamWAsGolden(t *testing.T) {
	values, s := golden(t)
	for _, c := range []struct {
		name  string
		limit float64
	}{{"adamw", 0}, {"adamw_clip1", 1}} {
		w := &engine.Param{Name: "w", Shape: []int{5, 7}, Value: slices.Clone(values["w0"].F32)}
		b := &engine.Param{Name: "b", Shape: []int{7}, Value: slices.Clone(values["b0"].F32)}
		opt := AdamW{Beta1: s.Betas[0], Beta2: s.Betas[1], Eps: s.Eps, Decay: s.Decay}
		opt.Bind([]*engine.Param{w, b, {Name: "running_mean", Buffer: true}}, nil)
		for i := range s.Steps {
			w.Grad, b.Grad = values["grad_w"].F32[i*35:][:35], values["grad_b"].F32[i*7:][:7]
			norm := opt.Norm()
			if want := float64(values[c.name+"/gradnorm_before_clip"].F32[i]); math.Abs(norm-want) > 1e-6*want {
				t.Errorf("%s, step %d: norm %v, want %v", c.name, i, norm, want)
			}
			opt.Step(s.LRValues[i], clip(norm, c.limit))
			near(t, c.name+" w", w.Value, values[c.name+"/w"].F32[i*35:][:35])
			near(t, c.name+" b", b.Value, values[c.name+"/b"].F32[i*7:][:7])
		}
		near(t, c.name+" m", opt.slots[0].M, values[c.name+"/exp_avg_w"].F32)
		near(t, c.name+" v", opt.slots[0].V, values[c.name+"/exp_avg_sq_w"].F32)
	}
}

// near holds float32 arithmetic to 3e-7 of the largest value: the goldens are float64, rounded once.
func near(t *testing.T, what string, got, want []float32) {
	t.Helper()
	worst, size := 0.0, 0.0
	for i := range want {
		worst, size = max(worst, math.Abs(float64(got[i]-want[i]))), max(size, math.Abs(float64(want[i])))
	}
	if worst > 3e-7*size {
		t.Errorf("%s: off by %.2g of the largest", what, worst/size)
	}
}

func TestAdamWFreezesAndSlows(t *testing.T) {
	params := make([]*engine.Param, 3)
	for i, name := range []string{"frozen", "slow", "full"} {
		params[i] = &engine.Param{Name: name, Shape: []int{1, 1}, Value: []float32{1}, Grad: []float32{0.5}}
	}
	opt := AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}
	opt.Bind(params, func(name string) float64 { return map[string]float64{"frozen": 0, "slow": 0.1, "full": 1}[name] })
	opt.Step(0.01, 1) // the first step of Adam is lr in size, whatever the gradient
	for i, want := range []float32{1, 0.999, 0.99} {
		if d := params[i].Value[0] - want; d > 1e-6 || d < -1e-6 {
			t.Errorf("%s: %v, want %v", params[i].Name, params[i].Value[0], want)
		}
	}
	if n := opt.Norm(); math.Abs(n-0.5*math.Sqrt2) > 1e-9 {
		t.Errorf("norm %v counts the frozen parameter", n)
	}
}

func TestAdamWOnAnyNumberOfProcessors(t *testing.T) {
	run := func(procs int) ([]float32, float64) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		p := &engine.Param{Name: "w", Shape: []int{3, chunk + 17}, Value: make([]float32, 3*(chunk+17)), Grad: make([]float32, 3*(chunk+17))}
		for i := range p.Grad {
			p.Grad[i] = float32(math.Sin(float64(i)))
		}
		opt := AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 0.01}
		opt.Bind([]*engine.Param{p}, nil)
		opt.Step(0.01, clip(opt.Norm(), 1))
		return p.Value, opt.Norm()
	}
	one, n1 := run(1)
	four, n4 := run(4)
	if n1 != n4 || !slices.Equal(one, four) {
		t.Error("the number of processors changes the step")
	}
}
