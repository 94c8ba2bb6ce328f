package simd

import "math"

// Exp is e^x in float32 to about 1e-7 of its value: 2^n times a polynomial for the rest (Cephes' expf, Moshier 1989).
// Below -87 it is 0, above 88 it stays at e^88.
func Exp(x float32) float32 {
	if x < -87 {
		return 0
	}
	x = min(x, 88)
	n := float32(int32(x*1.44269504088896341+192.5) - 192) // the nearest integer: above -126, so the sum is positive
	r := x - n*0.693359375 + n*2.12194440e-4
	p := float32(1.9875691500e-4)
	p = p*r + 1.3981999507e-3
	p = p*r + 8.3334519073e-3
	p = p*r + 4.1665795894e-2
	p = p*r + 1.6666665459e-1
	p = p*r + 5.0000001201e-1
	p = p*r*r + r + 1
	return p * math.Float32frombits(uint32(int32(n)+127)<<23)
}

// Add adds x to dst.
func Add(dst, x []float32) {
	for i, v := range x {
		dst[i] += v
	}
}

// Mul multiplies dst by x.
func Mul(dst, x []float32) {
	for i, v := range x {
		dst[i] *= v
	}
}

// GELU sets y to x·Φ(x), Φ the normal distribution (Hendrycks, Gimpel 2016), and slope, unless nil, to its derivative.
// The error function is formula 7.1.26 of Abramowitz and Stegun, off by 1.5e-7 at most.
func GELU(y, slope, x []float32) {
	for i, v := range x {
		e := Exp(-v * v / 2)
		t := 1 / (1 + 0.3275911*float32(math.Sqrt2/2)*max(v, -v))
		q := t * (0.254829592 + t*(-0.284496736+t*(1.421413741+t*(-1.453152027+t*1.061405429)))) * e / 2 // Φ(-|x|)
		if v > 0 {
			q = 1 - q
		}
		y[i] = v * q
		if slope != nil {
			slope[i] = q + v*e*0.3989422804014327
		}
	}
}
