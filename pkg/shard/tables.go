package shard

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"silverbeam/pkg/taxonomy"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
)

// Files that other tools read beside a manifest.
const (
	VolumesName = "manifest.parquet" // what the manifest says, a row a volume, with its labels
	LabelsName  = "labels.parquet"   // labels, a row a study, or a row of the input: see MergeLabels

	CroissantName = "croissant.json" // the files and the columns of VolumesName, by MLCommons' Croissant
)

// WriteTables writes what a data set holds, but for reports and voxels, into dir: as Parquet VolumesName and, where labels
// says so, LabelsName, and CroissantName. license is that of the source, an SPDX id or a URL; "": not known. The same data set makes
// the same bytes.
func (d *Dataset) WriteTables(dir string, labels bool, license string) error {
	sha256, bytes, err := writeTable(filepath.Join(dir, VolumesName), d.volumeFields(), d.addVolumes)
	if err == nil && labels {
		_, _, err = writeTable(filepath.Join(dir, LabelsName), LabelForm{}.fields(d.Findings()), d.addStudies)
	}
	files, rows := []any{fileObject(VolumesName, "application/x-parquet", bytes, sha256)}, 0
	for _, s := range d.shards {
		files = append(files, fileObject(s.ref.File, "application/vnd.apache.arrow.file", s.ref.Bytes, s.ref.Digest))
		rows += len(s.rows)
	}
	if err == nil {
		e := Export{Name: "chest-ct-" + d.manifest.Digest[:12], License: license, Reports: true}
		fields := columns(object{"fileObject": object{"@id": VolumesName}}, d.volumeFields())
		err = WriteFile(filepath.Join(dir, CroissantName), croissant(e, d.describe(e, rows), files, fields))
	}
	if err != nil {
		return fmt.Errorf("shard: %w", err)
	}
	return nil
}

func writeTable(path string, fields []arrow.Field, add func(*parquetTable) error) (sha256 string, bytes int64, err error) {
	return writeAtomic(path, 0o600, func(w io.Writer) error {
		t, err := newParquetTable(w, fields)
		if err != nil {
			return err
		}
		defer t.release()
		if err := add(t); err != nil {
			return err
		}
		return t.close()
	})
}

// volumeFields are the columns of VolumesName: a volume's ids, where it lies, its grid, that of its scan, and two columns a finding.
func (d *Dataset) volumeFields() []arrow.Field {
	text, small, large := arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int64
	fields := []arrow.Field{
		{Name: "patient", Type: text}, {Name: "study", Type: text}, {Name: "volume", Type: text}, {Name: "split", Type: text},
		{Name: "batch", Type: text}, {Name: "file", Type: text}, {Name: "row", Type: small},
		{Name: "at", Type: large}, {Name: "bytes", Type: large}, {Name: "sha256", Type: text}, {Name: "storage", Type: text},
		{Name: "shape_z", Type: small}, {Name: "shape_y", Type: small}, {Name: "shape_x", Type: small},
	}
	mm := arrow.PrimitiveTypes.Float64
	for _, c := range []struct {
		name string
		kind arrow.DataType
	}{{"spacing_%c_mm", mm}, {"scan_shape_%c", small}, {"scan_spacing_%c_mm", mm}} {
		for _, axis := range "zyx" {
			fields = append(fields, arrow.Field{Name: fmt.Sprintf(c.name, axis), Type: c.kind, Nullable: true})
		}
	}
	return append(fields, findingFields(d.Findings(), fields)...)
}

// findingFields are a finding's state, by its name, and its probability, by "p NAME". A finding that has the name of one
// of the other columns is called "NAME finding": some readers take upper and lower case for the same.
func findingFields(findings []string, others []arrow.Field) (fields []arrow.Field) {
	taken := func(name string) bool {
		return slices.ContainsFunc(others, func(f arrow.Field) bool { return strings.EqualFold(f.Name, name) })
	}
	for _, name := range findings {
		if taken(name) {
			name += " finding"
		}
		fields = append(fields, arrow.Field{Name: name, Type: arrow.PrimitiveTypes.Int8, Nullable: true},
			arrow.Field{Name: "p " + name, Type: arrow.PrimitiveTypes.Float32, Nullable: true})
	}
	return fields
}

// addVolumes adds the rows in the order of the manifest.
func (d *Dataset) addVolumes(t *parquetTable) error {
	p := d.Preset()
	for _, s := range d.shards {
		for i, r := range s.rows {
			at := s.ref.Tensors[i]
			row := []any{r.Patient, r.Study, r.Volume, s.split, s.ref.ID, s.ref.File, int32(i), at.At, at.Bytes, at.SHA256, d.Storage()}
			for _, n := range p.Shape {
				row = append(row, int32(n))
			}
			for _, mm := range p.SpacingMM {
				row = append(row, known(mm, mm > 0)) // 0: the whole field, whatever its size
			}
			for _, n := range r.Scan.Shape {
				row = append(row, known(int32(n), n > 0)) // 0: not known
			}
			for _, mm := range r.Scan.SpacingMM {
				row = append(row, known(mm, mm > 0))
			}
			if err := t.put(append(row, labelCells(len(d.Findings()), r.Labels)...)); err != nil {
				return err
			}
		}
	}
	return nil
}

// labelCells are a row's values of findingFields.
func labelCells(findings int, labels []taxonomy.Label) (cells []any) {
	if labels == nil {
		return make([]any, 2*findings)
	}
	for _, l := range labels {
		cells = append(cells, known(int8(l.State), l.State != taxonomy.NotMentioned), l.P)
	}
	return cells
}

// known is v, or nil.
func known(v any, is bool) any {
	if !is {
		return nil
	}
	return v
}

// addStudies adds a row for each study, in the order of the manifest.
func (d *Dataset) addStudies(t *parquetTable) error {
	seen := map[string]bool{}
	for _, s := range d.shards {
		for _, r := range s.rows {
			if seen[r.Study] {
				continue
			}
			seen[r.Study] = true
			if err := t.add(LabelForm{}, LabelRow{r.Study, r.Labels}); err != nil {
				return err
			}
		}
	}
	return nil
}

// put appends a row, a value a column; nil is a null.
func (t *parquetTable) put(row []any) error {
	for i, v := range row {
		b := t.builder.Field(i)
		switch v := v.(type) {
		case nil:
			b.AppendNull()
		case string:
			b.(*array.StringBuilder).Append(v)
		case int8:
			b.(*array.Int8Builder).Append(v)
		case int32:
			b.(*array.Int32Builder).Append(v)
		case int64:
			b.(*array.Int64Builder).Append(v)
		case float32:
			b.(*array.Float32Builder).Append(v)
		case float64:
			b.(*array.Float64Builder).Append(v)
		default:
			panic(fmt.Sprintf("shard: a column of %T", v))
		}
	}
	return t.next()
}
