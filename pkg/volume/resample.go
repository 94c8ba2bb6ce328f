package volume

import (
	"fmt"
	"math"
	"sync"
)

// taps are the weights of one output sample along one axis, on source samples from on. They sum to 1.
type taps struct {
	from int
	w    []float32
}

// plan is how one axis is resampled, cropped and padded.
type plan struct {
	taps     []taps // of the outputs that are not padding
	before   int    // outputs of padding before those
	out      int    // all outputs
	from, to int    // the source samples that any of them reads
}

// plans lays out the three axes z, y, x.
func (p Preset) plans(v *Volume) (axes [3]plan, err error) {
	if len(v.HU) == 0 || len(v.HU) != v.Shape[0]*v.Shape[1]*v.Shape[2] {
		return axes, fmt.Errorf("volume: %d voxels in the shape %v", len(v.HU), v.Shape)
	}
	for i, n := range v.Shape {
		size := p.Shape[i]
		if target := p.SpacingMM[i]; target > 0 {
			if mm := v.SpacingMM[i]; !(mm > 0) || float64(n)*mm/target > 1<<16 {
				return axes, fmt.Errorf("volume: %d voxels of %v mm along %s", n, mm, "zyx"[i:i+1])
			}
			size = int(float64(n) * v.SpacingMM[i] / target)
		}
		if size < 1 {
			return axes, fmt.Errorf("volume: %d voxels of %v mm along %s are less than one of %v mm", n, v.SpacingMM[i], "zyx"[i:i+1], p.SpacingMM[i])
		}
		via := p.Via[i]
		if via == 0 {
			via = p.Shape[i]
		}
		first := fit(size, via) + fit(via, p.Shape[i])
		axes[i] = newPlan(n, size, first, p.Shape[i], p.LowPass)
	}
	return axes, nil
}

// fit is where a centred box of t starts in n samples: cut (n-t)/2, or pad (t-n)/2 before.
func fit(n, t int) int {
	if n >= t {
		return (n - t) / 2
	}
	return -((t - n) / 2)
}

// newPlan resamples n samples to size and takes out of them, starting at first.
func newPlan(n, size, first, out int, lowPass bool) plan {
	scale := float64(n) / float64(size)
	p := plan{out: out, before: max(0, -first), from: n}
	for o := max(0, first); o < min(size, first+out); o++ {
		t := linear(n, scale, o)
		if lowPass && scale > 1 {
			t = box(n, scale, o)
		}
		p.taps = append(p.taps, t)
		p.from, p.to = min(p.from, t.from), max(p.to, t.from+len(t.w))
	}
	return p
}

// linear interpolates at the output's centre, the edge sample repeated beyond the edge.
func linear(n int, scale float64, o int) taps {
	s := max(0, scale*(float64(o)+.5)-.5)
	i := min(int(s), n-1)
	w := s - float64(i)
	if i == n-1 {
		return taps{i, []float32{1}}
	}
	return taps{i, []float32{float32(1 - w), float32(w)}}
}

// box averages the samples that the output covers, each by the part of it that is covered.
func box(n int, scale float64, o int) taps {
	lo, hi := scale*float64(o), min(float64(n), scale*float64(o+1))
	t := taps{from: int(lo)}
	for i := t.from; i < n && float64(i) < hi; i++ {
		cover := min(hi, float64(i+1)) - max(lo, float64(i))
		if part := cover / (hi - lo); part > 1e-9 {
			t.w = append(t.w, float32(part))
		}
	}
	return t
}

// scratch is one resampling's memory.
type scratch struct {
	row    []float32 // a source row, blended along y
	planes [2]plane  // the last source slices, resampled in plane
	sum    []float32 // an output slice
}

type plane struct {
	z   int // -1: none
	out []float32
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// resample gives the tensor's rows in HU, clipped to the stored range, and its padding, both by their offset.
func (p Preset) resample(v *Volume, row func(at int, hu []float32), pad func(from, to int)) error {
	axes, err := p.plans(v)
	if err != nil {
		return err
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	az, ay, ax := axes[0], axes[1], axes[2]
	w, h := len(ax.taps), len(ay.taps)
	s.ready(v.Shape[2], w*h)
	in := inPlane{v: v, y: ay, x: ax, clip: !p.ClipLast}
	slice := ay.out * ax.out
	pad(0, az.before*slice)
	for i, t := range az.taps {
		base := (az.before + i) * slice
		in.blend(s, t)
		clip(s.sum)
		pad(base, base+ay.before*ax.out)
		for y := range h {
			at := base + (ay.before+y)*ax.out
			pad(at, at+ax.before)
			row(at+ax.before, s.sum[y*w:][:w])
			pad(at+ax.before+w, at+ax.out)
		}
		pad(base+(ay.before+h)*ax.out, base+slice)
	}
	pad((az.before+len(az.taps))*slice, az.out*slice)
	return nil
}

func (s *scratch) ready(rowLen, planeLen int) {
	s.row, s.sum = sized(s.row, rowLen), sized(s.sum, planeLen)
	for i := range s.planes {
		s.planes[i] = plane{-1, sized(s.planes[i].out, planeLen)}
	}
}

func sized(b []float32, n int) []float32 {
	if cap(b) < n {
		return make([]float32, n)
	}
	return b[:n]
}

func clip(row []float32) {
	for i, x := range row {
		row[i] = max(storedLo, min(storedHi, x))
	}
}

// inPlane resamples source slices along y and x.
type inPlane struct {
	v    *Volume
	y, x plan
	clip bool // before resampling
}

// blend puts the output slice with taps t into s.sum.
func (p *inPlane) blend(s *scratch, t taps) {
	if len(t.w) == 2 {
		a, b := p.slice(s, t.from), p.slice(s, t.from+1)
		w := t.w[1]
		b = b[:len(a)]
		sum := s.sum[:len(a)]
		for i, x := range a {
			sum[i] = x + (b[i]-x)*w
		}
		return
	}
	for k, w := range t.w {
		a := p.slice(s, t.from+k)
		sum := s.sum[:len(a)]
		if k == 0 {
			for i, x := range a {
				sum[i] = x * w
			}
			continue
		}
		for i, x := range a {
			sum[i] += x * w
		}
	}
}

// slice is source slice z in plane, of the two kept last if it is one of them.
func (p *inPlane) slice(s *scratch, z int) []float32 {
	at := 0
	for i, k := range s.planes {
		if k.z == z {
			return k.out
		}
		if k.z < s.planes[at].z {
			at = i
		}
	}
	s.planes[at].z = z
	out := s.planes[at].out
	nx := p.v.Shape[2]
	src := p.v.HU[z*p.v.Shape[1]*nx:][:p.v.Shape[1]*nx]
	w := len(p.x.taps)
	for y, t := range p.y.taps {
		p.rows(s.row, src, nx, t)
		across(out[y*w:][:w], s.row, p.x.taps)
	}
	return out
}

// rows blends the rows of taps t into dst, in the columns that are needed.
func (p *inPlane) rows(dst []float32, src []int16, nx int, t taps) {
	lo, hi := int32(math.MinInt16), int32(math.MaxInt16)
	if p.clip {
		lo, hi = storedLo, storedHi
	}
	dst = dst[p.x.from:p.x.to]
	row := func(k int) []int16 { return src[(t.from+k)*nx+p.x.from:][:len(dst)] }
	if len(t.w) == 2 {
		a, b, w := row(0), row(1), t.w[1]
		b = b[:len(a)]
		for i, x := range a {
			u, v := float32(max(lo, min(hi, int32(x)))), float32(max(lo, min(hi, int32(b[i]))))
			dst[i] = u + (v-u)*w
		}
		return
	}
	for k, w := range t.w {
		src := row(k)
		if k == 0 {
			for i, x := range src {
				dst[i] = float32(max(lo, min(hi, int32(x)))) * w
			}
			continue
		}
		for i, x := range src {
			dst[i] += float32(max(lo, min(hi, int32(x)))) * w
		}
	}
}

// across resamples one row along x.
func across(dst, row []float32, x []taps) {
	for i := range dst {
		t := &x[i]
		if len(t.w) == 2 {
			u := row[t.from]
			dst[i] = u + (row[t.from+1]-u)*t.w[1]
			continue
		}
		sum := float32(0)
		for k, v := range row[t.from:][:len(t.w)] {
			sum += v * t.w[k]
		}
		dst[i] = sum
	}
}
