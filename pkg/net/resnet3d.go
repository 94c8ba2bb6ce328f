package net

import "fmt"

// ResNet3D is torchvision's r3d_18 (Tran et al. 2018), with a free width and a CT stem.
type ResNet3D struct {
	Width    int    // channels of the stem and first stage, doubled at each of three more; 0: 64
	Kernel   [3]int // of the stem; zero: 2, 2, 2
	Stride   [3]int // of the stem; zero: the kernel
	Pad      [3]int // of the stem
	In       int    // channels of the volume; 0: 1
	Classes  int    // of the classifier fc; Supervised needs it
	Features bool   // also return layer1 to layer4
	FrozenBN bool   // train with the running statistics, and leave them
}

func (o ResNet3D) defaults() (ResNet3D, error) {
	if o.Width == 0 {
		o.Width = 64
	}
	if o.Kernel == [3]int{} {
		o.Kernel = [3]int{2, 2, 2}
	}
	if o.Stride == [3]int{} {
		o.Stride = o.Kernel
	}
	if o.In == 0 {
		o.In = 1
	}
	for i := range 3 {
		if o.Kernel[i] < 1 || o.Stride[i] < 1 || o.Pad[i] < 0 {
			return o, fmt.Errorf("net: r3d_18: stem kernel %v, stride %v, padding %v: want at least 1, 1, 0", o.Kernel, o.Stride, o.Pad)
		}
	}
	if o.Width < 1 || o.In < 1 || o.Classes < 0 {
		return o, fmt.Errorf("net: r3d_18: width %d, in %d, classes %d: want at least 1, 1, 0", o.Width, o.In, o.Classes)
	}
	return o, nil
}

// FeatureWidth is the length of the pooled features: eight times the width.
func (o ResNet3D) FeatureWidth() int {
	d, _ := o.defaults()
	return 8 * d.Width
}

// ResNet3D adds the trunk under a prefix ("", "visual."): x [N, In, D, H, W] to pooled features [N, 8 Width].
func (g *Graph) ResNet3D(x *Node, prefix string, o ResNet3D) *Node {
	o, err := o.defaults()
	if err != nil {
		g.fail(err)
	}
	stem := ConvBN{Out: o.Width, Kernel: o.Kernel, Stride: o.Stride, Pad: o.Pad, Conv: "0", Norm: "1", FrozenBN: o.FrozenBN}
	x = g.add(prefix+"stem", prefix+"stem.", stem, x) // [N, W, D/s, H/s, W/s]
	x = g.stage(x, prefix+"layer1", o.Width, 1, o)    // [N, W, D/s, H/s, W/s]
	x = g.stage(x, prefix+"layer2", 2*o.Width, 2, o)  // [N, 2W, D/2s, H/2s, W/2s]
	x = g.stage(x, prefix+"layer3", 4*o.Width, 2, o)  // [N, 4W, D/4s, H/4s, W/4s]
	x = g.stage(x, prefix+"layer4", 8*o.Width, 2, o)  // [N, 8W, D/8s, H/8s, W/8s]
	return g.add(prefix+"avgpool", "", AvgPool{}, x)  // [N, 8W]
}

// stage is two basic blocks, the first with the stride.
func (g *Graph) stage(x *Node, name string, out, stride int, o ResNet3D) *Node {
	down := stride != 1 || g.err == nil && x.Shape[1] != out
	x = g.add(name+".0", name+".0.", BasicBlock{Out: out, Stride: stride, Down: down, FrozenBN: o.FrozenBN}, x)
	x = g.add(name+".1", name+".1.", BasicBlock{Out: out, Stride: 1, FrozenBN: o.FrozenBN}, x)
	if o.Features {
		g.Output(name, x)
	}
	return x
}

// Linear adds a linear layer over the last axis; std is that of its first weights.
func (g *Graph) Linear(x *Node, name string, out int, bias bool, std float64) *Node {
	return g.add(name, name+".", Linear{Out: out, Bias: bias, Std: std}, x)
}

// fcStd is torchvision's for the classifier.
const fcStd = 0.01

// Supervised is r3d_18 with its classifier: input x [N, In, D, H, W]; outputs logits [N, Classes] and pooled [N, 8 Width].
// With loss it also takes labels [N, Classes] int32 (1, 0, -1: unknown) and, with posWeight, pos_weight [Classes], and
// gives loss, the masked mean of BCE.
func Supervised(o ResNet3D, loss, posWeight bool) (*Graph, error) {
	o, err := o.defaults()
	if err != nil {
		return nil, err
	}
	if o.Classes < 1 {
		return nil, fmt.Errorf("net: r3d_18: classes %d: want at least 1", o.Classes)
	}
	g := &Graph{}
	x := g.Input("x", false, Unknown, o.In, Unknown, Unknown, Unknown)
	x = g.ResNet3D(x, "", o)
	g.Output("pooled", x)
	x = g.Linear(x, "fc", o.Classes, true, fcStd)
	g.Output("logits", x)
	if loss {
		g.bce(x, o.Classes, posWeight)
	}
	return g, g.Err()
}

// bce makes the masked mean of BCE the loss.
func (g *Graph) bce(logits *Node, classes int, posWeight bool) {
	in := []*Node{logits, g.Input("labels", true, Unknown, classes)}
	if posWeight {
		in = append(in, g.Input("pos_weight", false, classes))
	}
	g.Loss = g.add("loss", "", BCE{}, in...)
	g.Output("loss", g.Loss)
}
