package fit

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// eventsFile is history.jsonl for TensorBoard: records of a framed length, each a message Event of TensorFlow's
// event.proto. The wall time of a step is its seconds of training, so that a training that goes on draws one line.
const eventsFile = "events.out.tfevents.0.silverbeam"

// eventsHead begins the file: what version its records have.
func eventsHead() []byte {
	return frame(protowire.AppendString(protowire.AppendTag(nil, 3, protowire.BytesType), "brain.Event:2"))
}

// event is a record as the file has it: loss, grad_norm and lr as scalars, and what not every step has.
func (r Record) event() []byte {
	var summary []byte
	for _, v := range []struct {
		tag    string
		x      float64
		always bool
	}{{"loss", r.Loss, true}, {"grad_norm", r.GradNorm, true}, {"lr", r.LR, true}, {"valid_loss", r.Valid, false}, {"peak", r.Peak, false}} {
		if !v.always && v.x == 0 {
			continue
		}
		value := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), v.tag)
		value = protowire.AppendFixed32(protowire.AppendTag(value, 2, protowire.Fixed32Type), math.Float32bits(float32(v.x)))
		summary = protowire.AppendBytes(protowire.AppendTag(summary, 1, protowire.BytesType), value)
	}
	b := protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), math.Float64bits(r.Seconds))
	b = protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), uint64(r.Step))
	return frame(protowire.AppendBytes(protowire.AppendTag(b, 5, protowire.BytesType), summary))
}

// frame is a record of TensorFlow's record files: length, its checksum, data, theirs, numbers little-endian.
func frame(data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	b = binary.LittleEndian.AppendUint32(b, masked(b))
	return binary.LittleEndian.AppendUint32(append(b, data...), masked(data))
}

// masked is CRC-32C turned and moved, as those files have it, so that a checksum of data with checksums is no weaker.
func masked(b []byte) uint32 {
	c := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
	return (c>>15 | c<<17) + 0xa282ead8
}
