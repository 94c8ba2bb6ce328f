package fit

import (
	"math"
	"slices"
	"strings"
	"testing"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/taxonomy"
)

// trainBy is a training by some objectives on short reports that say what is present: the loss of its first step, the mean of its
// last epoch, and its history.
func trainBy(t *testing.T, recipe string, epochs, accumulate int, all ...Objective) (first, last float64, history []Record) {
	t.Helper()
	length := textLength
	textLength = 12
	defer func() { textLength = length }()
	dir, c := t.TempDir(), toy(24)
	for i, s := range c.studies {
		c.studies[i].report = "Chest."
		for f, l := range s.labels {
			if l.State == taxonomy.Present {
				c.studies[i].report += []string{" A nodule.", " An effusion."}[f]
			}
		}
	}
	o := Options{Recipe: recipe, Width: 4, Stem: 2, Batch: 8, Epochs: epochs, LR: 0.01, Accumulate: accumulate, Objectives: all}
	res, err := train(t.Context(), engine.Gorgonia(), c, nil, "t", dir, o, nil)
	if err != nil {
		t.Fatalf("%+v: %v", all, err)
	}
	m, err := loadModel(engine.Gorgonia(), dir)
	if err != nil || recipe == Clip && !(m.Scale() > 0) {
		t.Fatalf("%+v: %v", all, err)
	}
	history = losses(t, dir)
	return history[0].Loss, res.Loss, history
}

// Every objective, with each of its options, trains.
func TestObjectivesTrain(t *testing.T) {
	bce, pairs := Objective{Loss: "bce"}, Objective{Loss: "contrastive"}
	for name, c := range map[string]struct {
		recipe     string
		accumulate int
		all        []Objective
	}{
		"bce, missing as absent":    {Supervised, 0, []Objective{{Loss: "bce", Missing: "zero", PosWeight: 2}}},
		"bce and supcon":            {Supervised, 0, []Objective{bce, {Loss: "supcon", Weight: 0.1, Temperature: 0.2}}},
		"bce in parts":              {Supervised, 2, []Objective{{Loss: "bce", Missing: "one"}}},
		"sigmoid":                   {Clip, 0, []Objective{{Loss: "contrastive", Form: "sigmoid", Targets: "class"}}},
		"products, a fixed scale":   {Clip, 0, []Objective{{Loss: "contrastive", Likeness: "dot", Scale: "fixed", Start: 0.5}}},
		"no scale, one side":        {Clip, 0, []Objective{{Loss: "contrastive", Scale: "none", Volumes: 1}}},
		"targets by class":          {Clip, 0, []Objective{{Loss: "contrastive", Targets: "class", MaxScale: 20}}},
		"targets by likeness":       {Clip, 0, []Objective{{Loss: "contrastive", Targets: "self", TargetScale: 3}}},
		"targets by labels":         {Clip, 0, []Objective{{Loss: "contrastive", Targets: "labels", TargetScale: 5, Volumes: 0.3, Reports: 0.7}}},
		"three, a batch in parts":   {Clip, 2, []Objective{{Loss: "contrastive", Targets: "labels"}, {Loss: "bce", Weight: 2, Missing: "zero", PosWeight: 3}, {Loss: "supcon"}}},
		"three, a batch as a whole": {Clip, 0, []Objective{pairs, bce, {Loss: "supcon"}}},
	} {
		_, last, history := trainBy(t, c.recipe, 10, c.accumulate, c.all...)
		if first := mean(history[:3]); !(last < 0.97*first) {
			t.Errorf("%s: loss from %v to %v", name, first, last)
		}
	}
}

// The defaults, said, are the defaults; the loss of a list is the weighted sum of the losses.
func TestObjectivesAddUp(t *testing.T) {
	for recipe, o := range map[string]Objective{Supervised: {Loss: "bce", Missing: "mask"}, Clip: {Loss: "contrastive", Scale: "learned", MaxScale: 100, Form: "softmax", Likeness: "cosine"}} {
		_, _, silent := trainBy(t, recipe, 1, 0)
		_, _, said := trainBy(t, recipe, 1, 0, o)
		if !slices.Equal(silent, said) {
			t.Errorf("%s: %v said, %v left out", recipe, said[:3], silent[:3])
		}
	}
	pairs, bce, alike := Objective{Loss: "contrastive"}, Objective{Loss: "bce", Missing: "one"}, Objective{Loss: "supcon"}
	a, _, _ := trainBy(t, Clip, 1, 0, pairs)
	b, _, _ := trainBy(t, Clip, 1, 0, pairs, bce)
	c, _, _ := trainBy(t, Clip, 1, 0, pairs, alike)
	pairs.Weight, bce.Weight, alike.Weight = 0.5, 2, 3
	got, _, _ := trainBy(t, Clip, 1, 0, bce, pairs, alike)
	if want := 0.5*a + 2*(b-a) + 3*(c-a); math.Abs(got-want) > 1e-5*want || math.Abs(b-a-math.Ln2) > 0.05 { // a classifier that starts near zero
		t.Errorf("%v, want %v; %v and %v on their own", got, want, b-a, c-a)
	}
}

func TestObjectivesRefused(t *testing.T) {
	for want, o := range map[string]Options{
		"loss bec: want one of bce, contrastive, supcon":            {Recipe: Supervised, Objectives: []Objective{{Loss: "bec"}}},
		"contrastive among them, for recipe clip":                   {Recipe: Clip, Objectives: []Objective{{Loss: "bce"}}},
		"recipe supervised has no reports":                          {Recipe: Supervised, Objectives: []Objective{{Loss: "contrastive"}}},
		"identity or class, for the sigmoid form":                   {Recipe: Clip, Objectives: []Objective{{Loss: "contrastive", Form: "sigmoid", Targets: "self"}}},
		"no options of other losses beside it":                      {Recipe: Clip, Objectives: []Objective{{Loss: "contrastive", Temperature: 1}}},
		"bce alone with accumulate":                                 {Recipe: Supervised, Accumulate: 2, Objectives: []Objective{{Loss: "bce"}, {Loss: "supcon"}}},
		"scale none: want learned, for a max_scale":                 {Recipe: Clip, Objectives: []Objective{{Loss: "contrastive", Scale: "none", MaxScale: 3}}},
		"loss bce: want each at most once":                          {Recipe: Supervised, Objectives: []Objective{{Loss: "bce"}, {Loss: "bce"}}},
		"targets lables: want one of identity, class, self, labels": {Recipe: Clip, Objectives: []Objective{{Loss: "contrastive", Targets: "lables"}}},
	} {
		if _, err := o.defaults(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}
