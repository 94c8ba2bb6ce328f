package phantom

// lobar are the five directions in which a lung's vessels and bronchi leave the hilum, and the lobe each one feeds.
var lobar = []struct {
	d           vec // x positive outwards
	right, left string
}{
	{vec{.5, -.5, .7}, "right upper lobe", "left upper lobe"},
	{vec{.6, .3, .7}, "right upper lobe", "left upper lobe"},
	{vec{.7, -.5, -.2}, "right middle lobe", "left lingular segment"},
	{vec{.5, .2, -.8}, "right lower lobe", "left lower lobe"},
	{vec{.4, .5, -.75}, "right lower lobe", "left lower lobe"},
}

// airways is how findings change the bronchi of one lobar branch: wall thickness and scale of the lumen.
type airways struct {
	wall, lumen float32 // mm, factor
	due         uint32
}

const normalWallMM = 1

// trees paints trachea, main bronchi, and in each lung five trees of arteries with a bronchus beside each larger one.
// Branching is dichotomous with a radius ratio of 0.70 to 0.85.
func (c *chest) trees() {
	plan := c.diseasedAirways()
	carina := c.at(0, 8, 177)
	c.bronchus(carina, c.at(0, 0, 330), 8, 8.5, airways{wall: 1.5, lumen: 1})
	for side := range 2 {
		out := float32(2*side - 1)
		hilum := c.at(out*32, 8, 155)
		c.bronchus(carina, hilum, 7, 6, airways{wall: 1.5, lumen: 1})
		for i, l := range lobar {
			r := substream(c.study.seed, "tree", c.study.patient, side, i)
			b := branch{c, &r, plan[side*len(lobar)+i]}
			b.grow(hilum, unit(vec{out * l.d[0], l.d[1], l.d[2]}), 4.2, 0)
		}
	}
}

// diseasedAirways applies peribronchial thickening and bronchiectasis, each to some of the ten branches.
func (c *chest) diseasedAirways() []airways {
	plan := make([]airways, 2*len(lobar))
	for i := range plan {
		plan[i] = airways{normalWallMM, 1, 0}
	}
	apply := func(f, least, most int, change func(*airways, *stream)) {
		if !c.has(f) {
			return
		}
		r := c.finding(f)
		order := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
		shuffle(r, order)
		order = order[:r.count(least, most)]
		sides := [2]int{}
		for _, k := range order {
			plan[k].due |= due(f)
			change(&plan[k], r)
			sides[k/len(lobar)]++
		}
		c.facts[f] = Fact{Side: whichSides(sides), Lobe: branchLobe(order[0]), Count: len(order)}
	}
	apply(peribronchial, 6, 10, func(a *airways, r *stream) { a.wall = normalWallMM + float32(r.in(1.6, 2.8))*c.size })
	apply(bronchiectasis, 4, 7, func(a *airways, r *stream) { a.lumen = 1 + float32(r.in(1.2, 2))*c.size })
	return plan
}

func branchLobe(k int) string {
	if l := lobar[k%len(lobar)]; k < len(lobar) {
		return l.right
	} else {
		return l.left
	}
}

func whichSides(n [2]int) string {
	switch {
	case n[0] > 0 && n[1] > 0:
		return "bilateral"
	case n[0] > 0:
		return "right"
	}
	return "left"
}

// bronchus is a tube of wall with air in it.
func (c *chest) bronchus(a, b vec, ra, rb float32, w airways) {
	c.tube(w.due, a, b, ra+w.wall, rb+w.wall, brush{25, inAir, 1})
	c.tube(w.due, a, b, ra, rb, solid(-1000))
}

type branch struct {
	*chest
	r    *stream
	airy airways
}

func (b branch) grow(p, d vec, radius float32, depth int) {
	f := func(lo, hi float64) float32 { return float32(b.r.in(lo, hi)) }
	l := radius * f(5, 8)
	q := vec{p[0] + d[0]*l, p[1] + d[1]*l, p[2] + d[2]*l}
	if depth > 1 && b.depth(q) > -4 {
		return
	}
	b.tube(0, p, q, radius, radius*.85, solid(b.blood))
	if depth < 6 && radius > 1.2 { // a normal bronchus is as wide as its artery
		o := vec{radius * 1.9, radius * .8, 0}
		lumen, wall := radius*.8*b.airy.lumen, b.airy
		wall.wall *= min(1, radius/2.2)
		b.bronchus(vec{p[0] + o[0], p[1] + o[1], p[2]}, vec{q[0] + o[0], q[1] + o[1], q[2]}, lumen, lumen*.85, wall)
	}
	if depth > 8 || radius < .6 {
		return
	}
	for range 2 {
		e := unit(vec{d[0] + f(-.7, .7), d[1] + f(-.7, .7), d[2] + f(-.7, .7)})
		b.grow(q, e, radius*f(.70, .85), depth+1)
	}
}

func unit(v vec) vec {
	n := sqrt(v[0]*v[0] + v[1]*v[1] + v[2]*v[2])
	return vec{v[0] / n, v[1] / n, v[2] / n}
}
