package intake

import (
	"fmt"
	"path"
	"strings"

	"silverbeam/pkg/bucket"
	"silverbeam/pkg/table"
	"silverbeam/schemas"
)

// radchestColumns are those of RAD-ChestCT's tables of labels that we read: a row a scan, whose volume is ID.npz.
var radchestColumns = table.Columns{Study: "NoteAcc_DEID"}

// radchestSplits are RAD-ChestCT's own splits, by the names of its tables of labels (Zenodo 6406114).
var radchestSplits = []struct{ split, labels string }{
	{"train", "imgtrain_Abnormality_and_Location_Labels.csv"},
	{"valid", "imgvalid_Abnormality_and_Location_Labels.csv"},
	{"test", "imgtest_Abnormality_and_Location_Labels.csv"},
}

// hasReports says whether a table of reports lies beside RAD-ChestCT: its own are not public.
func (o Options) hasReports() bool {
	_, err := bucket.Version(o.reports())
	return o.Path != "" || err == nil
}

// indexRadChest lists the scans of RAD-ChestCT's tables of labels: each is a patient and a study, in the table's split.
// With a table of reports, its rows are the studies, and a scan without a row is a reject.
func indexRadChest(o Options) ([]schemas.Batch, error) {
	files, err := openTree(o.Root)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", Name, ErrInput, err)
	}
	scan := func(split string) func(table.Row) (schemas.Scan, string, bool) {
		return func(row table.Row) (schemas.Scan, string, bool) {
			id := strings.TrimSuffix(row.ID, ".npz")
			v := schemas.Volume{ID: id, Path: files.path(id + ".npz")}
			return schemas.Scan{Study: id, Patient: id, Volumes: []schemas.Volume{v}}, split, true
		}
	}
	var tables []reportTable
	for _, sp := range radchestSplits {
		path := files.path(sp.labels)
		if _, err := files.version(path); err == nil {
			tables = append(tables, reportTable{path, radchestColumns, sp.split, scan(sp.split)})
		}
	}
	if len(tables) == 0 {
		return nil, fmt.Errorf("%s: %w: no tables of layout radchestct in %s (looked for %s)", Name, ErrInput, bucket.Name(o.Root), radchestSplits[0].labels)
	}
	if !o.hasReports() {
		return indexVolumes(o, files, tables, nil)
	}
	waiting := map[string]string{} // id → split
	var order []string
	for _, t := range tables {
		batches, err := t.index(1000)
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %w", Name, ErrInput, err)
		}
		for _, b := range batches {
			for _, s := range b.Scans {
				waiting[s.Study] = b.Split
				order = append(order, s.Study)
			}
		}
	}
	met := map[string]bool{}
	rows := reportTable{o.reports(), o.columns(), "train", func(row table.Row) (schemas.Scan, string, bool) {
		s, _, _ := scan("")(row)
		split, ok := waiting[s.Study]
		met[s.Study] = true
		return s, split, ok
	}}
	return indexVolumes(o, files, []reportTable{rows}, func() (rejects []schemas.Reject) {
		for _, id := range order {
			if !met[id] {
				rejects = append(rejects, noReport(id, o))
			}
		}
		return rejects
	})
}

// noReport refuses a study that the table of reports does not name.
func noReport(study string, o Options) schemas.Reject {
	return schemas.Reject{Study: study, Class: "no-report", Reason: fmt.Sprintf("no row of %s names it in the column %s", path.Base(bucket.Name(o.reports())), o.columns().Study)}
}
