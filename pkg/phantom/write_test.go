package phantom

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var tiny = Options{Studies: 7, Seed: 3, Shape: [3]int{24, 32, 32}, ValidFraction: .4}

func write(t *testing.T, dir string, o Options) {
	t.Helper()
	if err := Write(context.Background(), dir, o, nil); err != nil {
		t.Fatal(err)
	}
}

// digests are the SHA-256 of all files by their path under dir.
func digests(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	out := map[string][32]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		out[filepath.ToSlash(name)] = sha256.Sum256(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSameSeedSameBytes(t *testing.T) {
	one, four := t.TempDir(), t.TempDir()
	o := tiny
	o.Workers = 1
	write(t, one, o)
	o.Workers = 4
	write(t, four, o)
	a, b := digests(t, one), digests(t, four)
	if !maps.Equal(a, b) {
		t.Error("one goroutine and four write different bytes")
	}
	o.Seed++
	other := t.TempDir()
	write(t, other, o)
	if maps.Equal(a, digests(t, other)) {
		t.Error("another seed writes the same bytes")
	}
}

func TestResume(t *testing.T) {
	whole := t.TempDir()
	write(t, whole, tiny)
	want := digests(t, whole)

	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	err := Write(ctx, dir, tiny, func(done, _ int) {
		if done == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped run: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "truth.jsonl")); err == nil {
		t.Error("a stopped run has a truth.jsonl")
	}
	first := filepath.Join(dir, "dataset/train/train_1/train_1_a/train_1_a_1.nii.gz")
	text, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(first, text[:len(text)/2], 0o666); err != nil { // cut short by a full disk, say
		t.Fatal(err)
	}
	write(t, dir, tiny)
	if !maps.Equal(want, digests(t, dir)) {
		t.Error("a resumed run differs from an undisturbed one")
	}

	more := tiny
	more.Studies = 12
	write(t, dir, more)
	for name, d := range digests(t, dir) {
		if old, ok := want[name]; ok && strings.HasSuffix(name, ".gz") && old != d {
			t.Errorf("%s changed when studies were added", name)
		}
	}
	for what, o := range map[string]Options{"fewer studies": tiny, "another seed": {Studies: 12, Seed: 4, Shape: tiny.Shape, ValidFraction: .4}} {
		if err := Write(context.Background(), dir, o, nil); err == nil || !strings.Contains(err.Error(), "another folder") {
			t.Errorf("%s in the same folder: %v", what, err)
		}
	}
}

func TestLayout(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, tiny)
	const labels = "VolumeName,Medical material,Arterial wall calcification,Cardiomegaly,Pericardial effusion,Coronary artery wall calcification,Hiatal hernia,Lymphadenopathy,Emphysema,Atelectasis,Lung nodule,Lung opacity,Pulmonary fibrotic sequela,Pleural effusion,Mosaic attenuation pattern,Peribronchial thickening,Consolidation,Bronchiectasis,Interlobular septal thickening"
	tables := map[string]map[string]string{} // file → volume → joined row
	for file, header := range map[string]string{
		"radiology_text_reports/train_reports.csv":            reportHeader,
		"radiology_text_reports/validation_reports.csv":       reportHeader,
		"multi_abnormality_labels/train_predicted_labels.csv": labels,
		"multi_abnormality_labels/valid_predicted_labels.csv": labels,
		"metadata/train_metadata.csv":                         metadataHeader,
		"metadata/validation_metadata.csv":                    metadataHeader,
	} {
		f, err := os.Open(filepath.Join(dir, "dataset", file))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(f).ReadAll() // also checks that every row is as wide as the header
		f.Close()
		if err != nil {
			t.Fatal(file, err)
		}
		if got := strings.Join(rows[0], ","); got != header {
			t.Errorf("%s: header %s", file, got)
		}
		tables[file] = map[string]string{}
		for _, r := range rows[1:] {
			tables[file][r[0]] = strings.Join(r[1:], "\x00")
		}
	}
	if n := len(strings.Split(metadataHeader, ",")); n != 44 {
		t.Errorf("%d columns of metadata, CT-RATE has 44", n)
	}
	f, err := os.Open(filepath.Join(dir, "truth.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	studies, volumes := 0, 0
	for sc := bufio.NewScanner(f); sc.Scan(); studies++ {
		var tr Truth
		if err := json.Unmarshal(sc.Bytes(), &tr); err != nil {
			t.Fatal(err)
		}
		reports := "radiology_text_reports/train_reports.csv"
		if tr.Split == "valid" {
			reports = "radiology_text_reports/validation_reports.csv"
		}
		for _, v := range tr.Volumes {
			volumes++
			if _, err := os.Stat(filepath.Join(dir, "dataset", tr.Split, tr.Patient, tr.Study, v)); err != nil {
				t.Error(err)
			}
			row := strings.Split(tables[reports][v], "\x00")
			if len(row) != 4 {
				t.Fatalf("%s has no row in %s", v, reports)
			}
			for _, m := range tr.Text {
				if text := row[2] + "\n" + row[3]; m.To > len(text) {
					t.Errorf("%s: a sentence ends at byte %d of %d", v, m.To, len(text))
				}
			}
		}
	}
	rows := 0
	for file, t := range tables {
		if strings.HasPrefix(file, "metadata") {
			rows += len(t)
		}
	}
	if studies != tiny.Studies || rows != volumes {
		t.Errorf("%d studies, %d volumes, %d rows of metadata", studies, volumes, rows)
	}
}
