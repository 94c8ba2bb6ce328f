package ledger

import (
	"encoding/binary"
	"errors"
	"math"

	"silverbeam/pkg/taxonomy"
)

// Answer is what a labeler said about one report: codes, probabilities and offsets, never text.
type Answer struct {
	Labels   []taxonomy.Label // one per finding, in the taxonomy's order; Source is empty
	Model    string
	CostPico int64 // what the attempt that gave it cost
}

const labelBytes = 1 + 4 + 4 + 4 // state, p, from, to; little-endian

var errLabels = errors.New("stored labels are damaged")

// encodeLabels writes a version byte and the labels.
func encodeLabels(labels []taxonomy.Label) []byte {
	b := make([]byte, 1, 1+labelBytes*len(labels))
	b[0] = 1
	for _, l := range labels {
		b = append(b, byte(l.State))
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(l.P))
		b = binary.LittleEndian.AppendUint32(b, uint32(l.From))
		b = binary.LittleEndian.AppendUint32(b, uint32(l.To))
	}
	return b
}

func decodeLabels(b []byte) ([]taxonomy.Label, error) {
	if len(b) == 0 || b[0] != 1 || (len(b)-1)%labelBytes != 0 {
		return nil, errLabels
	}
	b = b[1:]
	labels := make([]taxonomy.Label, len(b)/labelBytes)
	for i := range labels {
		w := b[i*labelBytes:]
		labels[i] = taxonomy.Label{
			State: taxonomy.State(int8(w[0])),
			P:     math.Float32frombits(binary.LittleEndian.Uint32(w[1:])),
			From:  int(binary.LittleEndian.Uint32(w[5:])),
			To:    int(binary.LittleEndian.Uint32(w[9:])),
		}
		if s := labels[i].State; s < taxonomy.NotMentioned || s > taxonomy.Present {
			return nil, errLabels
		}
	}
	return labels, nil
}
