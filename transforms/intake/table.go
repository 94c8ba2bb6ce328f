package intake

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"path/filepath"

	"silverbeam/pkg/bucket"
	"silverbeam/pkg/table"
	"silverbeam/schemas"
)

// indexTable cuts a report table into batches of consecutive rows.
func indexTable(o Options) (batches []schemas.Batch, err error) {
	if o.Columns.Volume != "" {
		return indexTableVolumes(o)
	}
	ranges, err := table.Cut(o.Path, o.columns(), rowsOr(o.BatchRows, 5000))
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", Name, ErrInput, err)
	}
	left := int64(o.Limit)
	for i, r := range ranges {
		b := schemas.Batch{ID: r.Digest, Index: i, Range: r}
		if o.Limit > 0 && r.Rows > left {
			b.Take = int(left)
			b.ID = fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%s first %d", r.Digest, left)))
		}
		if left -= r.Rows; o.Limit > 0 && left+r.Rows <= 0 {
			break
		}
		batches = append(batches, b)
	}
	if len(batches) == 0 {
		return nil, fmt.Errorf("%s: %w: %s has no rows", Name, ErrInput, bucket.Name(o.Path))
	}
	return batches, nil
}

// indexTableVolumes lists the studies of a table that names a volume in each row; rows of one id are one study.
func indexTableVolumes(o Options) ([]schemas.Batch, error) {
	files, err := openTree(cmp.Or(o.Root, filepath.Dir(o.Path)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", Name, ErrInput, err)
	}
	scan := func(row table.Row) (schemas.Scan, string, bool) {
		s := schemas.Scan{Study: row.ID, Patient: cmp.Or(row.Patient, row.ID)}
		if row.Volume != "" {
			v := schemas.Volume{Path: row.Volume}
			if !filepath.IsAbs(v.Path) {
				v.Path = files.path(v.Path)
			}
			s.Volumes = []schemas.Volume{v}
		}
		return s, drawSplit(s.Patient), true
	}
	return indexVolumes(o, files, []reportTable{{o.Path, o.columns(), "train", scan}}, nil)
}

func rowsOr(n, def int) int {
	if n == 0 {
		return def
	}
	return n
}
