package fit

import (
	"math"
	"math/rand/v2"
	"sync"
)

// grid is where the voxels of a volume that is turned, scaled and shifted are taken from: of voxel (z, y, x) at
// m[i][0]*z + m[i][1]*y + m[i][2]*x + m[i][3] along axis i of the source, in voxels.
type grid [3][4]float64

// newGrid turns about the middle of a volume by angles (about z, y and x, in that order of application from the last; radians),
// makes it larger by a factor and shifts it by millimetres (z, y, x). spacing is in mm; a volume without one is taken for cubes.
func newGrid(shape [3]int, spacingMM, turn [3]float64, scale float64, shiftMM [3]float64) (g grid) {
	m := [3][3]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}
	for i, a := range turn {
		j, k := (i+1)%3, (i+2)%3
		r := [3][3]float64{}
		r[i][i], r[j][j], r[j][k], r[k][j], r[k][k] = 1, math.Cos(a), -math.Sin(a), math.Sin(a), math.Cos(a)
		m = product(m, r)
	}
	for i := range 3 {
		for j := range 3 { // from the volume back to its source
			from := m[i][j] / scale * mmOr1(spacingMM[j]) / mmOr1(spacingMM[i])
			g[i][j] = from
			g[i][3] -= from * (float64(shape[j]-1)/2 + shiftMM[j]/mmOr1(spacingMM[j]))
		}
		g[i][3] += float64(shape[i]-1) / 2
	}
	return g
}

func product(a, b [3][3]float64) (m [3][3]float64) {
	for i := range 3 {
		for j := range 3 {
			m[i][j] = a[i][0]*b[0][j] + a[i][1]*b[1][j] + a[i][2]*b[2][j]
		}
	}
	return m
}

func mmOr1(mm float64) float64 {
	if mm == 0 {
		return 1
	}
	return mm
}

// one is a voxel in the fixed point that row counts places in: 32 bits behind it.
const one = 1 << 32

// row interpolates one row of voxels linearly between the eight around each place, as torch's grid_sample does; around the
// source is air. dst is HU above airHU.
func (g *grid) row(dst []float32, src []int16, shape [3]int, z, y int) {
	var at, step [3]int64
	var last [3]uint64 // places from there on have no voxel after them
	for i := range 3 {
		at[i] = int64(math.Round(one * (g[i][0]*float64(z) + g[i][1]*float64(y) + g[i][3])))
		step[i], last[i] = int64(math.Round(one*g[i][2])), uint64(shape[i]-1)*one
	}
	across, down := shape[2], shape[1]*shape[2]
	pz, py, px := at[0], at[1], at[2]
	for x := range dst {
		wz, wy, wx := part(pz), part(py), part(px)
		if uint64(pz) < last[0] && uint64(py) < last[1] && uint64(px) < last[2] {
			first := int(pz>>32)*down + int(py>>32)*across + int(px>>32)
			a := src[first:][:across+2]
			b := src[first+down:][:across+2]
			a0 := float32(a[0]) + float32(int32(a[1])-int32(a[0]))*wx
			b0 := float32(b[0]) + float32(int32(b[1])-int32(b[0]))*wx
			a, b = a[across:][:2], b[across:][:2]
			a1 := float32(a[0]) + float32(int32(a[1])-int32(a[0]))*wx
			b1 := float32(b[0]) + float32(int32(b[1])-int32(b[0]))*wx
			a0, b0 = a0+(a1-a0)*wy, b0+(b1-b0)*wy
			dst[x] = a0 + (b0-a0)*wz - airHU
		} else {
			dst[x] = edge(src, shape, [3]int{int(pz >> 32), int(py >> 32), int(px >> 32)}, [3]float32{wz, wy, wx})
		}
		pz, py, px = pz+step[0], py+step[1], px+step[2]
	}
}

// part is what a place has of the next voxel.
func part(p int64) float32 { return float32(int64(uint32(p))) * (1. / one) }

// edge is a place with voxels outside of the source around it.
func edge(src []int16, shape, first [3]int, w [3]float32) (sum float32) {
	for i, n := range shape {
		if first[i] < -1 || first[i] >= n {
			return 0
		}
	}
	for corner := range 8 {
		at, share := 0, float32(1)
		for i := range 3 {
			p, q := first[i], 1-w[i]
			if corner>>i&1 == 1 {
				p, q = p+1, w[i]
			}
			if p < 0 || p >= shape[i] {
				q = 0
			}
			at, share = at*shape[i]+max(0, min(shape[i]-1, p)), share*q
		}
		if share != 0 {
			sum += share * float32(int(src[at])-airHU)
		}
	}
	return sum
}

// warp writes src into dst, turned, scaled, shifted, recalibrated and with noise, in one pass.
func (v imageView) warp(dst []int16, src scan, r *rand.Rand) error {
	defer src.Release()
	whole := v.borrow()
	defer v.giveBack(whole)
	if err := src.Crop(whole, [3]int{}, v.preset.Shape); err != nil {
		return err
	}
	within := func(most float64) float64 { return most * (2*r.Float64() - 1) }
	var turn, shift [3]float64
	for i := range 3 {
		turn[i], shift[i] = within(v.augment.TurnDeg*math.Pi/180), within(v.augment.ShiftMM)
	}
	g := newGrid(v.preset.Shape, v.preset.SpacingMM, turn, 1+within(v.augment.Scale), shift)
	offset, gain, noise := float32(within(v.augment.OffsetHU)), float32(1+within(v.augment.Gain)), float32(v.augment.NoiseHU*r.Float64())
	nx := v.preset.Shape[2]
	row := make([]float32, nx)
	for i := range v.preset.Shape[0] * v.preset.Shape[1] {
		g.row(row, whole, v.preset.Shape, i/v.preset.Shape[1], i%v.preset.Shape[1])
		draw := r.Uint64()
		part, share := normals()[draw>>1%(normalCount-uint64(nx)):][:nx], noise*float32(int64(draw&1)*2-1)
		to := dst[i*nx:][:nx]
		for x, hu := range row {
			hu = hu*gain + airHU + offset + share*part[x]
			to[x] = int16(int32(max(airHU, min(-airHU, hu))-airHU+0.5) + airHU)
		}
	}
	return nil
}

// normalCount is how many numbers normals has: any part of them, of either sign, is a row's noise. Drawn one by one, they took
// a fifth of the time of a warp.
const normalCount = 1 << 17

// normals are draws from the standard normal distribution.
var normals = sync.OnceValue(func() []float32 {
	r, all := rand.New(rand.NewPCG(1, 1)), make([]float32, normalCount)
	for i := range all {
		all[i] = float32(r.NormFloat64())
	}
	return all
})
