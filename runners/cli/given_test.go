package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"silverbeam/pipelines"
	"silverbeam/transforms/evaluate"
)

// newTrained has phantoms and a run of the small demo on them.
func newTrained(t *testing.T) *lab {
	if testing.Short() {
		t.Skip("it trains two small models")
	}
	l := &lab{T: t, dir: t.TempDir()}
	l.write("demo.yaml", strings.ReplaceAll(smallDemo(t), "batch: 8", "batch: 4"))
	l.succeed("phantom", "--studies", "8", "--size", "32", "--seed", "4", "--out", "data")
	l.succeed("run", "demo.yaml", "--set", "data=data", "--run", "trained")
	return l
}

// Weights that one run trained are measured on another data set, with no training; scans that they learned from are found
// under whatever name, and named.
func TestEvaluateOnly(t *testing.T) {
	l := newTrained(t)
	text, err := pipelines.Source("evaluate-only")
	if err != nil {
		t.Fatal(err)
	}
	file := strings.Replace(string(text), "data: data, layout: ct-rate, preset: demo, weights: out/demo/models/clip", "data: other, layout: ct-rate, preset: demo, weights: trained/models/clip", 1)
	l.write("mine.yaml", file)
	l.succeed("phantom", "--studies", "12", "--size", "32", "--seed", "5", "--out", "other")
	l.succeed("run", "mine.yaml", "--run", "other-run")
	for _, name := range []string{"model.safetensors", "vocab.txt", "config.json"} {
		a, err := os.ReadFile(filepath.Join(l.dir, "trained/models/clip", name))
		b, berr := os.ReadFile(filepath.Join(l.dir, "other-run/models/clip", name))
		if err != nil || berr != nil || string(a) != string(b) {
			t.Errorf("%s is not the one that was trained: %v, %v", name, err, berr)
		}
	}
	if _, err := os.Stat(filepath.Join(l.dir, "other-run/models/clip/history.jsonl")); !os.IsNotExist(err) {
		t.Error("something was trained:", err)
	}
	var r struct {
		Summary struct {
			NRows int `json:"n_rows"`
		}
	}
	l.read("other-run/eval/"+evaluate.ZeroShotName+".json", &r)
	if want := len(l.rows("other-run", "valid")); r.Summary.NRows != want || want == 0 {
		t.Errorf("%d volumes were scored of %d", r.Summary.NRows, want)
	}

	l.succeed("phantom", "--studies", "8", "--size", "32", "--seed", "4", "--layout", "dicom", "--out", "renamed")
	out := l.exits(codeInput, "run", "mine.yaml", "--set", "data=renamed", "--set", "layout=dicom", "--run", "leaky")
	if !strings.Contains(out, "the same voxels as") || !strings.Contains(out, "in the model's training and as") {
		t.Error(out)
	}
	if out := l.exits(codeInput, "run", "mine.yaml", "--set", "weights=data", "--run", "none"); !strings.Contains(out, "no finished model") {
		t.Error(out)
	}
}
