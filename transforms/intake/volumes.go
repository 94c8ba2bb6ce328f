package intake

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"silverbeam/pkg/bucket"
	"silverbeam/pkg/table"
	"silverbeam/pkg/volume"
	"silverbeam/schemas"
)

// reportTable is a table whose rows belong to studies with volumes.
type reportTable struct {
	path    string
	columns table.Columns
	split   string // where rows count that cannot be read
	// scan is the study of a row, with the volumes that this row brings, and its split; false: the row is of none.
	scan func(row table.Row) (s schemas.Scan, split string, ok bool)
}

// indexVolumes cuts report tables into batches, a range of rows into one for each split that has studies in it. A study
// belongs to the batch of its first row, with the volumes of all its rows. orphans are rejects that no row stands for.
func indexVolumes(o Options, files tree, tables []reportTable, orphans func() []schemas.Reject) (batches []schemas.Batch, err error) {
	for _, t := range tables {
		some, err := t.index(rowsOr(o.BatchRows, 16))
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %w", Name, ErrInput, err)
		}
		batches = append(batches, some...)
	}
	if len(batches) == 0 {
		return nil, fmt.Errorf("%s: %w: no row of %s names a study of layout %s under %s", Name, ErrInput, bucket.Name(tables[0].path), o.Layout, bucket.Name(files.root))
	}
	if o.Limit > 0 {
		batches = firstStudies(batches, o.Limit)
	} else if orphans != nil {
		last := &batches[len(batches)-1]
		last.Rejects = append(last.Rejects, orphans()...)
	}
	stamps := map[string]string{}
	for i := range batches {
		batches[i].Index, batches[i].ID = i, identify(o.Layout, files, batches[i], stamps)
	}
	return batches, nil
}

// index reads a table once.
func (t reportTable) index(batchRows int) (out []schemas.Batch, err error) {
	ranges, err := table.Cut(t.path, t.columns, batchRows)
	if err != nil {
		return nil, err
	}
	type place struct{ batch, scan int }
	seen := map[string]place{} // a study's batch and place in it
	var tables table.Reader
	defer tables.Close()
	for _, r := range ranges {
		rows, bad, err := tables.Read(r, t.columns)
		if err != nil {
			return nil, err
		}
		from := len(out)
		batch := func(split string) int {
			if i := slices.IndexFunc(out[from:], func(b schemas.Batch) bool { return b.Split == split }); i >= 0 {
				return from + i
			}
			out = append(out, schemas.Batch{Split: split, Range: r, Scans: []schemas.Scan{}})
			return len(out) - 1
		}
		for _, row := range rows {
			s, split, ok := t.scan(row)
			if !ok {
				continue
			}
			p, ok := seen[s.Study]
			if !ok {
				b := batch(split)
				p = place{b, len(out[b].Scans)}
				seen[s.Study] = p
				out[b].Scans = append(out[b].Scans, schemas.Scan{Study: s.Study, Patient: s.Patient, Line: row.Line})
			}
			for _, v := range s.Volumes {
				add(&out[p.batch].Scans[p.scan], v)
			}
		}
		for _, row := range bad {
			b := &out[batch(t.split)]
			b.Rejects = append(b.Rejects, schemas.Reject{Study: fmt.Sprintf("%s:%d", path.Base(bucket.Name(r.Path)), row.Line), Class: row.Class, Reason: row.Reason})
		}
	}
	return out, nil
}

// add gives a study one more volume, once even where the table names it twice. One without an id is numbered.
func add(s *schemas.Scan, v schemas.Volume) {
	if v.ID == "" {
		v.ID = fmt.Sprintf("%s_%d", s.Study, len(s.Volumes)+1)
	}
	if !slices.ContainsFunc(s.Volumes, func(w schemas.Volume) bool { return w.ID == v.ID || w.Path == v.Path && w.Series == v.Series }) {
		s.Volumes = append(s.Volumes, v)
	}
}

// validShare is the part of patients that drawSplit puts into the split valid.
const validShare = 0.2

// drawSplit is the split of a patient whose source knows none: by the digest of the patient's id, so that all studies
// of a patient are in one split, whatever else is in the data set.
func drawSplit(patient string) string {
	h := sha256.Sum256([]byte(patient))
	if float64(binary.BigEndian.Uint64(h[:]))/(1<<64) < validShare {
		return "valid"
	}
	return "train"
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

// identify gives a batch its id: the digest of its rows and of each volume's path, size and time of change (of an
// object: its tag), of a folder those of its files.
func identify(layout string, files tree, b schemas.Batch, stamps map[string]string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s %s %d\n", layout, b.Split, b.Range.Digest, b.Take)
	for _, s := range b.Scans {
		for _, v := range s.Volumes {
			rel, _ := filepath.Rel(bucket.Name(files.root), bucket.Name(v.Path))
			if _, ok := stamps[v.Path]; !ok {
				stamps[v.Path] = files.stamp(v.Path)
			}
			fmt.Fprintf(h, "%s %s%s", s.Study, rel, stamps[v.Path])
			if v.Series != "" {
				fmt.Fprintf(h, " %s", v.Series)
			}
			if v.Metadata != (volume.Metadata{}) {
				fmt.Fprintf(h, " %v", v.Metadata)
			}
			fmt.Fprintln(h)
		}
	}
	for _, r := range b.Rejects {
		fmt.Fprintln(h, r.Study, r.Class, r.Reason)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// stamp tells versions of a file or folder apart; "" is for what is not there and a reject later.
func (t tree) stamp(path string) string {
	if fi, err := os.Stat(path); t.listed != nil || err != nil || !fi.IsDir() {
		if version, err := t.version(path); err == nil {
			return " " + version
		}
		return ""
	}
	h := sha256.New()
	_ = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if fi, err := os.Stat(p); err == nil {
			fmt.Fprintf(h, "%s %d %d\n", p[len(path):], fi.Size(), fi.ModTime().UnixNano())
		}
		return nil
	})
	return fmt.Sprintf(" %x", h.Sum(nil))
}

// joinScans gives every study of a batch the report of its own row. Rejects of the index come after the studies.
func joinScans(b *schemas.Batch, step string, rows []table.Row) error {
	text := make(map[int64]string, len(rows))
	for _, r := range rows {
		text[r.Line] = r.Report
	}
	b.Studies = make([]schemas.Study, 0, len(b.Scans))
	b.Rejects = slices.Clone(b.Rejects)
	for _, s := range b.Scans {
		if len(s.Volumes) == 0 {
			b.Rejects = append(b.Rejects, schemas.Reject{Study: s.Study, Class: "no-volume", Reason: "its row names no volume"})
			continue
		}
		report, ok := text[s.Line]
		if !ok {
			return fmt.Errorf("%s changed while the run was reading it: no row at line %d", bucket.Name(b.Range.Path), s.Line)
		}
		b.Studies = append(b.Studies, schemas.Study{ID: s.Study, Patient: s.Patient, Report: report, Volumes: s.Volumes, Row: len(b.Rows)})
		b.Rows = append(b.Rows, s.Study)
	}
	for i := range b.Rejects {
		b.Rejects[i].Step, b.Rejects[i].Batch = step, b.ID
		b.Rows = append(b.Rows, b.Rejects[i].Study)
	}
	return nil
}
