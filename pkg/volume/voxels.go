package volume

import (
	"encoding/binary"
	"errors"
	"math"
	"unsafe"
)

// hu turns stored values, in the file's order, into HU. Unscaled int16 in this machine's byte order stay where they are.
func (h *header) hu(raw []byte, slope, inter float64) ([]int16, error) {
	n := len(raw) / h.kind.size
	o := h.order
	if h.kind.dtype == "int16" {
		hu := unsafe.Slice((*int16)(unsafe.Pointer(unsafe.SliceData(raw))), n)
		if slope == 1 && inter == 0 {
			if probe := []byte{1, 0}; o.Uint16(probe) != binary.NativeEndian.Uint16(probe) {
				for i := range hu { // in place
					hu[i] = int16(o.Uint16(raw[2*i:]))
				}
			}
			return hu, nil
		}
		table := scaled16(slope, inter, func(i uint16) float64 { return float64(int16(i)) })
		for i := range hu {
			hu[i] = table[o.Uint16(raw[2*i:])]
		}
		return hu, nil
	}
	hu := make([]int16, n)
	switch h.kind.dtype {
	case "uint16":
		table := scaled16(slope, inter, func(i uint16) float64 { return float64(i) })
		for i := range hu {
			hu[i] = table[o.Uint16(raw[2*i:])]
		}
	case "uint8":
		each(hu, slope, inter, func(i int) float64 { return float64(raw[i]) })
	case "int8":
		each(hu, slope, inter, func(i int) float64 { return float64(int8(raw[i])) })
	case "int32":
		each(hu, slope, inter, func(i int) float64 { return float64(int32(o.Uint32(raw[4*i:]))) })
	case "uint32":
		each(hu, slope, inter, func(i int) float64 { return float64(o.Uint32(raw[4*i:])) })
	case "int64":
		each(hu, slope, inter, func(i int) float64 { return float64(int64(o.Uint64(raw[8*i:]))) })
	case "uint64":
		each(hu, slope, inter, func(i int) float64 { return float64(o.Uint64(raw[8*i:])) })
	case "float32":
		return hu, floats(hu, slope, inter, func(i int) float64 { return float64(math.Float32frombits(o.Uint32(raw[4*i:]))) })
	case "float64":
		return hu, floats(hu, slope, inter, func(i int) float64 { return math.Float64frombits(o.Uint64(raw[8*i:])) })
	}
	return hu, nil
}

// scaled16 is the HU of each of the 65,536 stored values.
func scaled16(slope, inter float64, value func(uint16) float64) *[1 << 16]int16 {
	var t [1 << 16]int16
	for i := range t {
		t[i] = round(float64(value(uint16(i))*slope) + inter)
	}
	return &t
}

func each(hu []int16, slope, inter float64, value func(i int) float64) {
	for i := range hu {
		hu[i] = round(float64(value(i)*slope) + inter) // the conversion forbids a fused multiply-add
	}
}

func floats(hu []int16, slope, inter float64, value func(i int) float64) error {
	for i := range hu {
		x := float64(value(i)*slope) + inter
		if x != x {
			return errors.New("a voxel is NaN")
		}
		hu[i] = round(x)
	}
	return nil
}

// round rounds half to even and clips to int16.
func round(x float64) int16 {
	return int16(max(math.MinInt16, min(math.MaxInt16, math.RoundToEven(x))))
}

// permute brings voxels of the file's axes i, j, k (i fastest, dim long) into z, y, x order. It returns hu itself if
// there is nothing to do.
func permute(hu []int16, dim [3]int, o orientation) []int16 {
	if o == (orientation{axis: [3]int{0, 1, 2}}) {
		return hu
	}
	strides := [3]int{1, dim[0], dim[0] * dim[1]}
	var n, step [3]int // of x, y, z
	start := 0
	for to, from := range o.axis {
		n[to], step[to] = dim[from], strides[from]
		if o.flip[to] {
			start += (n[to] - 1) * step[to]
			step[to] = -step[to]
		}
	}
	out := make([]int16, len(hu))
	for z := range n[2] {
		for y := range n[1] {
			at := start + z*step[2] + y*step[1]
			row := out[(z*n[1]+y)*n[0]:][:n[0]]
			for x := range row {
				row[x] = hu[at]
				at += step[0]
			}
		}
	}
	return out
}
