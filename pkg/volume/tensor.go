package volume

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
)

// WriteNPY writes a training tensor as numpy's file of float32 (1, z, y, x), little endian (NumPy Enhancement Proposal 1,
// version 1.0). It panics if len(values) is not that of the shape.
func WriteNPY(w io.Writer, shape [3]int, values []float32) error {
	if len(values) != shape[0]*shape[1]*shape[2] {
		panic(fmt.Sprintf("volume: %d values for a tensor of %v", len(values), shape))
	}
	head := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (1, %d, %d, %d), }", shape[0], shape[1], shape[2])
	head += strings.Repeat(" ", 63-(10+len(head))%64) + "\n" // the values begin at a multiple of 64
	b := binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(head)))
	b = append(b, head...)
	for len(values) > 0 {
		n := min(len(values), 1<<14)
		for _, x := range values[:n] {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		values, b = values[n:], b[:0]
	}
	return nil
}
