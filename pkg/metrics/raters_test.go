package metrics

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"
)

// Agreement by scikit-learn, statsmodels, krippendorff and irrCAC, masks by scipy and MONAI: testdata/raters.py.
type raters struct {
	Agreement []struct {
		Names   []string
		Ratings [][]*float64
		Want    map[string]any
	}
	Masks []struct {
		Shape       [3]int
		Spacing     [3]float64
		Pred, Truth [][2][3]float64 // ellipsoids: centre, radii
		Want        map[string]any
	}
}

func TestRatersAndMasksAgainstOthers(t *testing.T) {
	var g raters
	b, err := os.ReadFile("testdata/raters.json")
	if err == nil {
		err = json.Unmarshal(b, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range g.Agreement {
		var ratings [][]float64
		for _, row := range c.Ratings {
			var r []float64
			for _, v := range row {
				if v == nil {
					r = append(r, math.NaN())
				} else {
					r = append(r, *v)
				}
			}
			ratings = append(ratings, r)
		}
		same(t, "agreement", NewRaters(c.Names, ratings), c.Want, nil)
	}
	for _, c := range g.Masks {
		m, err := NewMasks(ellipsoids(c.Shape, c.Pred), ellipsoids(c.Shape, c.Truth), c.Shape, c.Spacing)
		same(t, "masks", m, c.Want, err)
	}
}

func ellipsoids(shape [3]int, blobs [][2][3]float64) (out []bool) {
	for z := range shape[0] {
		for y := range shape[1] {
			for x := range shape[2] {
				inside := false
				for _, b := range blobs {
					d := 0.0
					for k, v := range [3]int{z, y, x} {
						e := (float64(v) - b[0][k]) / b[1][k]
						d += e * e
					}
					inside = inside || d <= 1
				}
				out = append(out, inside)
			}
		}
	}
	return out
}

// What cannot be said is not said.
func TestUndefinedAgreementAndMasks(t *testing.T) {
	nan := math.NaN()
	r := NewRaters([]string{"a", "b"}, [][]float64{{1, 1}, {1, 1}, {1, nan}, {nan, nan}})
	if p := r.Pairs["a|b"]; p.N != 2 || p.Kappa != nil || *p.PABAK != 1 || r.Fleiss != nil || r.Alpha != nil || r.AlphaOrdinal != nil || r.AC1 != nil {
		t.Errorf("one category: %+v", r)
	}
	r = NewRaters([]string{"a", "b"}, [][]float64{{1, nan}, {nan, 0}})
	if p := r.Pairs["a|b"]; p.Agreement != nil || p.Kappa != nil || r.Fleiss != nil || r.Alpha != nil || r.AC1 != nil {
		t.Errorf("no row of two: %+v", r)
	}
	mm := [3]float64{1, 1, 1}
	none, one := []bool{false, false}, []bool{true, false}
	if m, _ := NewMasks(none, none, [3]int{1, 1, 2}, mm); m.Dice != nil || m.IoU != nil || m.HD != nil || m.ASSD != nil || m.VolumeErrorML != 0 {
		t.Errorf("both empty: %+v", m)
	}
	if m, _ := NewMasks(none, one, [3]int{1, 1, 2}, mm); *m.Dice != 0 || *m.IoU != 0 || m.HD != nil || m.HD95 != nil || m.VolumeErrorML != -.001 {
		t.Errorf("one empty: %+v", m)
	}
}

// Distances against every pair of voxels.
func TestDistancesAgainstAllPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for range 20 {
		size := [3]int{1 + rng.IntN(6), 1 + rng.IntN(8), 1 + rng.IntN(9)}
		mm := [3]float64{.5 + 3*rng.Float64(), .5 + rng.Float64(), .5 + rng.Float64()}
		from, to := make([]bool, size[0]*size[1]*size[2]), make([]bool, size[0]*size[1]*size[2])
		for i := range from {
			from[i], to[i] = rng.IntN(3) == 0, rng.IntN(6) == 0
		}
		to[rng.IntN(len(to))] = true
		got := distances(from, to, size, mm)
		at := func(i int) [3]float64 {
			return [3]float64{float64(i/(size[1]*size[2])) * mm[0], float64(i/size[2]%size[1]) * mm[1], float64(i%size[2]) * mm[2]}
		}
		for i, on := range from {
			if !on {
				continue
			}
			want := math.Inf(1)
			for j, on := range to {
				if a, b := at(i), at(j); on {
					want = min(want, math.Sqrt((a[0]-b[0])*(a[0]-b[0])+(a[1]-b[1])*(a[1]-b[1])+(a[2]-b[2])*(a[2]-b[2])))
				}
			}
			near(t, "distance", got[0], want, 1e-12)
			got = got[1:]
		}
	}
}
