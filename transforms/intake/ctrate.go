package intake

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"silverbeam/pkg/bucket"
	"silverbeam/pkg/table"
	"silverbeam/schemas"
)

// ctrateColumns are those of CT-RATE's report tables: one row a reconstruction, the report repeated on each.
var ctrateColumns = table.Columns{Study: "VolumeName", Report: []string{"Findings_EN", "Impressions_EN"}}

// ctrateSplits are CT-RATE's own splits, by the folder of the volumes, with the names of their report tables.
var ctrateSplits = []struct{ split, reports, metadata string }{
	{"train", "train_reports.csv", "train_metadata.csv"},
	{"valid", "validation_reports.csv", "validation_metadata.csv"},
}

// indexCTRATE lists the studies of a folder in CT-RATE's layout: dataset/SPLIT/PATIENT/STUDY/VOLUME.nii.gz and
// dataset/radiology_text_reports.
func indexCTRATE(o Options) (batches []schemas.Batch, err error) {
	files, err := openTree(o.Root)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", Name, ErrInput, err)
	}
	if files.has("dataset") {
		files = files.below("dataset")
	}
	var tables []reportTable
	for _, sp := range ctrateSplits {
		path, err := files.table("radiology_text_reports", sp.reports)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w: %w", Name, ErrInput, err)
		}
		tables = append(tables, reportTable{path, ctrateColumns, sp.split, ctrateScan(files, sp.split)})
	}
	if len(tables) == 0 {
		return nil, fmt.Errorf("%s: %w: no report tables of layout ct-rate under %s (looked for dataset/radiology_text_reports/train_reports.csv)", Name, ErrInput, bucket.Name(o.Root))
	}
	return indexVolumes(o, files, tables, nil)
}

// table finds a table by its name, with or without the prefix that some downloads have.
func (t tree) table(dir, name string) (string, error) {
	var err error
	for _, n := range []string{name, "dataset_" + name} {
		path := t.path(dir + "/" + n)
		if _, err = t.version(path); err == nil {
			return path, nil
		}
	}
	return "", err
}

// ctrateScan reads a study and its volume from a row's volume name.
func ctrateScan(files tree, split string) func(table.Row) (schemas.Scan, string, bool) {
	folder := split
	if files.has(folder + "_fixed") {
		folder += "_fixed"
	}
	return func(row table.Row) (schemas.Scan, string, bool) {
		v := strings.TrimSuffix(strings.TrimSuffix(row.ID, ".gz"), ".nii")
		study, patient := parents(v)
		vol := schemas.Volume{ID: v, Path: files.path(strings.Join([]string{folder, patient, study, v + ".nii.gz"}, "/"))}
		return schemas.Scan{Study: study, Patient: patient, Volumes: []schemas.Volume{vol}}, split, true
	}
}

// parents splits CT-RATE's volume name: valid_1_a_2 is reconstruction 2 of study valid_1_a of patient valid_1.
func parents(volume string) (study, patient string) {
	study = volume
	if i := strings.LastIndexByte(volume, '_'); i > 0 {
		study = volume[:i]
	}
	if i := strings.LastIndexByte(study, '_'); i > 0 {
		return study, study[:i]
	}
	return study, study
}
