package fit

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"

	"silverbeam/pkg/net"
)

// Objective is one of the losses whose weighted sum trains a net. Zeros are the defaults.
type Objective struct {
	Loss   string  `json:"loss"`             // bce, contrastive (clip), supcon
	Weight float64 `json:"weight,omitempty"` // in the sum; 1

	Missing   string  `json:"missing,omitempty"`    // of bce: what labels that are not known count as: mask (left out), zero, one; mask
	PosWeight float64 `json:"pos_weight,omitempty"` // of bce: factor on the loss of findings that are present; 1

	Form        string  `json:"form,omitempty"`         // of contrastive: softmax (over the batch), sigmoid (each pair on its own); softmax
	Likeness    string  `json:"likeness,omitempty"`     // of contrastive: cosine, or dot, the product of projections as they are; cosine
	Scale       string  `json:"scale,omitempty"`        // of contrastive, the factor on likenesses: learned, fixed, none; learned
	Start       float64 `json:"start,omitempty"`        // the factor, or the learned one at first; 1/0.07, of the sigmoid form 10
	MaxScale    float64 `json:"max_scale,omitempty"`    // of a learned factor; 100
	Targets     string  `json:"targets,omitempty"`      // of contrastive, the reports that a volume is meant for: identity (its own), class (all of studies with the same findings), self (by their likeness), labels (by their findings'); identity
	TargetScale float64 `json:"target_scale,omitempty"` // of targets self and labels: factor on likenesses in their softmax; 1
	Volumes     float64 `json:"volumes,omitempty"`      // of contrastive: weight of volumes' side; with reports 0 too: a half each
	Reports     float64 `json:"reports,omitempty"`      // of contrastive: weight of reports' side

	Temperature float64 `json:"temperature,omitempty"` // of supcon: of volumes with the same findings, of others in the batch; 0.1
}

// names are what the options that name something may be, in the order of the struct.
var objectiveNames = []struct {
	field string
	of    func(o Objective) string
	names []string
}{
	{"loss", func(o Objective) string { return o.Loss }, []string{"bce", "contrastive", "supcon"}},
	{"missing", func(o Objective) string { return o.Missing }, []string{"mask", "zero", "one"}},
	{"form", func(o Objective) string { return o.Form }, []string{"softmax", "sigmoid"}},
	{"likeness", func(o Objective) string { return o.Likeness }, []string{"cosine", "dot"}},
	{"scale", func(o Objective) string { return o.Scale }, []string{"learned", "fixed", "none"}},
	{"targets", func(o Objective) string { return o.Targets }, []string{"identity", "class", "self", "labels"}},
}

// ObjectiveError is what is wrong with an option of an objective.
type ObjectiveError struct {
	Field string // such as targets; "": the list
	Value any
	Bound string
}

func (e ObjectiveError) Error() string {
	return fmt.Sprintf("objectives %s %v: want %s", e.Field, e.Value, e.Bound)
}

// CheckObjectives gives an ObjectiveError for each option that cannot work in a recipe.
func CheckObjectives(all []Objective, recipe string, accumulate int) (errs []error) {
	bad := func(field string, value any, bound string) { errs = append(errs, ObjectiveError{field, value, bound}) }
	seen := map[string]bool{}
	for _, o := range all {
		for _, n := range objectiveNames {
			if v := n.of(o); !slices.Contains(n.names, v) && (v != "" || n.field == "loss") {
				bad(n.field, v, "one of "+joined(n.names))
			}
		}
		if seen[o.Loss] {
			bad("loss", o.Loss, "each at most once")
		}
		seen[o.Loss] = true
		of := map[string]Objective{
			"bce":         {Loss: o.Loss, Weight: o.Weight, Missing: o.Missing, PosWeight: o.PosWeight},
			"supcon":      {Loss: o.Loss, Weight: o.Weight, Temperature: o.Temperature},
			"contrastive": {o.Loss, o.Weight, "", 0, o.Form, o.Likeness, o.Scale, o.Start, o.MaxScale, o.Targets, o.TargetScale, o.Volumes, o.Reports, 0},
		}
		if own, ok := of[o.Loss]; ok && own != o {
			bad("loss", o.Loss, "no options of other losses beside it")
		}
		if slices.Min([]float64{o.Weight, o.PosWeight, o.Start, o.MaxScale, o.TargetScale, o.Volumes, o.Reports, o.Temperature}) < 0 {
			bad("weight", o.Weight, "no number below 0")
		}
		if o.Form == "sigmoid" && (o.Targets == "self" || o.Targets == "labels") {
			bad("targets", o.Targets, "identity or class, for the sigmoid form")
		}
		if o.Scale == "none" && (o.Start > 0 || o.MaxScale > 0) || o.Scale == "fixed" && o.MaxScale > 0 {
			bad("scale", o.Scale, "learned, for a max_scale; learned or fixed, for a start")
		}
	}
	names := joined(slices.Sorted(maps.Keys(seen)))
	switch {
	case all == nil || len(errs) > 0:
	case recipe == Clip && !seen["contrastive"]:
		bad("", names, "contrastive among them, for recipe clip")
	case recipe == Supervised && seen["contrastive"]:
		bad("loss", "contrastive", "bce, supcon: recipe supervised has no reports")
	case recipe == Supervised && !seen["bce"]:
		bad("", names, "bce among them, for recipe supervised")
	case recipe == Supervised && seen["supcon"] && accumulate > 1:
		bad("loss", "supcon", "bce alone with accumulate: the parts of a batch are not told from each other")
	}
	return errs
}

func joined(names []string) (s string) {
	for i, n := range names {
		s += pick(i > 0, ", ", "") + n
	}
	return s
}

// op is the objective as a layer.
func (o Objective) op() net.Op {
	switch o.Loss {
	case "bce":
		return net.BCE{} // labelView has turned what is missing into what it counts as
	case "supcon":
		return net.SupCon{Temperature: cmp.Or(o.Temperature, 0.1)} // Khosla et al. 2020, section 4
	}
	c := net.Contrastive{Normalize: o.Likeness != "dot", Scale: cmp.Or(o.Scale, "learned"), Start: o.Start, Targets: cmp.Or(o.Targets, "identity"),
		TargetScale: o.TargetScale, Sides: [2]float64{o.Volumes, o.Reports}, Sigmoid: o.Form == "sigmoid"}
	if c.Scale == "learned" {
		c.MaxScale = cmp.Or(o.MaxScale, 100)
	}
	if c.Scale != "none" {
		c.Start = cmp.Or(c.Start, pick(c.Sigmoid, 10, 1/0.07))
	}
	return c
}

// weighted are the objectives as losses of a net; nil of none.
func weighted(all []Objective) (out []net.Weighted) {
	for _, o := range all {
		out = append(out, net.Weighted{Op: o.op(), Weight: cmp.Or(o.Weight, 1), PosWeight: o.PosWeight > 0})
	}
	return out
}

// viewsOf make the inputs that a configuration's objectives read.
func viewsOf(c *Config, g *net.Graph) (views []view) {
	of := Objective{}
	for _, o := range c.Objectives {
		if o.Loss == "bce" {
			of = o
		}
	}
	for _, n := range g.Nodes {
		if _, ok := n.Op.(net.Input); !ok {
			continue
		}
		switch n.Name {
		case "labels":
			views = append(views, labelView{len(c.Findings), of.Missing})
		case "classes":
			views = append(views, classView{})
		case "pos_weight":
			views = append(views, weightView{len(c.Findings), float32(of.PosWeight)})
		}
	}
	return views
}

// classView is which studies are alike: classes [N] int32, the same number for the same findings present, where all are known; -1,
// alike with none, where one is not or none is present.
type classView struct{}

func (classView) inputs(n int) []input { return []input{{"classes", []int{n}, true}} }

func (classView) fill(in map[string]net.Tensor, row int, d draw) error {
	h, present := fnv.New32a(), false
	in["classes"].I32[row] = -1
	for _, l := range d.study.labels {
		y := target(l)
		if y == unknown {
			return nil
		}
		present = present || y == 1
		h.Write([]byte{byte(y)})
	}
	if present {
		in["classes"].I32[row] = int32(h.Sum32() >> 1)
	}
	return nil
}

// weightView is a constant: pos_weight [C].
type weightView struct {
	findings int
	weight   float32
}

func (v weightView) inputs(int) []input { return []input{{"pos_weight", []int{v.findings}, false}} }

func (v weightView) fill(in map[string]net.Tensor, row int, _ draw) error {
	if row == 0 {
		for i := range in["pos_weight"].F32 {
			in["pos_weight"].F32[i] = v.weight
		}
	}
	return nil
}
