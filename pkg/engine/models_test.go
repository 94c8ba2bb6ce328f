package engine

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"silverbeam/pkg/net"
)

// torchvision and Hugging Face's transformers load our weights with strict=True and give our results, and we load theirs.
func TestModelsOfOthers(t *testing.T) {
	python := os.Getenv("SILVERBEAM_MODELS")
	if python == "" {
		t.Skip("SILVERBEAM_MODELS names no Python with torch, torchvision, transformers and safetensors")
	}
	dir := t.TempDir()
	script := func(verb string) {
		b, err := exec.Command(python, "testdata/models.py", verb, dir).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", verb, err, b)
		}
		t.Logf("%s\n%s", verb, b)
	}
	load := func(name string) map[string]net.Tensor {
		all, _, err := net.LoadSafetensors(filepath.Join(dir, name+".safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	script("write")
	specs := map[string]string{
		"r3d_18": `{"arch": "r3d_18", "classes": 18}`,
		"ct":     `{"arch": "r3d_18", "stem": {"kernel": [2, 2, 2], "stride": [2, 2, 2], "in": 1}, "classes": 18}`,
		"bert":   `{"arch": "bert", "layers": 3, "hidden": 48, "heads": 4, "intermediate": 100, "vocab": 90, "max_positions": 32}`,
	}
	ours := map[string]map[string]net.Tensor{}
	for name, spec := range specs {
		s, err := net.ParseSpec([]byte(spec))
		if err != nil {
			t.Fatal(err)
		}
		g, err := s.Graph()
		in, file := load(name+"-in"), name
		if name == "bert" {
			file = "model"
		}
		p := compile(t, g, err, in, false)
		w := s.Weights(load(file))
		if err := g.Match(w); err != nil {
			t.Fatal(err)
		}
		if err := p.Load(w); err != nil {
			t.Fatal(err)
		}
		out := run(t, p, in)
		for what, want := range load(name + "-write") {
			near(t, name+", their weights: "+what, out[what].F32, want.F32, 1e-5)
		}
		mine := g.Init(3)
		if err := p.Load(mine); err != nil {
			t.Fatal(err)
		}
		b, err := net.EncodeSafetensors(p.Export(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+"-ours.safetensors"), b, 0o644); err != nil {
			t.Fatal(err)
		}
		ours[name] = maps.Clone(run(t, p, in))
	}
	script("read")
	for name := range specs {
		for what, want := range load(name + "-read") {
			near(t, name+", our weights: "+what, ours[name][what].F32, want.F32, 1e-5)
		}
	}
}
