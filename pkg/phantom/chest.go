package phantom

import "math"

// Fact is what a finding looks like in one study, for the report's words.
type Fact struct {
	Side   string // "right", "left", "bilateral" or ""
	Lobe   string // "right upper lobe" ... of the largest or only lesion, or ""
	Kind   string // the sort of device, or ""
	SizeMM int    // largest diameter, thickness or short axis; 0: does not apply
	Count  int    // lesions; 0: does not apply
}

// body is a patient's build and a scan's circumstances: the nuisance, drawn whether or not there are findings, and wide
// enough that a total (of fluid, bone or air) says little about any finding.
type body struct {
	female               bool
	age                  int
	wide, tall           float32 // scale of the thorax in plane and in height
	fat                  float32 // mm under the skin at the sides
	lungWide, dome       float32 // scale of the lungs in plane; mm by which the diaphragm is up
	lungHU, gravity      float32 // HU at the middle, HU/mm towards the back
	texture, phase       float32 // HU and radians of the lung's waves
	uneven, fade         float32 // HU by which whole parts of a lung differ; mm over which breathing blurs its border
	liver, stomach       float32 // HU
	heart                float32 // scale of a normal heart
	blood, muscle, bone  float32 // HU, HU, scale of the skeleton's HU
	shift                vec     // mm by which the patient lies off centre
	noise, drift, unlin  float32 // HU sd before the kernel, HU offset, relative gain error
	rimHU, tableDrop     float32 // fat's HU; mm between back and table
	fieldMM, sharpFactor float32 // field of view; noise of the sharp kernel relative to no kernel
}

func drawBody(s Study) body {
	f := func(r *stream, a, b float64) float32 { return float32(r.in(a, b)) }
	var b body
	p := s.ofPatient("body")
	b.female, b.age = p.chance(.42), p.count(22, 88)
	b.wide, b.tall, b.fat = f(&p, .87, 1.09), f(&p, .92, 1.06), f(&p, 5, 38)
	b.heart, b.bone = f(&p, .92, 1.07), f(&p, .7, 1.25)
	q := s.stream("scan")
	b.lungWide, b.dome = f(&q, .9, 1.06), f(&q, -20, 22)
	b.lungHU, b.gravity = f(&q, -885, -795), f(&q, .1, .5)
	b.texture, b.phase = f(&q, 4, 20), f(&q, 0, 6.28)
	b.uneven, b.fade = f(&q, 0, 70), f(&q, 2, 9)
	b.liver, b.stomach = f(&q, 25, 70), f(&q, -5, 60)
	b.blood, b.muscle = f(&q, 33, 50), f(&q, 38, 60)
	enhanced := f(&q, 140, 260)
	if q.chance(.1) {
		b.blood = enhanced
	}
	b.shift = vec{f(&q, -8, 8), f(&q, -8, 8), f(&q, -9, 9)}
	b.noise, b.drift, b.unlin = f(&q, 22, 60), f(&q, -12, 12), f(&q, -.02, .02)
	b.rimHU, b.tableDrop = f(&q, -112, -88), f(&q, 3, 12)
	b.sharpFactor = f(&q, 1, 1.5)
	b.fieldMM = max(330, 2*(thoraxHalf*b.wide+b.fat*f(&q, .2, .8)))
	return b
}

const thoraxHalf = 158 // mm, half the width of the body without its fat, at scale 1
const heightMM = 320   // of the scan

// chest is one study in millimetres: objects in the order in which they are painted.
type chest struct {
	body
	study    Study
	size     float32 // scale of findings; 1 at difficulty 0.5, 2 near 0
	bulk     float32 // of those that are as large as organs, likewise, but at most 1.25
	contrast float32 // of findings against what surrounds them, likewise
	edge     float32 // mm over which borders fade
	objects  []object
	lobes    [2]vec // centres of the right and the left lung
	lungR    vec    // their half-axes
	shapes   [2]lungShape
	heartC   vec
	heartR   vec
	hideC    vec // the part of the left lung that a heart takes, for the placing of lesions
	hideR    vec
	aorta    []vec
	aortaR   float32
	facts    [nFindings]Fact
}

// newChest builds the study's scene; edge is the width of a voxel in mm.
func newChest(s Study, difficulty float64, edge float32) *chest {
	c := &chest{body: drawBody(s), study: s, edge: edge}
	c.size = float32(math.Exp2(1 - 2*difficulty))
	c.bulk, c.contrast = min(1.25, c.size), c.size
	c.lungs()
	c.mosaic()
	c.abdomen()
	c.mediastinum()
	c.vessels()
	c.trees()
	c.heartAndSac()
	c.hernia()
	c.skeleton()
	c.lookalikes()
	c.lungFindings()
	c.nodes()
	c.arteryPlaques()
	c.coronaryPlaques()
	c.device()
	return c
}

func (c *chest) has(f int) bool { return c.study.Findings[f] }

// finding starts the random stream of one finding in this study.
func (c *chest) finding(f int) *stream {
	r := c.study.stream("finding: " + Findings[f])
	return &r
}

// at places a point of the reference chest (320 mm high, 264 mm wide inside) into this patient.
func (c *chest) at(x, y, z float32) vec {
	return vec{x*c.wide + c.shift[0], y*c.wide + c.shift[1], (z-heightMM/2)*c.tall + heightMM/2 + c.shift[2]}
}

func (c *chest) add(lo, hi vec, due uint32, s shape) {
	c.objects = append(c.objects, object{lo, hi, due, s})
}

func (c *chest) ellipsoid(due uint32, at, r vec, b brush) {
	e, lo, hi := newEllipsoid(at, r, c.edge, b)
	c.add(lo, hi, due, e)
}

// tube fills a voxel only as far as it is wide: a thin one stays faint.
func (c *chest) tube(due uint32, a, b vec, ra, rb float32, br brush) {
	br.gain *= min(1, .25+(ra+rb)/c.edge*.8)
	t, lo, hi := newTube(a, b, ra, rb, c.edge, br)
	c.add(lo, hi, due, t)
}

func solid(hu float32) brush { return brush{hu, over, 1} }

// due is the bit of a finding.
func due(f int) uint32 { return 1 << f }

// lungs are two rounded boxes cut by the inside of the chest wall, which narrows towards the apices.
func (c *chest) lungs() {
	c.lobes = [2]vec{c.at(-70, 0, 148), c.at(70, 0, 148)}
	w := c.wide * c.lungWide
	c.lungR = vec{58 * w, 86 * w, 138 * c.tall}
	for side, l := range c.lobes {
		c.shapes[side] = lungShape{l, vec{1 / c.lungR[0], 1 / c.lungR[1], 1 / c.lungR[2]}, c.lungR[0],
			c.at(0, 0, 190), vec{128 * w, 89 * w, 150 * c.tall}}
		m := grown(c.lungR, c.edge)
		lo, hi := vec{l[0] - m[0], l[1] - m[1], l[2] - m[2]}, vec{l[0] + m[0], l[1] + m[1], l[2] + m[2]}
		c.add(lo, hi, 0, lung{c.shapes[side], c.lungHU, c.gravity, c.texture, c.uneven, c.phase, c.fade + c.edge - 2})
	}
}

// depth is about the distance in mm from p to the surface of the nearer lung, negative inside.
func (c *chest) depth(p vec) float32 {
	return min(c.shapes[0].depth(p[0], p[1], p[2]), c.shapes[1].depth(p[0], p[1], p[2]))
}

func (c *chest) abdomen() {
	up := c.dome
	c.ellipsoid(0, c.at(-60, 5, -20+up), vec{85 * c.wide, 85 * c.wide, 75 * c.tall}, solid(c.liver))  // liver
	c.ellipsoid(0, c.at(70, 5, -35+up), vec{75 * c.wide, 80 * c.wide, 75 * c.tall}, solid(c.stomach)) // spleen, stomach and what it holds
	c.ellipsoid(0, c.at(62, -20, 5+up), vec{25, 25, 22}, solid(-900))                                 // gas in the stomach
}

func (c *chest) mediastinum() {
	c.tube(0, c.at(0, 0, 60), c.at(0, 5, 320), 26*c.wide, 30*c.wide, solid(c.rimHU+20))
	c.tube(0, c.at(8, 30, -10), c.at(2, 30, 320), 8, 7, solid(35)) // oesophagus
}

// heartAndSac paints, from outside in, the effusion, the epicardial fat and the blood. Cardiomegaly scales the heart
// by 1.3 to 1.5, which takes the cardiothoracic ratio above one half.
func (c *chest) heartAndSac() {
	grow, tag := float32(1), uint32(0)
	if c.has(cardiomegaly) {
		r := c.finding(cardiomegaly)
		grow, tag = 1+float32(r.in(.3, .48))*c.bulk, due(cardiomegaly)
	}
	h := c.heart * grow
	c.heartC = c.at(18+8*(grow-1), -30, 85)
	c.heartR = vec{52 * h * c.wide, 42 * h * c.wide, 48 * c.heart * (1 + (grow-1)*.5)}
	c.hideC, c.hideR = c.at(20, -30, 85), vec{66 * c.wide, 54 * c.wide, 60 * c.tall}
	at, r := c.heartC, c.heartR
	if c.has(pericardialEffusion) {
		q := c.finding(pericardialEffusion)
		t := float32(q.in(9, 20)) * c.bulk
		hu := float32(q.in(0, 16))
		c.ellipsoid(tag|due(pericardialEffusion), at, grown(r, 4+t), solid(hu))
		c.facts[pericardialEffusion] = Fact{SizeMM: int(t)}
	}
	c.ellipsoid(tag, at, grown(r, 4), solid(c.rimHU+15))
	c.ellipsoid(tag, at, r, solid(c.blood-5))
	c.ellipsoid(tag, vec{at[0] + 10, at[1] - 5, at[2]}, vec{r[0] * .4, r[1] * .45, r[2] * .5}, solid(c.blood))
	if grow > 1 {
		c.facts[cardiomegaly] = Fact{SizeMM: int(2 * r[0])}
	}
}

func grown(r vec, mm float32) vec { return vec{r[0] + mm, r[1] + mm, r[2] + mm} }

func (c *chest) vessels() {
	p := c.study.ofPatient("vessels")
	c.aortaR = float32(p.in(12, 17))
	for _, q := range [][3]float32{{2, -18, 120}, {5, -22, 170}, {14, -12, 205}, {29, 18, 205}, {27, 38, 180}, {20, 45, 100}, {14, 48, -10}} {
		c.aorta = append(c.aorta, c.at(q[0], q[1], q[2]))
	}
	for i := range len(c.aorta) - 1 {
		c.tube(0, c.aorta[i], c.aorta[i+1], c.aortaR, c.aortaR-1, solid(c.blood))
	}
	c.tube(0, c.at(-22, -10, 110), c.at(-20, -8, 260), 9, 8, solid(c.blood)) // superior vena cava
	pulmonary := float32(p.in(10.5, 14))
	c.tube(0, c.at(8, -20, 140), c.at(-45, 5, 150), pulmonary, 9, solid(c.blood))
	c.tube(0, c.at(8, -20, 140), c.at(50, 10, 155), pulmonary, 9, solid(c.blood))
	c.tube(0, c.at(-14, 40, 20), c.at(-12, 42, 185), 4, 5, solid(c.blood)) // azygos
	c.tube(0, c.at(-12, 42, 185), c.at(-20, -4, 195), 5, 4.5, solid(c.blood))
}

func (c *chest) hernia() {
	if !c.has(hiatalHernia) {
		return
	}
	r := c.finding(hiatalHernia)
	q := float32(r.in(26, 42)) * (.5 + .5*c.bulk)
	at := c.at(float32(r.in(0, 12)), 34, float32(r.in(42, 58)))
	c.ellipsoid(due(hiatalHernia), at, vec{q, q * .75, q * .9}, solid(40))
	level := at[1] + float32(r.in(-6, 8))
	c.ellipsoid(due(hiatalHernia), at, vec{q - 4, q*.75 - 4, q*.9 - 4}, solid(22))
	e, lo, hi := newEllipsoid(at, vec{q - 4, q*.75 - 4, q*.9 - 4}, c.edge, solid(-940))
	hi[1] = level // gas rises to the front: only the rows before the level
	c.add(lo, hi, due(hiatalHernia), e)
	c.facts[hiatalHernia] = Fact{SizeMM: int(2 * q)}
}

// lobe names the lobe of a point by height and depth; the fissures are planes here.
func (c *chest) lobe(p vec) string {
	ref := (p[2]-heightMM/2-c.shift[2])/c.tall + heightMM/2
	front := p[1]-c.shift[1] < -15
	side := "right"
	if p[0] > c.shift[0] {
		side = "left"
	}
	switch {
	case ref > 175:
		return side + " upper lobe"
	case front && side == "right":
		return "right middle lobe"
	case front:
		return "left lingular segment"
	}
	return side + " lower lobe"
}
