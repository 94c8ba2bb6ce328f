package net

import (
	"errors"
	"fmt"
)

// Unknown is a dimension that only Compile's shapes fix: batch size, volume extent, number of tokens.
const Unknown = -1

// Graph is a net: nodes in the order of their computation. The zero value is an empty graph. A mistake in building (a
// shape that does not fit, a name used twice) is kept and returned by Err; builders can go on unchecked until then.
type Graph struct {
	Nodes   []*Node
	Params  []*Param // in order of use, buffers among them
	Outputs []Output
	Loss    *Node // the scalar that training lowers; nil: the graph only computes

	// Recompute trains in less memory: blocks keep their inputs and results, and compute the rest again for the backward
	// pass. Results are the same bits.
	Recompute bool

	err error
}

// Node is one layer: an operation on earlier nodes.
type Node struct {
	Index  int // place in Graph.Nodes
	Name   string
	Op     Op
	In     []*Node
	Params []*Param // in the order that the operation's type names
	Shape  []int    // of the result, PyTorch's axis order; Unknown where Compile decides
}

// Param is a parameter or, with Buffer, a tensor that training keeps but no gradient changes.
type Param struct {
	Name   string // PyTorch's state_dict name
	Shape  []int  // PyTorch's: conv O I D H W, linear out in
	Buffer bool
	Init   Init
}

// Output is a node whose value Run returns under a name.
type Output struct {
	Name string
	Node *Node
}

// Op is an operation, one of the types of this package.
type Op interface {
	Kind() string                        // as in summaries and errors
	infer(in [][]int) ([]int, error)     // result's shape; Unknown passes through
	params(in [][]int) []*Param          // its parameters, names relative to the node's
	flops(in [][]int, out []int) float64 // multiplications and additions of one forward pass; 0 for passes over memory
}

// Input declares a tensor that Run takes; Unknown dimensions are free. ids tells int32 from float32.
func (g *Graph) Input(name string, ids bool, shape ...int) *Node {
	return g.add(name, "", Input{Shape: shape, I32: ids})
}

// Output names a node whose value Run returns.
func (g *Graph) Output(name string, n *Node) {
	for _, o := range g.Outputs {
		if o.Name == name {
			g.fail(fmt.Errorf("net: output %s: named twice", name))
		}
	}
	g.Outputs = append(g.Outputs, Output{name, n})
}

// Err is the first mistake made in building.
func (g *Graph) Err() error { return g.err }

func (g *Graph) fail(err error) {
	if g.err == nil {
		g.err = err
	}
}

// add appends a node; prefix goes before the names of its parameters.
func (g *Graph) add(name, prefix string, op Op, in ...*Node) *Node {
	n := &Node{Index: len(g.Nodes), Name: name, Op: op, In: in}
	g.Nodes = append(g.Nodes, n)
	if g.err != nil {
		return n
	}
	shapes := make([][]int, len(in))
	for i, x := range in {
		shapes[i] = x.Shape
	}
	var err error
	if n.Shape, err = op.infer(shapes); err != nil {
		g.fail(fmt.Errorf("net: %s (%s): %w", name, op.Kind(), err))
		return n
	}
	n.Params = op.params(shapes)
	for _, p := range n.Params {
		p.Name = prefix + p.Name
		if g.Param(p.Name) != nil {
			g.fail(fmt.Errorf("net: parameter %s: named twice", p.Name))
		}
		g.Params = append(g.Params, p)
	}
	return n
}

// Param finds a parameter by name, nil if there is none.
func (g *Graph) Param(name string) *Param {
	for _, p := range g.Params {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Infer gives the shape of every node for fixed input shapes, by Node.Index. Every input must be given, and fit.
func (g *Graph) Infer(inputs map[string][]int) ([][]int, error) {
	if g.err != nil {
		return nil, g.err
	}
	shapes := make([][]int, len(g.Nodes))
	var errs []error
	for i, n := range g.Nodes {
		if op, ok := n.Op.(Input); ok {
			if err := op.fits(n.Name, inputs[n.Name]); err != nil {
				errs = append(errs, err)
			}
			shapes[i] = inputs[n.Name]
			continue
		}
		if errs != nil {
			continue
		}
		var err error
		if shapes[i], err = n.Op.infer(inShapes(n, shapes)); err != nil {
			return nil, fmt.Errorf("net: %s (%s): %w", n.Name, n.Op.Kind(), err)
		}
	}
	return shapes, errors.Join(errs...)
}

func inShapes(n *Node, all [][]int) [][]int {
	in := make([][]int, len(n.In))
	for i, x := range n.In {
		in[i] = all[x.Index]
	}
	return in
}
