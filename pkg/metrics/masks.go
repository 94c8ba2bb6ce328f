package metrics

import (
	"fmt"
	"math"
	"slices"
)

// Masks compares a predicted mask with the true one. Distances are those of MONAI: between surface voxels (of the mask,
// with a face neighbour outside it or outside the array), of both directions. They are nil where a mask is empty, overlap
// is where both are.
type Masks struct {
	Dice          *float64 `json:"dice"`
	IoU           *float64 `json:"iou"`
	HD            *float64 `json:"hd"`              // mm: the larger direction's largest distance
	HD95          *float64 `json:"hd95"`            // mm: the larger direction's 95th percentile, numpy's linear
	ASSD          *float64 `json:"assd"`            // mm: mean over the surface voxels of both
	VolumeErrorML float64  `json:"volume_error_ml"` // predicted minus true
	NPred         int      `json:"n_pred"`          // voxels
	NTruth        int      `json:"n_truth"`
	NBoth         int      `json:"n_both"`
}

// NewMasks compares masks of one shape, axes z, y, x, x fastest; spacing is millimetres per voxel in the same order.
func NewMasks(pred, truth []bool, shape [3]int, spacingMM [3]float64) (*Masks, error) {
	if n := shape[0] * shape[1] * shape[2]; len(pred) != n || len(truth) != n {
		return nil, fmt.Errorf("metrics: masks of %d and %d voxels, shape %d", len(pred), len(truth), shape)
	}
	m := &Masks{}
	for i, p := range pred {
		if p {
			m.NPred++
		}
		if truth[i] {
			m.NTruth++
			if p {
				m.NBoth++
			}
		}
	}
	m.Dice = ratio(2*m.NBoth, m.NPred+m.NTruth)
	m.IoU = ratio(m.NBoth, m.NPred+m.NTruth-m.NBoth)
	m.VolumeErrorML = float64(m.NPred-m.NTruth) * spacingMM[0] * spacingMM[1] * spacingMM[2] / 1000
	if m.NPred == 0 || m.NTruth == 0 {
		return m, nil
	}
	lo, size := box(pred, truth, shape)
	a, b := surface(pred, shape, lo, size), surface(truth, shape, lo, size)
	there, back := distances(a, b, size, spacingMM), distances(b, a, size, spacingMM)
	both := float64(len(there) + len(back))
	m.HD = Defined(max(slices.Max(there), slices.Max(back)), true)
	m.ASSD = Defined((total(there)+total(back))/both, true)
	slices.Sort(there)
	slices.Sort(back)
	m.HD95 = Defined(max(quantile(there, .95), quantile(back, .95)), true)
	return m, nil
}

// box is the smallest that holds both masks.
func box(a, b []bool, shape [3]int) (lo, size [3]int) {
	lo, hi := shape, [3]int{}
	for z := range shape[0] {
		for y := range shape[1] {
			row := (z*shape[1] + y) * shape[2]
			for x := range shape[2] {
				if a[row+x] || b[row+x] {
					for k, v := range [3]int{z, y, x} {
						lo[k], hi[k] = min(lo[k], v), max(hi[k], v+1)
					}
				}
			}
		}
	}
	return lo, [3]int{hi[0] - lo[0], hi[1] - lo[1], hi[2] - lo[2]}
}

// surface marks a mask's surface voxels in the box.
func surface(mask []bool, shape, lo, size [3]int) []bool {
	out := make([]bool, 0, size[0]*size[1]*size[2])
	step := [3]int{shape[1] * shape[2], shape[2], 1}
	for z := lo[0]; z < lo[0]+size[0]; z++ {
		for y := lo[1]; y < lo[1]+size[1]; y++ {
			for x := lo[2]; x < lo[2]+size[2]; x++ {
				i := z*step[0] + y*step[1] + x
				edge := false
				for k, v := range [3]int{z, y, x} {
					edge = edge || v == 0 || v == shape[k]-1 || !mask[i-step[k]] || !mask[i+step[k]]
				}
				out = append(out, mask[i] && edge)
			}
		}
	}
	return out
}

// distances is that of each voxel of one surface to the nearest voxel of the other, in millimetres.
func distances(from, to []bool, size [3]int, spacingMM [3]float64) (out []float64) {
	square := make([]float64, len(to))
	for i, on := range to {
		if !on {
			square[i] = math.Inf(1)
		}
	}
	step := [3]int{size[1] * size[2], size[2], 1}
	longest := max(size[0], size[1], size[2])
	line, at, edge := make([]float64, longest), make([]int, longest), make([]float64, longest+1)
	for k := range 3 {
		for i := range square {
			if i/step[k]%size[k] == 0 { // a line along axis k begins here
				sweep(square[i:], step[k], line[:size[k]], at, edge, spacingMM[k])
			}
		}
	}
	for i, on := range from {
		if on {
			out = append(out, math.Sqrt(square[i]))
		}
	}
	return out
}

// sweep turns squared distances f along a line into min over j of f[j] + (spacing (i-j))², by the lower envelope of
// parabolas (Felzenszwalb and Huttenlocher, Theory of Computing 8, 2012).
func sweep(f []float64, step int, line []float64, at []int, edge []float64, spacing float64) {
	n, w := 0, spacing*spacing
	for i := range line {
		line[i] = f[i*step]
		if math.IsInf(line[i], 1) {
			continue
		}
		start := math.Inf(-1)
		for ; n > 0; n-- {
			j := at[n-1] // where the parabola of i comes below that of j
			start = (line[i] - line[j] + w*float64(i*i-j*j)) / (2 * w * float64(i-j))
			if start > edge[n-1] {
				break
			}
			start = math.Inf(-1)
		}
		at[n], edge[n] = i, start
		n++
	}
	if n == 0 {
		return
	}
	p := 0
	for i := range line {
		for p+1 < n && edge[p+1] < float64(i) {
			p++
		}
		d := float64(i - at[p])
		f[i*step] = line[at[p]] + w*d*d
	}
}
