package volume

import (
	"fmt"
	"math"
)

// affine maps voxel indices (i, j, k, 1) of a file to RAS millimetres, row-major, the last row left out.
type affine [12]float64

// affine is the sform if coded, else the qform if coded, else pixdim alone with nibabel's base affine: x runs to the
// left and the grid's centre is the origin.
func (h *header) affine() (affine, error) {
	a, err := affine(h.srow), error(nil)
	switch {
	case h.scode != 0:
	case h.qcode != 0:
		a, err = h.qform()
	default:
		a = h.base()
	}
	for i, v := range a {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return a, fmt.Errorf("affine element (%d, %d) is %v", i/4, i%4, v)
		}
	}
	return a, err
}

// affine is that of a file whose axes run as DICOM's rows, columns and slices do (PS3.3, C.7.6.2.1.1), its first voxel in the
// origin.
func (m Metadata) affine() (a affine, err error) {
	r, c := m.Axes[:3], m.Axes[3:]
	for i := range 3 {
		j, k := (i+1)%3, (i+2)%3
		a[4*i], a[4*i+1], a[4*i+2] = r[i]*m.SpacingMM[2], c[i]*m.SpacingMM[1], (r[j]*c[k]-r[k]*c[j])*m.SpacingMM[0]
		for n := range 3 {
			if i < 2 {
				a[4*i+n] = -a[4*i+n] // RAS
			}
		}
	}
	for j, mm := range a.spacing() {
		if want := m.SpacingMM[2-j]; !(want > 0) || !(math.Abs(mm-want) <= .01*want) {
			return a, fmt.Errorf("metadata: axes %v and spacing %v mm (z, y, x) are no grid", m.Axes, m.SpacingMM)
		}
	}
	return a, nil
}

// spacings are pixdim's lengths as nibabel repairs them: absolute, and 1 for 0.
func (h *header) spacings() (s [3]float64) {
	for i := range s {
		if s[i] = math.Abs(h.pixdim[i+1]); s[i] == 0 {
			s[i] = 1
		}
	}
	return s
}

// qform is method 2 of nifti1.h.
func (h *header) qform() (a affine, err error) {
	x, y, z := h.quatern[0], h.quatern[1], h.quatern[2]
	eps := 3 * 0x1p-23 // three float32 steps, nibabel's tolerance for a stored unit quaternion
	if h.two {
		eps = 3 * 0x1p-52
	}
	w := 1 - (x*x + y*y + z*z)
	if math.Abs(w) < eps {
		w = 0
	}
	if !(w >= 0) {
		return a, fmt.Errorf("qform: quaternion (%v, %v, %v) is longer than 1", x, y, z)
	}
	w = math.Sqrt(w)
	s := 2 / (w*w + x*x + y*y + z*z)
	r := [9]float64{
		1 - s*(y*y+z*z), s * (x*y - w*z), s * (x*z + w*y),
		s * (x*y + w*z), 1 - s*(x*x+z*z), s * (y*z - w*x),
		s * (x*z - w*y), s * (y*z + w*x), 1 - s*(x*x+y*y)}
	mm := h.spacings()
	if h.pixdim[0] == -1 {
		mm[2] = -mm[2]
	}
	for i := range 3 {
		for j := range 3 {
			a[4*i+j] = r[3*i+j] * mm[j]
		}
		a[4*i+3] = h.qoffset[i]
	}
	return a, nil
}

func (h *header) base() (a affine) {
	mm := h.spacings()
	mm[0] = -mm[0]
	for i := range 3 {
		a[5*i] = mm[i]
		a[4*i+3] = -mm[i] * float64(h.dim[i+1]-1) / 2
	}
	return a
}

// orientation says where each axis of the canonical array (x, y, z in LPS) comes from.
type orientation struct {
	axis [3]int  // of the file
	flip [3]bool // whether it runs the other way there
}

// orientation finds the nearest axes as nibabel's io_orientation does: those of the nearest orthogonal matrix, the
// clearest column first.
func (a affine) orientation() (o orientation, err error) {
	r, err := a.rotation()
	if err != nil {
		return o, err
	}
	var used, placed [3]bool // world and file axes
	for range 3 {
		j := clearest(r, placed)
		best := -1
		for i := range 3 {
			if !used[i] && (best < 0 || math.Abs(r[3*i+j]) > math.Abs(r[3*best+j])) {
				best = i
			}
		}
		used[best], placed[j] = true, true
		o.axis[best] = j
		o.flip[best] = (r[3*best+j] < 0) != (best < 2) // x and y of LPS run against RAS
	}
	return o, nil
}

// clearest is the file axis not placed yet whose largest component is the largest of all; ties go to the first.
func clearest(r [9]float64, placed [3]bool) (best int) {
	most := -1.0
	for j := range 3 {
		m := max(math.Abs(r[j]), math.Abs(r[3+j]), math.Abs(r[6+j]))
		if !placed[j] && m*m > most {
			best, most = j, m*m
		}
	}
	return best
}

// rotation is the orthogonal matrix nearest to the axes' directions: the polar factor, by Newton's iteration
// X := (X + X^-T)/2 (Higham 1986), which doubles its digits each time.
func (a affine) rotation() (x [9]float64, err error) {
	mm := a.spacing()
	for j := range 3 {
		if mm[j] == 0 {
			return x, fmt.Errorf("spacing along file axis %d is 0 mm", j)
		}
		for i := range 3 {
			x[3*i+j] = a[4*i+j] / mm[j]
		}
	}
	if math.Abs(det(x)) < 1e-6 {
		return x, fmt.Errorf("affine is singular: two axes run the same way")
	}
	for range 60 {
		c, d := cofactors(x), det(x)
		for i := range x {
			x[i] = (x[i] + c[i]/d) / 2
		}
	}
	return x, nil
}

// spacing is the length of each column: millimetres per voxel along the file's axes i, j, k.
func (a affine) spacing() (mm [3]float64) {
	for j := range mm {
		mm[j] = math.Sqrt(a[j]*a[j] + a[4+j]*a[4+j] + a[8+j]*a[8+j])
	}
	return mm
}

func cofactors(m [9]float64) [9]float64 {
	return [9]float64{
		m[4]*m[8] - m[5]*m[7], m[5]*m[6] - m[3]*m[8], m[3]*m[7] - m[4]*m[6],
		m[2]*m[7] - m[1]*m[8], m[0]*m[8] - m[2]*m[6], m[1]*m[6] - m[0]*m[7],
		m[1]*m[5] - m[2]*m[4], m[2]*m[3] - m[0]*m[5], m[0]*m[4] - m[1]*m[3]}
}

func det(m [9]float64) float64 {
	c := cofactors(m)
	return m[0]*c[0] + m[1]*c[1] + m[2]*c[2]
}

// oriented is the affine of the canonical array, in LPS: columns permuted and flipped, rows x and y negated.
func (a affine) oriented(o orientation, dim [3]int) (m [16]float64) {
	m[15] = 1
	for i := range 3 {
		m[4*i+3] = a[4*i+3]
		for to, from := range o.axis {
			v := a[4*i+from]
			if o.flip[to] {
				m[4*i+3] += v * float64(dim[from]-1)
				v = -v
			}
			m[4*i+to] = v
		}
	}
	for i := range 8 {
		m[i] = -m[i] + 0 // no negative zeros
	}
	return m
}
