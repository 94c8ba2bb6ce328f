package net

import "fmt"

// bertStd is BERT's initializer_range (Devlin et al. 2019).
const bertStd = 0.02

// Bert is a BERT encoder (Devlin et al. 2019) without its pooler, under Hugging Face's parameter names.
type Bert struct {
	Layers, Hidden, Heads, Intermediate int
	Vocab, MaxPositions                 int
	Eps                                 float64 // of the LayerNorms; 0: 1e-12
	Classes                             int     `json:",omitempty"` // of a linear layer on the first token; 0: none
}

func (o Bert) validate() error {
	for _, v := range []int{o.Layers, o.Hidden, o.Heads, o.Intermediate, o.Vocab, o.MaxPositions} {
		if v < 1 {
			return fmt.Errorf("net: bert: layers %d, hidden %d, heads %d, intermediate %d, vocab %d, max positions %d: want at least 1 each",
				o.Layers, o.Hidden, o.Heads, o.Intermediate, o.Vocab, o.MaxPositions)
		}
	}
	return nil
}

// Bert adds the encoder under a prefix ("", "text."): ids and mask [N, T] int32 to token states [N, T, Hidden].
func (g *Graph) Bert(ids, mask *Node, prefix string, o Bert) *Node {
	if err := o.validate(); err != nil {
		g.fail(err)
	}
	if o.Eps == 0 {
		o.Eps = 1e-12
	}
	e := BertEmbedding{Vocab: o.Vocab, MaxPositions: o.MaxPositions, Hidden: o.Hidden, Eps: o.Eps}
	x := g.add(prefix+"embeddings", prefix+"embeddings.", e, ids) // [N, T, E]
	for i := range o.Layers {
		name := fmt.Sprintf("%sencoder.layer.%d", prefix, i)
		x = g.add(name, name+".", BertLayer{Heads: o.Heads, Intermediate: o.Intermediate, Eps: o.Eps}, x, mask) // [N, T, E]
	}
	return x
}

// BertEncoder is the encoder alone: inputs input_ids and attention_mask [N, T] int32; outputs last_hidden_state
// [N, T, E], cls [N, E] (first token) and meanpool [N, E] (mean over unmasked tokens), and with Classes logits
// [N, Classes], by classifier.weight and classifier.bias of cls.
func BertEncoder(o Bert) (*Graph, error) {
	g := &Graph{}
	ids, mask := g.textInputs()
	x := g.Bert(ids, mask, "", o)
	g.Output("last_hidden_state", x)
	g.Output("meanpool", g.add("meanpool", "", MeanPool{}, x, mask))
	x = g.add("cls", "", CLS{}, x)
	g.Output("cls", x)
	if o.Classes > 0 {
		g.Output("logits", g.Linear(x, "classifier", o.Classes, true, bertStd))
	}
	return g, g.Err()
}

// BertClassifier is the encoder in training with its classifier: inputs input_ids, attention_mask, labels [N, Classes]
// int32 and, with posWeight, pos_weight [Classes]; outputs logits and loss, the masked mean of BCE.
func BertClassifier(o Bert, posWeight bool) (*Graph, error) {
	if o.Classes < 1 {
		return nil, fmt.Errorf("net: bert: classes %d: want at least 1 to train for", o.Classes)
	}
	g := &Graph{}
	ids, mask := g.textInputs()
	x := g.add("cls", "", CLS{}, g.Bert(ids, mask, "", o))
	x = g.Linear(x, "classifier", o.Classes, true, bertStd)
	g.Output("logits", x)
	g.bce(x, o.Classes, posWeight)
	return g, g.Err()
}

func (g *Graph) textInputs() (ids, mask *Node) {
	return g.Input("input_ids", true, Unknown, Unknown), g.Input("attention_mask", true, Unknown, Unknown)
}
