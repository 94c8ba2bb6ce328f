package phantom

import "math"

// lungShape is a box |x|^3 + |y|^3 + |z|^3 <= 1 about c, scaled by 1/inv, cut by the inside of the chest wall.
type lungShape struct {
	c, inv vec
	least  float32 // mm, the shortest half-axis
	apex   vec     // middle of the chest wall's ellipse, at the height above which it narrows
	wall   vec     // half-axes of that ellipse; mm above apex over which it would close
}

// depth is about the distance in mm from a point to the surface, negative inside.
func (l *lungShape) depth(x, y, z float32) float32 {
	n := l.narrow(z)
	return l.join(l.cube(x, 0)+l.cube(y, 1)+l.cube(z, 2), l.square(x, n, 0)+l.square(y, n, 1), n)
}

// The parts of depth, each of one coordinate: a slice is painted with each worked out once.
func (l *lungShape) cube(at float32, axis int) float32 {
	u := abs(at-l.c[axis]) * l.inv[axis]
	return u * u * u
}

func (l *lungShape) narrow(z float32) float32 {
	n := max(0, z-l.apex[2]) / l.wall[2]
	return sqrt(max(.01, 1-n*n))
}

func (l *lungShape) square(at, narrow float32, axis int) float32 {
	a := (at - l.apex[axis]) / (l.wall[axis] * narrow)
	return a * a
}

func (l *lungShape) join(cubes, squares, narrow float32) float32 {
	d := float32(math.Cbrt(float64(cubes)))*l.least - l.least
	return max(d, (sqrt(squares)-1)*l.wall[1]*narrow)
}

// lung fills one lung with tissue and marks its depth.
type lung struct {
	lungShape
	hu, gravity, texture, uneven, phase, fade float32
}

func (l lung) paint(p *plane, o *object) {
	j0, j1 := p.rows(o.lo[1], o.hi[1])
	i0, i1 := p.columns(o.lo[0], o.hi[0])
	if i1 < i0 {
		return
	}
	columns := make([]struct{ short, long, cube, square float32 }, i1-i0+1) // two waves, and the parts of depth
	far := sin(p.z*.022+3*l.phase) * l.uneven
	n, high := l.narrow(p.z), l.cube(p.z, 2)
	outside := 1 + (1+max(l.fade, p.edge))/l.least // of a cube root: too far off for tissue, or for a mark that counts
	outside *= outside * outside
	for i := range columns {
		c, x := &columns[i], p.x(i0+i)
		c.short = sin(x*.21+p.z*.05+l.phase) * l.texture
		c.long = sin(x*.06-p.z*.04+2*l.phase) * l.texture
		c.cube, c.square = l.cube(x, 0), l.square(x, n, 0)
	}
	for j := j0; j <= j1; j++ {
		y := p.y(j)
		a, b := sin(y*.17-p.z*.13), sin(y*.05+p.z*.07+l.phase)
		level := l.hu + l.gravity*(y-l.c[1]) + far*sin(y*.025+l.phase)
		cube, square := l.cube(y, 1), l.square(y, n, 1)
		if cube+high > outside {
			continue
		}
		hu, lung := p.hu[j*p.nx+i0:][:len(columns)], p.lung[j*p.nx+i0:][:len(columns)]
		for i, c := range columns {
			if c.cube+cube+high > outside {
				continue
			}
			d := l.join(c.cube+cube+high, c.square+square, n)
			if d < lung[i] {
				lung[i] = d
			}
			if alpha := min(1, .5-d/l.fade); alpha > 0 {
				v := level + a*c.short + b*c.long
				hu[i] += (v - hu[i]) * alpha
			}
		}
	}
}

// septa are thickened interlobular septa: a mesh of 13 to 18 mm in the outer 24 mm of the lower lungs.
func (c *chest) septa(r *stream) Fact {
	f := func(a, b float64) float32 { return float32(r.in(a, b)) }
	m := mesh{size: f(14, 19), half: f(.9, 1.4) * c.size, skew: f(.2, .4), brush: brush{f(-400, -200), inLung, 1}}
	c.add(vec{-300, -300, c.at(0, 0, 40)[2]}, vec{300, 300, c.at(0, 0, float32(r.in(130, 190)))[2]}, due(septal), m)
	return Fact{Side: "bilateral"}
}

type mesh struct {
	size, half, skew float32
	brush
}

func (m mesh) paint(p *plane, _ *object) {
	wall := func(v float32) float32 {
		q := v/m.size - float32(math.Floor(float64(v/m.size)))
		return min(q, 1-q) * m.size
	}
	for j := range p.ny {
		y := p.y(j)
		b := wall(y - m.skew*p.z)
		for i := range p.nx {
			d := p.lung[j*p.nx+i]
			if d > p.edge || d < -24 {
				continue
			}
			x := p.x(i)
			w := min(b, wall(x+m.skew*y), wall(p.z+m.skew*x))
			if alpha := .5 - (w-m.half)/p.edge; alpha > 0 {
				m.dab(p, j*p.nx+i, min(1, alpha)*.8)
			}
		}
	}
}

// mosaic makes sharply bordered patches of denser and thinner lung that cancel on average.
func (c *chest) mosaic() {
	if !c.has(mosaic) {
		return
	}
	r := c.finding(mosaic)
	t := tiles{float32(r.in(10, 15)), float32(r.in(0, 6.28)), float32(r.in(45, 70)) * c.contrast}
	for _, l := range c.lobes {
		lo, hi := vec{}, vec{}
		for i := range 3 {
			lo[i], hi[i] = l[i]-c.lungR[i], l[i]+c.lungR[i]
		}
		if l[0] > c.shift[0] { // never twice where the two lungs' boxes meet
			lo[0] = c.shift[0] + 1e-3
		} else {
			hi[0] = c.shift[0]
		}
		c.add(lo, hi, due(mosaic), t)
	}
	c.facts[mosaic] = Fact{Side: "bilateral"}
}

type tiles struct{ mm, phase, step float32 }

func (t tiles) paint(p *plane, o *object) {
	j0, j1 := p.rows(o.lo[1], o.hi[1])
	i0, i1 := p.columns(o.lo[0], o.hi[0])
	wx := make([]float32, i1-i0+1)
	for i := range wx {
		wx[i] = sin(p.x(i0+i)/t.mm + t.phase)
	}
	wz := sin(p.z/(t.mm*1.1) + t.phase)
	for j := j0; j <= j1; j++ {
		w := sin(p.y(j)/(t.mm*1.15)+t.phase) + wz
		for i := i0; i <= i1; i++ {
			q := j*p.nx + i
			if p.lung[q] > -1 || p.hu[q] > softTissueHU-200 {
				continue
			}
			if w+wx[i-i0] > 0 {
				p.hu[q] += t.step
			} else {
				p.hu[q] -= t.step * .7
			}
		}
	}
}
