package shard

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	tables "silverbeam/pkg/table"
)

// others is a Python with pyarrow, Polars, DuckDB, pandas, Hugging Face datasets and mlcroissant; "": left out.
var others = os.Getenv("SILVERBEAM_OTHERS")

// tabled is a data set with its tables.
func tabled(t *testing.T, dir, storage string) map[string][]Row {
	t.Helper()
	_, rows := datasetOf(t, dir, storage)
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.WriteTables(dir, true, "CC0-1.0"); err != nil {
		t.Fatal(err)
	}
	return rows
}

// cells reads columns of a Parquet file as text, a map a row.
func cells(t *testing.T, path, key string, names ...string) (rows []string) {
	t.Helper()
	c := tables.Columns{Study: key, Extra: names}
	ranges, err := tables.Cut(path, c, 1000)
	if err != nil {
		t.Fatal(err)
	}
	got, bad, err := tables.Read(ranges[0], c)
	if err != nil || bad != nil {
		t.Fatal(bad, err)
	}
	for _, r := range got {
		rows = append(rows, fmt.Sprint(r.ID, r.Extra))
	}
	return rows
}

func TestTables(t *testing.T) {
	dir := t.TempDir()
	rows := tabled(t, dir, Raw)
	m, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	var volumes, studies []string
	for _, split := range []string{"train", "valid"} {
		for _, b := range m.Splits[split].Batches {
			for i, at := range b.Tensors {
				w := rows[split][slices.IndexFunc(rows[split], func(r Row) bool { return r.Study == study(b.ID, i) })]
				state, p, scan := "", "", [2]string{}
				if w.Scan.Shape[1] > 0 {
					scan = [2]string{fmt.Sprint(w.Scan.Shape[1]), fmt.Sprint(w.Scan.SpacingMM[0])}
				}
				if w.Labels != nil {
					if p = fmt.Sprint(w.Labels[0].P); w.Labels[0].State > -2 {
						state = fmt.Sprint(int(w.Labels[0].State))
					}
				}
				volumes = append(volumes, fmt.Sprint(w.Volume, []string{w.Patient, w.Study, split, b.ID, b.File, fmt.Sprint(i), fmt.Sprint(at.At), at.SHA256, "5", "", scan[0], scan[1], state, p}))
				studies = append(studies, fmt.Sprint(w.Study, []string{state}))
			}
		}
	}
	if got := cells(t, filepath.Join(dir, VolumesName), "volume", "patient", "study", "split", "batch", "file", "row", "at", "sha256", "shape_x", "spacing_z_mm", "scan_shape_y", "scan_spacing_z_mm",
		findings[0], "p "+findings[0]); !slices.Equal(got, volumes) {
		t.Errorf("%q\nwant %q", got, volumes)
	}
	if got := cells(t, filepath.Join(dir, LabelsName), "id", findings[0]); !slices.Equal(got, studies) {
		t.Errorf("%q\nwant %q", got, studies)
	}
}

// study is the study of row i of a batch of datasetOf.
func study(batch string, i int) string {
	return fmt.Sprintf("p%d_a%d", map[string]int{"b0": 0, "c0": 1, "a0": 2}[batch], i)
}

func TestFindingsNamedAsColumns(t *testing.T) {
	d := Dataset{manifest: Manifest{Findings: []string{"File", "Nodule"}}}
	var names []string
	for _, f := range d.volumeFields()[23:] {
		names = append(names, f.Name)
	}
	if want := []string{"File finding", "p File finding", "Nodule", "p Nodule"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

// TestOthers opens tables and shards with the real libraries of others.
func TestOthers(t *testing.T) {
	for _, storage := range []string{Raw, Compressed} {
		t.Run(storage, func(t *testing.T) {
			dir := t.TempDir()
			judge(t, "others.py", dir, map[string]any{"rows": tabled(t, dir, storage), "shape": spec("").Preset.Shape})
		})
	}
}

// judge has a script of testdata hold a folder to what is expected of it.
func judge(t *testing.T, script, dir string, expect map[string]any) {
	t.Helper()
	if others == "" {
		t.Skip("SILVERBEAM_OTHERS names no Python with these libraries: make test-exports")
	}
	b, err := json.Marshal(expect)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "expect.json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(others, "testdata/"+script, dir, path).CombinedOutput()
	if t.Logf("%s", out); err != nil {
		t.Error(err)
	}
}

// TestOthersExport opens what is exported for Hugging Face with datasets and mlcroissant.
func TestOthersExport(t *testing.T) {
	for name, c := range map[string]struct {
		storage string
		e       Export
	}{
		"raw":                         {Raw, Export{Name: "phantoms", License: "CC-BY-NC-SA-4.0", Reports: true}},
		"compressed, unknown licence": {Compressed, Export{Name: "phantoms"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, out := t.TempDir(), filepath.Join(t.TempDir(), "export")
			_, rows := datasetOf(t, dir, c.storage)
			d, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if e, err := d.HuggingFace(out, c.e); err != nil || e.Rows != 8 {
				t.Fatal(e, err)
			}
			judge(t, "exports.py", out, map[string]any{"rows": rows, "shape": spec("").Preset.Shape, "findings": findings, "license": c.e.License, "reports": c.e.Reports})
		})
	}
}

// The metadata beside a data set names its files as they are, every column of the table of volumes, and the licence.
func TestCroissantBesideTheDataset(t *testing.T) {
	dir := t.TempDir()
	rows := tabled(t, dir, Raw)
	b, err := os.ReadFile(filepath.Join(dir, CroissantName))
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		License      string
		Distribution []struct{ ContentURL, ContentSize, SHA256 string }
		RecordSet    []struct{ Field []struct{ DataType string } }
	}
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	if n := len(c.RecordSet[0].Field); c.License != "CC0-1.0" || n != 23+2*len(findings) || len(c.Distribution) != 4 {
		t.Errorf("licence %s, %d fields, %d files", c.License, n, len(c.Distribution))
	}
	for _, f := range c.Distribution {
		text, err := os.ReadFile(filepath.Join(dir, f.ContentURL))
		if err != nil || digestOf(text) != f.SHA256 || fmt.Sprint(len(text), " B") != f.ContentSize {
			t.Errorf("%+v: %d bytes, %v", f, len(text), err)
		}
	}
	for _, f := range c.RecordSet[0].Field {
		if f.DataType == "" {
			t.Error("a column without a type")
		}
	}
	if others == "" {
		return
	}
	script := "import sys, mlcroissant as m; d = m.Dataset(sys.argv[1]); print(d.metadata.ctx.issues.report()); print(len(list(d.records('volumes'))))"
	out, err := exec.Command(others, "-c", script, filepath.Join(dir, CroissantName)).CombinedOutput()
	if want := fmt.Sprintf("\n%d\n", len(rows["train"])+len(rows["valid"])); err != nil || !strings.HasSuffix("\n"+string(out), want) || strings.Contains(string(out), "rror") {
		t.Errorf("mlcroissant: %v, want%sgot %s", err, want, out)
	}
}
