package volume

import (
	"fmt"
	"math"
)

// shearBack brings the slices of a tilted gantry onto one grid: each is moved in its plane, so that all lie above each other along
// their normal, interpolated linearly between the four pixels around, with air beside them. hu holds the sorted slices, and dim
// (columns, rows, slices) grows by the way that they were moved: nothing is cut off.
func shearBack(hu []int16, dim [3]int, planes []*dicomSlice) ([]int16, [3]int, affine, error) {
	var at [2][]float64 // where a slice's first pixel lies, in columns and rows from that of the first slice
	var lo [2]int
	a, to := stackAffine(planes), dim
	first, last := planes[0], planes[len(planes)-1]
	for k, mm := range [2]float64{first.spacing[1], first.spacing[0]} {
		axis := [3]float64(first.orientation[3*k:])
		least, most := 0.0, 0.0
		for _, p := range planes {
			var d [3]float64
			for i := range d {
				d[i] = p.position[i] - first.position[i]
			}
			x := dot(d, axis) / mm
			at[k], least, most = append(at[k], x), min(least, x), max(most, x)
		}
		if way := most - least; !(way <= float64(2*(dim[0]+dim[1]))) { // steeper than any gantry
			return nil, to, a, fmt.Errorf("tilted gantry: its slices move by %.4g pixels in their plane, of %d x %d", way, dim[0], dim[1])
		}
		lo[k] = int(math.Floor(least))
		to[k] += int(math.Ceil(most)) - lo[k]
	}
	if n := int64(to[0]) * int64(to[1]) * int64(to[2]); n > MaxVoxels {
		return nil, to, a, fmt.Errorf("tilted gantry: sheared back it has %d voxels: the limit is %d", n, MaxVoxels)
	}
	r, c := [3]float64(first.orientation[:3]), [3]float64(first.orientation[3:])
	step := (last.along - first.along) / float64(len(planes)-1)
	for i := range 3 {
		j, k := (i+1)%3, (i+2)%3
		sign := 1.
		if i < 2 { // LPS to RAS
			sign = -1
		}
		a[4*i+2] = sign * step * (r[j]*c[k] - r[k]*c[j])
		a[4*i+3] += a[4*i]*float64(lo[0]) + a[4*i+1]*float64(lo[1])
	}
	out := make([]int16, to[0]*to[1]*to[2])
	for z := range planes {
		src, dst := hu[z*dim[0]*dim[1]:][:dim[0]*dim[1]], out[z*to[0]*to[1]:][:to[0]*to[1]]
		pixel := func(x, y int) float64 {
			if x < 0 || y < 0 || x >= dim[0] || y >= dim[1] {
				return padHU
			}
			return float64(src[y*dim[0]+x])
		}
		left, up := float64(lo[0])-at[0][z], float64(lo[1])-at[1][z] // of the grid's first pixel, in those of the slice
		x0, y0 := math.Floor(left), math.Floor(up)
		wx, wy := left-x0, up-y0
		for y := range to[1] {
			for x := range to[0] {
				i, j := x+int(x0), y+int(y0)
				above := pixel(i, j)*(1-wx) + pixel(i+1, j)*wx
				below := pixel(i, j+1)*(1-wx) + pixel(i+1, j+1)*wx
				dst[y*to[0]+x] = round(above*(1-wy) + below*wy)
			}
		}
	}
	return out, to, a, nil
}
