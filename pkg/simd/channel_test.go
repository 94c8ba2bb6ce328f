package simd

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Kernels give what plain Go gives, to the rounding of a sum.
func TestPasses(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 9))
		for range 50 {
			c, rows := Lanes*(1+r.IntN(5)), 1+r.IntN(7)
			n := c * rows
			x, y, z, a, b, m := random(r, n), random(r, n), random(r, n), random(r, c), random(r, c), random(r, c)
			both := func(name string, size int, kernel, plain func(dst []float32)) {
				t.Helper()
				got := random(r, size)
				want := append([]float32(nil), got...)
				kernel(got)
				plain(want)
				for i := range want {
					if math.Abs(float64(got[i]-want[i])) > 1e-5 {
						t.Fatalf("%s: element %d = %v, want %v", name, i, got[i], want[i])
					}
				}
			}
			both("ChannelSum", c, func(d []float32) { ChannelSum(d, x) }, func(d []float32) { clear(d); channelSumGo(d, x) })
			both("ChannelSquares", c, func(d []float32) { ChannelSquares(d, x, m) }, func(d []float32) { channelSquaresGo(d, x, m) })
			both("ScaleShift", n, func(d []float32) { ScaleShift(d, x, a, b) }, func(d []float32) { scaleShiftGo(d, x, a, b) })
			both("ScaleShiftReLU", n, func(d []float32) { ScaleShiftReLU(d, x, a, b) }, func(d []float32) { scaleShiftReLUGo(d, x, a, b) })
			both("ScaleShiftAddReLU", n, func(d []float32) { ScaleShiftAddReLU(d, x, a, b, y) }, func(d []float32) { scaleShiftAddReLUGo(d, x, a, b, y) })
			both("Mask", n, func(d []float32) { Mask(d, x, y) }, func(d []float32) { maskGo(d, x, y) })
			both("GradSums", 2*c, func(d []float32) { GradSums(d[:c], d[c:], x, y, m) }, func(d []float32) { gradSumsGo(d[:c], d[c:], x, y, m) })
			both("GradInput", n, func(d []float32) { GradInput(d, x, y, a, b, m) }, func(d []float32) { gradInputGo(d, x, y, a, b, m) })
			odd := n - r.IntN(Lanes)
			both("GELU", 2*odd, func(d []float32) { GELU(d[:odd], d[odd:], x[:odd]) }, func(d []float32) { geluGo(d[:odd], d[odd:], x[:odd]) })
			both("GELU alone", odd, func(d []float32) { GELU(d, nil, x[:odd]) }, func(d []float32) { geluGo(d, nil, x[:odd]) })
			both("Add", odd, func(d []float32) { Add(d, x[:odd]) }, func(d []float32) {
				for i := range d {
					d[i] += x[i]
				}
			})
			both("Mul", odd, func(d []float32) { Mul(d, x[:odd]) }, func(d []float32) {
				for i := range d {
					d[i] *= x[i]
				}
			})
			u := Adam{0.5, 0.9, 0.1, 0.98, 0.02, 1.1, 1e-6, 0.01, 0.99}
			for i := range z {
				z[i] = z[i] * z[i] // second moments
			}
			both("Adam", 3*odd, func(d []float32) { copy(d[2*odd:], z); u.Step(d[:odd], x[:odd], d[odd:2*odd], d[2*odd:]) }, func(d []float32) {
				copy(d[2*odd:], z)
				for i := range odd { // one at a time: too short for a kernel
					u.Step(d[i:i+1], x[i:], d[odd+i:odd+i+1], d[2*odd+i:2*odd+i+1])
				}
			})
		}
	})
}

// e to the power of anything, and the error function's, as float64 has them.
func TestExpsAndGELU(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		var x []float32
		for v := -90.0; v < 88; v += 0.37 {
			x = append(x, float32(v))
		}
		inf := float32(math.Inf(1))
		x = append(x, -inf, float32(math.NaN()))
		y, slope := make([]float32, len(x)), make([]float32, len(x))
		Exps(y, x, 1, 0.5)
		for i, v := range x {
			want := math.Exp(float64((v - 1) / 2))
			if d := math.Abs(float64(y[i]) - want); d > 3e-7*want || math.IsNaN(want) != math.IsNaN(float64(y[i])) {
				t.Errorf("e^((%v-1)/2) = %v, want %v", v, y[i], want)
			}
		}
		x = x[:len(x)-2]
		GELU(y, slope, x)
		for i, v := range x {
			p := math.Erfc(-float64(v)/math.Sqrt2) / 2
			d := p + float64(v)*math.Exp(-float64(v)*float64(v)/2)/math.Sqrt(2*math.Pi)
			if math.Abs(float64(y[i])-float64(v)*p) > 3e-7*(1+math.Abs(float64(v))) || math.Abs(float64(slope[i])-d) > 1e-6 {
				t.Errorf("GELU(%v) = %v with slope %v, want %v and %v", v, y[i], slope[i], float64(v)*p, d)
			}
		}
	})
}
