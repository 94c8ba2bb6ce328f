package ledger

import (
	"encoding/binary"
	"errors"
	"math"

	"silverbeam/pkg/taxonomy"
)

// FindingID names what was asked about one finding: see Store.Finding.
type FindingID [16]byte

// Answer is what one call said about one report: codes, probabilities and offsets, never text.
type Answer struct {
	Findings []FindingID      // those that were asked
	Labels   []taxonomy.Label // one for each; Source is empty
	Model    string
	CostPico int64 // what the attempt that gave it cost
}

// Pick puts together what answers say about the wanted findings, the first that has one counts. Labels[i] is that of
// want[i], zero for a missing one. cost is what the labels had cost: of an answer that is used in part, that part.
func Pick(answers []Answer, want []FindingID) (labels []taxonomy.Label, missing []int, cost int64) {
	labels = make([]taxonomy.Label, len(want))
	from := make(map[FindingID][2]int, len(want))
	for a := len(answers) - 1; a >= 0; a-- {
		for i, f := range answers[a].Findings {
			from[f] = [2]int{a, i}
		}
	}
	used := make([]int64, len(answers))
	for i, f := range want {
		at, ok := from[f]
		if !ok {
			missing = append(missing, i)
			continue
		}
		labels[i] = answers[at[0]].Labels[at[1]]
		used[at[0]]++
	}
	for a, n := range used {
		if all := int64(len(answers[a].Findings)); n > 0 {
			c := answers[a].CostPico
			cost += c/all*n + c%all*n/all
		}
	}
	return labels, missing, cost
}

const answerBytes = len(FindingID{}) + 1 + 4 + 4 + 4 // finding, state, p, from, to; little-endian

var errLabels = errors.New("stored labels are damaged")

// encodeLabels writes a version byte, and each finding with its label.
func encodeLabels(findings []FindingID, labels []taxonomy.Label) []byte {
	b := make([]byte, 1, 1+answerBytes*len(labels))
	b[0] = 2
	for i, l := range labels {
		b = append(b, findings[i][:]...)
		b = append(b, byte(l.State))
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(l.P))
		b = binary.LittleEndian.AppendUint32(b, uint32(l.From))
		b = binary.LittleEndian.AppendUint32(b, uint32(l.To))
	}
	return b
}

func decodeLabels(b []byte) (findings []FindingID, labels []taxonomy.Label, err error) {
	if len(b) == 0 || b[0] != 2 || (len(b)-1)%answerBytes != 0 {
		return nil, nil, errLabels
	}
	b = b[1:]
	n := len(b) / answerBytes
	findings, labels = make([]FindingID, n), make([]taxonomy.Label, n)
	for i := range labels {
		w := b[i*answerBytes+copy(findings[i][:], b[i*answerBytes:]):]
		labels[i] = taxonomy.Label{
			State: taxonomy.State(int8(w[0])),
			P:     math.Float32frombits(binary.LittleEndian.Uint32(w[1:])),
			From:  int(binary.LittleEndian.Uint32(w[5:])),
			To:    int(binary.LittleEndian.Uint32(w[9:])),
		}
		if s := labels[i].State; s < taxonomy.NotMentioned || s > taxonomy.Present {
			return nil, nil, errLabels
		}
	}
	return findings, labels, nil
}
