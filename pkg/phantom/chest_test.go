package phantom

import (
	"math"
	"testing"
)

var small = Options{Shape: [3]int{64, 80, 80}, Studies: 1}

// render makes the soft volume of patient p with the given findings.
func render(t *testing.T, p int, on ...int) (hu []int16, c *chest, w *painter) {
	t.Helper()
	o, err := small.defaults()
	if err != nil {
		t.Fatal(err)
	}
	s := Study{seed: 9, patient: p, Volumes: 1}
	for _, f := range on {
		s.Findings[f] = true
	}
	w = newPainter(o)
	v := w.study(s)
	return v[0].HU, newChest(s, o.Difficulty, w.p.edge), w
}

// TestCounterfactual switches each finding on alone, and on top of all others: voxels change in its own boxes only, so
// noise and everything else stay, and they change towards the finding's density.
func TestCounterfactual(t *testing.T) {
	// The sign of the mean change, from what each finding is made of: calcium, metal, fluid and tissue are denser than
	// the fat, lung or blood they replace; emphysema, dilated bronchi and a hernia's gas are not. Mosaic goes both ways.
	sign := map[int]float64{emphysema: -1, bronchiectasis: 0, mosaic: 0, hiatalHernia: 0}
	for f, name := range Findings {
		t.Run(name, func(t *testing.T) {
			for _, base := range [][]int{nil, others(f)} {
				without, _, _ := render(t, 3+f, base...)
				with, c, w := render(t, 3+f, append(base, f)...)
				inside := boxes(c, f, w)
				changed, sum := 0, 0.0
				for i := range with {
					if d := int(with[i]) - int(without[i]); d != 0 {
						changed++
						sum += float64(d)
						if !inside[i] {
							t.Fatalf("with %d other findings, voxel %d changes by %d HU outside every box of %s", len(base), i, d, name)
						}
					}
				}
				least := 15
				if base != nil {
					least = 2 // another finding may lie on top of it
				}
				if changed < least {
					t.Errorf("with %d other findings, %d voxels change", len(base), changed)
				}
				want, mixed := sign[f]
				if !mixed {
					want = 1
				}
				if mean := sum / float64(changed); base == nil && mean*want < 0 || want != 0 && base == nil && mean*want < 20 {
					t.Errorf("voxels change by %.0f HU on average, want sign %+.0f", mean, want)
				}
			}
		})
	}
}

func others(f int) []int {
	var out []int
	for g := range nFindings {
		if g != f {
			out = append(out, g)
		}
	}
	return out
}

// boxes marks the voxels in the bounding boxes of the finding's objects.
func boxes(c *chest, f int, w *painter) []bool {
	in := make([]bool, w.o.Shape[0]*w.o.Shape[1]*w.o.Shape[2])
	mm := geometry(c.body, w.o.Shape)[0]
	for _, o := range c.objects {
		if o.due&due(f) == 0 {
			continue
		}
		j0, j1 := w.p.rows(o.lo[1], o.hi[1])
		i0, i1 := w.p.columns(o.lo[0], o.hi[0])
		for z := range w.o.Shape[0] {
			if at := (float32(z)+.5)*float32(mm) - float32(w.o.Shape[0])*float32(mm)/2 + heightMM/2; at < o.lo[2] || at > o.hi[2] {
				continue
			}
			for j := j0; j <= j1; j++ {
				for i := i0; i <= i1; i++ {
					in[(z*w.o.Shape[1]+j)*w.o.Shape[2]+i] = true
				}
			}
		}
	}
	return in
}

// TestAnatomy checks the density of a few places that every chest has, and which way is up.
func TestAnatomy(t *testing.T) {
	for p := range 6 {
		hu, c, w := render(t, p)
		at := func(x, y, z float32) float64 {
			q := c.at(x, y, z)
			mm := geometry(c.body, w.o.Shape)
			k := int(float64(q[2])/mm[0]) - 0
			j0, _ := w.p.rows(q[1], 1e4)
			i0, _ := w.p.columns(q[0], 1e4)
			var sum float64
			for _, d := range [][3]int{{0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 1, 0}} {
				sum += float64(hu[((k+d[0])*w.o.Shape[1]+j0+d[1])*w.o.Shape[2]+i0+d[2]])
			}
			return sum / 5
		}
		for _, q := range []struct {
			name    string
			x, y, z float32
			lo, hi  float64
		}{
			{"right lung", -75, -20, 230, -1000, -600}, {"left lung", 85, 0, 190, -1000, -600}, {"trachea", 0, 2, 280, -1024, -400},
			{"heart, in front and to the left", 20, -30, 85, 0, 300}, {"liver, right and below", -60, 5, 8, 0, 100},
			{"spine, behind", 0, 68, 205, 80, 900},
		} {
			if got := at(q.x, q.y, q.z); got < q.lo || got > q.hi {
				t.Errorf("patient %d, %s: %.0f HU, want %.0f to %.0f", p, q.name, got, q.lo, q.hi)
			}
		}
	}
}

// TestDifficulty: the easier, the more every finding changes, in its own study.
func TestDifficulty(t *testing.T) {
	for f, name := range Findings {
		last := 0.0
		for _, d := range []float64{1, .5, .05} {
			o := small
			o.Difficulty = d
			s := Study{seed: 9, patient: 3 + f, Volumes: 1}
			with := s
			with.Findings[f] = true
			a, err := s.Render(o)
			b, err2 := with.Render(o)
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			sum := 0.0
			for i, hu := range b[0].HU {
				sum += math.Abs(float64(hu) - float64(a[0].HU[i]))
			}
			if sum < 1.1*last {
				t.Errorf("%s: at difficulty %v it changes voxels by %.0f HU in all, at the one before by %.0f", name, d, sum, last)
			}
			last = sum
		}
	}
}

// TestKernels: the two reconstructions of a study show one patient with different noise.
func TestKernels(t *testing.T) {
	s := Study{seed: 2, patient: 1, Volumes: 2}
	v, err := s.Render(small)
	if err != nil || len(v) != 2 {
		t.Fatal(len(v), err)
	}
	var a, b, ab float64
	for i, h := range v[0].HU {
		x, y := float64(h)+400, float64(v[1].HU[i])+400
		a, b, ab = a+x*x, b+y*y, ab+x*y
	}
	if r := ab * ab / (a * b); r < .9 || r > .9999 {
		t.Errorf("squared correlation of soft and sharp is %.4f", r)
	}
	if v[0].AffineLPS != v[1].AffineLPS || v[0].SpacingMM != v[1].SpacingMM {
		t.Error("the kernels differ in geometry")
	}
}
