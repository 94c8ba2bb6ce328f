package shard

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"silverbeam/pkg/taxonomy"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
	flatbuffers "github.com/google/flatbuffers/go"
)

// parse reads a shard out of its bytes, whose digest was checked, but for its tensors, which it does not look at. Voxels
// stay where they are: the library's own reader would copy them (it has no mapped reader before v18), so record batches are
// found here, by Arrow's File.fbs and Message.fbs.
func parse(b []byte) (s Spec, rows []Row, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("not a shard of ours: %v", r)
		}
	}()
	f, err := ipc.NewFileReader(bytes.NewReader(b))
	if err != nil {
		return s, nil, err
	}
	defer f.Close()
	if s, err = specOf(f.Schema()); err != nil {
		return s, nil, err
	}
	for _, at := range batches(b) {
		batch := recordBatch(b, at)
		if batch.rows != 1 {
			return s, nil, fmt.Errorf("a record batch of %d rows, want 1", batch.rows)
		}
		r, err := s.row(batch)
		if err != nil {
			return s, nil, err
		}
		rows = append(rows, r)
	}
	return s, rows, nil
}

// specOf reads the metadata and holds the columns against what it asks for.
func specOf(schema *arrow.Schema) (s Spec, err error) {
	md := schema.Metadata()
	get := func(key string) string {
		v, ok := md.GetValue(key)
		if !ok {
			err = errors.Join(err, fmt.Errorf("no metadata %s", key))
		}
		return v
	}
	version, preset, digest, findings := get(keySchema), get(keyPreset), get(keyDigest), get(keyFindings)
	s.Split, s.HUSource, s.Storage = get(keySplit), get(keyHUSource), Raw
	if layout, ok := md.GetValue(keyBlocks); ok {
		if s.Storage = Compressed; layout != blockLayout {
			return s, fmt.Errorf("compressed as %s, this version reads %s", layout, blockLayout)
		}
	}
	if err != nil {
		return s, err
	}
	if version != Schema {
		return s, fmt.Errorf("schema %q, this version reads %q", version, Schema)
	}
	if err := errors.Join(json.Unmarshal([]byte(preset), &s.Preset), json.Unmarshal([]byte(findings), &s.Findings)); err != nil {
		return s, err
	}
	if got := s.Preset.Digest(); got != digest {
		return s, fmt.Errorf("preset %s was digest %.12s when this shard was made and is %.12s now", s.Preset.Name, digest, got)
	}
	want, err := s.schema()
	if err != nil {
		return s, err
	}
	if !schema.Equal(want) {
		return s, fmt.Errorf("columns %v, want %v", schema.Fields(), want.Fields())
	}
	return s, nil
}

// footerSuffix is the length of the footer and the magic, at the file's end.
const footerSuffix = 4 + len("ARROW1")

// batches are the offsets of the record batches' messages.
func batches(b []byte) (at []int64) {
	for block := range footerBlocks(b) {
		at = append(at, int64(binary.LittleEndian.Uint64(block)))
	}
	return at
}

// footerBlocks say where the record batches lie, in the file that ends with b: File.fbs, Footer.recordBatches.
func footerBlocks(b []byte) func(func([]byte) bool) {
	end := len(b) - footerSuffix
	return vector(root(b[end-int(binary.LittleEndian.Uint32(b[end:])):end]), 3, 24)
}

// batch is one record batch: its nodes and buffers in the order of the columns.
type batch struct {
	rows    int64
	nodes   [][2]int64 // length, nulls
	buffers [][]byte
}

// recordBatch reads Message.fbs, Message and RecordBatch, at an offset of b.
func recordBatch(b []byte, at int64) (r batch) {
	meta := int64(binary.LittleEndian.Uint32(b[at+4:])) // after the continuation mark
	body := b[at+8+meta:]
	message := root(b[at+8 : at+8+meta])
	header := table(message, message.Pos+slot(message, 2))
	r.rows = header.GetInt64(header.Pos + slot(header, 0))
	for e := range vector(header, 1, 16) {
		r.nodes = append(r.nodes, [2]int64{int64(binary.LittleEndian.Uint64(e)), int64(binary.LittleEndian.Uint64(e[8:]))})
	}
	for e := range vector(header, 2, 16) {
		offset, length := binary.LittleEndian.Uint64(e), binary.LittleEndian.Uint64(e[8:])
		r.buffers = append(r.buffers, body[offset:offset+length:offset+length])
	}
	return r
}

func root(b []byte) flatbuffers.Table {
	return flatbuffers.Table{Bytes: b, Pos: flatbuffers.GetUOffsetT(b)}
}

// slot is where field i of a table lies, from the table's start; it panics if the field is not there.
func slot(t flatbuffers.Table, i int) flatbuffers.UOffsetT {
	o := t.Offset(flatbuffers.VOffsetT(4 + 2*i))
	if o == 0 {
		panic(fmt.Sprintf("flatbuffer field %d is missing", i))
	}
	return flatbuffers.UOffsetT(o)
}

func table(t flatbuffers.Table, at flatbuffers.UOffsetT) flatbuffers.Table {
	return flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(at)}
}

// vector walks over the structs of a field.
func vector(t flatbuffers.Table, field, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		o := slot(t, field)
		start, n := t.Vector(o), t.VectorLen(o)
		for i := range n {
			if !yield(t.Bytes[int(start)+i*size:][:size]) {
				return
			}
		}
	}
}

// row takes a row out of a batch. The columns' buffers: a text has three (validity, offsets, bytes), as compressed tensors
// have, a list one and its values two.
func (s Spec) row(b batch) (r Row, err error) {
	const texts, lists = 4, 3
	nodes := texts + 2*lists
	if s.Storage == Compressed {
		nodes-- // ct is no list
	}
	if len(b.buffers) != 3*texts+3*lists || len(b.nodes) != nodes {
		return r, fmt.Errorf("%d buffers and %d nodes", len(b.buffers), len(b.nodes))
	}
	for i, to := range []*string{&r.Patient, &r.Study, &r.Volume, &r.Report} {
		o := b.buffers[3*i+1]
		*to = strings.Clone(string(b.buffers[3*i+2][binary.LittleEndian.Uint32(o):binary.LittleEndian.Uint32(o[4:])]))
	}
	if r.Labels, err = s.labels(b.nodes[texts:], b.buffers[3*texts:]); err != nil {
		return r, err
	}
	ct := b.buffers[len(b.buffers)-1]
	if s.Storage == Raw && (len(ct) != 2*s.Preset.Len() || uintptr(unsafe.Pointer(unsafe.SliceData(ct)))%2 != 0) {
		return r, fmt.Errorf("volume %s: %d bytes of voxels for the shape %v", r.Volume, len(ct), s.Preset.Shape)
	}
	r.kept = &kept{volume: r.Volume, shape: s.Preset.Shape, compressed: s.Storage == Compressed, bytes: ct}
	return r, nil
}

// labels reads the state and p columns: nodes and buffers start at state's. A null list means that nothing is known.
func (s Spec) labels(nodes [][2]int64, buffers [][]byte) ([]taxonomy.Label, error) {
	if nodes[0][1] > 0 {
		return nil, nil
	}
	n := len(s.Findings)
	states := array.NewInt8Data(data(arrow.PrimitiveTypes.Int8, nodes[1], buffers[1:3]))
	ps := array.NewFloat32Data(data(arrow.PrimitiveTypes.Float32, nodes[3], buffers[4:6]))
	defer states.Release()
	defer ps.Release()
	if states.Len() != n || ps.Len() != n {
		return nil, fmt.Errorf("%d states and %d probabilities for %d findings", states.Len(), ps.Len(), n)
	}
	labels := make([]taxonomy.Label, n)
	for i := range labels {
		labels[i] = taxonomy.Label{State: taxonomy.NotMentioned, P: ps.Value(i)}
		if states.IsValid(i) {
			labels[i].State = taxonomy.State(states.Value(i))
		}
	}
	return labels, nil
}

func data(t arrow.DataType, node [2]int64, buffers [][]byte) *array.Data {
	validity := memory.NewBufferBytes(buffers[0])
	if node[1] == 0 {
		validity = nil
	}
	return array.NewData(t, int(node[0]), []*memory.Buffer{validity, memory.NewBufferBytes(buffers[1])}, nil, int(node[1]), 0)
}
