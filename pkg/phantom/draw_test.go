package phantom

import (
	"math"
	"reflect"
	"testing"
)

// TestDrawMatchesCTRATE holds prevalence, phi, normal studies and splits against CT-RATE's published figures. 6,000
// studies of 5,000 patients: a standard error of a prevalence is below .008, of a phi about .015.
func TestDrawMatchesCTRATE(t *testing.T) {
	const n = 6000
	list, err := Draw(Options{Studies: n, Seed: 11})
	if err != nil {
		t.Fatal(err)
	}
	var count [nFindings]float64
	var both [nFindings][nFindings]float64
	normal, total, valid, volumes := 0, 0, 0, 0
	for _, s := range list {
		own := 0
		for i, a := range s.Findings {
			if !a {
				continue
			}
			own++
			count[i]++
			for j, b := range s.Findings {
				if b {
					both[i][j]++
				}
			}
		}
		total += own
		if own == 0 {
			normal++
		}
		if s.Split == "valid" {
			valid++
		}
		volumes += s.Volumes
	}
	near(t, "findings a study", float64(total)/n, 3.47, .12)
	near(t, "normal studies", float64(normal)/n, .115, .02)
	near(t, "valid studies", float64(valid)/n, .2, .015)
	near(t, "volumes a study", float64(volumes)/n, 1.667, .03)
	for i, p := range []float64{10.3, 28.5, 10.7, 7.4, 25.2, 13.7, 26.0, 19.7, 23.5, 44.8, 39.0, 27.3, 12.4, 8.3, 11.7, 19.1, 10.9, 8.2} {
		near(t, Findings[i], count[i]/n, p/100, .022)
	}
	phi := func(i, j int) float64 {
		a, b, ab := count[i]/n, count[j]/n, both[i][j]/n
		return (ab - a*b) / math.Sqrt(a*(1-a)*b*(1-b))
	}
	for _, c := range []struct {
		i, j int
		phi  float64
	}{
		{coronaryCalc, arterialCalc, .69}, {bronchiectasis, peribronchial, .35}, {cardiomegaly, arterialCalc, .31},
		{pleuralEffusion, septal, .31}, {pleuralEffusion, pericardialEffusion, .31}, {pleuralEffusion, atelectasis, .30},
		{pleuralEffusion, material, .30}, {pleuralEffusion, consolidation, .30}, {consolidation, opacity, .30},
		{nodule, pleuralEffusion, -.09}, {nodule, consolidation, -.11},
	} {
		near(t, "phi of "+Findings[c.i]+" and "+Findings[c.j], phi(c.i, c.j), c.phi, .06)
	}
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance {
		t.Errorf("%s: %.3f, want %.3f within %.3f", what, got, want, tolerance)
	}
}

func TestMoreStudiesOnlyExtend(t *testing.T) {
	few, err := Draw(Options{Studies: 37, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	many, err := Draw(Options{Studies: 90, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(few, many[:37]) {
		t.Error("the first 37 of 90 studies differ from 37 studies")
	}
	split := map[string]string{}
	for _, s := range many {
		if was, ok := split[s.Patient]; ok && was != s.Split {
			t.Errorf("patient %s is in %s and %s", s.Patient, was, s.Split)
		}
		split[s.Patient] = s.Split
	}
}

func TestOnlyNamedFindings(t *testing.T) {
	list, err := Draw(Options{Studies: 200, Seed: 5, Findings: []string{"Emphysema", "Lung nodule"}})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, s := range list {
		for i, on := range s.Findings {
			if on {
				seen++
				if i != emphysema && i != nodule {
					t.Fatalf("study %s has %s", s.ID, Findings[i])
				}
			}
		}
	}
	if seen == 0 {
		t.Error("no study has any finding")
	}
}

func TestBadOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"negative studies": {Studies: -1}, "difficulty": {Difficulty: 1.5}, "shape": {Shape: [3]int{128, 4, 128}},
		"fraction": {ValidFraction: 1}, "finding": {Findings: []string{"Nodule"}},
	} {
		if _, err := Draw(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
