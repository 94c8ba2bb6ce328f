package net

import "fmt"

// BertEmbedding adds word, position and (first) token type embeddings and normalises: ids [N, T] to [N, T, E].
// Params: word, position and token type embeddings, LayerNorm weight and bias.
type BertEmbedding struct {
	Vocab, MaxPositions, Hidden int
	Eps                         float64
}

func (BertEmbedding) Kind() string { return "bert_embedding" }
func (o BertEmbedding) infer(in [][]int) ([]int, error) {
	if err := rank(in[0], 2, "ids"); err != nil {
		return nil, err
	}
	if in[0][1] > o.MaxPositions {
		return nil, fmt.Errorf("%d tokens, at most %d", in[0][1], o.MaxPositions)
	}
	return []int{in[0][0], in[0][1], o.Hidden}, nil
}
func (o BertEmbedding) params([][]int) []*Param {
	table := func(name string, rows int) *Param {
		return &Param{Name: name + ".weight", Shape: []int{rows, o.Hidden}, Init: Init{Std: bertStd}}
	}
	return append([]*Param{table("word_embeddings", o.Vocab), table("position_embeddings", o.MaxPositions),
		table("token_type_embeddings", 2)}, lnParams("LayerNorm", o.Hidden)...)
}
func (BertEmbedding) flops([][]int, []int) float64 { return 0 }

// BertLayer is one encoder layer of BERT (post-norm, exact GELU): x [N, T, E] and mask [N, T] (0: not attended to).
// Params: query, key, value, attention output (weight, bias each), LayerNorm weight and bias, intermediate, output
// (weight, bias each), LayerNorm weight and bias.
type BertLayer struct {
	Heads, Intermediate int
	Eps                 float64
}

func (BertLayer) Kind() string { return "bert_layer" }
func (o BertLayer) infer(in [][]int) ([]int, error) {
	if err := rank(in[0], 3, "input"); err != nil {
		return nil, err
	}
	if e := in[0][2]; o.Heads < 1 || e%o.Heads != 0 {
		return nil, fmt.Errorf("width %d is not a multiple of %d heads", e, o.Heads)
	}
	if len(in[1]) != 2 || !same(in[1][0], in[0][0]) || !same(in[1][1], in[0][1]) {
		return nil, fmt.Errorf("mask of shape %v does not fit input of shape %v", in[1], in[0])
	}
	return in[0], nil
}
func (o BertLayer) params(in [][]int) []*Param {
	e := in[0][2]
	var ps []*Param
	for _, n := range []string{"attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"} {
		ps = append(ps, linearParams(n, e, e, bertStd, true)...)
	}
	ps = append(ps, lnParams("attention.output.LayerNorm", e)...)
	ps = append(ps, linearParams("intermediate.dense", e, o.Intermediate, bertStd, true)...)
	ps = append(ps, linearParams("output.dense", o.Intermediate, e, bertStd, true)...)
	return append(ps, lnParams("output.LayerNorm", e)...)
}
func (o BertLayer) flops(in [][]int, _ []int) float64 {
	n, t, e := float64(in[0][0]), float64(in[0][1]), float64(in[0][2])
	return n * t * (8*e*e + 4*e*float64(o.Intermediate) + 4*t*e)
}

// CLS takes the first token: [N, T, E] to [N, E].
type CLS struct{}

func (CLS) Kind() string                    { return "cls" }
func (CLS) infer(in [][]int) ([]int, error) { return pooled(in) }
func (CLS) params([][]int) []*Param         { return nil }
func (CLS) flops([][]int, []int) float64    { return 0 }

// MeanPool averages the tokens that a mask [N, T] keeps: [N, T, E] to [N, E].
type MeanPool struct{}

func (MeanPool) Kind() string                    { return "meanpool" }
func (MeanPool) infer(in [][]int) ([]int, error) { return pooled(in) }
func (MeanPool) params([][]int) []*Param         { return nil }
func (MeanPool) flops([][]int, []int) float64    { return 0 }

func pooled(in [][]int) ([]int, error) {
	if err := rank(in[0], 3, "input"); err != nil {
		return nil, err
	}
	return []int{in[0][0], in[0][2]}, nil
}

func lnParams(name string, e int) []*Param {
	return []*Param{{Name: name + ".weight", Shape: []int{e}, Init: Init{Mean: 1}}, {Name: name + ".bias", Shape: []int{e}}}
}
