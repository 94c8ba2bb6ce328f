// Package engine compiles the nets of package net for fixed shapes and runs them: forward, and in training backward.
//
// Results are bit for bit the same at any GOMAXPROCS: work is cut by shape alone and sums are joined in a fixed order.
package engine

import "silverbeam/pkg/net"

// Engine compiles nets.
type Engine interface {
	// Compile fixes the input shapes, all that the graph declares, by name. train: batch normalisation by the batch's
	// statistics, and, if the graph has a loss, gradients. Parameters start at zero: Load them (net.Graph.Init).
	Compile(g *net.Graph, shapes map[string][]int, train bool) (Program, error)
}

// Program is a net compiled for one batch shape. It is not safe for concurrent use; it uses all of GOMAXPROCS itself.
type Program interface {
	// Params are all parameters and buffers in the graph's order, the same pointers on every call.
	Params() []*Param
	// Run computes the outputs by name, and in training the gradients, overwriting the last. Inputs are read before it
	// returns and not kept. Outputs have PyTorch's axis order and alias memory that the next Run overwrites. A tensor
	// that is missing or does not fit is a *net.ShapeError; ids outside an embedding are one too.
	Run(in map[string]net.Tensor) (map[string]net.Tensor, error)
	// Forward is Run without its backward pass: in training, results by the batch's statistics, which move the running ones.
	Forward(in map[string]net.Tensor) (map[string]net.Tensor, error)
	// Gradients copies out what the last Run left in Params' Grad, by parameter name, in PyTorch's layouts.
	Gradients() map[string]net.Tensor
	// Export copies all parameters and buffers out, in PyTorch's layouts.
	Export() map[string]net.Tensor
	// Load copies all parameters and buffers in. Names the program lacks are ignored; one it has and all lacks is a
	// *net.ShapeError, but for num_batches_tracked, which then starts at 0.
	Load(all map[string]net.Tensor) error
}

// Param is a live parameter or buffer of a program.
//
// Value and Grad are flat and in the engine's own layout, which an element-wise optimiser need not know: the same index
// is the same weight in both. Shape is PyTorch's, so that rules by rank ("no decay on 1-d") hold; only Export and Load
// permute. Changing Value in place changes the program. Grad is nil for buffers and outside training.
type Param struct {
	Name        string
	Shape       []int
	Value, Grad []float32
	Buffer      bool

	o, i, taps int // of a weight O I taps that is not laid out as PyTorch's; o is 0 where it is
}

// Stepper is a Program that can take the optimiser's step itself: weights and moments stay on its device.
type Stepper interface {
	Program
	// Bind takes an optimiser into the program, whose moments begin as they are in its slots. From then on Step takes
	// Run's place, and Params' values and gradients are no longer followed: Export and Gradients fetch them.
	Bind(u Update)
	// Stage copies a batch to the device, for one Step. It may be called while a Step runs.
	Stage(in map[string]net.Tensor) (Staged, error)
	// Step is Run and the optimiser's update number t, from 1, at learning rate lr. norm is the length of the gradient of
	// all slots that are not frozen, before clipping; where it is not finite, nor are the weights. It uses up the batch.
	Step(b Staged, lr float64, t int64) (out map[string]net.Tensor, norm float64, err error)
	// Sync copies the moments into the slots.
	Sync() error
}

// Staged is a batch on a device.
type Staged interface {
	// Drop gives its memory back, if no Step has. It may be called twice.
	Drop()
}

// Watcher is a Program that can look at its layers' results.
type Watcher interface {
	Program
	// Watch has runs look (on), from nothing seen, or no longer look; what was seen stays until it is turned on again.
	Watch(on bool)
	// Peaks are the largest magnitudes since it was turned on, by layer in the graph's order: NaN once one was seen. A block
	// that is one layer of the graph is one here. Empty: no run has looked.
	Peaks() []Peak
}

// Peak is the largest magnitude of a layer's results.
type Peak struct {
	Layer string
	Max   float64
}

// Update is an optimiser as data: AdamW, if its slots have a second moment, or SGD.
type Update struct {
	Slots             []Slot
	Beta1, Beta2, Eps float64 // of AdamW
	Momentum          float64 // of SGD
	Nesterov          bool    // of SGD
	Clip              float64 // the largest norm of the gradient, which is scaled down to it; 0: none
}

// Slot is a parameter with what an optimiser keeps of it.
type Slot struct {
	Param *Param
	Rate  float64   // factor on the learning rate; 0: frozen
	Decay float64   // of the weight, per step and unit of learning rate
	M, V  []float32 // moments, laid out like Value; V is nil without a second
}
