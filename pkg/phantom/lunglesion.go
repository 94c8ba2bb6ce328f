package phantom

// lungFindings paints what lies in the lungs, in a fixed order: later ones meet what earlier ones left.
func (c *chest) lungFindings() {
	for _, f := range []struct {
		finding int
		paint   func(*stream) Fact
	}{
		{pleuralEffusion, c.effusion}, {consolidation, c.airspace}, {emphysema, c.holes}, {opacity, c.groundGlass},
		{septal, c.septa}, {fibrosis, c.scars}, {atelectasis, c.plates}, {nodule, c.nodules},
	} {
		if c.has(f.finding) {
			c.facts[f.finding] = f.paint(c.finding(f.finding))
		}
	}
}

// spot is a random point of the lungs at least deep mm and at most deep+rind mm under the surface, at a height between
// low and high of the reference chest.
func (c *chest) spot(r *stream, side int, deep, rind, low, high float32) vec {
	z0, z1 := c.at(0, 0, low)[2], c.at(0, 0, high)[2]
	var p vec
	for range 400 {
		l := c.lobes[side]
		p = vec{l[0] + c.lungR[0]*float32(r.in(-1, 1)), l[1] + c.lungR[1]*float32(r.in(-1, 1)), float32(r.in(float64(z0), float64(z1)))}
		if d := c.depth(p); d < -deep && d > -deep-rind && !c.underHeart(p) {
			break
		}
	}
	return p
}

// underHeart tells whether heart, liver or mediastinum hide the lung's ellipsoid at p. It asks about a slightly enlarged
// heart whatever this one is like, so that cardiomegaly moves no lesion.
func (c *chest) underHeart(p vec) bool {
	var q float32
	for i := range 3 {
		d := (p[i] - c.hideC[i]) / c.hideR[i]
		q += d * d
	}
	dome := p[2] < c.at(0, 0, 62+c.dome)[2]
	return q < 1 || dome || abs(p[0]-c.shift[0]) < 34*c.wide
}

// lesions paints count lesions on random sides and sums them up; one paints a lesion and returns its size in mm.
func (c *chest) lesions(r *stream, count int, one func(side int) (at vec, mm float32)) Fact {
	f := Fact{Count: count}
	var sides [2]int
	var most float32
	for range count {
		side := r.count(0, 1)
		at, mm := one(side)
		sides[side]++
		if mm > most {
			most, f.Lobe = mm, c.lobe(at)
		}
	}
	f.Side, f.SizeMM = whichSides(sides), int(most+.5)
	return f
}

// holes are centrilobular emphysema: small spheres below -950 HU, mostly in the upper zones.
func (c *chest) holes(r *stream) Fact {
	f := func(a, b float64) float32 { return float32(r.in(a, b)) }
	n := int(float32(r.count(260, 480)) * c.size)
	var sides [2]int
	for range n {
		side := r.count(0, 1)
		p := c.spot(r, side, 4, 60, 60, 270)
		at, q := vec{f(3, 7) * c.size, f(3, 7) * c.size, f(3, 7) * c.size}, f(-988, -955)
		if r.chance(float64(p[2]-60)/210 + .15) {
			sides[side]++
			c.ellipsoid(due(emphysema), p, at, brush{q, inLung, min(1, c.contrast)})
		}
	}
	for range r.count(0, 3) { // bullae
		p := c.spot(r, r.count(0, 1), 6, 10, 200, 275)
		q := f(7, 15) * c.size
		c.ellipsoid(due(emphysema), p, vec{q, q, q * f(.8, 1.2)}, brush{-985, inLung, 1})
	}
	return Fact{Side: whichSides(sides), Count: n}
}

// groundGlass is one to four hazy patches that leave the vessels visible.
func (c *chest) groundGlass(r *stream) Fact {
	return c.lesions(r, r.count(1, 4), func(side int) (vec, float32) {
		p := c.spot(r, side, 4, 40, 60, 260)
		q := float32(r.in(18, 34)) * c.bulk
		hu := c.lungHU + (float32(r.in(-620, -470))-c.lungHU)*min(1.6, c.contrast)
		c.patch(due(opacity), p, q, float32(r.in(0, 6.28)), brush{hu, brighten, 1})
		return p, 2 * q
	})
}

// airspace is one or two dense patches with air bronchograms.
func (c *chest) airspace(r *stream) Fact {
	return c.lesions(r, r.count(1, 2), func(side int) (vec, float32) {
		p := c.spot(r, side, 4, 40, 60, 250)
		q := float32(r.in(18, 34)) * c.bulk
		c.patch(due(consolidation), p, q, float32(r.in(0, 6.28)), brush{float32(r.in(10, 55)), fillAir, 1})
		return p, 2 * q
	})
}

func (c *chest) patch(tag uint32, at vec, r, phase float32, b brush) {
	m := r*1.3 + c.edge
	c.add(vec{at[0] - m, at[1] - m, at[2] - m}, vec{at[0] + m, at[1] + m, at[2] + m}, tag, patch{at, r, phase, b})
}

// nodules are one to four round lesions in the outer lung.
func (c *chest) nodules(r *stream) Fact {
	return c.lesions(r, r.count(1, 4), func(side int) (vec, float32) {
		q := float32(r.in(4.5, 11)) * c.size
		p := c.spot(r, side, q, 18, 65, 270)
		c.ellipsoid(due(nodule), p, vec{q, q * float32(r.in(.8, 1)), q}, brush{float32(r.in(0, 70)), inLung, 1})
		return p, 2 * q
	})
}

// scars are irregular bands that run inwards from the pleura of the apices.
func (c *chest) scars(r *stream) Fact {
	f := func(a, b float64) float32 { return float32(r.in(a, b)) }
	return c.lesions(r, r.count(5, 9), func(side int) (vec, float32) {
		p := c.spot(r, side, 1, 8, 205, 272)
		q := vec{p[0] + (c.lobes[side][0]-p[0])*f(.3, .8) + f(-8, 8), p[1] + (c.lobes[side][1]-p[1])*f(.2, .6) + f(-8, 8), p[2] + f(-18, 6)}
		w := f(1.4, 3) * c.size
		c.tube(due(fibrosis), p, q, w, w*f(.5, .9), brush{f(-80, 40), inLung, 1})
		return p, w
	})
}

// plates are linear atelectases: sheets near the diaphragm.
func (c *chest) plates(r *stream) Fact {
	f := func(a, b float64) float32 { return float32(r.in(a, b)) }
	return c.lesions(r, r.count(1, 3), func(side int) (vec, float32) {
		p := c.spot(r, side, 5, 30, 68, 125)
		s := plate{at: p, half: f(2, 4.2) * c.size, reach: f(26, 48) * c.bulk, tilt: f(-.4, .4), brush: brush{f(0, 50), inLung, 1}}
		m := vec{s.reach + c.edge, s.reach + c.edge, s.reach*.4 + s.half*1.1 + c.edge}
		c.add(vec{p[0] - m[0], p[1] - m[1], p[2] - m[2]}, vec{p[0] + m[0], p[1] + m[1], p[2] + m[2]}, due(atelectasis), s)
		return p, 2 * s.half
	})
}

// plate is a round sheet, tilted about the x axis.
type plate struct {
	at                vec
	half, reach, tilt float32
	brush
}

func (s plate) paint(p *plane, o *object) {
	j0, j1 := p.rows(o.lo[1], o.hi[1])
	i0, i1 := p.columns(o.lo[0], o.hi[0])
	for j := j0; j <= j1; j++ {
		dy := p.y(j) - s.at[1]
		across := abs(p.z-s.at[2]-s.tilt*dy) - s.half
		for i := i0; i <= i1; i++ {
			dx := p.x(i) - s.at[0]
			if alpha := .5 - max(across, sqrt(dx*dx+dy*dy)-s.reach)/p.edge; alpha > 0 {
				s.dab(p, j*p.nx+i, min(1, alpha))
			}
		}
	}
}

// effusion is fluid behind a plane that rises towards the side wall (the meniscus), in one or both pleural spaces.
func (c *chest) effusion(r *stream) Fact {
	f := func(a, b float64) float32 { return float32(r.in(a, b)) }
	sides := []int{r.count(0, 1)}
	if r.chance(.45) {
		sides = []int{0, 1}
	}
	var most float32
	for _, side := range sides {
		thick := f(18, 52) * c.bulk
		l := c.lobes[side]
		e := fluid{side: l, r: c.lungR, front: c.at(0, 82*c.lungWide, 0)[1] - thick, foot: c.at(0, 0, 60)[2], brush: brush{f(0, 18), inLung, 1}}
		c.add(vec{l[0] - c.lungR[0] - 2, e.front - 60, 0}, vec{l[0] + c.lungR[0] + 2, 200, c.at(0, 0, 235)[2]}, due(pleuralEffusion), e)
		most = max(most, thick)
	}
	f2 := Fact{Side: "bilateral", SizeMM: int(most)}
	if len(sides) == 1 {
		f2.Side = [2]string{"right", "left"}[sides[0]]
	}
	return f2
}

type fluid struct {
	side, r     vec
	front, foot float32
	brush
}

func (e fluid) paint(p *plane, o *object) {
	j0, j1 := p.rows(o.lo[1], o.hi[1])
	i0, i1 := p.columns(o.lo[0], o.hi[0])
	for j := j0; j <= j1; j++ {
		for i := i0; i <= i1; i++ {
			d := e.front - p.y(j) + (p.z-e.foot)*.25 - .12*abs(p.x(i)-e.side[0])
			if alpha := .5 - d/p.edge; alpha > 0 {
				e.dab(p, j*p.nx+i, min(1, alpha))
			}
		}
	}
}
