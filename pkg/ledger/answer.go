package ledger

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"slices"

	"silverbeam/pkg/taxonomy"
)

// FindingID names what was asked about one finding: see Store.Finding.
type FindingID [16]byte

// Answer is what one call said about one report: codes and probabilities, never text.
type Answer struct {
	Findings []FindingID      // those that were asked
	Labels   []taxonomy.Label // one for each; Source and offsets are empty
	Model    string
	CostPico int64  // what the attempt that gave it cost
	Run      string // the ledger that has the attempt, as Book.Run has it; "": not known
}

// Pick puts together what answers say about the wanted findings, the first that has one counts. Labels[i] is that of
// want[i], zero for a missing one. cost is what the labels had cost: of an answer that is used in part, that part.
func Pick(answers []Answer, want []FindingID) (labels []taxonomy.Label, missing []int, cost int64) {
	if len(answers) == 1 && slices.Equal(answers[0].Findings, want) { // as nearly all are
		return answers[0].Labels, nil, answers[0].CostPico
	}
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

// An answer on the disk is a version byte, the run, the name of its set of findings, and state and probability of each.
// Version 2 had no run, and each finding's id and offsets with its label.
const (
	version  = 3
	runBytes = 8
	headSize = 1 + runBytes + len(FindingID{})
	labSize  = 1 + 4
	oldSize  = len(FindingID{}) + labSize + 4 + 4
)

var errLabels = errors.New("stored labels are damaged")

func encodeAnswer(a Answer, set FindingID) []byte {
	b := make([]byte, 1+runBytes, headSize+labSize*len(a.Labels))
	b[0] = version
	if run, err := hex.DecodeString(a.Run); err == nil && len(run) == runBytes {
		copy(b[1:], run)
	}
	b = append(b, set[:]...)
	for _, l := range a.Labels {
		b = binary.LittleEndian.AppendUint32(append(b, byte(l.State)), math.Float32bits(l.P))
	}
	return b
}

// decode reads findings, labels and, where it is known, the run. of gives the findings of a set.
func (a *Answer) decode(b []byte, of func(set FindingID) ([]FindingID, error)) (err error) {
	switch {
	case len(b) >= headSize && b[0] == version:
		if run := b[1 : 1+runBytes]; !bytes.Equal(run, make([]byte, runBytes)) {
			a.Run = hex.EncodeToString(run)
		}
		a.Findings, err = of(FindingID(b[1+runBytes : headSize]))
		if b = b[headSize:]; err == nil && len(b) != labSize*len(a.Findings) {
			err = errLabels
		}
		for ; err == nil && len(b) > 0; b = b[labSize:] {
			err = a.add(b)
		}
	case len(b) > 0 && b[0] == 2 && len(b)%oldSize == 1:
		for b = b[1:]; err == nil && len(b) > 0; b = b[oldSize:] {
			a.Findings = append(a.Findings, FindingID(b))
			err = a.add(b[len(FindingID{}):])
		}
	default:
		err = errLabels
	}
	return err
}

func (a *Answer) add(b []byte) error {
	l := taxonomy.Label{State: taxonomy.State(int8(b[0])), P: math.Float32frombits(binary.LittleEndian.Uint32(b[1:]))}
	if l.State < taxonomy.NotMentioned || l.State > taxonomy.Present {
		return errLabels
	}
	a.Labels = append(a.Labels, l)
	return nil
}
