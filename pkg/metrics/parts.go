package metrics

import (
	"fmt"
	"math"
)

// Partition puts the rows of a table into parts by one property of them.
type Partition struct {
	Property string
	Parts    []string // names, in the order in which they are told
	Of       []int    // part of each row; below 0: not known, and in none
}

// PartScore is the macro AUC of the rows of one part, and how far it lies from that of the other parts' rows.
type PartScore struct {
	Part      string   `json:"part"`
	NRows     int      `json:"n_rows"`
	NPatients int      `json:"n_patients"`
	NLabels   int      `json:"n_labels"` // findings that have both classes in it
	MacroAUC  Interval `json:"macro_auc"`
	// Difference is the part's less the others', over the findings that are defined in both. P is of no difference: two-sided,
	// normal, by the bootstrap's standard error; Holm corrects it over all parts of all properties. Where a property has two parts
	// they are tested twice, so Holm's is then on the safe side.
	Difference Interval `json:"difference"`
	P          *float64 `json:"p"`
	Holm       *float64 `json:"p_holm"`
}

// Parts measures each part of each partition. All are resampled alike, by patient. A part of fewer patients than least has no
// figures, and the other parts none of a difference from it alone.
func (t Scores) Parts(by []Partition, least int, o Resampling) ([][]PartScore, error) {
	if err := t.check(nil); err != nil {
		return nil, err
	}
	clusters := t.clusters()
	out := make([][]PartScore, len(by))
	var ps []float64
	var tested []*PartScore
	for i, p := range by {
		if len(p.Of) != len(clusters.Of) {
			return nil, fmt.Errorf("metrics: %s: parts of %d rows, there are %d", p.Property, len(p.Of), len(clusters.Of))
		}
		out[i] = make([]PartScore, len(p.Parts))
		for k := range p.Parts {
			if err := t.part(&out[i][k], p, k, clusters, least, o); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", p.Property, p.Parts[k], err)
			}
			if s := &out[i][k]; s.P != nil {
				ps, tested = append(ps, *s.P), append(tested, s)
			}
		}
	}
	for i, holm := range Holm(ps) {
		tested[i].Holm = &holm
	}
	return out, nil
}

// part measures part k.
func (t Scores) part(s *PartScore, p Partition, k int, clusters Clusters, least int, o Resampling) error {
	s.Part = p.Parts[k]
	mine := func(part int) bool { return part == k }
	others := func(part int) bool { return part >= 0 && part != k }
	if s.NRows, s.NPatients = countParts(p.Of, clusters, mine); s.NPatients < least {
		return nil
	}
	var stats []Statistic
	var own, rest []int
	for f := range t.Findings {
		if t.S[f] == nil {
			continue
		}
		for _, side := range []struct {
			in func(part int) bool
			at *[]int
		}{{mine, &own}, {others, &rest}} {
			y := make([]int8, len(p.Of))
			for i, part := range p.Of {
				if y[i] = Missing; side.in(part) {
					y[i] = t.Y[f][i]
				}
			}
			stat, err := AUCStatistic(y, t.S[f], clusters)
			if err != nil {
				return err
			}
			*side.at, stats = append(*side.at, len(stats)), append(stats, stat)
		}
	}
	r, err := Bootstrap(clusters.N, stats, o)
	if err != nil {
		return err
	}
	s.NLabels = len(r.defined(own))
	s.MacroAUC = r.Mean(own...)
	if _, n := countParts(p.Of, clusters, others); n < least {
		return nil
	}
	s.Difference = r.Difference(own, rest)
	if d := s.Difference; d.Value != nil && d.SE != nil && *d.SE > 0 {
		s.P = Defined(math.Erfc(math.Abs(*d.Value) / *d.SE / math.Sqrt2), true)
	}
	return nil
}

// countParts counts the rows and patients of parts.
func countParts(of []int, clusters Clusters, in func(part int) bool) (rows, patients int) {
	seen := make([]bool, clusters.N)
	for i, part := range of {
		if in(part) {
			rows++
			if c := clusters.Of[i]; !seen[c] {
				seen[c] = true
				patients++
			}
		}
	}
	return rows, patients
}
