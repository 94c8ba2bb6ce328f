package volume

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// header is what a NIfTI-1 or NIfTI-2 header says that we use. Offsets below are those of nifti1.h and nifti2.h.
type header struct {
	order        binary.ByteOrder
	two          bool // NIfTI-2
	bytes        int  // of the header itself: 348 or 540
	dim          [8]int64
	kind         kind
	offset       int64 // of the voxels in the file
	slope, inter float64
	pixdim       [8]float64
	qcode, scode int
	quatern      [3]float64
	qoffset      [3]float64
	srow         [12]float64
}

// kind is a NIfTI datatype that a voxel's HU can be made of.
type kind struct {
	code  int
	size  int
	dtype string // numpy's name
}

var kinds = []kind{{2, 1, "uint8"}, {4, 2, "int16"}, {8, 4, "int32"}, {16, 4, "float32"}, {64, 8, "float64"}, {256, 1, "int8"},
	{512, 2, "uint16"}, {768, 4, "uint32"}, {1024, 8, "int64"}, {1280, 8, "uint64"}}

// Header sizes; they also tell the byte order.
const (
	nifti1Bytes = 348
	nifti2Bytes = 540
)

// headerBytes is the size that the first four bytes name, or 0.
func headerBytes(b []byte) (n int, order binary.ByteOrder) {
	for _, o := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if n := o.Uint32(b); n == nifti1Bytes || n == nifti2Bytes {
			return int(n), o
		}
	}
	return 0, nil
}

// parseHeader reads and checks a header of the size headerBytes found. It allocates nothing that the header asks for.
func parseHeader(b []byte, order binary.ByteOrder) (h *header, err error) {
	h = &header{order: order, bytes: len(b), two: len(b) == nifti2Bytes}
	var datatype, bitpix, units int
	var offset float64
	if h.two {
		datatype, bitpix, units, offset, err = h.fields2(b)
	} else {
		datatype, bitpix, units, offset, err = h.fields1(b)
	}
	if err != nil {
		return nil, err
	}
	return h, errors.Join(h.setKind(datatype, bitpix), h.setOffset(offset), h.checkDim(), checkUnits(units))
}

func (h *header) fields1(b []byte) (datatype, bitpix, units int, offset float64, err error) {
	i16 := func(at int) int { return int(int16(h.order.Uint16(b[at:]))) }
	f32 := func(at int) float64 { return float64(math.Float32frombits(h.order.Uint32(b[at:]))) }
	switch string(b[344:348]) {
	case "n+1\x00":
	case "ni1\x00":
		return 0, 0, 0, 0, errors.New("a NIfTI-1 header whose voxels are in another file (.hdr/.img)")
	default:
		return 0, 0, 0, 0, fmt.Errorf("not NIfTI-1: magic %q, want \"n+1\\x00\"", b[344:348])
	}
	for i := range h.dim {
		h.dim[i], h.pixdim[i] = int64(i16(40+2*i)), f32(76+4*i)
	}
	h.slope, h.inter, h.qcode, h.scode = f32(112), f32(116), i16(252), i16(254)
	for i := range 3 {
		h.quatern[i], h.qoffset[i] = f32(256+4*i), f32(268+4*i)
	}
	for i := range h.srow {
		h.srow[i] = f32(280 + 4*i)
	}
	return i16(70), i16(72), int(b[123]), f32(108), nil
}

func (h *header) fields2(b []byte) (datatype, bitpix, units int, offset float64, err error) {
	i16 := func(at int) int { return int(int16(h.order.Uint16(b[at:]))) }
	i32 := func(at int) int { return int(int32(h.order.Uint32(b[at:]))) }
	i64 := func(at int) int64 { return int64(h.order.Uint64(b[at:])) }
	f64 := func(at int) float64 { return math.Float64frombits(h.order.Uint64(b[at:])) }
	switch string(b[4:12]) {
	case "n+2\x00\r\n\x1a\n":
	case "ni2\x00\r\n\x1a\n":
		return 0, 0, 0, 0, errors.New("a NIfTI-2 header whose voxels are in another file (.hdr/.img)")
	default:
		return 0, 0, 0, 0, fmt.Errorf("not NIfTI-2: magic %q", b[4:12])
	}
	for i := range h.dim {
		h.dim[i], h.pixdim[i] = i64(16+8*i), f64(104+8*i)
	}
	h.slope, h.inter, h.qcode, h.scode = f64(176), f64(184), i32(344), i32(348)
	for i := range 3 {
		h.quatern[i], h.qoffset[i] = f64(352+8*i), f64(376+8*i)
	}
	for i := range h.srow {
		h.srow[i] = f64(400 + 8*i)
	}
	return i16(12), i16(14), i32(500), float64(i64(168)), nil
}

func (h *header) setKind(datatype, bitpix int) error {
	for _, k := range kinds {
		if k.code != datatype {
			continue
		}
		if bitpix != 8*k.size {
			return fmt.Errorf("datatype %s has %d bits a voxel, the header says %d", k.dtype, 8*k.size, bitpix)
		}
		h.kind = k
		return nil
	}
	return fmt.Errorf("datatype %d is not a number type (complex, RGB and 128-bit voxels hold no HU)", datatype)
}

// setOffset takes 0 as "right after the header", as nibabel does. Header extensions end within some MiB.
func (h *header) setOffset(offset float64) error {
	least := int64(h.bytes + 4)
	if offset == 0 {
		offset = float64(least)
	}
	if !(offset >= float64(least) && offset <= 64<<20) || offset != math.Trunc(offset) {
		return fmt.Errorf("voxels at byte %v: must be a whole number from %d to %d", offset, least, 64<<20)
	}
	h.offset = int64(offset)
	return nil
}

func (h *header) checkDim() error {
	if h.dim[0] < 1 || h.dim[0] > 7 {
		return fmt.Errorf("dim[0] = %d axes: must be 1 to 7", h.dim[0])
	}
	dims, voxels := h.dim[1:h.dim[0]+1], int64(1)
	for i, d := range dims {
		if d < 1 {
			return fmt.Errorf("dim[%d] = %d voxels", i+1, d)
		}
		if voxels > MaxVoxels/d {
			return fmt.Errorf("%d voxels: the limit is %d", dims, MaxVoxels)
		}
		voxels *= d
	}
	for len(dims) > 3 && dims[len(dims)-1] == 1 {
		dims = dims[:len(dims)-1]
	}
	if len(dims) != 3 {
		return fmt.Errorf("%d axes (%d voxels): a CT volume has 3", len(dims), dims)
	}
	return nil
}

// checkUnits refuses lengths that are not millimetres; the code is the low three bits of xyzt_units.
func checkUnits(units int) error {
	switch units & 7 {
	case 1:
		return errors.New("lengths are in metres, not millimetres (xyzt_units)")
	case 3:
		return errors.New("lengths are in micrometres, not millimetres (xyzt_units)")
	}
	return nil
}

// scale is nibabel's rule: a slope of 0, NaN or Inf means unscaled; a good slope with a bad intercept is an error.
func (h *header) scale() (slope, inter float64, err error) {
	if h.slope == 0 || math.IsNaN(h.slope) || math.IsInf(h.slope, 0) {
		return 1, 0, nil
	}
	if math.IsNaN(h.inter) || math.IsInf(h.inter, 0) {
		return 0, 0, fmt.Errorf("scl_slope is %v but scl_inter is %v", h.slope, h.inter)
	}
	return h.slope, h.inter, nil
}
