package fit

import (
	"math/rand/v2"
	"sync"

	"silverbeam/pkg/net"
	"silverbeam/pkg/volume"
)

// airHU fills what a shift uncovers, as the presets pad.
const airHU = -1000

// imageView is one reconstruction of each study, drawn anew every epoch so that an epoch is one pass over studies:
// x [N, 1, Z, Y, X], windowed by the preset.
type imageView struct {
	preset  volume.Preset
	augment augment
	scratch *sync.Pool // of []int16 tensors
}

// augment bounds the random changes of a training volume; the zero value makes none.
type augment struct {
	ShiftMM  float64 // along each axis, uniform in ±
	OffsetHU float64 // added, uniform in ±: the calibration of scanners
	Gain     float64 // of the distance to air, uniform in 1 ±
}

func newImageView(p volume.Preset, a augment) imageView {
	return imageView{p, a, &sync.Pool{New: func() any { b := make([]int16, p.Len()); return &b }}}
}

func (v imageView) inputs(n int) []input {
	return []input{{"x", append([]int{n, 1}, v.preset.Shape[:]...), false}}
}

func (v imageView) fill(in map[string]net.Tensor, row int, d draw) {
	src := d.study.volumes[stream(d.seed, d.key(forView)...).IntN(len(d.study.volumes))]
	n := v.preset.Len()
	hu := v.scratch.Get().(*[]int16)
	defer v.scratch.Put(hu)
	v.change(*hu, src, stream(d.seed, d.key(forImage)...))
	v.preset.Window(in["x"].F32[row*n:][:n], *hu)
}

// change writes src into dst, shifted and recalibrated.
func (v imageView) change(dst, src []int16, r *rand.Rand) {
	var by [3]int
	for i, mm := range v.preset.SpacingMM {
		if reach := int(v.augment.ShiftMM / max(mm, 1)); reach > 0 {
			by[i] = r.IntN(2*reach+1) - reach
		}
	}
	shift(dst, src, v.preset.Shape, by)
	offset := float32(v.augment.OffsetHU * (2*r.Float64() - 1))
	gain := float32(1 + v.augment.Gain*(2*r.Float64()-1))
	if offset == 0 && gain == 1 {
		return
	}
	for i, h := range dst {
		x := float32(int32(h)-airHU)*gain + airHU + offset
		dst[i] = int16(max(airHU, min(-airHU, x)))
	}
}

// shift moves a volume by whole voxels (z, y, x; positive towards higher indices) and fills the rest with air.
func shift(dst, src []int16, shape, by [3]int) {
	d, h, w := shape[0], shape[1], shape[2]
	from, to := max(0, by[2]), w+min(0, by[2])
	for z := range d {
		for y := range h {
			row := dst[(z*h+y)*w:][:w]
			sz, sy := z-by[0], y-by[1]
			if sz < 0 || sz >= d || sy < 0 || sy >= h {
				fill(row, airHU)
				continue
			}
			fill(row[:from], airHU)
			copy(row[from:to], src[(sz*h+sy)*w+from-by[2]:])
			fill(row[to:], airHU)
		}
	}
}

func fill(dst []int16, v int16) {
	for i := range dst {
		dst[i] = v
	}
}
