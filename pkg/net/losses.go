package net

import "fmt"

// Weighted is one of the losses whose weighted sum a net is trained by: a BCE of a classifier fc on the pooled features, a
// Contrastive of volumes and texts, or a SupCon of volumes alone.
type Weighted struct {
	Op        Op
	Weight    float64
	PosWeight bool // of BCE: there is an input pos_weight [classes]
}

// lossNodes is what losses are of.
type lossNodes struct {
	pooled          *Node // of the vision tower [N, 8 Width]
	logits          *Node // of these; nil: fc is added where a BCE needs it
	image, text     *Node // unit vectors [N, Dim]; nil without a text tower
	imageP, reportP *Node // the same as they are, before they have length 1
	classes         int   // findings
}

// losses makes the sum of some losses the graph's. It declares the inputs that they need: labels [N, classes] int32 (1, 0, -1:
// unknown), classes [N] int32 (studies with the same findings; -1: none of them), pos_weight.
func (g *Graph) losses(all []Weighted, n lossNodes) {
	inputs := map[string]*Node{}
	input := func(name string, ids bool, shape ...int) *Node {
		if inputs[name] == nil {
			inputs[name] = g.Input(name, ids, shape...)
		}
		return inputs[name]
	}
	labels := func() *Node { return input("labels", true, Unknown, n.classes) }
	var sum []*Node
	var weights []float64
	for i, l := range all {
		name, in := fmt.Sprintf("loss.%d", i+1), []*Node(nil)
		switch op := l.Op.(type) {
		case BCE:
			if n.logits == nil {
				n.logits = g.Linear(n.pooled, "fc", n.classes, true, fcStd)
			}
			in = []*Node{n.logits, labels()}
			if l.PosWeight {
				in = append(in, input("pos_weight", false, n.classes))
			}
		case SupCon:
			if n.image == nil {
				n.image = g.add("unit", "", L2Norm{}, n.pooled)
			}
			in = []*Node{n.image, input("classes", true, Unknown)}
		case Contrastive:
			if n.text == nil {
				g.fail(fmt.Errorf("net: %s: contrastive: no texts", name))
				return
			}
			in = []*Node{n.imageP, n.reportP}
			if op.Normalize {
				op.Normalize, in = false, []*Node{n.image, n.text}
			}
			switch l.Op = op; op.Targets {
			case "class":
				in = append(in, input("classes", true, Unknown))
			case "labels":
				in = append(in, labels())
			}
		default:
			g.fail(fmt.Errorf("net: %s: %s is none of bce, contrastive, supcon", name, op.Kind()))
			return
		}
		sum, weights = append(sum, g.add(name, "", l.Op, in...)), append(weights, l.Weight)
	}
	g.Loss = g.add("loss", "", Total{weights}, sum...)
	g.Output("loss", g.Loss)
}

// SupervisedBy is Supervised in training by a sum of losses, of which none is contrastive.
func SupervisedBy(o ResNet3D, all []Weighted) (*Graph, error) {
	g, err := Supervised(o, false, false)
	if err != nil {
		return nil, err
	}
	n := lossNodes{classes: o.Classes}
	for _, out := range g.Outputs {
		switch out.Name {
		case "pooled":
			n.pooled = out.Node
		case "logits":
			n.logits = out.Node
		}
	}
	g.losses(all, n)
	return g, g.Err()
}
