package volume

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// WriteNIfTI writes v as an uncompressed single-file NIfTI-1 of int16 Hounsfield units (slope 1, intercept 0); for
// .nii.gz the caller passes a gzip writer and closes it.
//
// The array is stored as it lies in memory, x fastest, so that the file's axes run to the Left, Posterior and Superior
// as in CT-RATE. NIfTI's world is RAS: both forms hold v.AffineLPS with its first two rows negated, the sform as the
// matrix, the qform as the quaternion of its nearest rotation (NIfTI-1 standard, nifti1.h, METHOD 2 and 3). Both codes
// are 1 (scanner coordinates), units are millimetres. An affine of zeros means axis-aligned with SpacingMM, origin at
// the centre of the first voxel. Sheared affines are refused: a quaternion cannot hold them.
func WriteNIfTI(w io.Writer, v *Volume) error {
	head, err := niftiHeader(v)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	buf := make([]byte, 0, 1<<16)
	for hu := v.HU; len(hu) > 0; {
		n := min(len(hu), cap(buf)/2)
		buf = buf[:2*n]
		for i, h := range hu[:n] {
			binary.LittleEndian.PutUint16(buf[2*i:], uint16(h))
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
		hu = hu[n:]
	}
	return nil
}

// NIfTIHeaderBytes is the offset of the voxels in a file by WriteNIfTI: 348 bytes of header and 4 that say "no extension".
const NIfTIHeaderBytes = 352

// niftiHeader is the 352 bytes before the voxels; field offsets are those of nifti1.h.
func niftiHeader(v *Volume) ([]byte, error) {
	if err := writable(v); err != nil {
		return nil, err
	}
	ras := rasAffine(v)
	q, qfac, err := quaternion(ras, v.SpacingMM)
	if err != nil {
		return nil, err
	}
	h := make([]byte, NIfTIHeaderBytes)
	i16 := func(at int, x int) { binary.LittleEndian.PutUint16(h[at:], uint16(int16(x))) }
	f32 := func(at int, x float64) { binary.LittleEndian.PutUint32(h[at:], math.Float32bits(float32(x))) }
	binary.LittleEndian.PutUint32(h[0:], 348)
	for i, n := range [8]int{3, v.Shape[2], v.Shape[1], v.Shape[0], 1, 1, 1, 1} {
		i16(40+2*i, n) // dim
	}
	i16(70, 4)  // datatype int16
	i16(72, 16) // bitpix
	for i, s := range [8]float64{qfac, v.SpacingMM[2], v.SpacingMM[1], v.SpacingMM[0], 1, 1, 1, 1} {
		f32(76+4*i, s) // pixdim
	}
	f32(108, NIfTIHeaderBytes) // vox_offset
	f32(112, 1)                // scl_slope
	h[123] = 2                 // xyzt_units: mm
	i16(252, 1)                // qform_code
	i16(254, 1)                // sform_code
	for i, x := range []float64{q[1], q[2], q[3], ras[3], ras[7], ras[11]} {
		f32(256+4*i, x) // quatern_b, c, d, qoffset_x, y, z
	}
	for i := range 12 {
		f32(280+4*i, ras[i]) // srow_x, y, z
	}
	copy(h[344:], "n+1\x00")
	return h, nil
}

func writable(v *Volume) error {
	n := 1
	for i, s := range v.Shape {
		if s < 1 || s > math.MaxInt16 {
			return fmt.Errorf("volume: shape %v cannot be written as NIfTI-1: each axis must be 1..%d", v.Shape, math.MaxInt16)
		}
		if mm := v.SpacingMM[i]; !(mm > 0) || math.IsInf(mm, 0) {
			return fmt.Errorf("volume: spacing %v mm is not positive", v.SpacingMM)
		}
		n *= s
	}
	if n != len(v.HU) {
		return fmt.Errorf("volume: shape %v has %d voxels, the array %d", v.Shape, n, len(v.HU))
	}
	return nil
}

// rasAffine is AffineLPS in NIfTI's world, or the plain one of the spacing where AffineLPS is all zeros.
func rasAffine(v *Volume) [16]float64 {
	a := v.AffineLPS
	if a == ([16]float64{}) {
		a[0], a[5], a[10], a[15] = v.SpacingMM[2], v.SpacingMM[1], v.SpacingMM[0], 1
	}
	for i := range 8 {
		if a[i] != 0 { // no negative zeros
			a[i] = -a[i]
		}
	}
	return a
}

// quaternion returns (a, b, c, d) of the affine's rotation and qfac, -1 when the z axis is mirrored.
func quaternion(m [16]float64, spacingMM [3]float64) (q [4]float64, qfac float64, err error) {
	var r [3][3]float64
	for i := range 3 {
		for j := range 3 {
			r[i][j] = m[4*i+j] / spacingMM[2-j]
		}
	}
	for j := range 3 {
		for k := range 3 {
			dot := r[0][j]*r[0][k] + r[1][j]*r[1][k] + r[2][j]*r[2][k]
			want := 0.0
			if j == k {
				want = 1
			}
			if !(math.Abs(dot-want) < 1e-3) {
				return q, 0, errors.New("volume: the affine's columns are not orthogonal axes of the given spacing")
			}
		}
	}
	qfac = 1
	if det3(r) < 0 {
		qfac = -1
		for i := range 3 {
			r[i][2] = -r[i][2]
		}
	}
	return quatOf(r), qfac, nil
}

func det3(r [3][3]float64) float64 {
	return r[0][0]*(r[1][1]*r[2][2]-r[1][2]*r[2][1]) - r[0][1]*(r[1][0]*r[2][2]-r[1][2]*r[2][0]) + r[0][2]*(r[1][0]*r[2][1]-r[1][1]*r[2][0])
}

// quatOf turns a proper rotation into a unit quaternion with a >= 0, from its largest component (Shepperd 1978).
func quatOf(r [3][3]float64) (q [4]float64) {
	sq := [4]float64{1 + r[0][0] + r[1][1] + r[2][2], 1 + r[0][0] - r[1][1] - r[2][2], 1 - r[0][0] + r[1][1] - r[2][2], 1 - r[0][0] - r[1][1] + r[2][2]}
	big := 0
	for i := range sq {
		if sq[i] > sq[big] {
			big = i
		}
	}
	s := math.Sqrt(sq[big]) // twice the largest component
	switch big {
	case 0:
		q = [4]float64{s / 2, (r[2][1] - r[1][2]) / (2 * s), (r[0][2] - r[2][0]) / (2 * s), (r[1][0] - r[0][1]) / (2 * s)}
	case 1:
		q = [4]float64{(r[2][1] - r[1][2]) / (2 * s), s / 2, (r[0][1] + r[1][0]) / (2 * s), (r[0][2] + r[2][0]) / (2 * s)}
	case 2:
		q = [4]float64{(r[0][2] - r[2][0]) / (2 * s), (r[0][1] + r[1][0]) / (2 * s), s / 2, (r[1][2] + r[2][1]) / (2 * s)}
	default:
		q = [4]float64{(r[1][0] - r[0][1]) / (2 * s), (r[0][2] + r[2][0]) / (2 * s), (r[1][2] + r[2][1]) / (2 * s), s / 2}
	}
	if q[0] < 0 {
		for i := range q {
			q[i] = -q[i]
		}
	}
	return q
}
