package net

// Layer is one node in a summary.
type Layer struct {
	Name, Kind string
	Shape      []int   // of the result
	Params     int     // numbers that training changes
	FLOPs      float64 // of one forward pass, multiplications and additions counted apart; matrix products only
	Bytes      int     // of the result as float32
}

// Summary lists the layers for fixed input shapes.
func (g *Graph) Summary(inputs map[string][]int) ([]Layer, error) {
	shapes, err := g.Infer(inputs)
	if err != nil {
		return nil, err
	}
	var all []Layer
	for i, n := range g.Nodes {
		l := Layer{Name: n.Name, Kind: n.Op.Kind(), Shape: shapes[i], Bytes: 4 * Size(shapes[i])}
		for _, p := range n.Params {
			if !p.Buffer {
				l.Params += Size(p.Shape)
			}
		}
		if len(n.In) > 0 {
			l.FLOPs = n.Op.flops(inShapes(n, shapes), shapes[i])
		}
		all = append(all, l)
	}
	return all, nil
}

// StepFLOPs is the cost of one training step on these shapes: every product forward, and twice backward, less the
// gradient of the volume, which nobody needs.
func (g *Graph) StepFLOPs(inputs map[string][]int) (float64, error) {
	layers, err := g.Summary(inputs)
	total := 0.0
	for i, l := range layers {
		total += 3 * l.FLOPs
		if c, ok := g.Nodes[i].Op.(ConvBN); ok && c.Out > 0 {
			if _, first := g.Nodes[i].In[0].Op.(Input); first {
				total -= l.FLOPs
			}
		}
	}
	return total, err
}
