package dataset

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"silverbeam/pkg/taxonomy"
	"silverbeam/pkg/volume"
	"silverbeam/schemas"
)

// A volume whose stored values are not HU, read with the wrong hu_source, leaves as a reject, as does one without lungs; its
// sibling stays.
func TestShardsRefusesWhatIsNoHU(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, offset int16) schemas.Volume {
		path := filepath.Join(dir, name+".nii")
		scan(t, path, offset)
		return schemas.Volume{ID: name, Path: path}
	}
	preset, err := volume.PresetByName("demo")
	if err != nil {
		t.Fatal(err)
	}
	w := &shards{Name: "s", Options: Options{HUSource: "already-hu"}, Findings: []string{"a"}, preset: preset}
	b := &schemas.Batch{ID: "b", Studies: []schemas.Study{{ID: "x", Patient: "p", Labels: make([]taxonomy.Label, 1),
		Volumes: []schemas.Volume{write("x_1", 0), write("x_2", 1024), write("x_3", 0)}}}}
	flat, err := volume.Open(b.Studies[0].Volumes[2].Path, volume.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range flat.HU { // air above, tissue below
		flat.HU[i] = -1000
		if i >= len(flat.HU)/2 {
			flat.HU[i] = 40
		}
	}
	save(t, b.Studies[0].Volumes[2].Path, flat)
	sh, p, err := w.Write(t.Context(), filepath.Join(dir, "out.arrow"), b)
	if err != nil {
		t.Fatal(err)
	}
	if sh.Rows != 1 || p.In != 3 || p.Out != 1 || p.Rejects != 2 || len(b.Rejects) != 2 {
		t.Fatalf("rows %d, passage %+v, rejects %+v", sh.Rows, p, b.Rejects)
	}
	if r := b.Rejects[0]; r.Study != "x_2" || r.Class != "volume" || !strings.Contains(r.Reason, "implausible HU") || !strings.Contains(r.Reason, "hu_source") {
		t.Errorf("reject %+v", r)
	}
	if r := b.Rejects[1]; r.Study != "x_3" || r.Class != "volume" || !strings.Contains(r.Reason, "not a chest: lung") {
		t.Errorf("reject %+v", r)
	}
}

// scan writes a volume of air, lung and soft tissue, all higher by some HU.
func scan(t *testing.T, path string, offset int16) {
	t.Helper()
	v := volume.Volume{HU: make([]int16, 16*16*16), Shape: [3]int{16, 16, 16}, SpacingMM: [3]float64{20, 20, 20},
		AffineLPS: [16]float64{20, 0, 0, 0, 0, 20, 0, 0, 0, 0, 20, 0, 0, 0, 0, 1}}
	for i := range v.HU {
		v.HU[i] = offset + []int16{-1000, -850, 40, 60}[i%4]
	}
	save(t, path, &v)
}

func save(t *testing.T, path string, v *volume.Volume) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := volume.WriteNIfTI(f, v); err != nil {
		t.Fatal(err)
	}
}
