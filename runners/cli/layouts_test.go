package cli

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"silverbeam/pkg/shard"
)

// The demo runs from every layout of the same phantoms, with one changed line. What DICOM files hold is what CT-RATE's do,
// voxel for voxel on the preset's grid.
func TestDemoFromEveryLayout(t *testing.T) {
	if testing.Short() {
		t.Skip("it trains two small models for each layout")
	}
	l := &lab{T: t, dir: t.TempDir()}
	demo := strings.ReplaceAll(smallDemo(t), "batch: 8", "batch: 4")
	tensors := map[string]map[string]string{} // layout → study and digest of voxels
	for _, layout := range []string{"ct-rate", "dicom", "radchestct"} {
		file := strings.Replace(demo, "layout: ct-rate,", "layout: "+layout+",", 1)
		if (file == demo) != (layout == "ct-rate") {
			t.Fatal("the demo's first step has changed")
		}
		l.write(layout+".yaml", file)
		l.succeed("phantom", "--studies", "8", "--size", "32", "--seed", "4", "--layout", layout, "--out", layout)
		out := l.succeed("run", layout+".yaml", "--set", "data="+layout, "--run", "run-"+layout)
		for _, want := range []string{"intake.Studies       8 studies in, 8 out, 0 rejects", "evaluate.Labels      8 studies in, 8 out, 0 rejects", "page.html"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", layout, want, out)
			}
		}
		tensors[layout] = l.tensors("run-" + layout)
		if err := os.RemoveAll(filepath.Join(l.dir, layout)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(tensors["radchestct"]); n != 8 {
		t.Errorf("radchestct: %d volumes, want one a study", n)
	}
	for key := range tensors["ct-rate"] {
		if tensors["dicom"][key] == "" {
			t.Errorf("dicom lacks %s", key)
		}
	}
	if len(tensors["dicom"]) != len(tensors["ct-rate"]) {
		t.Errorf("%d volumes from dicom, %d from ct-rate", len(tensors["dicom"]), len(tensors["ct-rate"]))
	}
}

// tensors are a run's volumes, each by its study and the digest of its voxels, with its name.
func (l *lab) tensors(run string) map[string]string {
	l.Helper()
	all := map[string]string{}
	for _, split := range []string{"train", "valid"} {
		for _, r := range l.rows(run, split) {
			hu, err := r.Voxels()
			if err != nil {
				l.Fatal(err)
			}
			all[fmt.Sprintf("%s %x", r.Study, sha256.Sum256(fmt.Append(nil, hu)))] = r.Volume
		}
	}
	return all
}

// rows are those of a split of a run's data set, open until the test ends.
func (l *lab) rows(run, split string) []shard.Row {
	l.Helper()
	d, err := shard.Open(filepath.Join(l.dir, run, "dataset"))
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { d.Close() })
	rows, err := d.Rows(split)
	if err != nil {
		l.Fatal(err)
	}
	return rows
}
