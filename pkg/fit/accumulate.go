package fit

import (
	"fmt"
	"maps"
	"slices"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
)

// accumulated is a program that takes its batch in parts, so that the activations of one part are in memory at a time.
//
// A net without a head is run part by part, and gradients are added up, weighed by the labels that a part knows. One with a
// head, whose loss is of all parts together, takes two passes: all parts forward, the head on their features, and each part
// again, with the head's gradient of its features (Gao et al. 2021). Either is the gradient of the whole batch, but that
// batch normalisation within Towers sees the statistics of a part, and moves its running statistics once a part.
type accumulated struct {
	part, head engine.Program // head is nil without one
	parts      int
	batch      int // of the whole
	cut        []string
	features   []feature
	params     []*engine.Param
	sums       [][]float32 // by trained parameter of part; nil for others
	kept       [][]float32 // by parameter of part: running statistics between passes; nil for others
}

// feature is what the towers give the head: a parameter of the head's, that its gradient comes with.
type feature struct {
	name  string
	held  *engine.Param
	width int
}

// Accumulate compiles a net for training on a batch of these shapes in so many equal parts.
func Accumulate(e engine.Engine, s net.Split, shapes map[string][]int, parts int) (engine.Program, error) {
	a := &accumulated{parts: parts}
	one := map[string][]int{}
	for _, n := range s.Towers.Nodes {
		op, ok := n.Op.(net.Input)
		if !ok {
			continue
		}
		shape := slices.Clone(shapes[n.Name])
		if f, ok := s.Gradients[n.Name]; ok {
			shape = slices.Clone(s.Head.Param(f).Shape)
		}
		if len(shape) > 0 && op.Shape[0] == net.Unknown {
			if a.batch = shape[0]; shape[0]%parts != 0 {
				return nil, fmt.Errorf("a batch of %d is not %d equal parts", shape[0], parts)
			}
			shape[0] /= parts
			a.cut = append(a.cut, n.Name)
		}
		one[n.Name] = shape
	}
	var err error
	if a.part, err = e.Compile(s.Towers, one, true); err != nil {
		return nil, err
	}
	a.params = slices.Clone(a.part.Params())
	for _, p := range a.params {
		var sum, kept []float32
		if p.Buffer {
			kept = make([]float32, len(p.Value))
		} else {
			sum = make([]float32, len(p.Value))
		}
		a.sums, a.kept = append(a.sums, sum), append(a.kept, kept)
	}
	if s.Head == nil {
		return a, nil
	}
	if a.head, err = e.Compile(s.Head, headShapes(s.Head, shapes), true); err != nil {
		return nil, err
	}
	held := slices.Collect(maps.Values(s.Gradients))
	for _, p := range a.head.Params() {
		if slices.Contains(held, p.Name) {
			a.features = append(a.features, feature{p.Name, p, p.Shape[1]})
		} else {
			a.params = append(a.params, p)
		}
	}
	return a, nil
}

// headShapes are those of the inputs that a head has, which are of the whole batch.
func headShapes(head *net.Graph, all map[string][]int) map[string][]int {
	out := map[string][]int{}
	for _, n := range head.Nodes {
		if _, ok := n.Op.(net.Input); ok {
			out[n.Name] = all[n.Name]
		}
	}
	return out
}

// slice is a part's share of a batch.
func (a *accumulated) slice(in map[string]net.Tensor, part int) map[string]net.Tensor {
	out := maps.Clone(in)
	for _, name := range a.cut {
		t, ok := in[name]
		if !ok || len(t.Shape) == 0 {
			continue // the program says so
		}
		n, size := t.Shape[0]/a.parts, net.Size(t.Shape)/a.parts
		t.Shape = append([]int{n}, t.Shape[1:]...)
		if t.F32 != nil {
			t.F32 = t.F32[part*size : (part+1)*size]
		}
		if t.I32 != nil {
			t.I32 = t.I32[part*size : (part+1)*size]
		}
		out[name] = t
	}
	if key, ok := in[net.DropoutKey]; ok { // parts drop elements of their own
		out[net.DropoutKey] = net.Tensor{Shape: key.Shape, I32: []int32{key.I32[0], key.I32[1]*int32(a.parts) + int32(part)}}
	}
	return out
}

func (a *accumulated) Run(in map[string]net.Tensor) (map[string]net.Tensor, error) {
	if a.head != nil {
		return a.twice(in)
	}
	shares, loss := a.shares(in["labels"].I32), 0.0
	for m := range a.parts {
		out, err := a.part.Run(a.slice(in, m))
		if err != nil {
			return nil, err
		}
		loss += shares[m] * float64(out["loss"].F32[0])
		a.add(m, float32(shares[m]))
	}
	return map[string]net.Tensor{"loss": {Shape: []int{}, F32: []float32{float32(loss)}}}, nil
}

// shares are how much of the known labels each part has: its mean's weight in the mean of all.
func (a *accumulated) shares(labels []int32) []float64 {
	shares, all := make([]float64, a.parts), 0.0
	for i, y := range labels {
		if y >= 0 {
			shares[i*a.parts/len(labels)]++
			all++
		}
	}
	for m := range shares {
		shares[m] /= max(1, all)
	}
	return shares
}

// twice is Run for a net with a head.
func (a *accumulated) twice(in map[string]net.Tensor) (map[string]net.Tensor, error) {
	for i, p := range a.part.Params() {
		copy(a.kept[i], p.Value)
	}
	in = maps.Clone(in)
	for _, f := range a.features { // Forward takes them, and reads nothing of them
		in[f.name+net.GradientOf] = net.Tensor{Shape: f.held.Shape, F32: f.held.Grad}
	}
	for m := range a.parts {
		out, err := a.part.Forward(a.slice(in, m))
		if err != nil {
			return nil, err
		}
		for _, f := range a.features {
			copy(f.held.Value[m*a.batch/a.parts*f.width:], out[f.name].F32)
		}
	}
	for i, p := range a.part.Params() {
		if p.Buffer {
			copy(p.Value, a.kept[i]) // the second pass moves them
		}
	}
	loss, err := a.head.Run(in)
	if err != nil {
		return nil, err
	}
	for m := range a.parts {
		if _, err := a.part.Run(a.slice(in, m)); err != nil {
			return nil, err
		}
		a.add(m, 1)
	}
	return loss, nil
}

// add adds a part's gradients, times its share; after the last part the program's own are the sums.
func (a *accumulated) add(part int, share float32) {
	for i, p := range a.part.Params() {
		sum := a.sums[i]
		parallel((len(sum)+chunk-1)/chunk, func(job int) {
			to := min(len(sum), (job+1)*chunk)
			s, g := sum[job*chunk:to], p.Grad[job*chunk:to]
			for i, x := range g {
				s[i] += share * x
			}
			if part == a.parts-1 {
				copy(g, s)
				clear(s)
			}
		})
	}
}

func (a *accumulated) Forward(in map[string]net.Tensor) (map[string]net.Tensor, error) {
	return nil, fmt.Errorf("fit: a net that trains in parts runs forward in parts too")
}

// Watch and Peaks are those of the parts, together, and of the head.
func (a *accumulated) Watch(on bool) {
	for _, p := range []engine.Program{a.part, a.head} {
		if w, ok := p.(engine.Watcher); ok {
			w.Watch(on)
		}
	}
}

func (a *accumulated) Peaks() (all []engine.Peak) {
	for _, p := range []engine.Program{a.part, a.head} {
		if w, ok := p.(engine.Watcher); ok {
			all = append(all, w.Peaks()...)
		}
	}
	return all
}

func (a *accumulated) Params() []*engine.Param { return a.params }

func (a *accumulated) Gradients() map[string]net.Tensor {
	return a.both(func(p engine.Program) map[string]net.Tensor { return p.Gradients() })
}

func (a *accumulated) Export() map[string]net.Tensor {
	return a.both(func(p engine.Program) map[string]net.Tensor { return p.Export() })
}

// both joins what the two programs give, without the features.
func (a *accumulated) both(of func(engine.Program) map[string]net.Tensor) map[string]net.Tensor {
	all := of(a.part)
	if a.head != nil {
		maps.Copy(all, of(a.head))
	}
	for _, f := range a.features {
		delete(all, f.name)
	}
	return all
}

func (a *accumulated) Load(all map[string]net.Tensor) error {
	if err := a.part.Load(all); err != nil || a.head == nil {
		return err
	}
	all = maps.Clone(all)
	for _, f := range a.features {
		all[f.name] = net.Tensor{Shape: f.held.Shape, F32: make([]float32, len(f.held.Value))}
	}
	return a.head.Load(all)
}
