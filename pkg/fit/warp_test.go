package fit

import (
	"math"
	"slices"
	"testing"

	"silverbeam/pkg/net"
	"silverbeam/pkg/volume"

	"pgregory.net/rapid"
)

// Goldens are torch's grid_sample in float64.
func TestWarpAsGolden(t *testing.T) {
	values, _, err := net.LoadSafetensors("testdata/warp.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	shape := [3]int(values["hu"].Shape)
	src := make([]int16, len(values["hu"].I32))
	for i, hu := range values["hu"].I32 {
		src[i] = int16(hu)
	}
	for _, name := range []string{"near", "far", "out"} {
		var g grid
		for i, x := range values[name+"/grid"].F32 {
			g[i/4][i%4] = float64(x)
		}
		want, row := values[name+"/hu"].F32, make([]float32, shape[2])
		worst, outside := 0.0, 0
		for i := range shape[0] * shape[1] {
			g.row(row, src, shape, i/shape[1], i%shape[1])
			for x, got := range row {
				w := want[i*shape[2]+x]
				if worst = max(worst, math.Abs(float64(got-w))); w == 0 {
					outside++
				}
			}
		}
		if t.Logf("%s: %d places outside, worst %.2g HU", name, outside, worst); worst > 1e-3 || name == "out" && outside == 0 {
			t.Errorf("%s: %v HU from torch's", name, worst)
		}
	}
}

// A quarter turn is a permutation, two turns add up, and sizes are in millimetres.
func TestGridIsOfMillimetres(t *testing.T) {
	shape, spacing := [3]int{4, 5, 5}, [3]float64{6, 3, 3}
	src := make([]int16, 100)
	for i := range src {
		src[i] = int16(7 * i)
	}
	warped := func(g grid) []float32 {
		out := make([]float32, len(src))
		for i := range 20 {
			g.row(out[5*i:][:5], src, shape, i/5, i%5)
		}
		return out
	}
	for name, c := range map[string]struct {
		turn  [3]float64
		scale float64
		shift [3]float64
		from  func(z, y, x int) (int, int, int)
	}{
		"nothing":      {[3]float64{}, 1, [3]float64{}, func(z, y, x int) (int, int, int) { return z, y, x }},
		"a shift":      {[3]float64{}, 1, [3]float64{-6, 3, 6}, func(z, y, x int) (int, int, int) { return z + 1, y - 1, x - 2 }},
		"a quarter":    {[3]float64{math.Pi / 2}, 1, [3]float64{}, func(z, y, x int) (int, int, int) { return z, 4 - x, y }},
		"half about x": {[3]float64{2: math.Pi}, 1, [3]float64{}, func(z, y, x int) (int, int, int) { return 3 - z, 4 - y, x }},
		"three times as large": {[3]float64{}, 3, [3]float64{12, 0, 0}, func(z, y, x int) (int, int, int) {
			if z%3 != 2 || y%3 != 2 || x%3 != 2 {
				return -1, -1, -1 // between voxels
			}
			return (z + 1) / 3, 1 + (y+1)/3, 1 + (x+1)/3
		}},
	} {
		got := warped(newGrid(shape, spacing, c.turn, c.scale, c.shift))
		for i, hu := range got {
			z, y, x := c.from(i/25, i/5%5, i%5)
			if z == -1 && y == -1 {
				continue
			}
			want := float32(0)
			if z >= 0 && z < 4 && y >= 0 && y < 5 && x >= 0 && x < 5 {
				want = float32(src[(z*5+y)*5+x]) - airHU
			}
			if math.Abs(float64(hu-want)) > 1e-2 {
				t.Errorf("%s: voxel %d is %v, want %v", name, i, hu, want)
			}
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		angle := func(name string) float64 { return rapid.Float64Range(-.5, .5).Draw(r, name) }
		mm := [3]float64{2, .7, 1.1}
		scale := rapid.Float64Range(.5, 2).Draw(r, "scale")
		g := newGrid([3]int{9, 9, 9}, mm, [3]float64{angle("z"), angle("y"), angle("x")}, scale, [3]float64{1, 2, 3})
		for j := range 3 {
			for k := range 3 { // columns in mm are orthogonal and as long as the scale asks
				dot := 0.0
				for i := range 3 {
					dot += g[i][j] * mm[i] / mm[j] * g[i][k] * mm[i] / mm[k]
				}
				want := 0.0
				if j == k {
					want = 1 / (scale * scale)
				}
				if math.Abs(dot-want) > 1e-9 {
					r.Fatalf("columns %d and %d: %v, want %v", j, k, dot, want)
				}
			}
		}
	})
}

// Noise has a standard deviation that is uniform from 0, no mean, and is normal (its fourth moment is three squares of the second).
func TestNoiseIsWhatItSays(t *testing.T) {
	p := volume.Preset{Name: "t", SpacingMM: [3]float64{6, 3, 3}, Shape: [3]int{20, 20, 20}, LoHU: -1000, HiHU: 1000}
	v := newImageView(p, augment{NoiseHU: 60})
	src, dst := make([]int16, p.Len()), make([]int16, p.Len())
	var sd, square float64
	const epochs = 200
	for epoch := range uint64(epochs) {
		if err := v.change(dst, memory{src, p.Shape}, stream(1, forImage, epoch)); err != nil {
			t.Fatal(err)
		}
		var mean, two, four float64
		for _, hu := range dst {
			x := float64(hu)
			mean, two, four = mean+x/8000, two+x*x/8000, four+x*x*x*x/8000
		}
		if two > 61*61 || math.Abs(mean) > 5*math.Sqrt(two/8000)+1e-9 || two > 100 && math.Abs(four/(two*two)-3) > .35 {
			t.Errorf("epoch %d: mean %.2f, sd %.1f, kurtosis %.2f", epoch, mean, math.Sqrt(two), four/(two*two))
		}
		sd, square = sd+math.Sqrt(two)/epochs, square+two/epochs
	}
	if math.Abs(sd-30) > 5*60/math.Sqrt(12*epochs) || math.Abs(square-60*60/3) > 5*3600*math.Sqrt(4./45/epochs) {
		t.Errorf("standard deviations have the mean %.1f and the mean square %.0f, want 30 and 1200", sd, square)
	}
}

// A strongly changed volume is a function of seed, epoch and study alone, and its values stay in the stored range.
func TestStrongAugment(t *testing.T) {
	c := toy(4)
	c.preset.SpacingMM = [3]float64{5, 5, 5}
	v := newImageView(c.preset, strongly)
	make1 := func(seed uint64, epoch, index int) []float32 {
		in := blank(v.inputs(1))
		if err := v.fill(in, 0, draw{study: &c.studies[1], seed: seed, epoch: epoch, index: index}); err != nil {
			t.Fatal(err)
		}
		return in["x"].F32
	}
	if !slices.Equal(make1(1, 3, 1), make1(1, 3, 1)) {
		t.Error("the same draw gives two samples")
	}
	for _, other := range [][]float32{make1(2, 3, 1), make1(1, 4, 1), make1(1, 3, 2)} {
		if slices.Equal(make1(1, 3, 1), other) {
			t.Error("another seed, epoch or study gives the same sample")
		}
	}
}

func BenchmarkWarp(b *testing.B) {
	p := volume.Preset{Name: "t", SpacingMM: [3]float64{3, 1.5, 1.5}, Shape: [3]int{96, 192, 192}, LoHU: -1000, HiHU: 200}
	src, dst := make([]int16, p.Len()), make([]int16, p.Len())
	for name, a := range map[string]augment{"strong": strongly, "noiseless": {TurnDeg: 5, Scale: .1, ShiftMM: 10}} {
		b.Run(name, func(b *testing.B) {
			v := newImageView(p, a)
			b.SetBytes(int64(2 * p.Len()))
			for i := range b.N {
				if err := v.change(dst, memory{src, p.Shape}, stream(1, uint64(i))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
