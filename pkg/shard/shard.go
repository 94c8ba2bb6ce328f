// Package shard keeps training data: Arrow files of labelled volumes, the manifest that names them, and tables of labels.
//
// A shard is one Arrow IPC file a batch, a record batch a row: text columns patient, study, volume and
// report; state and p, fixed-size lists over the findings; ct, an arrow.fixed_shape_tensor of int16 HU in z, y, x, or
// binary with compressed blocks of it, at a multiple of 64 bytes. The same rows make the same bytes. A file is seen whole or
// not at all. The manifest has digests of each tensor and of the rest of a file, and a reader checks them before it
// believes a byte: Arrow v17 ends the process on a flipped bit.
package shard

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"

	"silverbeam/pkg/taxonomy"
	"silverbeam/pkg/volume"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Schema is the version of the shards' columns and metadata, and of the manifest; it is part of a manifest's digest.
const Schema = "silverbeam.shard.4"

// Row is one reconstruction with its study's report and labels.
type Row struct {
	Patient, Study, Volume string
	Report                 string
	Labels                 []taxonomy.Label // one a finding, in order; nil: none are known. A shard keeps State and P alone
	HU                     []int16          // len = z*y*x of the preset's shape, clipped HU; nil in rows that were read: see Voxels
	Scan                   Scan             // what HU was made of

	kept *kept // of a row that was read
}

// Scan is a volume as it was read, before the preset. The zero Scan: nothing is known of it.
type Scan struct {
	Shape     [3]int      `json:"shape,omitzero"`      // voxels, z, y, x
	SpacingMM [3]float64  `json:"spacing_mm,omitzero"` // z, y, x
	HU        volume.Bins `json:"-"`                   // kept for a shard's scans together: zero in rows that were read
}

// ExtentMM is the scan's field along z, y, x.
func (s Scan) ExtentMM() (mm [3]float64) {
	for i, n := range s.Shape {
		mm[i] = float64(n) * s.SpacingMM[i]
	}
	return mm
}

// Spec is what a shard's rows have in common. It is kept in the file.
type Spec struct {
	Preset   volume.Preset
	Findings []string
	Split    string
	HUSource string
	Storage  string // Raw or Compressed; "" is Raw
}

// Write makes the shard at path of rows, holding one of them at a time. An error from rows, or of the disk, leaves nothing behind.
func Write(path string, s Spec, rows iter.Seq2[Row, error]) (Written, error) {
	return write(path, s, rows, memory.DefaultAllocator)
}

func write(path string, s Spec, rows iter.Seq2[Row, error], mem memory.Allocator) (f Written, err error) {
	next, stop := iter.Pull2(rows)
	defer stop()
	first, err, ok := next()
	if !ok || err != nil {
		return f, err
	}
	schema, err := s.schema()
	if err != nil {
		return f, err
	}
	f.Digest, f.Bytes, err = writeAtomic(path, 0o600, func(w io.Writer) error {
		file := newArrowFile(w)
		out, err := ipc.NewFileWriter(file, ipc.WithSchema(schema), ipc.WithAllocator(mem))
		if err != nil {
			return err
		}
		for r, ok := first, true; ok; r, err, ok = next() {
			if err != nil {
				return err
			}
			if file.tensor, err = s.bytes(r); err == nil {
				err = s.writeRow(out, schema, r, file.tensor, mem)
			}
			if err != nil {
				return fmt.Errorf("volume %s: %w", r.Volume, err)
			}
			if f.Rows++; len(file.tensors) != f.Rows {
				panic("shard: a tensor was not written as it lies in memory")
			}
			t := &file.tensors[f.Rows-1]
			t.Patient, t.Study, t.Volume, t.Scan = r.Patient, r.Study, r.Volume, r.Scan
			f.HU.Add(r.Scan.HU)
		}
		if err := out.Close(); err != nil {
			return err
		}
		f.Tensors = file.tensors
		f.Head, err = file.close()
		return err
	})
	if err != nil {
		return Written{}, fmt.Errorf("shard: %s: %w", path, err)
	}
	return f, nil
}

// Keys of a shard's metadata.
const (
	keySchema   = "silverbeam.schema"
	keyPreset   = "silverbeam.preset"
	keyDigest   = "silverbeam.preset_digest"
	keyFindings = "silverbeam.findings"
	keySplit    = "silverbeam.split"
	keyHUSource = "silverbeam.hu_source"
	keyBlocks   = "silverbeam.blocks" // of compressed shards: how a ct is laid out
)

func (s Spec) schema() (*arrow.Schema, error) {
	if len(s.Findings) == 0 || s.Preset.Len() < 1 {
		return nil, fmt.Errorf("shard: %d findings and a tensor of %v: neither may be empty", len(s.Findings), s.Preset.Shape)
	}
	preset, err := json.Marshal(s.Preset)
	if err != nil {
		return nil, err
	}
	findings, err := json.Marshal(s.Findings)
	if err != nil {
		return nil, err
	}
	keys := []string{keySchema, keyPreset, keyDigest, keyFindings, keySplit, keyHUSource}
	values := []string{Schema, string(preset), s.Preset.Digest(), string(findings), s.Split, s.HUSource}
	if s.Storage == Compressed {
		keys, values = append(keys, keyBlocks), append(values, blockLayout)
	}
	md := arrow.NewMetadata(keys, values)
	return arrow.NewSchema(s.fields(), &md), nil
}

// blockLayout tells other readers how compressed tensors lie; see blocks.go.
const blockLayout = `{"side":32,"order":"zyx","codec":"zstd","frames":"low bytes, high bytes","ends":"uint32 of each frame","values":"zigzag differences in x, then y"}`

// fields are the columns. v17 has no arrow.fixed_shape_tensor, so its metadata stands by hand on the storage type
// (Arrow columnar format, canonical extension types).
func (s Spec) fields() []arrow.Field {
	shape := strings.ReplaceAll(fmt.Sprint(s.Preset.Shape), " ", ",")
	tensor := arrow.NewMetadata([]string{"ARROW:extension:name", "ARROW:extension:metadata"},
		[]string{"arrow.fixed_shape_tensor", `{"shape":` + shape + `,"dim_names":["z","y","x"]}`})
	fields := []arrow.Field{
		{Name: "patient", Type: arrow.BinaryTypes.String}, {Name: "study", Type: arrow.BinaryTypes.String},
		{Name: "volume", Type: arrow.BinaryTypes.String}, {Name: "report", Type: arrow.BinaryTypes.String},
		{Name: "state", Type: arrow.FixedSizeListOf(int32(len(s.Findings)), arrow.PrimitiveTypes.Int8), Nullable: true},
		{Name: "p", Type: arrow.FixedSizeListOf(int32(len(s.Findings)), arrow.PrimitiveTypes.Float32), Nullable: true},
		{Name: "ct", Type: arrow.FixedSizeListOfNonNullable(int32(s.Preset.Len()), arrow.PrimitiveTypes.Int16), Metadata: tensor},
	}
	if s.Storage == Compressed {
		fields[6] = arrow.Field{Name: "ct", Type: arrow.BinaryTypes.Binary}
	}
	return fields
}

// bytes are a row's tensor as it is stored.
func (s Spec) bytes(r Row) ([]byte, error) {
	if len(r.HU) != s.Preset.Len() {
		return nil, fmt.Errorf("%d voxels for the shape %v", len(r.HU), s.Preset.Shape)
	}
	if s.Storage == Compressed {
		return pack(nil, r.HU, s.Preset.Shape), nil
	}
	return volume.Bytes(r.HU), nil
}

// writeRow writes one record batch. The tensor goes out as it lies in memory.
func (s Spec) writeRow(out *ipc.FileWriter, schema *arrow.Schema, r Row, ct []byte, mem memory.Allocator) error {
	if r.Labels != nil && len(r.Labels) != len(s.Findings) {
		return fmt.Errorf("%d labels for %d findings", len(r.Labels), len(s.Findings))
	}
	cols := []arrow.Array{text(r.Patient, mem), text(r.Study, mem), text(r.Volume, mem), text(r.Report, mem),
		s.states(r.Labels, mem), s.probabilities(r.Labels, mem), tensor(schema.Field(6).Type, ct)}
	rec := array.NewRecord(schema, cols, 1)
	for _, c := range cols {
		c.Release()
	}
	defer rec.Release()
	return out.Write(rec)
}

func text(s string, mem memory.Allocator) arrow.Array {
	b := array.NewStringBuilder(mem)
	defer b.Release()
	b.Append(s)
	return b.NewArray()
}

// states: 1 present, 0 absent, -1 uncertain, null not mentioned.
func (s Spec) states(labels []taxonomy.Label, mem memory.Allocator) arrow.Array {
	b := array.NewFixedSizeListBuilder(mem, int32(len(s.Findings)), arrow.PrimitiveTypes.Int8)
	defer b.Release()
	b.Append(labels != nil)
	v := b.ValueBuilder().(*array.Int8Builder)
	for i := range s.Findings {
		if labels == nil || labels[i].State == taxonomy.NotMentioned {
			v.AppendNull()
		} else {
			v.Append(int8(labels[i].State))
		}
	}
	return b.NewArray()
}

func (s Spec) probabilities(labels []taxonomy.Label, mem memory.Allocator) arrow.Array {
	b := array.NewFixedSizeListBuilder(mem, int32(len(s.Findings)), arrow.PrimitiveTypes.Float32)
	defer b.Release()
	b.Append(labels != nil)
	v := b.ValueBuilder().(*array.Float32Builder)
	for i := range s.Findings {
		if labels == nil {
			v.AppendNull()
		} else {
			v.Append(labels[i].P)
		}
	}
	return b.NewArray()
}

// tensor wraps the bytes without copying them.
func tensor(t arrow.DataType, ct []byte) arrow.Array {
	if t.ID() == arrow.BINARY {
		ends := binary.LittleEndian.AppendUint32(make([]byte, 4), uint32(len(ct)))
		data := array.NewData(t, 1, []*memory.Buffer{nil, memory.NewBufferBytes(ends), memory.NewBufferBytes(ct)}, nil, 0, 0)
		defer data.Release()
		return array.NewBinaryData(data)
	}
	values := array.NewData(arrow.PrimitiveTypes.Int16, len(ct)/2, []*memory.Buffer{nil, memory.NewBufferBytes(ct)}, nil, 0, 0)
	defer values.Release()
	list := array.NewData(t, 1, []*memory.Buffer{nil}, []arrow.ArrayData{values}, 0, 0)
	defer list.Release()
	return array.NewFixedSizeListData(list)
}
