package volume_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"silverbeam/pkg/phantom"
	"silverbeam/pkg/volume"
)

// chestOf asks a preset about a volume.
func chestOf(t *testing.T, preset string, v *volume.Volume) error {
	t.Helper()
	p, err := volume.PresetByName(preset)
	if err != nil {
		t.Fatal(err)
	}
	hu, err := p.Tensor(v.Scan())
	if err != nil {
		t.Fatal(err)
	}
	var mm [3]float64
	for i, n := range v.Shape {
		mm[i] = float64(n) * v.SpacingMM[i]
	}
	return p.Chest(hu, mm)
}

// No phantom is refused, whatever is in its lungs.
func TestChestOfPhantoms(t *testing.T) {
	o := phantom.Options{Studies: 24, Seed: 5, Shape: [3]int{32, 32, 32}}
	list, err := phantom.Draw(o)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range list {
		volumes, err := s.Render(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range volumes {
			if err := chestOf(t, []string{"demo", "compact", "demo", "mps-ct"}[i%4], v); err != nil {
				t.Errorf("%s: %v", s.ID, err)
			}
		}
	}
}

// Other parts of the body are refused with the numbers, also with gas in them and noise on them; a chest with one white side,
// or that reaches far into the abdomen, is not.
func TestChestOfOtherParts(t *testing.T) {
	within := func(x, y, a, b float64) bool { return x*x/(a*a)+y*y/(b*b) < 1 }
	lungs := func(x, y float64) float64 { // a chest's section
		switch {
		case within(x-66, y, 50, 80), within(x+66, y, 50, 80):
			return -850
		case within(x, y, 165, 115):
			return 40
		}
		return -1000
	}
	abdomen := func(x, y, z float64) float64 {
		for i := range 6 {
			dx, dy, dz := x-float64(i*40-100), y+50, math.Mod(z, 90)-45
			if dx*dx+dy*dy+dz*dz < 24*24 { // bowel gas
				return -1000
			}
		}
		if within(x, y, 165, 115) {
			return 50
		}
		return -1000
	}
	head := func(x, y float64) float64 {
		switch {
		case !within(x, y, 78, 98):
			return -1000
		case !within(x, y, 70, 90):
			return 900
		case within(x, y+60, 20, 18): // sinuses
			return -1000
		case within(x-45, y-40, 14, 14), within(x+45, y-40, 14, 14): // mastoid cells
			return -700
		}
		return 35
	}
	parts := map[string]struct {
		chest bool
		hu    func(x, y, z float64) float64
	}{
		"abdomen": {false, abdomen},
		"abdomen with the lungs' bases": {false, func(x, y, z float64) float64 {
			if z > 260 {
				return lungs(x, y)
			}
			return abdomen(x, y, z)
		}},
		"head": {false, func(x, y, _ float64) float64 { return head(x, y) }},
		"head and neck with the lungs' tips": {false, func(x, y, z float64) float64 {
			switch {
			case z < 50:
				return lungs(1.5*x, 1.5*y)
			case z < 150 && within(x, y, 60, 60):
				if within(x, y, 10, 10) { // trachea
					return -1000
				}
				return 40
			case z < 150:
				return -1000
			}
			return head(x, y)
		}},
		"legs": {false, func(x, y, _ float64) float64 {
			if within(x-80, y, 60, 70) || within(x+80, y, 60, 70) {
				return 40
			}
			return -1000
		}},
		"nothing": {false, func(_, _, _ float64) float64 { return -1000 }},
		"chest":   {true, func(x, y, _ float64) float64 { return lungs(x, y) }},
		"chest with a white side": {true, func(x, y, _ float64) float64 {
			if x > 0 {
				return max(lungs(x, y), lungs(0, y))
			}
			return lungs(x, y)
		}},
		"chest and abdomen": {true, func(x, y, z float64) float64 {
			if z > 200 {
				return lungs(x, y)
			}
			return abdomen(x, y, z)
		}},
	}
	r := rand.New(rand.NewPCG(1, 1))
	for name, part := range parts {
		v := &volume.Volume{Shape: [3]int{64, 72, 72}, SpacingMM: [3]float64{5, 5, 5}}
		for z := range v.Shape[0] {
			for y := range v.Shape[1] {
				for x := range v.Shape[2] {
					hu := part.hu(float64(5*x)-177.5, float64(5*y)-177.5, float64(5*z))
					v.HU = append(v.HU, int16(hu+40*r.NormFloat64()))
				}
			}
		}
		for _, preset := range []string{"demo", "mps-ct", "compact"} {
			err := chestOf(t, preset, v)
			if t.Log(name, preset, err); (err == nil) != part.chest {
				t.Errorf("%s, %s: %v", name, preset, err)
			}
			if err != nil && (!strings.Contains(err.Error(), "not a chest: lung (-950 to -500 HU") || !strings.Contains(err.Error(), "% at most")) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
