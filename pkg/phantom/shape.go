package phantom

import "math"

// vec is a point or an extent in millimetres, ordered x, y, z (to the patient's left, back and head).
type vec [3]float32

// plane is one axial slice being painted.
type plane struct {
	hu     []float32 // len ny*nx, x fastest
	lung   []float32 // signed distance to the lung's surface in mm, about right, negative inside; far outside farAway
	nx, ny int
	sx, sy float32 // mm a voxel
	z      float32 // mm
	edge   float32 // mm over which a border fades: one voxel
}

const farAway = 99

func (p *plane) x(i int) float32 { return (float32(i) - float32(p.nx-1)/2) * p.sx }
func (p *plane) y(j int) float32 { return (float32(j) - float32(p.ny-1)/2) * p.sy }

// columns are the voxel columns whose centres lie in [a, b] mm; first > last means none.
func (p *plane) columns(a, b float32) (first, last int) { return span(a, b, p.sx, p.nx) }
func (p *plane) rows(a, b float32) (first, last int)    { return span(a, b, p.sy, p.ny) }

func span(a, b, mm float32, n int) (int, int) {
	mid := float32(n-1) / 2
	lo := float32(math.Ceil(float64(max(a/mm+mid, 0))))
	hi := float32(math.Floor(float64(min(b/mm+mid, float32(n-1)))))
	return int(lo), int(hi)
}

// object is a shape with its bounding box and the findings (bits) to which it is due.
type object struct {
	lo, hi vec
	due    uint32
	shape  shape
}

type shape interface{ paint(p *plane, o *object) }

// paint says how a shape meets what is there already.
type paint uint8

const (
	over     paint = iota // replaces
	inAir                 // replaces lung and air only: heart, vessels and walls stay
	inLung                // as inAir, and only within the lung's surface
	brighten              // within the lung, raises to the value: vessels stay visible (ground glass)
	fillAir               // within the lung, replaces lung but neither vessels nor the air in bronchi (consolidation)
	add                   // within the lung, adds to lung tissue
)

const (
	softTissueHU = -300 // above: not aerated lung
	airwayHU     = -960 // below: the lumen of a bronchus
)

type brush struct {
	hu   float32
	how  paint
	gain float32 // opacity of the inside, 0..1: thin things fill part of a voxel
}

// dab paints voxel q with opacity alpha.
func (b brush) dab(p *plane, q int, alpha float32) {
	old, v := p.hu[q], b.hu
	if b.how != over {
		if old > softTissueHU {
			return
		}
		switch b.how {
		case brighten:
			if old >= v {
				return
			}
		case fillAir:
			if old < airwayHU {
				return
			}
		case add:
			v += old
		}
		if b.how != inAir {
			alpha *= min(1, max(0, .5-p.lung[q]/p.edge))
		}
	}
	p.hu[q] = old + (v-old)*alpha*b.gain
}

// ellipsoid has centre c and half-axes 1/inv; least is the shortest half-axis, which scales the border.
type ellipsoid struct {
	c, inv vec
	least  float32
	brush
}

func newEllipsoid(c, r vec, edge float32, b brush) (ellipsoid, vec, vec) {
	e := ellipsoid{c: c, inv: vec{1 / r[0], 1 / r[1], 1 / r[2]}, least: min(r[0], r[1], r[2]), brush: b}
	lo, hi := vec{}, vec{}
	for i := range 3 {
		m := r[i] / e.least * edge / 2 // the border reaches further where the half-axis is longer
		lo[i], hi[i] = c[i]-r[i]-m, c[i]+r[i]+m
	}
	return e, lo, hi
}

func (e ellipsoid) paint(p *plane, o *object) {
	half := p.edge / 2 / e.least
	outer, inner := (1+half)*(1+half), float32(-1)
	if half < 1 {
		inner = (1 - half) * (1 - half)
	}
	dz := (p.z - e.c[2]) * e.inv[2]
	j0, j1 := p.rows(o.lo[1], o.hi[1])
	for j := j0; j <= j1; j++ {
		dy := (p.y(j) - e.c[1]) * e.inv[1]
		rest := dz*dz + dy*dy
		if rest >= outer {
			continue
		}
		w := sqrt(outer-rest) / e.inv[0]
		i0, i1 := p.columns(e.c[0]-w, e.c[0]+w)
		k0, k1 := i1+1, i1
		if rest < inner {
			w := sqrt(inner-rest) / e.inv[0]
			k0, k1 = p.columns(e.c[0]-w, e.c[0]+w)
		}
		for i := i0; i <= i1; i++ {
			alpha := float32(1)
			if i < k0 || i > k1 {
				dx := (p.x(i) - e.c[0]) * e.inv[0]
				alpha = min(1, max(0, .5-(sqrt(dx*dx+rest)-1)*e.least/p.edge))
			}
			e.dab(p, j*p.nx+i, alpha)
		}
	}
}

// tube runs from a to a+d with a radius that goes from ra to rb, round at both ends.
type tube struct {
	a, d   vec
	inv    float32 // 1 / |d|^2
	ra, rb float32
	brush
}

func newTube(a, b vec, ra, rb, edge float32, br brush) (tube, vec, vec) {
	t := tube{a: a, d: vec{b[0] - a[0], b[1] - a[1], b[2] - a[2]}, ra: ra, rb: rb, brush: br}
	t.inv = 1 / max(t.d[0]*t.d[0]+t.d[1]*t.d[1]+t.d[2]*t.d[2], 1e-6)
	m := max(ra, rb) + edge/2
	lo, hi := vec{}, vec{}
	for i := range 3 {
		lo[i], hi[i] = min(a[i], b[i])-m, max(a[i], b[i])+m
	}
	return t, lo, hi
}

func (t tube) paint(p *plane, o *object) {
	reach := max(t.ra, t.rb) + p.edge/2
	reach *= reach
	j0, j1 := p.rows(o.lo[1], o.hi[1])
	i0, i1 := p.columns(o.lo[0], o.hi[0])
	pz := p.z - t.a[2]
	for j := j0; j <= j1; j++ {
		py := p.y(j) - t.a[1]
		along := py*t.d[1] + pz*t.d[2]
		for i := i0; i <= i1; i++ {
			px := p.x(i) - t.a[0]
			s := min(max((px*t.d[0]+along)*t.inv, 0), 1)
			ex, ey, ez := px-s*t.d[0], py-s*t.d[1], pz-s*t.d[2]
			d2 := ex*ex + ey*ey + ez*ez
			if d2 >= reach {
				continue
			}
			if alpha := .5 - (sqrt(d2)-t.ra-(t.rb-t.ra)*s)/p.edge; alpha > 0 {
				t.dab(p, j*p.nx+i, min(1, alpha))
			}
		}
	}
}

// patch is a lobulated ball: its radius waves by 30 % with the direction.
type patch struct {
	c     vec
	r     float32
	phase float32
	brush
}

func (b patch) paint(p *plane, o *object) {
	j0, j1 := p.rows(o.lo[1], o.hi[1])
	i0, i1 := p.columns(o.lo[0], o.hi[0])
	dz := p.z - b.c[2]
	for j := j0; j <= j1; j++ {
		dy := p.y(j) - b.c[1]
		for i := i0; i <= i1; i++ {
			if p.lung[j*p.nx+i] > p.edge {
				continue
			}
			dx := p.x(i) - b.c[0]
			d := sqrt(dx*dx + dy*dy + dz*dz)
			if d > b.r*1.3+p.edge {
				continue
			}
			alpha := float32(1)
			if d > b.r*.7-p.edge {
				wave := sin((dx-dy)/b.r*4+b.phase) * sin((dz+dy)/b.r*3+b.phase)
				alpha = .5 - (d-b.r*(1+.3*wave))/p.edge
			}
			if alpha > 0 {
				b.dab(p, j*p.nx+i, min(1, alpha))
			}
		}
	}
}

func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }
func sin(x float32) float32  { return float32(math.Sin(float64(x))) }
func abs(x float32) float32  { return float32(math.Abs(float64(x))) }
func cos(x float32) float32  { return float32(math.Cos(float64(x))) }
