package phantom

import "math"

// skeleton paints vertebrae, spinal canal, spinous processes, sternum, ribs and shoulder blades.
func (c *chest) skeleton() {
	r := c.study.ofPatient("skeleton")
	hu := func(a, b float64) float32 { return float32(r.in(a, b)) * c.bone }
	for z := float32(-20); z < heightMM+10; z += 25 {
		at := c.at(0, 68, z)
		c.ellipsoid(0, at, vec{19 * c.wide, 16 * c.wide, 11.5 * c.tall}, solid(hu(350, 600)))
		c.ellipsoid(0, at, vec{16 * c.wide, 13 * c.wide, 9.5 * c.tall}, solid(hu(120, 230)))
		if r.chance(.15) { // bone island, osteophyte
			c.ellipsoid(0, vec{at[0] + float32(r.in(-14, 14)), at[1] - 12*c.wide, at[2]}, vec{4, 4, 4}, solid(hu(700, 1100)))
		}
	}
	c.tube(0, c.at(0, 88, -20), c.at(0, 88, 340), 8, 8, solid(30))
	c.tube(0, c.at(0, 102, -20), c.at(0, 102, 340), 5, 5, solid(hu(350, 450)))
	c.tube(0, c.at(0, -100, 100), c.at(0, -98, 265), 8, 10, solid(hu(200, 320)))
	for _, out := range []float32{-1, 1} { // shoulder blades
		c.tube(0, c.at(out*82, 84, 190), c.at(out*112, 66, 330), 4, 6, solid(hu(350, 600)))
	}
	cage := ribs{tall: c.tall, z0: c.at(0, 0, -10)[2], centre: c.shift, rx: 133 * c.wide, ry: 93 * c.wide}
	for i := range cage.hu {
		cage.hu[i] = hu(350, 800)
	}
	far := float32(math.Inf(1))
	c.add(vec{-far, -far, -far}, vec{far, far, far}, 0, &cage)
}

// ribs are twelve tilted rings, 26 mm apart: 28 mm deeper in front for every 100 mm from back to front.
type ribs struct {
	tall, z0, rx, ry float32
	centre           vec
	hu               [14]float32
	ring             []ringVoxel // made at the first slice: only voxels near the rings can be bone
}

type ringVoxel struct {
	at      int32
	off, dz float32 // mm across the ring; mm by which the rib is tilted up here
}

func (r *ribs) paint(p *plane, _ *object) {
	if r.ring == nil {
		r.find(p)
	}
	step := 26 * r.tall
	for _, v := range r.ring {
		up := p.z - r.z0 - v.dz
		k := math.Round(float64(up / step))
		if k < 0 || k >= float64(len(r.hu)) {
			continue
		}
		dz := (up - float32(k)*step) / 1.1
		if alpha := .5 - (sqrt(v.off+dz*dz)-5)/p.edge; alpha > 0 {
			q := &p.hu[v.at]
			*q += (r.hu[int(k)] - *q) * min(1, alpha)
		}
	}
}

func (r *ribs) find(p *plane) {
	r.ring = make([]ringVoxel, 0, 1024)
	for j := range p.ny {
		y := p.y(j) - r.centre[1]
		if y < -r.ry*.8 {
			continue // cartilage
		}
		for i := range p.nx {
			x := p.x(i) - r.centre[0]
			e := (sqrt(x*x/(r.rx*r.rx)+y*y/(r.ry*r.ry)) - 1) * r.ry / .7
			if abs(e) < 5+p.edge {
				r.ring = append(r.ring, ringVoxel{int32(j*p.nx + i), e * e, y * .28})
			}
		}
	}
}

// wall is the trunk as ellipses in plane: half-axes from outside in, the same on every slice.
func (c *chest) trunk() (skin, fat, muscle, inside [2]float32) {
	m := [2]float32{thoraxHalf * c.wide, 110 * c.wide}
	return [2]float32{m[0] + c.fat + 2, m[1] + c.fat*.8 + 2}, [2]float32{m[0] + c.fat, m[1] + c.fat*.8}, m, [2]float32{132 * c.wide, 92 * c.wide}
}

// chestWall is the point in direction (dx, dy) from the body's middle that lies mm inside the skin, at z = 0;
// negative mm is outside the body.
func (c *chest) chestWall(dx, dy, mm float32) vec {
	skin, _, _, _ := c.trunk()
	n := sqrt(dx*dx/(skin[0]*skin[0]) + dy*dy/(skin[1]*skin[1]))
	l := sqrt(dx*dx + dy*dy)
	t := 1/n - mm/l
	return vec{dx*t + c.shift[0], dy*t + c.shift[1], 0}
}

// background paints what is the same on every slice: air, table, skin, fat, muscle, and fat inside the ribs.
func (c *chest) background(p *plane) {
	skin, fat, muscle, inside := c.trunk()
	layers := []struct {
		r  [2]float32
		hu float32
	}{{skin, 40}, {fat, c.rimHU}, {muscle, c.muscle}, {inside, c.rimHU + 15}}
	table := skin[1] + c.tableDrop + 5
	for j := range p.ny {
		for i := range p.nx {
			x, y := p.x(i)-c.shift[0], p.y(j)-c.shift[1]
			v := float32(-1000)
			if alpha := .5 - (abs(y-table+x*x/2500*.4)-3)/p.edge; alpha > 0 && abs(x) < 210 {
				v += 850 * min(1, alpha)
			}
			for _, l := range layers {
				m := min(l.r[0], l.r[1])
				d := (sqrt(x*x/(l.r[0]*l.r[0])+y*y/(l.r[1]*l.r[1])) - 1) * m
				if alpha := .5 - d/p.edge; alpha > 0 {
					v += (l.hu - v) * min(1, alpha)
				}
			}
			p.hu[j*p.nx+i] = v
		}
	}
}

// lookalikes are harmless things that share brightness or place with a finding: metal on the clothes, calcified hilar
// nodes and tracheal cartilage, breasts, a fat pad at the heart, dependent density of the lung.
func (c *chest) lookalikes() {
	r := c.study.stream("look-alikes")
	f := func(a, b float64) float32 { return float32(r.in(a, b)) }
	if r.chance(.5) { // buttons, zip, leads on the skin
		for range r.count(1, 8) {
			w := c.chestWall(f(-1, 1), f(-1, -.2), -4)
			w[2] = f(20, 300)
			c.ellipsoid(0, w, vec{f(2, 6), f(2, 4), f(2, 9)}, solid(f(800, 3071)))
		}
	}
	if r.chance(.45) { // a box of a monitor, a phone, an underwire
		w := c.chestWall(f(-1, 1), f(-1, .6), -14)
		w[2] = f(10, 310)
		c.ellipsoid(0, w, vec{f(6, 26), f(4, 8), f(8, 26)}, solid(f(800, 3071)))
	}
	if r.chance(.3) { // calcified node at a hilum
		side := f(-1, 1)
		c.ellipsoid(0, c.at(side*34, 10, f(140, 175)), vec{f(2, 4), f(2, 4), f(2, 4)}, solid(f(300, 900)))
	}
	if r.chance(.3) {
		for z := float32(190); z < 300; z += 12 {
			c.ellipsoid(0, c.at(f(-9, 9), -9, z), vec{2, 1.5, 2}, solid(f(200, 500)))
		}
	}
	if c.female {
		for _, out := range []float32{-1, 1} {
			w := c.chestWall(out*.62, -.78, 8)
			w[2] = c.at(0, 0, 120)[2]
			c.ellipsoid(0, w, vec{38 * c.wide, 26, 44}, brush{c.rimHU, inAir, 1})
			c.ellipsoid(0, w, vec{18, 12, 20}, brush{f(-60, 30), over, .5})
		}
	}
	pad := f(10, 26)
	c.ellipsoid(0, c.at(-30, -52, 52), vec{pad, pad, pad}, brush{c.rimHU, inAir, 1})
	haze, reach := f(0, 1), f(6, 38)
	haze *= haze * 420
	lo, hi := vec{-300, 0, -100}, vec{300, 200, 400}
	c.add(lo, hi, 0, dependent{c.at(0, 0, 0)[1] + 80*c.wide*c.lungWide - reach, haze / reach})
}

// dependent makes lung behind the row at y denser, mm by mm.
type dependent struct{ y, perMM float32 }

func (d dependent) paint(p *plane, _ *object) {
	j0, j1 := p.rows(d.y, 300)
	for j := j0; j <= j1; j++ {
		v := (p.y(j) - d.y) * d.perMM
		for q := j * p.nx; q < (j+1)*p.nx; q++ {
			if p.lung[q] < 0 && p.hu[q] < softTissueHU-200 {
				p.hu[q] += v
			}
		}
	}
}
