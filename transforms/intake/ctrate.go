package intake

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
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
// dataset/radiology_text_reports. A study belongs to the batch of its first row, with all its reconstructions.
func indexCTRATE(o Options) (batches []schemas.Batch, err error) {
	files, err := openTree(o.Root)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", Name, ErrInput, err)
	}
	if files.has("dataset") {
		files = files.below("dataset")
	}
	left := o.Limit
	for _, sp := range ctrateSplits {
		reports, err := files.table("radiology_text_reports", sp.reports)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w: %w", Name, ErrInput, err)
		}
		one, err := indexSplit(files, sp.split, reports, rowsOr(o.BatchRows, 16))
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %w", Name, ErrInput, err)
		}
		batches = append(batches, one...)
	}
	if o.Limit > 0 {
		batches = firstStudies(batches, left)
	}
	if len(batches) == 0 {
		return nil, fmt.Errorf("%s: %w: no report tables of layout ct-rate under %s (looked for dataset/radiology_text_reports/train_reports.csv)", Name, ErrInput, bucket.Name(o.Root))
	}
	for i := range batches {
		batches[i].Index, batches[i].ID = i, identify(files, batches[i])
	}
	return batches, nil
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

// indexSplit cuts one report table into batches and gathers each study's reconstructions.
func indexSplit(files tree, split, reports string, batchRows int) ([]schemas.Batch, error) {
	ranges, err := table.Cut(reports, ctrateColumns, batchRows)
	if err != nil {
		return nil, err
	}
	folder := split
	if files.has(folder + "_fixed") {
		folder += "_fixed"
	}
	type place struct{ batch, scan int }
	seen := map[string]place{} // a study's batch and place in it
	var out []schemas.Batch
	var tables table.Reader
	defer tables.Close()
	for _, r := range ranges {
		rows, _, err := tables.Read(r, ctrateColumns)
		if err != nil {
			return nil, err
		}
		b := schemas.Batch{Split: split, Range: r, Scans: []schemas.Scan{}}
		for _, row := range rows {
			v := strings.TrimSuffix(strings.TrimSuffix(row.ID, ".gz"), ".nii")
			study, patient := parents(v)
			vol := schemas.Volume{ID: v, Path: files.path(strings.Join([]string{folder, patient, study, v + ".nii.gz"}, "/"))}
			if p, ok := seen[study]; ok && p.batch < len(out) {
				add(&out[p.batch].Scans[p.scan], vol)
			} else if ok {
				add(&b.Scans[p.scan], vol)
			} else {
				seen[study] = place{len(out), len(b.Scans)}
				b.Scans = append(b.Scans, schemas.Scan{Study: study, Patient: patient, Line: row.Line, Volumes: []schemas.Volume{vol}})
			}
		}
		out = append(out, b)
	}
	return out, nil
}

// add gives a study one more reconstruction, once even where the table names it twice.
func add(s *schemas.Scan, v schemas.Volume) {
	if !slices.ContainsFunc(s.Volumes, func(w schemas.Volume) bool { return w.ID == v.ID }) {
		s.Volumes = append(s.Volumes, v)
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

// firstStudies keeps the first n studies.
func firstStudies(batches []schemas.Batch, n int) (out []schemas.Batch) {
	for _, b := range batches {
		if n <= 0 {
			break
		}
		b.Scans = b.Scans[:min(n, len(b.Scans))]
		b.Take = len(b.Scans)
		n -= len(b.Scans)
		out = append(out, b)
	}
	return out
}

// identify gives a batch its id: the digest of its rows and of each volume's path, size and time of change (of
// an object: its tag).
func identify(files tree, b schemas.Batch) string {
	h := sha256.New()
	fmt.Fprintf(h, "ct-rate %s %s %d\n", b.Split, b.Range.Digest, b.Take)
	for _, s := range b.Scans {
		for _, v := range s.Volumes {
			rel, _ := filepath.Rel(bucket.Name(files.root), bucket.Name(v.Path))
			fmt.Fprintf(h, "%s %s", s.Study, rel)
			if version, err := files.version(v.Path); err == nil {
				fmt.Fprintf(h, " %s", version)
			}
			fmt.Fprintln(h)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// joinScans gives every study of a batch the report of its own row. A row that broke had no scan: it is a reject here.
func joinScans(b *schemas.Batch, step string, rows []table.Row, bad []table.BadRow) error {
	text := make(map[int64]string, len(rows))
	for _, r := range rows {
		text[r.Line] = r.Report
	}
	b.Studies = make([]schemas.Study, 0, len(b.Scans))
	for _, s := range b.Scans {
		report, ok := text[s.Line]
		if !ok {
			return fmt.Errorf("%s changed while the run was reading it: no row at line %d", bucket.Name(b.Range.Path), s.Line)
		}
		b.Studies = append(b.Studies, schemas.Study{ID: s.Study, Patient: s.Patient, Report: report, Volumes: s.Volumes, Row: len(b.Rows)})
		b.Rows = append(b.Rows, s.Study)
	}
	for len(bad) > 0 {
		bad = refuse(b, step, bad)
	}
	return nil
}
