package volume

import (
	"fmt"
	"math"
	"sync"
)

// plan is how one axis is resampled, cropped and padded. Output i that is not padding is made of the source samples from
// at[i] on: of two, the second with the weight w[i], or of as many as there are weights box[i], which sum to 1.
type plan struct {
	at       []int
	w        []float64
	box      [][]float64 // nil: all linear
	most     int         // source samples of one output
	before   int         // outputs of padding before those
	out      int         // all outputs
	from, to int         // the source samples that any of them reads
}

// plans lays out the three axes z, y, x.
func (p Preset) plans(shape [3]int, spacingMM [3]float64) (axes [3]plan, err error) {
	for i, n := range shape {
		if n < 1 {
			return axes, fmt.Errorf("volume: the shape is %v voxels", shape)
		}
		size := p.Shape[i]
		if target := p.SpacingMM[i]; target > 0 {
			if mm := spacingMM[i]; !(mm > 0) || float64(n)*mm/target > 1<<16 {
				return axes, fmt.Errorf("volume: %d voxels of %v mm along %s", n, mm, "zyx"[i:i+1])
			}
			size = int(float64(n) * spacingMM[i] / target)
		}
		if size < 1 {
			return axes, fmt.Errorf("volume: %d voxels of %v mm along %s are less than one of %v mm", n, spacingMM[i], "zyx"[i:i+1], p.SpacingMM[i])
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
	p := plan{out: out, before: max(0, -first), from: n, most: 2}
	for o := max(0, first); o < min(size, first+out); o++ {
		at, w := linear(n, scale, o)
		to := min(at+2, n)
		if lowPass && scale > 1 {
			var weights []float64
			at, weights = box(n, scale, o)
			to = at + len(weights)
			if len(weights) == 2 {
				w, weights = weights[1], nil
			}
			p.box, p.most = append(p.box, weights), max(p.most, len(weights))
		}
		p.at, p.w = append(p.at, at), append(p.w, w)
		p.from, p.to = min(p.from, at), max(p.to, to)
	}
	return p
}

// of is how output i is made: with weights, or of two samples where there are none, or of one where w is 0.
func (p *plan) of(i int) (at, n int, w float64, weights []float64) {
	if p.box != nil && p.box[i] != nil {
		return p.at[i], len(p.box[i]), 0, p.box[i]
	}
	if p.w[i] == 0 {
		return p.at[i], 1, 0, nil
	}
	return p.at[i], 2, p.w[i], nil
}

// linear interpolates at the output's centre, the edge sample repeated beyond the edge: source sample and the weight of
// the one after it, 0 of the one after the last.
func linear(n int, scale float64, o int) (at int, w float64) {
	s := max(0, scale*(float64(o)+.5)-.5)
	if at = min(int(s), n-1); at == n-1 {
		return at, 0
	}
	return at, s - float64(at)
}

// box averages the samples that the output covers, each by the part of it that is covered.
func box(n int, scale float64, o int) (at int, w []float64) {
	lo, hi := scale*float64(o), min(float64(n), scale*float64(o+1))
	at = int(lo)
	for i := at; i < n && float64(i) < hi; i++ {
		cover := min(hi, float64(i+1)) - max(lo, float64(i))
		if part := cover / (hi - lo); part > 1e-9 {
			w = append(w, part)
		}
	}
	return at, w
}

// real is what sums are taken in. Where HU are clipped first float32 is within 5e-7 of a preset's [-1, 1]; metal of 3000
// HU beside air takes it beyond.
type real interface{ float32 | float64 }

// scratch is one resampling's memory.
type scratch[T real] struct {
	row    []T        // a source row, blended along y
	planes []plane[T] // source slices, resampled in plane: slice z at z modulo their number
	sum    []T        // an output slice
}

type plane[T real] struct {
	z   int // -1: none
	out []T
}

var scratches = sync.Pool{New: func() any { return new(scratch[float32]) }}

// resample gives the tensor's rows in HU, clipped to the stored range, and its padding, both by their offset. It reads the
// scan to its end.
func resample[T real](p Preset, src *Scan, s *scratch[T], row func(at int, hu []T), pad func(from, to int)) error {
	axes, err := p.plans(src.Shape, src.SpacingMM)
	if err != nil {
		return err
	}
	az, ay, ax := axes[0], axes[1], axes[2]
	w, h := len(ax.at), len(ay.at)
	s.ready(src.Shape[2]+1, w*h, az.most)
	in := inPlane[T]{src: src, scratch: s, z: az, y: ay, x: ax, clip: !p.ClipLast}
	slice := ay.out * ax.out
	pad(0, az.before*slice)
	for k := range az.at {
		i := k
		if src.down {
			i = len(az.at) - 1 - k
		}
		base := (az.before + i) * slice
		if err := in.blend(i); err != nil {
			return err
		}
		pad(base, base+ay.before*ax.out)
		for y := range h {
			at := base + (ay.before+y)*ax.out
			pad(at, at+ax.before)
			row(at+ax.before, s.sum[y*w:][:w])
			pad(at+ax.before+w, at+ax.out)
		}
		pad(base+(ay.before+h)*ax.out, base+slice)
	}
	pad((az.before+len(az.at))*slice, az.out*slice)
	return src.finish()
}

func (s *scratch[T]) ready(rowLen, planeLen, planes int) {
	s.row, s.sum = sized(s.row, rowLen), sized(s.sum, planeLen)
	for len(s.planes) < planes {
		s.planes = append(s.planes, plane[T]{})
	}
	s.planes = s.planes[:planes]
	for i := range s.planes {
		s.planes[i] = plane[T]{-1, sized(s.planes[i].out, planeLen)}
	}
}

func sized[T real](b []T, n int) []T {
	if cap(b) < n {
		return make([]T, n)
	}
	return b[:n]
}

// inPlane resamples source slices along y and x.
type inPlane[T real] struct {
	*scratch[T]
	src     *Scan
	z, y, x plan
	clip    bool // before resampling
}

// blend puts output slice i into sum.
func (p *inPlane[T]) blend(i int) error {
	at, n, w, weights := p.z.of(i)
	for k := range n { // as they come
		if p.src.down {
			k = n - 1 - k
		}
		if err := p.slice(at + k); err != nil {
			return err
		}
	}
	plane := func(k int) []T { return p.planes[(at+k)%len(p.planes)].out }
	copy(p.sum, plane(0))
	if weights == nil && n == 2 {
		b, w := plane(1)[:len(p.sum)], T(w)
		for i, x := range p.sum {
			p.sum[i] = x + (b[i]-x)*w
		}
	}
	for k, w := range weights {
		a, w := plane(k)[:len(p.sum)], T(w)
		for i, x := range a {
			if x *= w; k > 0 {
				x += p.sum[i]
			}
			p.sum[i] = x
		}
	}
	for i, x := range p.sum {
		p.sum[i] = max(storedLo, min(storedHi, x))
	}
	return nil
}

// slice resamples source slice z in plane, unless that is done.
func (p *inPlane[T]) slice(z int) error {
	to := &p.planes[z%len(p.planes)]
	if to.z == z {
		return nil
	}
	src, err := p.src.slice(z)
	if err != nil {
		return err
	}
	to.z = z
	w := len(p.x.at)
	for y := range p.y.at {
		p.rows(src, y)
		p.across(to.out[y*w:][:w])
	}
	return nil
}

// rows blends the source rows of output row y into row, in the columns that are needed.
func (p *inPlane[T]) rows(src []int16, y int) {
	lo, hi := int32(math.MinInt16), int32(math.MaxInt16)
	if p.clip {
		lo, hi = storedLo, storedHi
	}
	at, n, w, weights := p.y.of(y)
	dst := p.row[p.x.from:p.x.to]
	line := func(k int) []int16 { return src[(at+k)*p.src.Shape[2]+p.x.from:][:len(dst)] }
	if weights == nil {
		a, b, w := line(0), line(n-1), T(w)
		b = b[:len(dst)]
		for i, x := range a[:len(dst)] {
			u, v := T(max(lo, min(hi, int32(x)))), T(max(lo, min(hi, int32(b[i]))))
			dst[i] = u + (v-u)*w
		}
		return
	}
	for k, w := range weights {
		a, w := line(k), T(w)
		if k == 0 {
			for i, x := range a {
				dst[i] = T(max(lo, min(hi, int32(x)))) * w
			}
			continue
		}
		for i, x := range a {
			dst[i] += T(max(lo, min(hi, int32(x)))) * w
		}
	}
}

// across resamples row along x. Behind its last sample row holds another, for the weight of 0.
func (p *inPlane[T]) across(dst []T) {
	row := p.row
	if p.x.box == nil {
		w, at := p.x.w[:len(dst)], p.x.at[:len(dst)]
		for i := range dst {
			two := row[at[i] : at[i]+2]
			dst[i] = two[0] + (two[1]-two[0])*T(w[i])
		}
		return
	}
	for i := range dst {
		at, _, w, weights := p.x.of(i)
		sum := row[at]
		if weights == nil {
			sum += (row[at+1] - sum) * T(w)
		}
		for k, w := range weights {
			if k == 0 {
				sum = 0
			}
			sum += row[at+k] * T(w)
		}
		dst[i] = sum
	}
}
