package metrics

import "silverbeam/pkg/taxonomy"

// Unknown marks a cell that nobody has reviewed, or that was not labelled.
const Unknown taxonomy.State = -3

// Review is a sample of reports that people have labelled, beside a labeler's answers.
type Review struct {
	Findings     []string
	Truth, Label [][]taxonomy.State // [finding][row]; Unknown cells are left out of their finding
	Survey       *Survey
}

// Reviewed holds the figures of a labeler. In the figures uncertain counts as present and not mentioned as absent, on
// both sides.
type Reviewed struct {
	NRows     int                        `json:"n_rows"`
	NPatients int                        `json:"n_patients"`
	Labels    map[string]ReviewedFinding `json:"labels"`
	Macro     ReviewedMacro              `json:"macro"`
}

// ReviewedFinding holds the figures of one finding. Counts are of reviewed rows, without their weights.
type ReviewedFinding struct {
	Status       string `json:"status"` // "ok", or "undefined": no row of one class was reviewed
	N            int    `json:"n"`
	NPos         int    `json:"n_pos"`
	NNeg         int    `json:"n_neg"`
	NNotReviewed int    `json:"n_not_reviewed"`
	NNotLabelled int    `json:"n_not_labelled"`
	SampleRates
	Confusion Confusion                       `json:"confusion"`
	States    map[string]map[string]StateCell `json:"states"` // true state → label's state
}

// StateCell is a cell of the four-state confusion.
type StateCell struct {
	Count int    `json:"count"`
	Share Figure `json:"share"` // of the table's rows in the true state
}

// ReviewedMacro holds the unweighted means over findings; each n is the number of findings that are defined.
type ReviewedMacro struct {
	SampleRates
	NLabels int `json:"n_labels"` // findings with status ok
}

// Evaluate computes every figure over the rows in, all if nil.
func (r Review) Evaluate(in []bool) *Reviewed {
	out := &Reviewed{Labels: map[string]ReviewedFinding{}}
	out.NRows, out.NPatients = r.count(in)
	var all [6][]Figure
	for f, name := range r.Findings {
		l := r.finding(f, in)
		for i, g := range l.fields() {
			all[i] = append(all[i], *g)
		}
		if l.Status == "ok" {
			out.Macro.NLabels++
		}
		out.Labels[name] = l
	}
	for i, g := range out.Macro.fields() {
		*g = r.Survey.Mean(all[i]...)
		g.N = 0
		for _, x := range all[i] {
			if x.Value != nil {
				g.N++
			}
		}
	}
	return out
}

func (r Review) count(in []bool) (rows, patients int) {
	seen := make([]bool, r.Survey.Patient.N)
	for i, p := range r.Survey.Patient.Of {
		if in != nil && !in[i] {
			continue
		}
		rows++
		if !seen[p] {
			seen[p] = true
			patients++
		}
	}
	return rows, patients
}

func (r Review) finding(f int, in []bool) (l ReviewedFinding) {
	rows := len(r.Truth[f])
	truth, label := make([]int8, rows), make([]int8, rows)
	for i := range truth {
		t, s := r.Truth[f][i], r.Label[f][i]
		truth[i], label[i] = Missing, Missing
		switch {
		case in != nil && !in[i]:
		case t == Unknown:
			l.NNotReviewed++
		case s == Unknown:
			l.NNotLabelled++
		default:
			truth[i], label[i] = Binary(t), Binary(s)
		}
	}
	l.SampleRates = r.Survey.Rates(truth, label)
	l.Confusion, _ = Agree(truth, label)
	l.N, l.NPos, l.NNeg = l.Confusion.N(), l.Confusion.TP+l.Confusion.FN, l.Confusion.TN+l.Confusion.FP
	l.Status = "undefined"
	if l.NPos > 0 && l.NNeg > 0 {
		l.Status = "ok"
	}
	l.States = r.states(f, truth)
	return l
}

// Binary is a state as 1, 0 or Missing: uncertain counts as present, not mentioned as absent.
func Binary(s taxonomy.State) int8 {
	if s == Unknown {
		return Missing
	}
	v, _ := taxonomy.Binary(taxonomy.Label{State: s}, "one")
	return v
}

var states = []taxonomy.State{taxonomy.Present, taxonomy.Absent, taxonomy.Uncertain, taxonomy.NotMentioned}

// states is the four-state confusion over the rows whose truth is known.
func (r Review) states(f int, known []int8) map[string]map[string]StateCell {
	out := map[string]map[string]StateCell{}
	rows := len(known)
	for _, t := range states {
		cells := map[string]StateCell{}
		for _, s := range states {
			var c StateCell
			a, b, same, other := make([]float64, rows), make([]float64, rows), make([]bool, rows), make([]bool, rows)
			for i, k := range known {
				if k == Missing {
					continue
				}
				same[i], other[i] = r.Label[f][i] == s, r.Label[f][i] != s
				switch {
				case r.Truth[f][i] != t:
				case same[i]:
					a[i] = 1
					c.Count++
				default:
					b[i] = 1
				}
			}
			c.Share = r.Survey.Ratio(a, b, same, other)
			c.Share.low.z, c.Share.high.z = nil, nil // nothing more is made of it
			cells[s.String()] = c
		}
		out[t.String()] = cells
	}
	return out
}
