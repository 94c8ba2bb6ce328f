package volume

import (
	"encoding/binary"
	"errors"
	"math"
	"unsafe"
)

// hu gives what makes HU = slope*stored + inter of stored values in the byte order o. The memory of 16-bit values is that
// of their HU.
func (k kind) hu(o binary.ByteOrder, slope, inter float64) func(hu []int16, stored []byte) error {
	each := func(value func(b []byte) float64) func(hu []int16, stored []byte) error {
		return func(hu []int16, stored []byte) error {
			for i := range hu {
				x := float64(value(stored[i*k.size:])*slope) + inter // the conversion forbids a fused multiply-add
				if x != x {
					return errors.New("a voxel is NaN")
				}
				hu[i] = round(x)
			}
			return nil
		}
	}
	switch k.dtype {
	case "int16":
		if slope == 1 && inter == 0 {
			return func(hu []int16, stored []byte) error { inOrder(hu, stored, o); return nil }
		}
		return scaled16(o, slope, inter, func(i uint16) float64 { return float64(int16(i)) })
	case "uint16":
		return scaled16(o, slope, inter, func(i uint16) float64 { return float64(i) })
	case "uint8":
		return each(func(b []byte) float64 { return float64(b[0]) })
	case "int8":
		return each(func(b []byte) float64 { return float64(int8(b[0])) })
	case "int32":
		return each(func(b []byte) float64 { return float64(int32(o.Uint32(b))) })
	case "uint32":
		return each(func(b []byte) float64 { return float64(o.Uint32(b)) })
	case "int64":
		return each(func(b []byte) float64 { return float64(int64(o.Uint64(b))) })
	case "uint64":
		return each(func(b []byte) float64 { return float64(o.Uint64(b)) })
	case "float32":
		return each(func(b []byte) float64 { return float64(math.Float32frombits(o.Uint32(b))) })
	}
	return each(func(b []byte) float64 { return math.Float64frombits(o.Uint64(b)) }) // float64
}

// float says whether a stored value may be NaN.
func (k kind) float() bool { return k.dtype == "float32" || k.dtype == "float64" }

// Bytes is the memory of voxels, in the machine's byte order. It copies nothing.
func Bytes(hu []int16) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(hu))), 2*len(hu))
}

// inOrder brings voxels that lie in hu in the order o into this machine's.
func inOrder(hu []int16, stored []byte, o binary.ByteOrder) {
	if probe := []byte{1, 0}; o.Uint16(probe) == binary.NativeEndian.Uint16(probe) {
		return
	}
	for i := range hu {
		hu[i] = int16(o.Uint16(stored[2*i:]))
	}
}

// scaled16 looks HU up in a table of the 65,536 stored values.
func scaled16(o binary.ByteOrder, slope, inter float64, value func(uint16) float64) func(hu []int16, stored []byte) error {
	var table [1 << 16]int16
	for i := range table {
		table[i] = round(float64(value(uint16(i))*slope) + inter)
	}
	return func(hu []int16, stored []byte) error {
		inOrder(hu, stored, o)
		for i, h := range hu {
			hu[i] = table[uint16(h)]
		}
		return nil
	}
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
