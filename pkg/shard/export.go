package shard

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path"
	"path/filepath"
	"strings"

	"silverbeam/pkg/volume"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/compress"
	"github.com/apache/arrow/go/v17/parquet/pqarrow"
)

// Export says how a data set is published.
type Export struct {
	Name    string // of the data set
	License string // of the source: an SPDX id or a URL; "": unknown, and the files say so
	Reports bool   // with the reports' text
}

// Exported is what was written.
type Exported struct {
	Rows  int
	Bytes int64
	files []exportedFile
}

type exportedFile struct {
	split, name string // name: below the folder, with slashes
	rows        int
	bytes       int64
	sha256      string
}

// HuggingFace writes a data set as a folder for Hugging Face's datasets: data/SPLIT-*.parquet, one for each shard, README.md,
// the card, and croissant.json, which describes the same files by MLCommons' Croissant 1.1. ct is nested lists, which
// datasets takes for an Array3D. Every voxel is held to its digest; one volume is in memory at a time, and a row group of
// compressed ones.
func (d *Dataset) HuggingFace(dir string, e Export) (out Exported, err error) {
	for _, split := range d.Splits() {
		var shards []*mapped
		for _, s := range d.shards {
			if s.split == split {
				shards = append(shards, s)
			}
		}
		for i, s := range shards {
			f := exportedFile{split: split, name: fmt.Sprintf("data/%s-%05d-of-%05d.parquet", split, i, len(shards)), rows: len(s.rows)}
			f.sha256, f.bytes, err = writeAtomic(filepath.Join(dir, filepath.FromSlash(f.name)), 0o600, func(w io.Writer) error { return d.exportShard(w, s, e) })
			if err != nil {
				return out, fmt.Errorf("shard: %s: %w", s.ref.File, err)
			}
			out.files, out.Rows, out.Bytes = append(out.files, f), out.Rows+f.rows, out.Bytes+f.bytes
		}
	}
	err = WriteFile(filepath.Join(dir, CroissantName), d.croissant(e, out))
	if err == nil {
		err = WriteFile(filepath.Join(dir, "README.md"), d.card(e, out))
	}
	return out, err
}

// exportFields are the columns but for ct, which comes last.
func (d *Dataset) exportFields(e Export) (fields []arrow.Field) {
	names := []string{"patient", "study", "volume", "report"}
	if !e.Reports {
		names = names[:3]
	}
	for _, name := range names {
		fields = append(fields, arrow.Field{Name: name, Type: arrow.BinaryTypes.String})
	}
	return append(fields, findingFields(d.Findings(), append(fields, arrow.Field{Name: "ct"}))...)
}

// groupBytes is how many bytes of voxels a row group holds, or one volume: what a reader that streams has in memory.
const groupBytes = 64 << 20

func (d *Dataset) exportShard(w io.Writer, s *mapped, e Export) error {
	fields, shape := d.exportFields(e), d.Preset().Shape
	plain := arrow.NewSchema(fields, nil)
	whole := arrow.NewSchema(append(fields, arrow.Field{Name: "ct", Type: nested(), Nullable: true}), nil)
	features, err := json.Marshal(map[string]any{"info": map[string]any{"features": d.features(e)}})
	if err != nil {
		return err
	}
	props := parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd), parquet.WithDictionaryFor(voxelPath, false),
		parquet.WithEncodingFor(voxelPath, parquet.Encodings.DeltaBinaryPacked))
	out, err := pqarrow.NewFileWriter(whole, struct{ io.Writer }{w}, props, pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
	if err != nil {
		return err
	}
	if err := out.AppendKeyValueMetadata("huggingface", string(features)); err != nil {
		return err
	}
	group := max(1, groupBytes/(2*d.Preset().Len()))
	for i, r := range s.rows {
		if i%group == 0 {
			out.NewBufferedRowGroup()
		}
		t := parquetTable{builder: array.NewRecordBuilder(memory.DefaultAllocator, plain)}
		row := []any{r.Patient, r.Study, r.Volume, r.Report}
		if !e.Reports {
			row = row[:3]
		}
		if err := t.put(append(row, labelCells(len(d.Findings()), r.Labels)...)); err != nil {
			return err
		}
		hu, err := r.Voxels()
		if err != nil {
			return err
		}
		rec := t.builder.NewRecord()
		if err := out.WriteBuffered(array.NewRecord(whole, append(rec.Columns(), nest(hu, shape)), 1)); err != nil {
			return err
		}
	}
	return out.Close()
}

// voxelPath is the Parquet column of the voxels. Differences of neighbours are small.
const voxelPath = "ct.list.element.list.element.list.element"

// nested is the type of ct: lists of lists of lists of int16.
func nested() arrow.DataType {
	return arrow.ListOf(arrow.ListOf(arrow.ListOf(arrow.PrimitiveTypes.Int16)))
}

// nest makes one row of nested lists of a tensor, without copying its voxels.
func nest(hu []int16, shape [3]int) arrow.Array {
	kind := nested()
	kinds := []arrow.DataType{kind}
	for range 3 {
		kind = kind.(*arrow.ListType).Elem()
		kinds = append(kinds, kind)
	}
	data := array.NewData(kinds[3], len(hu), []*memory.Buffer{nil, memory.NewBufferBytes(volume.Bytes(hu))}, nil, 0, 0)
	for i := 2; i >= 0; i-- {
		lists := data.Len() / shape[i]
		var ends []byte
		for k := range lists + 1 {
			ends = binary.LittleEndian.AppendUint32(ends, uint32(k*shape[i]))
		}
		data = array.NewData(kinds[i], lists, []*memory.Buffer{nil, memory.NewBufferBytes(ends)}, []arrow.ArrayData{data}, 0, 0)
	}
	return array.NewListData(data)
}

// features are the columns as datasets names their types.
func (d *Dataset) features(e Export) map[string]any {
	all := map[string]any{"ct": map[string]any{"shape": d.Preset().Shape, "dtype": "int16", "_type": "Array3D"}}
	for _, f := range d.exportFields(e) {
		all[f.Name] = map[string]any{"dtype": dtype(f.Type), "_type": "Value"}
	}
	return all
}

// dtype is a column's type by its name in datasets.
func dtype(t arrow.DataType) string {
	switch t.ID() {
	case arrow.INT8:
		return "int8"
	case arrow.FLOAT32:
		return "float32"
	}
	return "string"
}

// card is the README.md: what datasets and the Hub read of it, then what people do. JSON is YAML too.
func (d *Dataset) card(e Export, out Exported) []byte {
	var features, configs, splits []any
	for _, f := range d.exportFields(e) {
		features = append(features, map[string]any{"name": f.Name, "dtype": dtype(f.Type)})
	}
	p := d.Preset()
	features = append(features, map[string]any{"name": "ct", "dtype": map[string]any{"array3_d": map[string]any{"shape": p.Shape, "dtype": "int16"}}})
	for _, split := range d.Splits() {
		rows, size := 0, int64(0)
		for _, f := range out.files {
			if f.split == split {
				rows, size = rows+f.rows, size+f.bytes
			}
		}
		if rows > 0 {
			configs = append(configs, map[string]any{"split": split, "path": "data/" + split + "-*.parquet"})
			splits = append(splits, map[string]any{"name": split, "num_examples": rows, "num_bytes": size})
		}
	}
	var b bytes.Buffer
	b.WriteString("---\n")
	for _, line := range []struct {
		key   string
		value any
	}{
		{"license", licenseID(e.License)}, {"license_link", link(e.License)}, {"pretty_name", e.Name}, {"tags", []string{"medical", "chest-ct"}},
		{"configs", []any{map[string]any{"config_name": "default", "data_files": configs}}},
		{"dataset_info", map[string]any{"features": features, "splits": splits}},
	} {
		if line.value != "" {
			text, err := json.Marshal(line.value)
			if err != nil {
				panic("shard: card: " + err.Error())
			}
			fmt.Fprintf(&b, "%s: %s\n", line.key, text)
		}
	}
	fmt.Fprintf(&b, "---\n\n# %s\n\n%s\n\n```python\nimport datasets\n\ndata = datasets.load_dataset(\"FOLDER\", split=\"%s\").with_format(\"numpy\")\ndata[0][\"ct\"]    # %v: z, y, x\n```\n",
		e.Name, d.describe(e, out.Rows), strings.Join(d.Splits()[:min(1, len(d.Splits()))], ""), p.Shape)
	return b.Bytes()
}

// licenseID is what the Hub knows: an id in small letters, other for a URL, or unknown.
func licenseID(license string) string {
	switch {
	case license == "":
		return "unknown"
	case link(license) != "":
		return "other"
	}
	return strings.ToLower(license)
}

func link(license string) string {
	if strings.Contains(license, "://") {
		return license
	}
	return ""
}

// describe says in words what the files hold.
func (d *Dataset) describe(e Export, rows int) string {
	p := d.Preset()
	grid := fmt.Sprintf("%d x %d x %d voxels (z, y, x)", p.Shape[0], p.Shape[1], p.Shape[2])
	if mm := p.SpacingMM; mm != [3]float64{} {
		grid += fmt.Sprintf(" of %g x %g x %g mm", mm[0], mm[1], mm[2])
	}
	license := "The licence of the source is not known: ask before you pass it on."
	if e.License != "" {
		license = "The licence of the source, " + e.License + ", holds for this data set too."
	}
	reports := "without the reports' text"
	if e.Reports {
		reports = "with the reports' text"
	}
	return fmt.Sprintf("%d volumes of CT, %s. `ct` is int16 Hounsfield units on a grid of %s, x growing to the patient's left, y to the back, z to the head; "+
		"the preset %s shows %d to %d HU. A finding's column is 1 present, 0 absent, -1 uncertain, null not mentioned; `p` before its name is the probability. "+
		"Labels were read from reports by a program and may be wrong. %s\n\nMade of the data set %s.", rows, reports, grid, p.Name, p.LoHU, p.HiHU, license, d.manifest.Digest)
}

// croissant describes what is exported.
func (d *Dataset) croissant(e Export, out Exported) []byte {
	var files, parts []any
	for _, f := range out.files {
		files = append(files, fileObject(f.name, "application/x-parquet", f.bytes, f.sha256))
		parts = append(parts, object{"@id": f.name})
	}
	files = append(files, object{"@type": "cr:FileSet", "@id": "parquet", "name": "parquet", "containedIn": parts,
		"encodingFormat": "application/x-parquet", "includes": "data/*.parquet"})
	fields := columns(object{"fileSet": object{"@id": "parquet"}}, append(d.exportFields(e), arrow.Field{Name: "ct", Type: arrow.PrimitiveTypes.Int16}))
	ct, shape := fields[len(fields)-1].(object), d.Preset().Shape
	ct["isArray"], ct["arrayShape"] = true, fmt.Sprintf("%d,%d,%d", shape[0], shape[1], shape[2])
	return croissant(e, d.describe(e, out.Rows), files, fields)
}

// object is one of JSON.
type object = map[string]any

func fileObject(name, format string, bytes int64, sha256 string) object {
	return object{"@type": "cr:FileObject", "@id": name, "name": path.Base(name), "contentUrl": name,
		"encodingFormat": format, "contentSize": fmt.Sprint(bytes, " B"), "sha256": sha256}
}

// columns are the fields of a table whose source is a file or files.
func columns(source object, fields []arrow.Field) (out []any) {
	kinds := map[arrow.Type]string{arrow.STRING: "sc:Text", arrow.INT8: "cr:Int8", arrow.INT16: "cr:Int16", arrow.INT32: "cr:Int32", arrow.INT64: "cr:Int64",
		arrow.FLOAT32: "cr:Float32", arrow.FLOAT64: "cr:Float64"}
	for _, f := range fields {
		from := maps.Clone(source)
		from["extract"] = object{"column": f.Name}
		out = append(out, object{"@type": "cr:Field", "@id": "volumes/" + strings.Join(strings.Fields(f.Name), "_"), "name": f.Name, "dataType": kinds[f.Type.ID()], "source": from})
	}
	return out
}

// croissant is metadata by MLCommons' Croissant 1.1 (docs.mlcommons.org/croissant): files, and a record for each volume.
func croissant(e Export, description string, files, fields []any) []byte {
	about := object{"@context": json.RawMessage(croissantContext), "@type": "sc:Dataset", "conformsTo": "http://mlcommons.org/croissant/1.1",
		"name": e.Name, "description": description, "version": "1.0.0", "distribution": files,
		"recordSet": []any{object{"@type": "cr:RecordSet", "@id": "volumes", "name": "volumes", "field": fields}}}
	if e.License != "" {
		about["license"] = e.License
	}
	b, err := json.MarshalIndent(about, "", " ")
	if err != nil {
		panic("shard: croissant: " + err.Error())
	}
	return append(b, '\n')
}

// croissantContext is the vocabulary that the specification asks for.
const croissantContext = `{"@language": "en", "@vocab": "https://schema.org/", "arrayShape": "cr:arrayShape", "citeAs": "cr:citeAs", "column": "cr:column", "conformsTo": "dct:conformsTo",
"cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/", "data": {"@id": "cr:data", "@type": "@json"},
"dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "dct": "http://purl.org/dc/terms/", "equivalentProperty": "cr:equivalentProperty",
"examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract", "field": "cr:field", "fileProperty": "cr:fileProperty",
"fileObject": "cr:fileObject", "fileSet": "cr:fileSet", "format": "cr:format", "includes": "cr:includes", "isArray": "cr:isArray", "isLiveDataset": "cr:isLiveDataset",
"jsonPath": "cr:jsonPath", "key": "cr:key", "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path", "recordSet": "cr:recordSet",
"references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated", "replace": "cr:replace", "samplingRate": "cr:samplingRate", "sc": "https://schema.org/",
"separator": "cr:separator", "source": "cr:source", "subField": "cr:subField", "transform": "cr:transform"}`
