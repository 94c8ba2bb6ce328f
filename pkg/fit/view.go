package fit

import "silverbeam/pkg/net"

// view makes some of a net's inputs out of studies: one side of a sample. A recipe is a net and its views.
type view interface {
	// inputs are the tensors of a batch of n: name, shape, and whether they hold int32.
	inputs(n int) []input
	// fill writes one study into a row of those tensors. It may be called for several rows at once, and must draw its
	// random numbers from d alone.
	fill(in map[string]net.Tensor, row int, d draw) error
}

// input declares one tensor.
type input struct {
	name  string
	shape []int
	ids   bool // int32, not float32
}

// draw is one study's turn in one epoch.
type draw struct {
	study *study
	seed  uint64
	epoch int
	index int // of the study in the corpus
	nth   int // turn of the study in this epoch, from 0
}

// key is what the turn's random streams are drawn from, beside their purpose.
func (d draw) key(purpose uint64) []uint64 {
	if d.nth == 0 {
		return []uint64{purpose, uint64(d.epoch), uint64(d.index)}
	}
	return []uint64{purpose, uint64(d.epoch), uint64(d.index), uint64(d.nth)}
}

// labelView is the known answers: labels [N, C] int32 in 1, 0 and -1 for the unknown, which the loss leaves out.
type labelView struct {
	findings int
	missing  string // what the unknown count as: zero, one; "" or mask: unknown
}

func (v labelView) inputs(n int) []input { return []input{{"labels", []int{n, v.findings}, true}} }

func (v labelView) fill(in map[string]net.Tensor, row int, d draw) error {
	dst := in["labels"].I32[row*v.findings:][:v.findings]
	for i := range dst {
		dst[i] = unknown
		if d.study.labels != nil {
			dst[i] = target(d.study.labels[i])
		}
		if dst[i] == unknown && v.missing != "" && v.missing != "mask" {
			dst[i] = pick[int32](v.missing == "one", 1, 0)
		}
	}
	return nil
}

// blank makes the tensors of inputs, all zero.
func blank(inputs []input) map[string]net.Tensor {
	out := map[string]net.Tensor{}
	for _, i := range inputs {
		t := net.Tensor{Shape: i.shape}
		if i.ids {
			t.I32 = make([]int32, net.Size(i.shape))
		} else {
			t.F32 = make([]float32, net.Size(i.shape))
		}
		out[i.name] = t
	}
	return out
}
