package phantom

// device paints one kind of medical material: a port with its catheter, a pacemaker with its lead, or sternal wires.
func (c *chest) device() {
	if !c.has(material) {
		return
	}
	r := c.finding(material)
	metal := func(a, b vec, mm, hu float32) { c.tube(due(material), a, b, mm, mm, solid(hu)) }
	thick := .5 + .5*c.size
	kind := r.u()
	switch {
	case kind < .4:
		box := c.chestWall(-.55, -.83, 14)
		box[2] = c.at(0, 0, 245)[2]
		c.ellipsoid(due(material), box, vec{15 * thick, 9 * thick, 15 * thick}, solid(1500))
		top := c.at(-28, -30, 282)
		metal(box, top, 1.8, 900)
		metal(top, c.at(-21, -9, 130), 1.8, 900)
		c.facts[material] = Fact{Kind: "port", Side: "right"}
	case kind < .75:
		box := c.chestWall(.55, -.83, 14)
		box[2] = c.at(0, 0, 250)[2]
		c.ellipsoid(due(material), box, vec{25 * thick, 7 * thick, 24 * thick}, solid(3071))
		vein := c.at(-20, -8, 245)
		metal(box, vein, 1.6, 2500)
		c.tube(due(material)|c.heartTag(), vein, vec{c.heartC[0] - 3, c.heartC[1] - 10, c.heartC[2] - 15}, 1.6, 1.6, solid(2500))
		c.facts[material] = Fact{Kind: "pacemaker", Side: "left"}
	default:
		for i := range 6 {
			w := c.chestWall(0, -1, 10)
			w[2] = c.at(0, 0, 112+26*float32(i))[2]
			c.tube(due(material), vec{w[0] - 11, w[1], w[2]}, vec{w[0] + 11, w[1] + 2, w[2] + 4}, 2*thick, 2*thick, solid(2800))
		}
		c.facts[material] = Fact{Kind: "sternal wires"}
	}
}

// stations are where mediastinal lymph nodes lie: upper and lower paratracheal, subcarinal, prevascular, hilar.
var stations = []struct {
	name    string
	x, y, z float32
}{
	{"right lower paratracheal", -16, 0, 202}, {"prevascular", 0, -38, 212}, {"subcarinal", -2, 18, 158},
	{"right hilar", -36, -8, 165}, {"right upper paratracheal", -14, -10, 235}, {"left hilar", 38, -8, 172},
}

// nodes are two to four enlarged lymph nodes with a short axis of at least 10 mm at the default difficulty.
func (c *chest) nodes() {
	if !c.has(lymphadenopathy) {
		return
	}
	r := c.finding(lymphadenopathy)
	order := []int{0, 1, 2, 3, 4, 5}
	shuffle(r, order)
	order = order[:r.count(3, 5)]
	var most float32
	for _, k := range order {
		s := stations[k]
		q := max(5.2, float32(r.in(7.5, 12.5))*c.size)
		at := c.at(s.x, s.y, s.z)
		for i := range 3 {
			at[i] += float32(r.in(-3, 3))
		}
		c.ellipsoid(due(lymphadenopathy), at, vec{q * 1.2, q, q * 1.4}, solid(float32(r.in(30, 60))))
		if q > most {
			most = q
			c.facts[lymphadenopathy].Lobe = s.name
		}
	}
	c.facts[lymphadenopathy].SizeMM, c.facts[lymphadenopathy].Count = int(2*most+.5), len(order)
}

// arteryPlaques are calcified plaques on the wall of arch and descending aorta.
func (c *chest) arteryPlaques() {
	if !c.has(arterialCalc) {
		return
	}
	r := c.finding(arterialCalc)
	f := func(a, b float64) float32 { return float32(r.in(a, b)) }
	n := r.count(7, 15)
	for range n {
		j := r.count(2, 4)
		t, angle := f(0, 1), f(0, 6.28)
		a, b := c.aorta[j], c.aorta[j+1]
		p := vec{a[0] + (b[0]-a[0])*t + c.aortaR*cos(angle), a[1] + (b[1]-a[1])*t + c.aortaR*sin(angle), a[2] + (b[2]-a[2])*t}
		c.ellipsoid(due(arterialCalc), p, vec{f(2, 3.6) * c.size, f(2, 3.6) * c.size, f(3, 8) * c.size}, solid(f(450, 1100)*min(1, c.contrast)))
	}
	c.facts[arterialCalc] = Fact{Count: n}
}

// coronaryPlaques are short calcified tubes along the grooves of the heart's upper surface.
func (c *chest) coronaryPlaques() {
	if !c.has(coronaryCalc) {
		return
	}
	r := c.finding(coronaryCalc)
	f := func(a, b float64) float32 { return float32(r.in(a, b)) }
	n := r.count(4, 8)
	for range n {
		angle := f(-2.7, -.2)
		up := f(.3, .62)
		rim := sqrt(1-up*up) * 1.02
		p := vec{c.heartC[0] + c.heartR[0]*rim*cos(angle), c.heartC[1] + c.heartR[1]*rim*sin(angle), c.heartC[2] + c.heartR[2]*up}
		w := f(1.7, 2.7) * c.size
		q := vec{p[0] + f(-9, 9), p[1] + f(-5, 5), p[2] + f(-5, 5)}
		c.tube(due(coronaryCalc)|c.heartTag(), p, q, w, w, solid(f(450, 1200)*min(1, c.contrast)))
	}
	c.facts[coronaryCalc] = Fact{Count: n}
}

// heartTag marks what moves when the heart is enlarged.
func (c *chest) heartTag() uint32 {
	if c.has(cardiomegaly) {
		return due(cardiomegaly)
	}
	return 0
}
