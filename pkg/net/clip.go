package net

import (
	"fmt"
	"math"
)

// CLIP is a vision tower and a text tower with projections into one space (Radford et al. 2021).
type CLIP struct {
	Visual ResNet3D // its parameters under "visual."
	Text   Bert     // its parameters under "text."
	Dim    int      // of the common space; projections visual_projection.weight and text_projection.weight, no bias
}

// NewCLIP is the pair in training: inputs x, input_ids, attention_mask; outputs image_embedding and text_embedding
// [N, Dim] of length 1, and loss. Its parameter logit_scale is the log temperature, clamped at ln 100.
func NewCLIP(o CLIP) (*Graph, error) {
	g := &Graph{}
	image, text := g.image(o), g.text(o)
	g.Loss = g.add("loss", "", InfoNCE{}, image, text)
	g.Output("loss", g.Loss)
	return g, g.check(o)
}

// ImageEncoder is CLIP's vision side alone: input x, output image_embedding and pooled, under the same parameter names.
func ImageEncoder(o CLIP) (*Graph, error) {
	g := &Graph{}
	g.image(o)
	return g, g.check(o)
}

// TextEncoder is CLIP's text side alone: inputs input_ids and attention_mask, output text_embedding.
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
	x := g.Input("x", false, Unknown, max(o.Visual.In, 1), Unknown, Unknown, Unknown)
	x = g.ResNet3D(x, "visual.", o.Visual)
	g.Output("pooled", x)
	return g.embedding(x, "visual", "image_embedding", o.Visual.FeatureWidth(), o.Dim)
}

func (g *Graph) text(o CLIP) *Node {
	ids, mask := g.textInputs()
	x := g.Bert(ids, mask, "text.", o.Text)
	x = g.add("text.meanpool", "", MeanPool{}, x, mask)
	return g.embedding(x, "text", "text_embedding", o.Text.Hidden, o.Dim)
}

// embedding normalises features of a width over the batch, projects them and scales them to length 1. Pooled features are
// for the most part the same for every sample; without the first step, so would the embeddings be, and a tower that starts
// at random would need far longer to tell samples apart (as in the projection heads of SimCLR and MoCo v3).
func (g *Graph) embedding(x *Node, side, name string, width, dim int) *Node {
	x = g.add(side+"_norm", side+"_norm.", BatchNorm{}, x)
	x = g.Linear(x, side+"_projection", dim, false, 1/math.Sqrt(float64(width)))
	x = g.add(name, "", L2Norm{}, x)
	g.Output(name, x)
	return x
}
