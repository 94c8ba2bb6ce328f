package intake

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"silverbeam/pkg/bucket"
	"silverbeam/pkg/table"
	"silverbeam/pkg/volume"
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
		metadata := map[string]volume.Metadata{}
		if o.Metadata {
			if metadata, err = ctrateMetadata(files, sp.metadata); err != nil {
				return nil, fmt.Errorf("%s: hu_source metadata: %w: %w", Name, ErrInput, err)
			}
		}
		tables = append(tables, reportTable{path, ctrateColumns, sp.split, ctrateScan(files, sp.split, metadata)})
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

// About is the source's own table of what is known of the volumes of a split beside their reports; "" where it has none on this
// machine.
func (o Options) About(split string) string {
	if o.Layout != "ct-rate" || bucket.Is(o.Root) {
		return ""
	}
	files := tree{root: o.Root}
	if files.has("dataset") {
		files = files.below("dataset")
	}
	for _, s := range ctrateSplits {
		if s.split != split {
			continue
		}
		if path, err := files.table("metadata", s.metadata); err == nil {
			return path
		}
	}
	return ""
}

// metadataColumns are those of CT-RATE's metadata tables that say what the files of its first version lack: they hold raw values,
// and their headers no geometry (its discussion 58; CT-CLIP's issue 28).
var metadataColumns = table.Columns{Study: "VolumeName", Extra: []string{"RescaleSlope", "RescaleIntercept", "XYSpacing", "ZSpacing", "ImageOrientationPatient"}}

// ctrateMetadata reads a metadata table, by volume. A row without all the numbers is passed over, and refused with its volume.
func ctrateMetadata(files tree, name string) (map[string]volume.Metadata, error) {
	path, err := files.table("metadata", name)
	if err != nil {
		return nil, err
	}
	ranges, err := table.Cut(path, metadataColumns, 10_000)
	if err != nil {
		return nil, err
	}
	all := map[string]volume.Metadata{}
	var tables table.Reader
	defer tables.Close()
	for _, r := range ranges {
		rows, _, err := tables.Read(r, metadataColumns)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if m, err := metadataOf(row.Extra); err == nil {
				all[volumeID(row.ID)] = m
			}
		}
	}
	return all, nil
}

// metadataOf reads the cells of metadataColumns; lists are written as JSON writes them.
func metadataOf(cells []string) (m volume.Metadata, err error) {
	var xy [2]float64
	for i, to := range []any{&m.Slope, &m.Intercept, &xy, &m.SpacingMM[0], &m.Axes} {
		err = errors.Join(err, json.Unmarshal([]byte(cells[i]), to))
	}
	m.SpacingMM[2], m.SpacingMM[1] = xy[0], xy[1]
	return m, err
}

// volumeID is a file's name without its extensions.
func volumeID(name string) string { return strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".nii") }

// ctrateScan reads a study and its volume from a row's volume name.
func ctrateScan(files tree, split string, metadata map[string]volume.Metadata) func(table.Row) (schemas.Scan, string, bool) {
	folder := split
	if files.has(folder + "_fixed") {
		folder += "_fixed"
	}
	return func(row table.Row) (schemas.Scan, string, bool) {
		v := volumeID(row.ID)
		study, patient := parents(v)
		vol := schemas.Volume{ID: v, Path: files.path(strings.Join([]string{folder, patient, study, v + ".nii.gz"}, "/")), Metadata: metadata[v]}
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
