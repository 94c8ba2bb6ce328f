package phantom

import (
	"math"

	"silverbeam/pkg/volume"
)

// Render makes the study's volumes: the soft-kernel reconstruction, then the sharp one where the study has two. It runs
// on the caller's goroutine; equal arguments give equal voxels on machines of one architecture and GOAMD64 level.
func (s Study) Render(o Options) ([]*volume.Volume, error) {
	o, err := o.defaults()
	if err != nil {
		return nil, err
	}
	return newPainter(o).study(s), nil
}

// painter holds the buffers of one goroutine.
type painter struct {
	o                Options
	p                plane
	base, noise, tmp []float32
	weight, smooth   []float32
	hu               [2][]int16
}

func newPainter(o Options) *painter {
	n := o.Shape[1] * o.Shape[2]
	f := func() []float32 { return make([]float32, n) }
	w := &painter{o: o, base: f(), noise: f(), tmp: f(), weight: f(), smooth: f()}
	w.p = plane{hu: f(), lung: f(), nx: o.Shape[2], ny: o.Shape[1]}
	return w
}

// geometry is the study's voxel size, rounded to 1/1024 mm so that float32 and decimal text hold it exactly.
func geometry(b body, shape [3]int) (spacing [3]float64) {
	round := func(mm float64) float64 { return max(1, math.Round(mm*1024)) / 1024 }
	spacing[0] = round(heightMM / float64(shape[0]))
	spacing[1] = round(float64(b.fieldMM) / float64(min(shape[1], shape[2])))
	spacing[2] = spacing[1]
	return spacing
}

// study paints the scene once and reconstructs it with each kernel. The volumes alias the painter's buffers.
func (w *painter) study(s Study) []*volume.Volume {
	spacing := geometry(drawBody(s), w.o.Shape)
	w.p.sx, w.p.sy, w.p.edge = float32(spacing[2]), float32(spacing[1]), float32(spacing[2])
	c := newChest(s, w.o.Difficulty, w.p.edge)
	c.background(&w.p)
	copy(w.base, w.p.hu)
	w.weigh(c)
	out := make([]*volume.Volume, s.Volumes)
	for k := range out {
		if w.hu[k] == nil {
			w.hu[k] = make([]int16, w.o.Shape[0]*len(w.base))
		}
		out[k] = &volume.Volume{HU: w.hu[k], Shape: w.o.Shape, SpacingMM: spacing, AffineLPS: affine(spacing, w.o.Shape)}
	}
	for z := range w.o.Shape[0] {
		w.paint(c, z, spacing[0])
		w.reconstruct(c, z, out)
	}
	return out
}

// affine puts the origin of the LPS world at the middle of the field and of the scan.
func affine(spacing [3]float64, shape [3]int) (a [16]float64) {
	a[0], a[5], a[10], a[15] = spacing[2], spacing[1], spacing[0], 1
	for i := range 3 {
		a[4*i+3] = -spacing[2-i] * float64(shape[2-i]-1) / 2
	}
	return a
}

// weigh sets the noise of each pixel: most in the middle of the body, least in the air around it; below 0 marks the
// corners outside the reconstruction circle.
func (w *painter) weigh(c *chest) {
	skin, _, _, _ := c.trunk()
	p := &w.p
	field := float32(min(p.nx, p.ny)) / 2 * p.sx
	for j := range p.ny {
		for i := range p.nx {
			x, y := p.x(i), p.y(j)
			q := &w.weight[j*p.nx+i]
			if x*x+y*y > field*field {
				*q = -1
				continue
			}
			x, y = (x-c.shift[0])/skin[0], (y-c.shift[1])/skin[1]
			*q = c.noise * max(.25, 1.15-.6*(x*x+y*y))
		}
	}
}

// paint fills the plane with slice z of the scene, without noise.
func (w *painter) paint(c *chest, z int, mm float64) {
	p := &w.p
	p.z = float32((float64(z)+.5)*mm - float64(w.o.Shape[0])*mm/2 + heightMM/2)
	copy(p.hu, w.base)
	for i := range p.lung {
		p.lung[i] = farAway
	}
	for i := range c.objects {
		if o := &c.objects[i]; p.z >= o.lo[2] && p.z <= o.hi[2] {
			o.shape.paint(p, o)
		}
	}
}

const (
	paddingHU = -1024 // outside the circle, and the least value
	metalHU   = 3071  // the most a 12-bit scanner gives
)

// reconstruct adds noise and the kernel's blur or edges to slice z. The soft kernel blurs the noise by [1 2 1]/4 in both
// directions; the sharp one keeps it and lifts edges by 60 % of their difference from the blurred image.
func (w *painter) reconstruct(c *chest, z int, out []*volume.Volume) {
	p := &w.p
	r := substream(c.study.seed, "noise", c.study.patient, c.study.scan, z)
	const pairs = 0x0000ffff0000ffff
	for i := range w.noise {
		h := mix(uint64(r))
		r += 0x9e3779b97f4a7c15
		h = h&pairs + h>>16&pairs
		sum := int(uint32(h)) + int(h>>32) - 2*0xffff
		w.noise[i] = float32(sum) * (1.7320508 / 0x10000) // four uniforms, scaled to variance 1
	}
	blur(w.smooth, w.noise, w.tmp, p.nx, p.ny)
	n, gain, drift := len(p.hu), 1+c.unlin, c.drift
	weight, smooth, noise := w.weight[:n], w.smooth[:n], w.noise[:n]
	row := out[0].HU[z*n:][:n]
	for i, v := range p.hu {
		row[i] = toHU((v+1000)*gain-1000+drift+weight[i]*smooth[i], weight[i])
	}
	if len(out) < 2 {
		return
	}
	blur(w.smooth, p.hu, w.tmp, p.nx, p.ny)
	row = out[1].HU[z*n:][:n]
	for i, v := range p.hu {
		v += .6 * (v - smooth[i])
		row[i] = toHU((v+1000)*gain-1000+drift+c.sharpFactor*weight[i]*noise[i], weight[i])
	}
}

func toHU(v, weight float32) int16 {
	if weight < 0 {
		return paddingHU
	}
	return int16(min(metalHU, max(paddingHU, int32(v+4096.5)-4096)))
}

// blur convolves src with [1 2 1]/4 along x and along y; borders repeat.
func blur(dst, src, tmp []float32, nx, ny int) {
	for j := range ny {
		s, t := src[j*nx:(j+1)*nx], tmp[j*nx:(j+1)*nx]
		for i := 1; i < nx-1; i++ {
			t[i] = .25*(s[i-1]+s[i+1]) + .5*s[i]
		}
		t[0], t[nx-1] = .75*s[0]+.25*s[min(1, nx-1)], .75*s[nx-1]+.25*s[max(0, nx-2)]
	}
	for j := range ny {
		a, b, c := tmp[max(0, j-1)*nx:][:nx], tmp[j*nx:][:nx], tmp[min(ny-1, j+1)*nx:][:nx]
		d := dst[j*nx:][:nx]
		for i := range d {
			d[i] = .25*(a[i]+c[i]) + .5*b[i]
		}
	}
}
