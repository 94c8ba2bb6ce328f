// Package net describes networks as neutral layer graphs, with PyTorch's parameter names and layouts, and reads and
// writes their weights and vocabularies. It computes nothing: engines do.
package net

// Tensor is a dense array, last dimension fastest. Exactly one of F32, I32 and I64 is set, and its length is the product
// of Shape (1 for the empty shape, a scalar). I64 is for counters in weight files (num_batches_tracked); engines take
// F32 and I32.
type Tensor struct {
	Shape []int
	F32   []float32
	I32   []int32
	I64   []int64
}
