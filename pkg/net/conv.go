package net

import (
	"fmt"
	"math"
)

// Batch normalisation's constants are PyTorch's defaults: running statistics move by a tenth a step, the running
// variance by the unbiased estimate.
const (
	BNEps      = 1e-5
	BNMomentum = 0.1
)

// ConvBN is a 3D convolution without bias, batch normalisation, and ReLU unless NoReLU.
// Params: conv weight, then BN weight, bias, running_mean, running_var, num_batches_tracked.
type ConvBN struct {
	Out                 int
	Kernel, Stride, Pad [3]int
	NoReLU              bool
	FrozenBN            bool   // normalise by the running statistics and leave them, also in training
	Conv, Norm          string // names of the two halves below the node's prefix
}

func (ConvBN) Kind() string { return "conv_bn" }
func (o ConvBN) infer(in [][]int) ([]int, error) {
	if err := rank(in[0], 5, "input"); err != nil {
		return nil, err
	}
	out := []int{in[0][0], o.Out, 0, 0, 0}
	for i := range 3 {
		out[2+i] = convOut(in[0][2+i], o.Kernel[i], o.Stride[i], o.Pad[i])
		if d := out[2+i]; d != Unknown && d < 1 {
			return nil, fmt.Errorf("input of shape %v is too small for kernel %v", in[0], o.Kernel)
		}
	}
	return out, nil
}
func (o ConvBN) params(in [][]int) []*Param {
	return append([]*Param{convWeight(o.Conv, o.Out, in[0][1], o.Kernel)}, bnParams(o.Norm, o.Out)...)
}
func (o ConvBN) flops(in [][]int, out []int) float64 {
	return 2 * float64(Size(out)*in[0][1]*o.Kernel[0]*o.Kernel[1]*o.Kernel[2])
}

// BasicBlock is torchvision's: 3³ convolution with Stride, BN, ReLU, 3³ convolution, BN, added to the input (or to its
// 1³ convolution and BN, where stride or width change), ReLU.
// Params: six of conv1 and its BN, six of conv2, six of downsample if Down.
type BasicBlock struct {
	Out, Stride int
	Down        bool
	FrozenBN    bool
}

func (BasicBlock) Kind() string { return "basic_block" }

// Halves are the block's convolutions as single layers, down's Out zero where there is none.
func (o BasicBlock) Halves() (conv1, conv2, down ConvBN) {
	k, p, one, s := [3]int{3, 3, 3}, [3]int{1, 1, 1}, [3]int{1, 1, 1}, [3]int{o.Stride, o.Stride, o.Stride}
	conv1 = ConvBN{Out: o.Out, Kernel: k, Stride: s, Pad: p, Conv: "conv1.0", Norm: "conv1.1", FrozenBN: o.FrozenBN}
	conv2 = ConvBN{Out: o.Out, Kernel: k, Stride: one, Pad: p, Conv: "conv2.0", Norm: "conv2.1", NoReLU: true, FrozenBN: o.FrozenBN}
	if o.Down {
		down = ConvBN{Out: o.Out, Kernel: one, Stride: s, Conv: "downsample.0", Norm: "downsample.1", NoReLU: true, FrozenBN: o.FrozenBN}
	}
	return conv1, conv2, down
}
func (o BasicBlock) infer(in [][]int) ([]int, error) {
	c, _, _ := o.Halves()
	out, err := c.infer(in)
	if err == nil && !o.Down && (o.Stride != 1 || in[0][1] != o.Out) {
		err = fmt.Errorf("input of shape %v cannot be added to an output of shape %v", in[0], out)
	}
	return out, err
}
func (o BasicBlock) params(in [][]int) []*Param {
	c1, c2, d := o.Halves()
	ps := append(c1.params(in), c2.params([][]int{{0, o.Out}})...)
	if o.Down {
		ps = append(ps, d.params(in)...)
	}
	return ps
}
func (o BasicBlock) flops(in [][]int, out []int) float64 {
	c1, c2, d := o.Halves()
	n := c1.flops(in, out) + c2.flops([][]int{out}, out)
	if o.Down {
		n += d.flops(in, out)
	}
	return n
}

// BatchNorm is PyTorch's BatchNorm1d of features [N, C], or BatchNorm3d of volumes [N, C, D, H, W]. Params: weight, bias,
// running_mean, running_var, num_batches_tracked.
type BatchNorm struct{}

func (BatchNorm) Kind() string { return "batchnorm" }
func (BatchNorm) infer(in [][]int) ([]int, error) {
	if len(in[0]) == 5 {
		return in[0], nil
	}
	return in[0], rank(in[0], 2, "input")
}
func (BatchNorm) params(in [][]int) []*Param   { return bnParams("", in[0][1]) }
func (BatchNorm) flops([][]int, []int) float64 { return 0 }

// AvgPool is the mean over space: [N, C, D, H, W] to [N, C].
type AvgPool struct{}

func (AvgPool) Kind() string { return "avgpool" }
func (AvgPool) infer(in [][]int) ([]int, error) {
	if err := rank(in[0], 5, "input"); err != nil {
		return nil, err
	}
	return in[0][:2], nil
}
func (AvgPool) params([][]int) []*Param      { return nil }
func (AvgPool) flops([][]int, []int) float64 { return 0 }

// convWeight starts as torchvision's video nets do: Kaiming normal, fan out, ReLU.
func convWeight(name string, out, in int, k [3]int) *Param {
	fan := float64(out * k[0] * k[1] * k[2])
	return &Param{Name: name + ".weight", Shape: []int{out, in, k[0], k[1], k[2]}, Init: Init{Std: math.Sqrt(2 / fan)}}
}

func bnParams(name string, c int) []*Param {
	s := []int{c}
	if name != "" {
		name += "."
	}
	return []*Param{
		{Name: name + "weight", Shape: s, Init: Init{Mean: 1}},
		{Name: name + "bias", Shape: s},
		{Name: name + "running_mean", Shape: s, Buffer: true},
		{Name: name + "running_var", Shape: s, Buffer: true, Init: Init{Mean: 1}},
		{Name: name + "num_batches_tracked", Shape: []int{}, Buffer: true},
	}
}
