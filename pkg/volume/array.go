package volume

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"unsafe"
)

// Array is an npy file of numbers that are no CT volume: embeddings, masks, indices.
type Array struct {
	Path  string
	Shape []int
	Data  any // []float32, []float64 or []uint8 (also of bool) as stored, []int64 of other integers; the last axis is the fastest
}

// ReadArray reads an array of any number of axes in C order. Values are not checked: a float may be no number.
func ReadArray(path string) (*Array, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	a, err := readArray(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	a.Path = path
	return a, nil
}

func readArray(f *os.File) (*Array, error) {
	r := bufio.NewReaderSize(f, 1<<20)
	h, err := readNPYHeader(r)
	if err != nil {
		return nil, err
	}
	if h.fortran {
		return nil, fmt.Errorf("in Fortran order: save it with numpy.ascontiguousarray")
	}
	n := 1
	for _, d := range h.shape {
		n *= d
	}
	a := &Array{Shape: h.shape}
	switch h.descr {
	case "'<f4'":
		a.Data, err = numbers[float32](r, n)
	case "'<f8'":
		a.Data, err = numbers[float64](r, n)
	case "'|b1'", "'|u1'":
		a.Data, err = numbers[uint8](r, n)
	case "'|i1'":
		a.Data, err = integers[int8](r, n)
	case "'<u2'":
		a.Data, err = integers[uint16](r, n)
	case "'<i2'":
		a.Data, err = integers[int16](r, n)
	case "'<u4'":
		a.Data, err = integers[uint32](r, n)
	case "'<i4'":
		a.Data, err = integers[int32](r, n)
	case "'<i8'":
		a.Data, err = numbers[int64](r, n)
	default:
		err = fmt.Errorf("an array of type %s: float32, float64, bool and little-endian integers are read", h.descr)
	}
	if err == nil && r.Buffered() > 0 {
		err = fmt.Errorf("more bytes than the %d numbers of its header", n)
	}
	return a, err
}

type number interface {
	uint8 | int8 | uint16 | int16 | uint32 | int32 | int64 | float32 | float64
}

// numbers reads n values as they are stored, little-endian. Memory grows with what is there, not with what the header says.
func numbers[T number](r io.Reader, n int) (out []T, err error) {
	var zero T
	size := int(unsafe.Sizeof(zero))
	for len(out) < n {
		more := min(n-len(out), max(len(out), 1<<20/size))
		if out == nil && n*size <= 1<<28 {
			out = make([]T, 0, n)
		}
		at := len(out)
		out = append(out, make([]T, more)...)
		piece := unsafe.Slice((*byte)(unsafe.Pointer(&out[at])), more*size)
		if got, err := io.ReadFull(r, piece); err != nil {
			return nil, short("numbers", at*size+got, n*size, err)
		}
	}
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		return nil, fmt.Errorf("this machine is big-endian: little-endian numbers are not turned round")
	}
	return out, nil
}

func integers[T number](r io.Reader, n int) ([]int64, error) {
	in, err := numbers[T](r, n)
	if err != nil {
		return nil, err
	}
	out := make([]int64, n)
	for i, v := range in {
		out[i] = int64(v)
	}
	return out, nil
}
