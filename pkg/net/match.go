package net

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// Match holds the tensors of a file to a graph's parameters, as PyTorch's load_state_dict does with strict=True: each is
// there, of its shape and type, and there is no other. Numbers must be finite too. num_batches_tracked may be missing,
// as in files of old. The error joins a *ShapeError for each tensor, of three at most, and counts the rest.
func (g *Graph) Match(all map[string]Tensor) error {
	var errs []error
	known := map[string]bool{}
	for _, p := range g.Params {
		known[p.Name] = true
		if err := p.match(all); err != nil {
			errs = append(errs, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !known[name] {
			errs = append(errs, &ShapeError{Tensor: name, Why: fmt.Sprintf("shape %v, and this net has no such parameter", all[name].Shape)})
		}
	}
	if n := len(errs); n > 4 {
		errs = append(errs[:3], fmt.Errorf("and %d more tensors", n-3))
	}
	return errors.Join(errs...)
}

func (p *Param) match(all map[string]Tensor) error {
	t, ok := all[p.Name]
	switch {
	case IsCount(p.Name):
		if ok && (len(t.I64) != 1 || t.I64[0] < 0) {
			return &ShapeError{Tensor: p.Name, Why: fmt.Sprintf("%s %v, want one I64 that is not negative", t.DType(), t.Shape)}
		}
		return nil
	case !ok:
		return &ShapeError{Tensor: p.Name, Want: p.Shape}
	}
	return Finite(p.Name, t, p.Shape)
}

// Finite is Check for float32, and refuses what is no number or not finite.
func Finite(name string, t Tensor, shape []int) error {
	if err := Check(name, t, shape, false); err != nil {
		return err
	}
	for i, v := range t.F32 {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return &ShapeError{Tensor: name, Why: fmt.Sprintf("shape %v, element %d is %v: want finite numbers", t.Shape, i, v)}
		}
	}
	return nil
}

// DType is the type of a tensor's elements as safetensors names it, "" if it has none.
func (t Tensor) DType() string {
	switch {
	case t.F32 != nil:
		return "F32"
	case t.I32 != nil:
		return "I32"
	case t.I64 != nil:
		return "I64"
	}
	return ""
}

// MatchInputs holds tensors to what a graph takes, as Match does to its parameters, and names those it does not take, in
// order. Labels must be 1, 0 or -1, an attention_mask 1 or 0.
func (g *Graph) MatchInputs(in map[string]Tensor) (unused []string, err error) {
	var errs []error
	rest := maps.Clone(in)
	for _, n := range g.Nodes {
		if op, ok := n.Op.(Input); ok {
			delete(rest, n.Name)
			if err := op.match(n.Name, in); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return slices.Sorted(maps.Keys(rest)), errors.Join(errs...)
}

func (o Input) match(name string, in map[string]Tensor) error {
	t, ok := in[name]
	switch {
	case !ok:
		return &ShapeError{Tensor: name, Want: o.Shape}
	case !o.I32:
		return Finite(name, t, o.Shape)
	}
	if err := Check(name, t, o.Shape, true); err != nil {
		return err
	}
	lo, hi := int32(math.MinInt32), int32(math.MaxInt32)
	switch name {
	case "labels":
		lo, hi = -1, 1
	case "attention_mask":
		lo, hi = 0, 1
	}
	for i, v := range t.I32 {
		if v < lo || v > hi {
			return &ShapeError{Tensor: name, Why: fmt.Sprintf("shape %v, element %d is %d: want %d to %d", t.Shape, i, v, lo, hi)}
		}
	}
	return nil
}
