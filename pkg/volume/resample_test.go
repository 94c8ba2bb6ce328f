package volume

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func random(rng *rand.Rand, shape [3]int, mm [3]float64) *Volume {
	v := &Volume{Shape: shape, SpacingMM: mm, HU: make([]int16, shape[0]*shape[1]*shape[2])}
	for i := range v.HU {
		v.HU[i] = int16(rng.IntN(4000) - 2000)
	}
	return v
}

// oracle computes one axis' weights on all n samples in float64, from the definitions: linear by
// torch.nn.functional.interpolate's documentation (align_corners=False), box as the mean of a step function.
func oracle(n, size, o int, lowPass bool) []float64 {
	w, scale := make([]float64, n), float64(n)/float64(size)
	if lowPass && scale > 1 {
		for i := range w {
			w[i] = max(0, min(float64(i+1), scale*float64(o+1))-max(float64(i), scale*float64(o))) / scale
		}
		return w
	}
	s := max(0, (float64(o)+.5)*scale-.5)
	i := min(int(math.Floor(s)), n-1)
	w[i] += 1 - (s - float64(i))
	w[min(i+1, n-1)] += s - float64(i)
	return w
}

// naive is the whole preset at one output voxel in float64: HU before rounding.
func naive(p Preset, v *Volume, at [3]int) float64 {
	var w [3][]float64
	for a, o := range at {
		size := p.Shape[a]
		if p.SpacingMM[a] > 0 {
			size = int(float64(v.Shape[a]) * v.SpacingMM[a] / p.SpacingMM[a])
		}
		if via := p.Via[a]; via > 0 { // the final crop is of the box via
			o += (via - p.Shape[a]) / 2
			if size >= via {
				o += (size - via) / 2
			} else {
				o -= (via - size) / 2
			}
		} else if size >= p.Shape[a] {
			o += (size - p.Shape[a]) / 2
		} else {
			o -= (p.Shape[a] - size) / 2
		}
		if o < 0 || o >= size {
			return -1000
		}
		w[a] = oracle(v.Shape[a], size, o, p.LowPass)
	}
	sum := 0.0
	for z, wz := range w[0] {
		if wz == 0 {
			continue
		}
		for y, wy := range w[1] {
			if wy == 0 {
				continue
			}
			for x, wx := range w[2] {
				if f := wz * wy * wx; f != 0 {
					h := float64(v.HU[(z*v.Shape[1]+y)*v.Shape[2]+x])
					if !p.ClipLast {
						h = max(-1000, min(1000, h))
					}
					sum += f * h
				}
			}
		}
	}
	return max(-1000, min(1000, sum))
}

// TestPresetsAgainstNaive compares random voxels of random volumes. float32 arithmetic on numbers up to 2000 with some
// ten roundings stays within 0.002 HU; the stored int16 is within half a HU of that.
func TestPresetsAgainstNaive(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	odd := Preset{Name: "odd", SpacingMM: [3]float64{2, 1.3, 0.7}, Via: [3]int{17, 21, 9}, Shape: [3]int{10, 12, 8}, LoHU: -1000, HiHU: 200, ClipLast: true}
	for _, p := range append([]Preset{odd}, presets...) {
		for range 3 {
			v := random(rng, [3]int{3 + rng.IntN(60), 3 + rng.IntN(70), 3 + rng.IntN(70)},
				[3]float64{1 + 4*rng.Float64(), 0.5 + 3*rng.Float64(), 0.5 + 3*rng.Float64()})
			got, err := p.Tensor(v.Scan())
			if err != nil {
				t.Fatal(err)
			}
			values := make([]float32, p.Len())
			if err := p.Values(values, v.Scan()); err != nil {
				t.Fatal(err)
			}
			half := float64(p.HiHU-p.LoHU) / 2
			for range 1000 {
				at := [3]int{rng.IntN(p.Shape[0]), rng.IntN(p.Shape[1]), rng.IntN(p.Shape[2])}
				i := (at[0]*p.Shape[1]+at[1])*p.Shape[2] + at[2]
				want := naive(p, v, at)
				if d := math.Abs(float64(got[i]) - want); d > 0.502 {
					t.Fatalf("%s of %v at %v: %d HU, want %v", p.Name, v.Shape, at, got[i], want)
				}
				value := max(-1, min(1, (want-float64(p.LoHU))/half-1))
				if d := math.Abs(float64(values[i]) - value); d > 0.002/half {
					t.Fatalf("%s of %v at %v: value %v, want %v", p.Name, v.Shape, at, values[i], value)
				}
			}
		}
	}
}

func TestClipOrderMatters(t *testing.T) {
	v := &Volume{HU: []int16{-1000, 3000}, Shape: [3]int{1, 1, 2}, SpacingMM: [3]float64{1, 1, 1}}
	p := Preset{SpacingMM: [3]float64{1, 1, 2}, Shape: [3]int{1, 1, 1}, LoHU: -1000, HiHU: 1000}
	for last, want := range map[bool]int16{false: 0, true: 1000} {
		p.ClipLast = last
		if got, err := p.Tensor(v.Scan()); err != nil || got[0] != want {
			t.Errorf("clip last %v: %v %v, want %d", last, got, err, want)
		}
	}
}

// TestTwoCropsAreNotOne: 121 voxels to 120 and then to 96 start at 0+12, one crop to 96 would start at 12 as well, but
// 119 padded to 120 start at 0 (nothing before) + 12, where one crop would start at 11.
func TestTwoCropsAreNotOne(t *testing.T) {
	for n, want := range map[int]int{121: 12, 119: 12, 120: 12, 122: 13, 90: -3, 91: -2} {
		if got := fit(n, 120) + fit(120, 96); got != want {
			t.Errorf("%d voxels: start %d, want %d", n, got, want)
		}
	}
}

func TestWindow(t *testing.T) {
	p, err := PresetByName("mps-ct")
	if err != nil {
		t.Fatal(err)
	}
	hu := []int16{-3000, -1000, -999, -400, 200, 201, 1000}
	dst := make([]float32, len(hu))
	p.Window(dst, hu)
	for i, want := range []float32{-1, -1, -599. / 600, 0, 1, 1, 1} {
		if dst[i] != want {
			t.Errorf("%d HU becomes %v, want %v", hu[i], dst[i], want)
		}
	}
}

func TestPresetDigests(t *testing.T) {
	seen := map[string]string{}
	for _, name := range PresetNames() {
		p, _ := PresetByName(name)
		q := p
		q.ClipLast = true
		for _, d := range []string{p.Digest(), q.Digest()} {
			if other, ok := seen[d]; ok {
				t.Errorf("%s and %s share a digest", name, other)
			}
			seen[d] = name
		}
	}
	if _, err := PresetByName("mps"); err == nil || !strings.Contains(err.Error(), "demo, small, mps-ct") {
		t.Errorf("%v", err)
	}
}

func TestTensorErrors(t *testing.T) {
	demo, _ := PresetByName("demo")
	for name, v := range map[string]*Volume{
		"empty":        {},
		"short":        {HU: make([]int16, 7), Shape: [3]int{2, 2, 2}, SpacingMM: [3]float64{9, 9, 9}},
		"zero spacing": {HU: make([]int16, 8), Shape: [3]int{2, 2, 2}, SpacingMM: [3]float64{9, 0, 9}},
		"too small":    {HU: make([]int16, 8), Shape: [3]int{2, 2, 2}, SpacingMM: [3]float64{9, 9, 1}},
		"huge spacing": {HU: make([]int16, 8), Shape: [3]int{2, 2, 2}, SpacingMM: [3]float64{9, 9, 1e9}},
	} {
		if _, err := demo.Tensor(v.Scan()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func BenchmarkDemoTensor(b *testing.B) {
	v := random(rand.New(rand.NewPCG(1, 1)), [3]int{128, 128, 128}, [3]float64{2.5, 2.8, 2.8})
	p, _ := PresetByName("demo")
	b.SetBytes(int64(2 * len(v.HU)))
	for b.Loop() {
		p.Tensor(v.Scan())
	}
}

func BenchmarkMPSCTTensor(b *testing.B) {
	v := random(rand.New(rand.NewPCG(1, 1)), [3]int{300, 512, 512}, [3]float64{1, 0.75, 0.75})
	p, _ := PresetByName("mps-ct")
	b.SetBytes(int64(2 * len(v.HU)))
	for b.Loop() {
		p.Tensor(v.Scan())
	}
}
