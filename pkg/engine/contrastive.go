package engine

import (
	"math"

	"silverbeam/pkg/net"
)

// contrastive is net.Contrastive, in float64. Its columns are the second set's rows and then the extra negatives.
type contrastive struct {
	op          net.Contrastive
	a, b, more  *vectors // more is nil without extra negatives
	ids, groups *value   // classes or labels, and scans; nil without
	out         *value
	scale, bias *param // nil where they are not parameters

	columns int
	dots    []float64 // by row and column
	targets []float64 // by two rows: what a row is meant for; for self, of the second set
	grad    []float64 // of dots
	factor  float64
	gs, gb  float64 // gradients of scale and bias
}

// vectors are rows of a value, scaled to length 1 if they are to be.
type vectors struct {
	v       *value
	n, e    int
	x, grad []float64
	inv     []float64 // 1 over the lengths; nil: rows are as they are
}

func newVectors(v *value, normalize bool) *vectors {
	s := &vectors{v: v, n: v.rows, e: v.c, x: make([]float64, v.rows*v.c), grad: make([]float64, v.rows*v.c)}
	if normalize {
		s.inv = make([]float64, v.rows)
	}
	return s
}

func (s *vectors) row(all []float64, i int) []float64 { return all[i*s.e : (i+1)*s.e] }

func (s *vectors) read() {
	clear(s.grad)
	for i := range s.n {
		row, squares := s.row(s.x, i), 0.0
		for c, v := range s.v.at(s.v.data, i)[:s.e] {
			row[c] = float64(v)
			squares += row[c] * row[c]
		}
		if s.inv != nil {
			s.inv[i] = 1 / max(1e-12, math.Sqrt(squares))
			for c := range row {
				row[c] *= s.inv[i]
			}
		}
	}
}

// write gives the value its gradient, times up.
func (s *vectors) write(up float64) {
	if s.v.grad == nil {
		return
	}
	for i := range s.n {
		g, x, dst, by := s.row(s.grad, i), s.row(s.x, i), s.v.at(s.v.grad, i), up
		along := 0.0
		if s.inv != nil {
			along, by = dot(g, x), up*s.inv[i]
		}
		for c := range g {
			dst[c] = float32(by * (g[c] - along*x[c]))
		}
	}
}

func dot(a, b []float64) (sum float64) {
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

func newContrastive(o net.Contrastive, ps []*param, in []*value, out *value) *contrastive {
	k := &contrastive{op: o, a: newVectors(in[0], o.Normalize), b: newVectors(in[1], o.Normalize), out: out}
	rest := in[2:]
	next := func(there bool) (v *value) {
		if there {
			v, rest = rest[0], rest[1:]
		}
		return v
	}
	k.ids = next(o.Targets == "class" || o.Targets == "labels")
	if v := next(o.Negatives); v != nil {
		k.more = newVectors(v, o.Normalize)
	}
	k.groups = next(o.Groups)
	if o.Scale == "learned" {
		k.scale, ps = ps[0], ps[1:]
	}
	if o.Sigmoid {
		k.bias = ps[0]
	}
	if k.columns = k.a.n; k.more != nil {
		k.columns += k.more.n
	}
	if k.op.Sides == [2]float64{} {
		k.op.Sides = [2]float64{0.5, 0.5}
	}
	if k.op.TargetScale == 0 {
		k.op.TargetScale = 1
	}
	k.dots, k.grad = make([]float64, k.a.n*k.columns), make([]float64, k.a.n*k.columns)
	k.targets = make([]float64, k.a.n*k.a.n)
	return k
}

// column is a column's vector.
func (k *contrastive) column(j int) []float64 {
	if j >= k.b.n {
		return k.more.row(k.more.x, j-k.b.n)
	}
	return k.b.row(k.b.x, j)
}

// apart says whether row i may be told from row or column j.
func (k *contrastive) apart(i, j int) bool {
	return i == j || j >= k.a.n || k.groups == nil || k.groups.ids[i] != k.groups.ids[j]
}

func (k *contrastive) clamped() bool {
	return k.op.MaxScale > 0 && float64(k.scale.Value[0]) > math.Log(k.op.MaxScale)
}

func (k *contrastive) forward() {
	for _, s := range []*vectors{k.a, k.b, k.more} {
		if s != nil {
			s.read()
		}
	}
	switch {
	case k.op.Scale == "none":
		k.factor = 1
	case k.scale == nil:
		k.factor = k.op.Start
	case k.clamped():
		k.factor = k.op.MaxScale
	default:
		k.factor = math.Exp(float64(k.scale.Value[0]))
	}
	n := k.a.n
	parallel(n, func(i int) {
		for j := range k.columns {
			k.dots[i*k.columns+j] = dot(k.a.row(k.a.x, i), k.column(j))
		}
		k.mean(i, k.targets[i*n:(i+1)*n])
	})
	clear(k.grad)
	k.gs, k.gb = 0, 0
	loss := 0.0
	for i := range n {
		if k.op.Sigmoid {
			loss += k.pairs(i)
			continue
		}
		loss += k.side(0, i) + k.side(1, i)
	}
	k.out.data[0] = float32(loss / float64(n))
}

// mean fills in what row i is meant for.
func (k *contrastive) mean(i int, t []float64) {
	clear(t)
	var own func(j int) float64 // what softmax is taken of
	switch k.op.Targets {
	case "class":
		for j := range t {
			if j == i || k.ids.ids[i] >= 0 && k.ids.ids[i] == k.ids.ids[j] && k.apart(i, j) {
				t[j] = 1
			}
		}
		if k.op.Sigmoid {
			return // not shares: signs
		}
		own = nil
	case "self":
		own = func(j int) float64 {
			return (dot(k.a.row(k.a.x, i), k.a.row(k.a.x, j)) + dot(k.b.row(k.b.x, i), k.b.row(k.b.x, j))) / 2
		}
	case "labels":
		own = func(j int) float64 { return k.alike(i, j) }
	default:
		t[i] = 1
		return
	}
	sum := 0.0
	for j := range t {
		if own != nil && k.apart(i, j) {
			t[j] = math.Exp(k.op.TargetScale * own(j))
		}
		sum += t[j]
	}
	for j := range t {
		t[j] /= sum
	}
}

// alike is the cosine of the labels of two rows, 1 for present and 0 for others; 0 where one has none.
func (k *contrastive) alike(i, j int) float64 {
	var both, here, there float64
	c := k.ids.shape[1]
	for f := range c {
		a, b := max(0, float64(k.ids.ids[i*c+f])), max(0, float64(k.ids.ids[j*c+f]))
		both, here, there = both+a*b, here+a*a, there+b*b
	}
	return both / max(1e-12, math.Sqrt(here*there))
}

// pairs is row i's loss in the sigmoid form, and fills in its gradients.
func (k *contrastive) pairs(i int) (loss float64) {
	bias := float64(k.bias.Value[0])
	for j := range k.columns {
		if !k.apart(i, j) {
			continue
		}
		sign := -1.0
		if j < k.a.n && k.targets[i*k.a.n+j] > 0 {
			sign = 1
		}
		at := i*k.columns + j
		z := sign * (k.factor*k.dots[at] + bias)
		loss += softplus(-z)
		g := -sign * sigmoid(-z) / float64(k.a.n)
		k.gb += g
		k.gs += g * k.dots[at] * k.factor
		k.grad[at] = g * k.factor
	}
	return loss
}

// side is row i's loss as a row of the first set (0) or of the second (1), times the side's weight, and adds its gradients.
func (k *contrastive) side(s, i int) float64 {
	by, columns := k.op.Sides[s], k.columns
	at := func(j int) int { return i*k.columns + j }
	target := func(j int) float64 { return k.targets[i*k.a.n+j] }
	if s == 0 && k.op.Targets == "self" {
		target = func(j int) float64 { return k.targets[j*k.a.n+i] }
	}
	if s == 1 {
		columns = k.a.n // extra negatives are of the first set's side
		at = func(j int) int { return j*k.columns + i }
	}
	top, sum, meant := math.Inf(-1), 0.0, 0.0
	for j := range columns {
		if k.apart(i, j) {
			top = max(top, k.factor*k.dots[at(j)])
		}
	}
	for j := range columns {
		if k.apart(i, j) {
			sum += math.Exp(k.factor*k.dots[at(j)] - top)
		}
		if j < k.a.n {
			meant += target(j)
		}
	}
	loss, logSum := 0.0, top+math.Log(sum)
	for j := range columns {
		if !k.apart(i, j) {
			continue
		}
		z, t := k.factor*k.dots[at(j)], 0.0
		if j < k.a.n {
			t = target(j)
		}
		loss += t * (logSum - z)
		g := by * (meant*math.Exp(z-logSum) - t) * k.factor / float64(k.a.n)
		k.grad[at(j)] += g
		k.gs += g * k.dots[at(j)]
	}
	return by * loss
}

func (k *contrastive) backward() {
	up := float64(k.out.upstream())
	parallel(k.a.n, func(i int) {
		g := k.a.row(k.a.grad, i)
		for j := range k.columns {
			axpy(g, k.grad[i*k.columns+j], k.column(j))
		}
	})
	parallel(k.columns, func(j int) {
		var g []float64
		if j < k.b.n {
			g = k.b.row(k.b.grad, j)
		} else {
			g = k.more.row(k.more.grad, j-k.b.n)
		}
		for i := range k.a.n {
			axpy(g, k.grad[i*k.columns+j], k.a.row(k.a.x, i))
		}
	})
	for _, s := range []*vectors{k.a, k.b, k.more} {
		if s != nil {
			s.write(up)
		}
	}
	if k.scale != nil {
		if k.scale.Grad[0] = float32(up * k.gs); k.clamped() {
			k.scale.Grad[0] = 0
		}
	}
	if k.bias != nil {
		k.bias.Grad[0] = float32(up * k.gb)
	}
}

func axpy(y []float64, a float64, x []float64) {
	for c, v := range x {
		y[c] += a * v
	}
}

// supCon is net.SupCon, in float64.
type supCon struct {
	op       net.SupCon
	x        *vectors
	ids, out *value
	grad     []float64 // by two rows: of their dot product, from either's side
	z        []float64 // of one row
}

func newSupCon(o net.SupCon, x, ids, out *value) *supCon {
	return &supCon{op: o, x: newVectors(x, false), ids: ids, out: out, grad: make([]float64, x.rows*x.rows), z: make([]float64, x.rows)}
}

func (k *supCon) positives(i int) (n int) {
	for j := range k.x.n {
		if k.positive(i, j) {
			n++
		}
	}
	return n
}

func (k *supCon) positive(i, j int) bool {
	return i != j && k.ids.ids[i] >= 0 && k.ids.ids[i] == k.ids.ids[j]
}

func (k *supCon) forward() {
	k.x.read()
	clear(k.grad)
	loss, anchors, n := 0.0, 0, k.x.n
	for i := range n {
		if k.positives(i) > 0 {
			anchors++
		}
	}
	z := k.z
	for i := range n {
		p := float64(k.positives(i))
		if p == 0 {
			continue
		}
		top, sum := math.Inf(-1), 0.0
		for j := range n {
			if z[j] = dot(k.x.row(k.x.x, i), k.x.row(k.x.x, j)) / k.op.Temperature; j != i {
				top = max(top, z[j])
			}
		}
		for j := range n {
			if j != i {
				sum += math.Exp(z[j] - top)
			}
		}
		logSum := top + math.Log(sum)
		for j := range n {
			if j == i {
				continue
			}
			g := math.Exp(z[j] - logSum)
			if k.positive(i, j) {
				loss += (logSum - z[j]) / p / float64(anchors)
				g -= 1 / p
			}
			k.grad[i*n+j] = g / k.op.Temperature / float64(anchors)
		}
	}
	k.out.data[0] = float32(loss)
}

func (k *supCon) backward() {
	n := k.x.n
	parallel(n, func(i int) {
		for j := range n {
			axpy(k.x.row(k.x.grad, i), k.grad[i*n+j]+k.grad[j*n+i], k.x.row(k.x.x, j))
		}
	})
	k.x.write(float64(k.out.upstream()))
}
