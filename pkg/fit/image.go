package fit

import (
	"math/rand/v2"

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
	scratch chan []int16 // tensors that nobody uses
}

// perWorker is how many tensors a worker holds: the part that is read, and the whole that it is put into.
const perWorker = 2

// augment bounds the random changes of a training volume; the zero value makes none.
type augment struct {
	ShiftMM  float64 // along each axis, uniform in ±
	OffsetHU float64 // added, uniform in ±: the calibration of scanners
	Gain     float64 // of the distance to air, uniform in 1 ±
	TurnDeg  float64 // about each axis, uniform in ±
	Scale    float64 // of the size, uniform in 1 ±
	NoiseHU  float64 // standard deviation of noise, uniform from 0
}

func newImageView(p volume.Preset, a augment) imageView {
	return imageView{p, a, make(chan []int16, 1024)} // more than workers have
}

func (v imageView) borrow() []int16 {
	select {
	case b := <-v.scratch:
		return b
	default:
		return make([]int16, v.preset.Len())
	}
}

func (v imageView) giveBack(b []int16) {
	select {
	case v.scratch <- b:
	default:
	}
}

func (v imageView) inputs(n int) []input {
	return []input{{"x", append([]int{n, 1}, v.preset.Shape[:]...), false}}
}

func (v imageView) fill(in map[string]net.Tensor, row int, d draw) error {
	src := d.study.volumes[stream(d.seed, d.key(forView)...).IntN(len(d.study.volumes))]
	n := v.preset.Len()
	hu := v.borrow()
	defer v.giveBack(hu)
	if err := v.change(hu, src, stream(d.seed, d.key(forImage)...)); err != nil {
		return err
	}
	v.preset.Window(in["x"].F32[row*n:][:n], hu)
	return nil
}

// change writes src into dst, shifted and recalibrated, or more than that.
func (v imageView) change(dst []int16, src scan, r *rand.Rand) error {
	if v.augment.TurnDeg > 0 || v.augment.Scale > 0 || v.augment.NoiseHU > 0 {
		return v.warp(dst, src, r)
	}
	var by [3]int
	for i, mm := range v.preset.SpacingMM {
		if reach := int(v.augment.ShiftMM / max(mm, 1)); reach > 0 {
			by[i] = r.IntN(2*reach+1) - reach
		}
	}
	if err := v.read(dst, src, by); err != nil {
		return err
	}
	offset := float32(v.augment.OffsetHU * (2*r.Float64() - 1))
	gain := float32(1 + v.augment.Gain*(2*r.Float64()-1))
	if offset == 0 && gain == 1 {
		return nil
	}
	for i, h := range dst {
		x := float32(int32(h)-airHU)*gain + airHU + offset
		dst[i] = int16(max(airHU, min(-airHU, x)))
	}
	return nil
}

// read writes src into dst, moved by whole voxels (z, y, x; positive towards higher indices), with air around it. Of the
// file it reads what can be seen.
func (v imageView) read(dst []int16, src scan, by [3]int) error {
	defer src.Release()
	if by == [3]int{} {
		return src.Crop(dst, by, v.preset.Shape)
	}
	var from, to, size [3]int
	for i, n := range v.preset.Shape {
		from[i], to[i], size[i] = max(0, -by[i]), max(0, by[i]), max(0, n-max(by[i], -by[i]))
	}
	part := v.borrow()
	defer v.giveBack(part)
	part = part[:size[0]*size[1]*size[2]]
	if err := src.Crop(part, from, size); err != nil {
		return err
	}
	place(dst, v.preset.Shape, part, to, size)
	return nil
}

// place writes a part at a voxel of dst, all z, y, x, and air around it.
func place(dst []int16, shape [3]int, part []int16, at, size [3]int) {
	fill(dst, airHU)
	for z := range size[0] {
		for y := range size[1] {
			copy(dst[((at[0]+z)*shape[1]+at[1]+y)*shape[2]+at[2]:][:size[2]], part[(z*size[1]+y)*size[2]:])
		}
	}
}

func fill(dst []int16, v int16) {
	for i := range dst {
		dst[i] = v
	}
}
