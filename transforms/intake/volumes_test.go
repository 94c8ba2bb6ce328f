package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"silverbeam/pkg/phantom"
	"silverbeam/schemas"
)

// told is what a layout's index comes to: studies with their split, patient and number of volumes; rejects.
func told(t *testing.T, o Options) string {
	t.Helper()
	batches, err := Index(o)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, b := range batches {
		p, err := json.Marshal(b) // as it travels
		if err == nil {
			b = schemas.Batch{}
			err = json.Unmarshal(p, &b)
		}
		if err == nil {
			err = Read(o, &b)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range b.Studies {
			out = append(out, fmt.Sprintf("%s %s of %s: %d volumes, %t", b.Split, s.ID, s.Patient, len(s.Volumes), s.Report != ""))
		}
		for _, r := range b.Rejects {
			out = append(out, r.Step+" refuses "+r.Study+": "+r.Class+": "+r.Reason)
		}
	}
	return strings.Join(out, "\n")
}

func phantoms(t *testing.T, layout string) string {
	t.Helper()
	dir := t.TempDir()
	if err := phantom.Write(context.Background(), dir, phantom.Options{Studies: 4, Seed: 1, Shape: [3]int{16, 16, 16}, ValidFraction: .4, Layout: layout}, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// edit replaces text in a file.
func edit(t *testing.T, path, old, with string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), old) {
		t.Fatalf("%s: no %q: %v", path, old, err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, with, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Tags say what belongs together: series in one folder, without an accession number, files that are no CT. What cannot be
// read, a study of two patients and one without a report are rejects by name; rows of other studies are none.
func TestIndexDICOM(t *testing.T) {
	dir := phantoms(t, "dicom")
	o := Options{Layout: "dicom", Root: dir}
	same(t, told(t, o), `train valid_1_a of valid_1: 2 volumes, true
train train_2_a of train_2: 2 volumes, true
valid train_1_a of train_1: 2 volumes, true
valid train_1_b of train_1: 2 volumes, true`)

	study := filepath.Join(dir, "dicom/train_1/train_1_a")
	files, _ := filepath.Glob(study + "/2/*.dcm")
	for _, f := range files { // both series in one folder
		if err := os.Rename(f, filepath.Join(study, "1", "other"+filepath.Base(f))); err != nil {
			t.Fatal(err)
		}
	}
	before, err := Index(o)
	if err != nil {
		t.Fatal(err)
	}
	var vols []string
	scan := before[1].Scans[0]
	for _, v := range scan.Volumes {
		vols = append(vols, filepath.Base(v.Path), strings.TrimPrefix(v.ID, "train_1_a_"))
	}
	if len(vols) != 4 || vols[0] != "1" || vols[2] != "1" || vols[1] != scan.Volumes[0].Series || vols[1] == vols[3] {
		t.Errorf("volumes %v", vols)
	}

	for _, err := range []error{
		os.Truncate(filepath.Join(dir, "dicom/valid_1/valid_1_a/1/0003.dcm"), 300),
		os.WriteFile(filepath.Join(dir, "dicom/readme.txt"), []byte("no slice"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	edit(t, filepath.Join(dir, "dicom/train_2/train_2_a/1/0003.dcm"), "\x10\x00\x20\x00LO\x08\x00train_2 ", "\x10\x00\x20\x00LO\x08\x00train_9 ")
	edit(t, filepath.Join(dir, "reports.csv"), "\ntrain_1_b,", "\nother,")
	got := strings.Split(told(t, o), "\n")
	if len(got) != 5 || !strings.HasPrefix(got[2], "intake.Studies refuses 2.25.") || !strings.Contains(got[2]+got[3], "its files have several PatientIDs or AccessionNumbers") ||
		!strings.Contains(got[2]+got[3], "no-report: no row of reports.csv names it in the column id") ||
		got[4] != "intake.Studies refuses dicom/valid_1/valid_1_a/1/0003.dcm: dicom: truncated: a value of 44 bytes ends after 20" {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	after, err := Index(o)
	if err != nil || after[0].ID == before[0].ID {
		t.Errorf("the batch kept its id when a file changed: %v", err)
	}
}

func TestIndexRadChest(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"imgtrain_Abnormality_and_Location_Labels.csv": "NoteAcc_DEID,nodule*lung\ntrn00001,1\ntrn00002,0\ntrn00003,0\n",
		"imgvalid_Abnormality_and_Location_Labels.csv": "NoteAcc_DEID,nodule*lung\nval00001,1\n",
		"reports.csv": "id,report\ntrn00001,x\nother,x\ntrn00003,x\nval00001,x\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Layout: "radchestct", Root: dir}
	same(t, told(t, o), `train trn00001 of trn00001: 1 volumes, true
train trn00003 of trn00003: 1 volumes, true
valid val00001 of val00001: 1 volumes, true
intake.Studies refuses trn00002: no-report: no row of reports.csv names it in the column id`)
	if err := os.Remove(filepath.Join(dir, "reports.csv")); err != nil {
		t.Fatal(err)
	}
	same(t, told(t, o), `train trn00001 of trn00001: 1 volumes, false
train trn00002 of trn00002: 1 volumes, false
train trn00003 of trn00003: 1 volumes, false
valid val00001 of val00001: 1 volumes, false`)
	if o.Path = filepath.Join(dir, "named.csv"); func() error { _, err := Index(o); return err }() == nil {
		t.Error("a table of reports that is named and not there was passed over")
	}
}

// Rows of one id are one study with several volumes, from the table's folder or root.
func TestIndexTableWithVolumes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "in.csv")
	if err := os.WriteFile(path, []byte("id,patient,file,report\na,q,a1.nii,x\na,q,a2.npz,x\nb,p2,/far/b,y\nc,q,,z\na,q,a3,x\nbad\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	o := Options{Layout: "table", Path: path, BatchRows: 4, Columns: Columns{Patient: "patient", Volume: "file"}}
	same(t, told(t, o), `train a of q: 3 volumes, true
train b of p2: 1 volumes, true
intake.Studies refuses c: no-volume: its row names no volume
intake.Studies refuses in.csv:7: fields: 1 fields, the header has 4`)
	for root, want := range map[string]string{"": dir, "/root": "/root"} {
		o.Root = root
		batches, err := Index(o)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range batches[0].Scans {
			for _, v := range s.Volumes {
				got = append(got, v.ID+" "+v.Path)
			}
		}
		if w := []string{"a_1 " + want + "/a1.nii", "a_2 " + want + "/a2.npz", "a_3 " + want + "/a3", "b_1 /far/b"}; !slices.Equal(got, w) {
			t.Errorf("root %q: %v, want %v", root, got, w)
		}
	}
}

func TestLayoutsThatAreNotThere(t *testing.T) {
	dir := t.TempDir()
	for _, layout := range Layouts {
		if _, err := Index(Options{Layout: layout, Root: dir, Path: filepath.Join(dir, "in.csv")}); !errors.Is(err, ErrInput) {
			t.Errorf("%s: %v", layout, err)
		}
	}
}

// A patient is in one split, and about a fifth are in valid.
func TestDrawSplit(t *testing.T) {
	valid := 0
	for i := range 10_000 {
		if drawSplit(fmt.Sprint("patient", i)) == "valid" {
			valid++
		}
	}
	if valid < 1880 || valid > 2120 { // three standard deviations of a binomial
		t.Errorf("%d of 10000 in valid", valid)
	}
}
