package metrics

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
)

// partsOf makes a table of patients with two volumes each: part 0 is scored at random, part 1 by the label, part 2 is small, and
// of some nothing is known.
func partsOf(patients int) (t Scores, p Partition) {
	rng := rand.New(rand.NewPCG(3, 5))
	t = Scores{Findings: []string{"a", "b"}, Y: make([][]int8, 2), S: make([][]float64, 2)}
	p = Partition{Property: "scanner", Parts: []string{"x", "y", "z"}}
	for i := range patients {
		part := []int{0, 0, 0, 1, 1, 1, -1}[i%7]
		if i < 5 {
			part = 2
		}
		for range 2 {
			t.Patient, p.Of = append(t.Patient, fmt.Sprint(i)), append(p.Of, part)
			for f := range t.Findings {
				y := int8(rng.IntN(2))
				t.Y[f], t.S[f] = append(t.Y[f], y), append(t.S[f], rng.NormFloat64()+[]float64{0, 3, 0, 0}[part&3]*float64(y))
			}
		}
	}
	return t, p
}

// A part's figures are those of a table of its rows alone, resampled with all patients; the difference is from the other known
// rows; what is small is left out.
func TestParts(t *testing.T) {
	table, p := partsOf(150)
	all, err := table.Parts([]Partition{p}, 10, Resampling{N: 300, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for k, s := range all[0] {
		var rows [2]Scores
		for side := range rows {
			rows[side] = Scores{Findings: table.Findings, Y: make([][]int8, 2), S: make([][]float64, 2)}
			for i, part := range p.Of {
				if part < 0 || (part == k) != (side == 0) {
					continue
				}
				rows[side].Patient = append(rows[side].Patient, table.Patient[i])
				for f := range table.Findings {
					rows[side].Y[f], rows[side].S[f] = append(rows[side].Y[f], table.Y[f][i]), append(rows[side].S[f], table.S[f][i])
				}
			}
		}
		own, err := rows[0].Summarise(Resampling{N: -1})
		if err != nil {
			t.Fatal(err)
		}
		rest, err := rows[1].Summarise(Resampling{N: -1})
		if err != nil {
			t.Fatal(err)
		}
		if s.Part != p.Parts[k] || s.NRows != own.NRows || s.NPatients != own.NPatients {
			t.Errorf("%s: %d rows of %d patients, want %d of %d", s.Part, s.NRows, s.NPatients, own.NRows, own.NPatients)
		}
		if k == 2 {
			if s.MacroAUC.Value != nil || s.Difference.Value != nil || s.P != nil {
				t.Errorf("%s: figures of %d patients: %+v", s.Part, s.NPatients, s)
			}
			continue
		}
		if math.Abs(*s.MacroAUC.Value-*own.Macro.AUC) > 1e-12 || math.Abs(*s.Difference.Value-(*own.Macro.AUC-*rest.Macro.AUC)) > 1e-12 || s.NLabels != 2 {
			t.Errorf("%s: %v and a difference of %v, want %v and %v", s.Part, *s.MacroAUC.Value, *s.Difference.Value, *own.Macro.AUC, *own.Macro.AUC-*rest.Macro.AUC)
		}
		if e := s.Difference.Ends; s.Holm == nil || *s.Holm > .01 || *s.Holm < *s.P || e == nil || e[0] < 0 && e[1] > 0 {
			t.Errorf("%s: random and nearly perfect scores do not differ: %+v", s.Part, s)
		}
	}
	again, err := table.Parts([]Partition{p}, 10, Resampling{N: 300, Seed: 1})
	if err != nil || !reflect.DeepEqual(all, again) {
		t.Errorf("not the same twice: %v", err)
	}
}

// A difference from others who are few would tell of them.
func TestPartsOfFewOthers(t *testing.T) {
	table, p := partsOf(60)
	for i, part := range p.Of {
		if part == 1 {
			p.Of[i] = -1
		}
	}
	all, err := table.Parts([]Partition{p}, 10, Resampling{N: 100})
	if err != nil {
		t.Fatal(err)
	}
	if x := all[0][0]; x.MacroAUC.Value == nil || x.Difference.Value != nil || x.P != nil {
		t.Errorf("beside %d patients: %+v", all[0][2].NPatients, x)
	}
	p.Of = p.Of[1:]
	if _, err := table.Parts([]Partition{p}, 10, Resampling{N: 100}); err == nil {
		t.Error("parts of fewer rows pass")
	}
}
