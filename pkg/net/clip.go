package net

import (
	"errors"
	"fmt"
	"math"
)

// CLIP is a vision tower and a text tower with projections into one space (Radford et al. 2021).
type CLIP struct {
	Visual ResNet3D // its parameters under "visual."
	Text   Bert     // its parameters under "text."
	Given  int      // width of texts' vectors that are made elsewhere, in place of a text tower; 0: Text makes them
	Dim    int      // of the common space; projections visual_projection.weight and text_projection.weight, no bias

	Losses  []Weighted // in training; nil: InfoNCE
	Classes int        // findings, for losses that read labels
}

// NewCLIP is the pair in training: inputs x, input_ids, attention_mask, or text_features [N, Given]; outputs image_embedding
// and text_embedding [N, Dim] of length 1, and loss. Its parameter logit_scale is the log temperature, clamped at ln 100.
func NewCLIP(o CLIP) (*Graph, error) {
	g := &Graph{}
	pooled := g.visualFeatures(o)
	image := g.embedding(pooled, "visual", "image_embedding", o.Visual.FeatureWidth(), o.Dim)
	g.pairLoss(o, pooled, image, g.text(o))
	return g, g.check(o)
}

// pairLoss makes o's losses of pairs the graph's.
func (g *Graph) pairLoss(o CLIP, pooled, image, text *Node) {
	if o.Losses == nil {
		g.Loss = g.add("loss", "", InfoNCE{}, image, text)
		g.Output("loss", g.Loss)
		return
	}
	g.losses(o.Losses, lossNodes{pooled: pooled, image: image, text: text, imageP: image.In[0], reportP: text.In[0], classes: o.Classes})
}

// ImageEncoder is CLIP's vision side alone: input x, outputs image_embedding, visual_projection (the same before
// it is brought to length 1) and pooled, under the same parameter names.
func ImageEncoder(o CLIP) (*Graph, error) {
	g := &Graph{}
	g.image(o)
	return g, g.check(o)
}

// TextEncoder is CLIP's text side alone: inputs input_ids and attention_mask, or text_features, outputs text_embedding and
// text_projection.
func TextEncoder(o CLIP) (*Graph, error) {
	g := &Graph{}
	g.text(o)
	return g, g.check(o)
}

func (g *Graph) check(o CLIP) error {
	if o.Dim < 1 {
		g.fail(fmt.Errorf("net: clip: dim %d: want at least 1", o.Dim))
	}
	return g.Err()
}

func (g *Graph) image(o CLIP) *Node {
	return g.embedding(g.visualFeatures(o), "visual", "image_embedding", o.Visual.FeatureWidth(), o.Dim)
}

func (g *Graph) visualFeatures(o CLIP) *Node {
	x := g.Input("x", false, Unknown, max(o.Visual.In, 1), Unknown, Unknown, Unknown)
	x = g.ResNet3D(x, "visual.", o.Visual)
	g.Output("pooled", x)
	return x
}

func (g *Graph) text(o CLIP) *Node {
	return g.embedding(g.textFeatures(o), "text", "text_embedding", o.textWidth(), o.Dim)
}

func (o CLIP) textWidth() int {
	if o.Given > 0 {
		return o.Given
	}
	return o.Text.Hidden
}

func (g *Graph) textFeatures(o CLIP) *Node {
	if o.Given > 0 {
		return g.Input("text_features", false, Unknown, o.Given)
	}
	ids, mask := g.textInputs()
	return g.add("text.meanpool", "", MeanPool{}, g.Bert(ids, mask, "text.", o.Text), mask)
}

// Split is a net in two, to train on a batch in parts: Towers give the features of a part, Head the loss of those of all.
// Head's features are parameters, by the names of Towers' outputs; Towers' loss is the sum of its features times their
// gradients, inputs under the features' names and GradientOf. Head is nil where the loss of a batch is the mean of its parts'.
type Split struct {
	Towers, Head *Graph
	Gradients    map[string]string // Towers' inputs, and of which feature
}

// GradientOf ends the names of inputs that are gradients.
const GradientOf = ".gradient"

// SplitCLIP is NewCLIP for a batch of n in parts. The normalisations over the batch before the projections are the head's,
// and so of the whole batch.
func SplitCLIP(o CLIP, n int) (Split, error) {
	s := Split{Towers: &Graph{}, Head: &Graph{}, Gradients: map[string]string{}}
	var losses []*Node
	give := func(name string, x *Node, width int) *Node {
		s.Towers.Output(name, x)
		s.Gradients[name+GradientOf] = name
		losses = append(losses, s.Towers.add(name+".dot", "", Dot{}, x, s.Towers.Input(name+GradientOf, false, Unknown, width)))
		return s.Head.add(name, "", Held{Name: name, Shape: []int{n, width}})
	}
	image := give("visual_features", s.Towers.visualFeatures(o), o.Visual.FeatureWidth())
	var text *Node
	if o.Given > 0 { // nothing is behind them that would need a gradient
		text = s.Head.textFeatures(o)
	} else {
		text = give("text_features", s.Towers.textFeatures(o), o.Text.Hidden)
	}
	s.Towers.Loss = s.Towers.add("loss", "", Total{[]float64{1, 1}[:len(losses)]}, losses...)
	pooled := image
	image = s.Head.embedding(image, "visual", "image_embedding", o.Visual.FeatureWidth(), o.Dim)
	text = s.Head.embedding(text, "text", "text_embedding", o.textWidth(), o.Dim)
	s.Head.pairLoss(o, pooled, image, text)
	return s, errors.Join(s.Towers.Err(), s.Head.check(o))
}

// Dot is the sum of a result's elements times those of a second input, its gradient by a loss elsewhere.
type Dot struct{}

func (Dot) Kind() string { return "dot" }
func (Dot) infer(in [][]int) ([]int, error) {
	_, err := Add{}.infer(in)
	return []int{}, err
}
func (Dot) params([][]int) []*Param      { return nil }
func (Dot) flops([][]int, []int) float64 { return 0 }

// Held is a tensor that is a parameter, so that a program gives its gradient.
type Held struct {
	Name  string
	Shape []int
}

func (Held) Kind() string                   { return "held" }
func (o Held) infer([][]int) ([]int, error) { return o.Shape, nil }
func (o Held) params([][]int) []*Param      { return []*Param{{Name: o.Name, Shape: o.Shape}} }
func (Held) flops([][]int, []int) float64   { return 0 }

// embedding normalises features of a width over the batch, projects them and scales them to length 1. Pooled features are
// for the most part the same for every sample; without the first step, so would the embeddings be, and a tower that starts
// at random would need far longer to tell samples apart (as in the projection heads of SimCLR and MoCo v3).
func (g *Graph) embedding(x *Node, side, name string, width, dim int) *Node {
	x = g.add(side+"_norm", side+"_norm.", BatchNorm{}, x)
	x = g.Linear(x, side+"_projection", dim, false, 1/math.Sqrt(float64(width)))
	g.Output(side+"_projection", x)
	x = g.add(name, "", L2Norm{}, x)
	g.Output(name, x)
	return x
}
