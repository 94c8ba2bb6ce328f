package cli

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// The published arithmetic, from files to figures, against a transcription on scikit-learn (testdata/protocols.py): a byte-order
// mark, both line ends, ids beyond ASCII, rows in any order, ties, scores beyond [0,1], a label of one class.
func TestProtocolsAgainstScikitLearn(t *testing.T) {
	var g struct {
		Files map[string]string
		Want  map[string]map[string]any
	}
	b, err := os.ReadFile("testdata/protocols.json")
	if err == nil {
		err = json.Unmarshal(b, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range g.Files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for protocol, want := range g.Want {
		labels, out := filepath.Join(dir, "labels.csv"), filepath.Join(dir, protocol+".json")
		if protocol == "radchestct-16" {
			labels = filepath.Join(dir, "rad.csv")
		}
		root := Root()
		root.SetOut(&bytes.Buffer{})
		root.SetArgs([]string{"evaluate", "scores", "--labels", labels, "--scores", filepath.Join(dir, "scores.csv"), "--protocol", protocol, "--json", out})
		if err := root.Execute(); err != nil {
			t.Fatalf("%s: %v", protocol, err)
		}
		var got map[string]any
		b, err := os.ReadFile(out)
		if err == nil {
			err = json.Unmarshal(b, &got)
		}
		if err != nil {
			t.Fatal(err)
		}
		if n := len(got["labels"].(map[string]any)); n != len(want["labels"].(map[string]any)) {
			t.Errorf("%s: %d labels", protocol, n)
		}
		sameFigures(t, protocol, got, want)
	}
}

// sameFigures holds every figure of want, within 1e-9.
func sameFigures(t *testing.T, name string, got, want map[string]any) {
	t.Helper()
	for k, w := range want {
		v := got[k]
		if object, ok := w.(map[string]any); ok {
			inner, _ := v.(map[string]any)
			sameFigures(t, name+"."+k, inner, object)
			continue
		}
		x, number := w.(float64)
		if y, ok := v.(float64); number && !(ok && math.Abs(x-y) <= 1e-9) || !number && v != w {
			t.Errorf("%s.%s = %v, want %v", name, k, v, w)
		}
	}
}
