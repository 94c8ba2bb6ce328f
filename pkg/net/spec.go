package net

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Spec is a net by name and sizes, as a NET.json of `silverbeam net` describes it: one of its fields is set.
type Spec struct {
	R3D18 *ResNet3D // "r3d_18"
	Bert  *Bert     // "bert"
	ViT3D *ViT3D    // "vit_3d"
}

// Graph is the net without a loss: Supervised, BertEncoder or VisionTransformer.
func (s Spec) Graph() (*Graph, error) { return s.graph(false, false) }

// Training is the net with the masked mean of BCE as its loss: it also takes labels [N, Classes] int32 (1, 0, -1: unknown)
// and, with posWeight, pos_weight [Classes]. Those of bert are of its first token.
func (s Spec) Training(posWeight bool) (*Graph, error) { return s.graph(true, posWeight) }

func (s Spec) graph(loss, posWeight bool) (*Graph, error) {
	switch {
	case s.Bert != nil && loss:
		return BertClassifier(*s.Bert, posWeight)
	case s.Bert != nil:
		return BertEncoder(*s.Bert)
	case s.ViT3D != nil:
		return VisionTransformer(*s.ViT3D, loss, posWeight)
	}
	return Supervised(*s.R3D18, loss, posWeight)
}

// Channels is the number of a volume's channels, 0 for a net of texts.
func (s Spec) Channels() int {
	switch {
	case s.Bert != nil:
		return 0
	case s.ViT3D != nil:
		return max(1, s.ViT3D.In)
	}
	return s.R3D18.In
}

// Weights gives a file's tensors their names in this net. Those of Hugging Face's BERT models stand under "bert." where
// the model has a head, and beside them what the encoder does not have: the pooler, a head, position_ids. Files of old
// call a LayerNorm's weight and bias gamma and beta.
func (s Spec) Weights(all map[string]Tensor) map[string]Tensor {
	if s.Bert == nil {
		return all
	}
	named := map[string]Tensor{}
	old := strings.NewReplacer("LayerNorm.gamma", "LayerNorm.weight", "LayerNorm.beta", "LayerNorm.bias")
	for name, t := range all {
		name = old.Replace(strings.TrimPrefix(name, "bert."))
		if !strings.HasPrefix(name, "pooler.") && !strings.HasPrefix(name, "cls.") && name != "embeddings.position_ids" {
			named[name] = t
		}
	}
	return named
}

// ParseSpec reads the JSON of a NET.json. Its error joins all that is wrong. An unknown key is an error; no size may be
// so large that a tensor's elements could not be counted.
//
// A stem that is left out is torchvision's own, for three channels. Padding that is left out is half the kernel along
// an axis whose windows overlap, and none along one whose don't: torchvision's r3d_18 and a stem of patches both follow.
func ParseSpec(b []byte) (Spec, error) {
	var named struct {
		Arch string `json:"arch"`
	}
	if err := json.Unmarshal(b, &named); err != nil {
		return Spec{}, err
	}
	switch named.Arch {
	case "r3d_18":
		o, err := parseR3D18(b)
		return Spec{R3D18: o}, err
	case "bert":
		o, err := parseBert(b)
		return Spec{Bert: o}, err
	case "vit_3d":
		o, err := parseViT3D(b)
		return Spec{ViT3D: o}, err
	}
	return Spec{}, fmt.Errorf("arch %q: want r3d_18, bert or vit_3d", named.Arch)
}

// stemSpec is the stem's part of a NET.json; its defaults are torchvision's (BasicStem).
type stemSpec struct {
	Kernel  []int `json:"kernel"`
	Stride  []int `json:"stride"`
	Padding []int `json:"padding"`
	In      int   `json:"in"`
}

func parseR3D18(b []byte) (*ResNet3D, error) {
	s := struct {
		Arch    string    `json:"arch"`
		Width   int       `json:"width"`
		Stem    *stemSpec `json:"stem"`
		Classes int       `json:"classes"`
	}{Width: 64}
	if err := strictly(b, &s); err != nil {
		return nil, err
	}
	if s.Stem == nil {
		s.Stem = &stemSpec{Kernel: []int{3, 7, 7}, Stride: []int{1, 2, 2}, In: 3}
	}
	if s.Stem.Stride == nil {
		s.Stem.Stride = s.Stem.Kernel
	}
	if s.Stem.In == 0 {
		s.Stem.In = 1
	}
	var p bounds
	p.hold("width", s.Width, 1, 4096)
	p.hold("classes", s.Classes, 1, 1<<20)
	p.hold("stem.in", s.Stem.In, 1, 4096)
	o := &ResNet3D{Width: s.Width, In: s.Stem.In, Classes: s.Classes,
		Kernel: p.axes("stem.kernel", s.Stem.Kernel, 1, 64), Stride: p.axes("stem.stride", s.Stem.Stride, 1, 64)}
	if s.Stem.Padding == nil {
		s.Stem.Padding = make([]int, 3)
		for i, k := range o.Kernel {
			if k > o.Stride[i] {
				s.Stem.Padding[i] = k / 2
			}
		}
	}
	o.Pad = p.axes("stem.padding", s.Stem.Padding, 0, 64)
	return o, errors.Join(p...)
}

func parseBert(b []byte) (*Bert, error) {
	s := struct {
		Arch         string  `json:"arch"`
		Layers       int     `json:"layers"`
		Hidden       int     `json:"hidden"`
		Heads        int     `json:"heads"`
		Intermediate int     `json:"intermediate"`
		Vocab        int     `json:"vocab"`
		MaxPositions int     `json:"max_positions"`
		Eps          float64 `json:"eps"`
		Classes      int     `json:"classes"`
	}{Eps: 1e-12}
	if err := strictly(b, &s); err != nil {
		return nil, err
	}
	var p bounds
	p.hold("layers", s.Layers, 1, 1024)
	p.hold("hidden", s.Hidden, 1, 1<<16)
	p.hold("heads", s.Heads, 1, 1<<16)
	p.hold("intermediate", s.Intermediate, 1, 1<<20)
	p.hold("vocab", s.Vocab, 1, 1<<24)
	p.hold("max_positions", s.MaxPositions, 1, 1<<20)
	p.hold("classes", s.Classes, 0, 1<<20)
	p.heads(s.Hidden, s.Heads)
	if !(s.Eps > 0 && s.Eps < 1) {
		p = append(p, fmt.Errorf("eps %g: want more than 0 and less than 1", s.Eps))
	}
	return &Bert{s.Layers, s.Hidden, s.Heads, s.Intermediate, s.Vocab, s.MaxPositions, s.Eps, s.Classes}, errors.Join(p...)
}

func parseViT3D(b []byte) (*ViT3D, error) {
	s := struct {
		Arch         string  `json:"arch"`
		Size         []int   `json:"size"`
		Patch        []int   `json:"patch"`
		In           int     `json:"in"`
		Layers       int     `json:"layers"`
		Hidden       int     `json:"hidden"`
		Heads        int     `json:"heads"`
		Intermediate int     `json:"intermediate"`
		Classes      int     `json:"classes"`
		Dropout      float64 `json:"dropout"`
	}{In: 1}
	if err := strictly(b, &s); err != nil {
		return nil, err
	}
	var p bounds
	p.hold("in", s.In, 1, 4096)
	p.hold("layers", s.Layers, 1, 1024)
	p.hold("hidden", s.Hidden, 1, 1<<16)
	p.hold("heads", s.Heads, 1, 1<<16)
	p.hold("intermediate", s.Intermediate, 1, 1<<20)
	p.hold("classes", s.Classes, 1, 1<<20)
	p.heads(s.Hidden, s.Heads)
	if !(s.Dropout >= 0 && s.Dropout < 1) {
		p = append(p, fmt.Errorf("dropout %g: want at least 0 and less than 1", s.Dropout))
	}
	o := &ViT3D{Dropout: s.Dropout, In: s.In, Layers: s.Layers, Hidden: s.Hidden, Heads: s.Heads, Intermediate: s.Intermediate, Classes: s.Classes}
	o.Size, o.Patch = p.axes("size", s.Size, 1, 4096), p.axes("patch", s.Patch, 1, 64)
	for i, n := range o.Size {
		if o.Patch[i] > 0 && n%o.Patch[i] != 0 {
			p = append(p, fmt.Errorf("size[%d] %d: want a multiple of patch[%d], %d", i, n, i, o.Patch[i]))
		}
	}
	return o, errors.Join(p...)
}

// strictly decodes JSON; an unknown key is an error.
func strictly(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// bounds collects what is out of bounds.
type bounds []error

func (p *bounds) hold(name string, v, lo, hi int) {
	if v < lo || v > hi {
		*p = append(*p, fmt.Errorf("%s %d: want %d to %d", name, v, lo, hi))
	}
}

func (p *bounds) heads(hidden, heads int) {
	if heads > 0 && hidden%heads != 0 {
		*p = append(*p, fmt.Errorf("hidden %d: want a multiple of heads, %d", hidden, heads))
	}
}

// axes takes the three numbers of D, H and W.
func (p *bounds) axes(name string, v []int, lo, hi int) (a [3]int) {
	if len(v) != 3 {
		*p = append(*p, fmt.Errorf("%s %v: want three numbers, of D, H and W", name, v))
		return a
	}
	for i, n := range v {
		p.hold(fmt.Sprintf("%s[%d]", name, i), n, lo, hi)
	}
	return [3]int(v)
}
