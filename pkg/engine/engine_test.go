package engine

import (
	"math/rand/v2"
	"testing"

	"silverbeam/pkg/net"
	"silverbeam/pkg/simd"
)

func randomF32(r *rand.Rand, shape ...int) net.Tensor {
	t := net.Tensor{Shape: shape, F32: make([]float32, net.Size(shape))}
	for i := range t.F32 {
		t.F32[i] = float32(r.NormFloat64())
	}
	return t
}

func shapesOf(in map[string]net.Tensor) map[string][]int {
	s := map[string][]int{}
	for n, t := range in {
		s[n] = t.Shape
	}
	return s
}

func compile(t testing.TB, g *net.Graph, err error, in map[string]net.Tensor, train bool) Program {
	t.Helper()
	return compileOn(t, Gorgonia(), g, err, in, train)
}

func compileOn(t testing.TB, e Engine, g *net.Graph, err error, in map[string]net.Tensor, train bool) Program {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Compile(g, shapesOf(in), train)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Load(g.Init(1)); err != nil {
		t.Fatal(err)
	}
	return p
}

func run(t testing.TB, p Program, in map[string]net.Tensor) map[string]net.Tensor {
	t.Helper()
	out, err := p.Run(in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A net trained by plain gradient descent on one batch learns it.
func TestSupervisedOverfits(t *testing.T) { overfits(t, Gorgonia()) }

func overfits(t *testing.T, e Engine) {
	r := rand.New(rand.NewPCG(1, 2))
	g, err := net.Supervised(net.ResNet3D{Width: 8, Kernel: [3]int{4, 4, 4}, Classes: 3}, true, false)
	in := map[string]net.Tensor{"x": randomF32(r, 4, 1, 16, 24, 24),
		"labels": {Shape: []int{4, 3}, I32: []int32{1, 0, -1, 0, 1, 1, 0, 0, 1, 1, -1, 0}}}
	p := compileOn(t, e, g, err, in, true)
	var first, last float32
	for i := range 60 {
		last = run(t, p, in)["loss"].F32[0]
		if i == 0 {
			first = last
		}
		for _, q := range p.Params() {
			for j, d := range q.Grad {
				q.Value[j] -= 0.05 * d
			}
		}
	}
	if first < 0.5 || last > 0.05 {
		t.Fatalf("loss from %v to %v, want about 0.7 to under 0.05", first, last)
	}
}

// atEveryLevel runs f at each level of simd that this machine has.
func atEveryLevel(t *testing.T, f func(t *testing.T)) {
	have := simd.Level
	t.Cleanup(func() { simd.Level = have })
	for _, l := range []string{"go", "avx2", "avx512"} {
		if simd.Set(l) {
			t.Run(l, f)
		}
	}
}
