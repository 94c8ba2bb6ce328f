package net

import (
	"fmt"
	"math"
)

// AdaptivePool is the mean over windows that divide each axis into so many: PyTorch's AdaptiveAvgPool3d.
type AdaptivePool struct{ Size [3]int } // of the result: D, H, W

func (AdaptivePool) Kind() string { return "adaptivepool" }
func (o AdaptivePool) infer(in [][]int) ([]int, error) {
	if err := rank(in[0], 5, "input"); err != nil {
		return nil, err
	}
	for _, n := range o.Size {
		if n < 1 {
			return nil, fmt.Errorf("size %v: want at least 1 each", o.Size)
		}
	}
	return append(in[0][:2:2], o.Size[:]...), nil
}
func (AdaptivePool) params([][]int) []*Param      { return nil }
func (AdaptivePool) flops([][]int, []int) float64 { return 0 }

// Upsample repeats voxels or, with Linear, interpolates between their centres: PyTorch's interpolate by whole factors, modes
// nearest and trilinear (align_corners false).
type Upsample struct {
	Scale  [3]int
	Linear bool
}

func (Upsample) Kind() string { return "upsample" }
func (o Upsample) infer(in [][]int) ([]int, error) {
	if err := rank(in[0], 5, "input"); err != nil {
		return nil, err
	}
	out := append([]int{}, in[0]...)
	for i, s := range o.Scale {
		if s < 1 {
			return nil, fmt.Errorf("scale %v: want at least 1 each", o.Scale)
		}
		if out[2+i] != Unknown {
			out[2+i] *= s
		}
	}
	return out, nil
}
func (Upsample) params([][]int) []*Param      { return nil }
func (Upsample) flops([][]int, []int) float64 { return 0 }

// ConvTranspose is PyTorch's ConvTranspose3d, without output padding: the gradient of a Conv as a layer.
// Params: weight [I, Out, D, H, W], bias if Bias.
type ConvTranspose struct {
	Out                 int
	Kernel, Stride, Pad [3]int
	Bias                bool
}

func (ConvTranspose) Kind() string { return "convtranspose" }
func (o ConvTranspose) infer(in [][]int) ([]int, error) {
	if err := rank(in[0], 5, "input"); err != nil {
		return nil, err
	}
	out := []int{in[0][0], o.Out, Unknown, Unknown, Unknown}
	for i, n := range in[0][2:] {
		if o.Kernel[i] < 1 || o.Stride[i] < 1 || o.Pad[i] < 0 {
			return nil, fmt.Errorf("kernel %v, stride %v, padding %v: want at least 1, 1, 0", o.Kernel, o.Stride, o.Pad)
		}
		if n == Unknown {
			continue
		}
		if out[2+i] = (n-1)*o.Stride[i] - 2*o.Pad[i] + o.Kernel[i]; out[2+i] < 1 {
			return nil, fmt.Errorf("input of shape %v is too small for padding %v", in[0], o.Pad)
		}
	}
	return out, nil
}
func (o ConvTranspose) params(in [][]int) []*Param {
	w := convWeight("", in[0][1], o.Out, o.Kernel)
	fan := float64(in[0][1] * o.Kernel[0] * o.Kernel[1] * o.Kernel[2])
	w.Name, w.Init = "weight", Init{Std: math.Sqrt(2 / fan)}
	if !o.Bias {
		return []*Param{w}
	}
	return []*Param{w, {Name: "bias", Shape: []int{o.Out}}}
}
func (o ConvTranspose) flops(in [][]int, _ []int) float64 {
	return 2 * float64(Size(in[0])*o.Out*o.Kernel[0]*o.Kernel[1]*o.Kernel[2])
}
