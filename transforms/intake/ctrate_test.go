package intake

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A study keeps all its reconstructions, each once, in the batch of its first row.
func TestIndexCTRATE(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "dataset", "radiology_text_reports")
	table := "VolumeName,Findings_EN,Impressions_EN\ntrain_1_a_1.nii.gz,x,\ntrain_1_a_2.nii.gz,x,\ntrain_2_a_1.nii.gz,y,\ntrain_1_a_1.nii.gz,x,\ntrain_1_a_3.nii.gz,x,\ntrain_2_a_1.nii.gz,y,\n"
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "train_reports.csv"), []byte(table), 0o644)); err != nil {
		t.Fatal(err)
	}
	batches, err := Index(Options{Layout: "ct-rate", Root: root, BatchRows: 3})
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, b := range batches {
		got += b.Split + ":"
		for _, s := range b.Scans {
			got += " " + s.Patient + "/" + s.Study
			for _, v := range s.Volumes {
				got += fmt.Sprintf(" %s", v.ID)
			}
		}
		got += ";"
	}
	if want := "train: train_1/train_1_a train_1_a_1 train_1_a_2 train_1_a_3 train_2/train_2_a train_2_a_1;"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
