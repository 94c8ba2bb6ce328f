package xla

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"silverbeam/pkg/engine/internal/cases"
	"silverbeam/pkg/net"
)

// plugin is the client of the PJRT plugin that PJRT_PLUGIN_LIBRARY_PATH names; without one the test is skipped.
func plugin(t testing.TB) *client {
	t.Helper()
	if os.Getenv(Library) == "" {
		t.Skipf("%s names no PJRT plugin: make test-xla fetches one", Library)
	}
	c, err := device()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// near holds max|a-b|/max|b| to a bound. What is zero but for rounding counts as small as least.
func near(t *testing.T, what string, got, want []float32, bound, least float64) {
	t.Helper()
	var off, top float64
	for i := range min(len(got), len(want)) {
		off, top = max(off, math.Abs(float64(got[i])-float64(want[i]))), max(top, math.Abs(float64(want[i])))
	}
	if len(got) != len(want) || !(off <= bound*max(top, least)) {
		t.Errorf("%s: off by %.2g of %.2g", what, off, top)
	}
}

// Every layer and loss gives PyTorch's values (float64) and gradients, within 1e-4 of the largest in f32 and 2e-2 in bf16.
func TestLayersAgainstPyTorch(t *testing.T) {
	c := plugin(t)
	for _, folder := range cases.Folders("../testdata") {
		all, tensors := cases.Read(t, folder)
		if len(all) < 30 {
			t.Fatalf("%s: %d cases", folder, len(all))
		}
		for name, one := range all {
			for of, bound := range map[string]float64{"f32": 1e-4, "bf16": 2e-2} {
				if one.Op == "softmax" {
					bound = 1e-2 // saturated: float32 probabilities near 1
				}
				t.Run(name+"/"+of, func(t *testing.T) { layerAgainst(t, c, one, tensors[name], of == "bf16", bound) })
			}
		}
	}
}

// layerAgainst writes a module of one layer: its tensors and parameters in, its result, buffers and gradients out.
func layerAgainst(t *testing.T, c *client, one cases.Case, is map[string]map[string]net.Tensor, half bool, bound float64) {
	op, names, _ := one.Layer(t, is["in"])
	m := &module{forward: forward{builder: builder{half: half}, train: one.Attrs.Training, buffer: map[*val]*val{}}}
	var feeds []net.Tensor
	byName := map[string]*val{}
	arg := func(name string, x net.Tensor) *val {
		of := "f32"
		if x.I32 != nil {
			of = "i32"
		}
		v := m.arg(of, x.Shape...)
		v.wanted, byName[name] = slices.Contains(one.Grads, name), v
		feeds = append(feeds, x)
		return v
	}
	g := &net.Graph{}
	var nodes []*net.Node
	var xs, ps []*val
	for _, name := range names {
		x := is["in"][name]
		nodes = append(nodes, g.Input(name, x.I32 != nil, x.Shape...))
		v := arg(name, x)
		if name == "img" || name == "txt" { // these losses' cases begin before the vectors have length 1
			v = m.l2norm(v)
		}
		xs = append(xs, v)
	}
	n := g.Layer("layer", op, nodes...)
	if err := g.Err(); err != nil {
		t.Fatal(err)
	}
	for _, p := range n.Params {
		name := strings.ReplaceAll(strings.TrimPrefix(p.Name, "layer."), ".", "_")
		x, ok := is["in"][name]
		if !ok {
			x = net.Tensor{Shape: p.Shape, F32: make([]float32, net.Size(p.Shape))}
		}
		ps = append(ps, arg(name, x))
	}
	y, err := m.layer(op, xs, ps, n.Shape)
	if err != nil {
		t.Fatal(err)
	}
	y = m.full(y)
	var want []string
	result := func(name string, v *val) {
		want, m.results = append(want, name), append(m.results, v)
	}
	result("y", y)
	seed := m.like(y, 1)
	if up, ok := is["gout"]["y"]; ok {
		seed = arg("gout", up)
	}
	m.backward(y, seed)
	for _, name := range one.Grads {
		result("gradient of "+name, m.gradient(byName[name]))
	}
	for name := range is["out"] {
		if v := byName[name]; v != nil {
			result(name, m.buffer[v])
		}
	}
	got := execute(t, c, m, feeds)
	for i, name := range want {
		golden, ok := is["out"][name]
		if of, is2 := strings.CutPrefix(name, "gradient of "); is2 {
			golden, ok = is["grad"][of]
		} else if !ok {
			golden, ok = is["out"]["loss"]
		}
		if !ok {
			t.Fatalf("no golden %s", name)
		}
		near(t, name, got[i], golden.F32, bound, 0)
	}
}

// execute compiles a module, runs it once and gives its results.
func execute(t *testing.T, c *client, m *module, feeds []net.Tensor) (out [][]float32) {
	t.Helper()
	x, err := c.compile(m.text(), len(m.results), m.half)
	if err != nil {
		t.Fatalf("%v\n%s", err, m.text())
	}
	defer x.destroy()
	var in []uintptr
	for _, f := range feeds {
		var b uintptr
		if f.I32 != nil {
			b, err = upload(c, f.I32, f.Shape)
		} else {
			b, err = upload(c, f.F32, f.Shape)
		}
		if err != nil {
			t.Fatal(err)
		}
		in = append(in, b)
	}
	defer c.free(in...)
	results, err := x.run(in)
	if err != nil {
		t.Fatal(err)
	}
	defer c.free(results...)
	for i, r := range results {
		v := make([]float32, m.results[i].size())
		if err := c.download(v, r); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}
