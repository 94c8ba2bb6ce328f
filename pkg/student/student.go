// Package student labels reports with a model that was fitted to labelled reports, a person's or a language model's.
//
// Each finding has a linear model on runs of words and of characters (L1-penalised logistic regression on features chosen
// by chi-square, the mean of one model for each fold left out). One small logistic regression, shared by all findings so
// that rare ones do not overfit it, blends its margin with the rules' answer into a probability: stacked generalisation
// (Wolpert 1992) and Platt's calibration (1999) in one. Everything the blend and the printed figures rest on comes from
// models that have not seen the report, nor a near copy of it, nor another of its patient.
//
// A student is one file. Its words and runs of characters come from the reports it was fitted to.
package student

import (
	"math"
	"sync"

	"silverbeam/pkg/metrics"
	"silverbeam/pkg/rules"
	"silverbeam/pkg/taxonomy"
)

// Student labels reports. It is read-only once made, so any number of goroutines may use it.
type Student struct {
	made    Made
	content []byte // of its file
	digest  string // of content
	rules   *rules.Labeler
	implies [][]int // finding → findings that are present whenever it is
	blend   blend
	start   []float64 // finding → intercept of the margin
	place   map[hash]int32
	weights [][]weight      // by place
	sparse  [1 << 10]uint64 // bits of hashes that place may hold
}

// weight is what a feature adds to a finding's margin.
type weight struct {
	finding int
	by      float64
}

// scratch is the working memory of one report.
type scratch struct {
	reader
	seen []bool // by place
	hits []int32
}

var scratchPool = sync.Pool{New: func() any { return new(scratch) }}

// Made is what a student was made of, and how good it was on reports it had not seen.
type Made struct {
	Taxonomy string    `json:"taxonomy"` // digest
	Rules    string    `json:"rules"`    // version
	Truth    string    `json:"truth"`    // digest of ids, texts, clusters and labels, in order
	Reports  int       `json:"reports"`
	Refused  int       `json:"refused"` // further reports that are not assessable
	Groups   int       `json:"groups"`  // of near copies and clusters
	Folds    int       `json:"folds"`
	Seed     int64     `json:"seed"`
	Figures  []Figures `json:"figures"`
	Macro    Figures   `json:"macro"` // means over the findings where a figure is defined
	Doubt    float64   `json:"doubt"` // a probability from Doubt to 1-Doubt is a doubt
}

// Digest identifies the student: the SHA-256 of its content, in hex.
func (s *Student) Digest() string { return s.digest }

// Made is the student's provenance.
func (s *Student) Made() Made { return s.made }

// Doubts reports whether a label of this student is to be asked of another labeler, if there is one.
func (s *Student) Doubts(l taxonomy.Label) bool {
	return l.State == taxonomy.Uncertain || wavers(float64(l.P), s.made.Doubt)
}

// wavers reports whether a probability is as far as doubt from both ends.
func wavers(p, doubt float64) bool { return min(p, 1-p) >= doubt }

// Label answers every finding of the taxonomy, in order. The error is a taxonomy.NotAssessable.
//
// A finding is present where its probability is at least one half; else it stays not mentioned where the rules found no
// mention, and is absent. The probability leaves the rules' side of one half only on a finding where that was surely right
// more often. Evidence is the rules'. A finding with too few labels to learn from has the rules' answer.
func (s *Student) Label(report string) ([]taxonomy.Label, error) {
	labels, err := s.rules.Label(report)
	if err != nil {
		return nil, err
	}
	margins := s.margins(report)
	for i := range labels {
		if !s.made.Figures[i].Fitted {
			continue
		}
		l := &labels[i]
		l.P, l.Source = float32(s.blend.probability(i, *l, margins[i])), "student:"+s.digest[:12]
		switch {
		case l.P >= 0.5:
			l.State = taxonomy.Present
		case l.State != taxonomy.NotMentioned:
			l.State = taxonomy.Absent
		}
	}
	for i, implied := range s.implies {
		for _, j := range implied {
			if labels[i].State == taxonomy.Present && labels[j].State != taxonomy.Present {
				labels[j] = labels[i]
			}
		}
	}
	return labels, nil
}

// margins are the linear models' answers.
func (s *Student) margins(report string) []float64 {
	c := scratchPool.Get().(*scratch)
	defer scratchPool.Put(c)
	if len(c.seen) < len(s.weights) {
		c.seen = make([]bool, len(s.weights))
	}
	c.read(report)
	z := append([]float64(nil), s.start...)
	c.hits = c.hits[:0]
	for _, h := range c.found {
		if s.sparse[h>>54]&(1<<(h>>48&63)) == 0 {
			continue
		}
		at, known := s.place[h]
		if !known || c.seen[at] {
			continue
		}
		c.seen[at], c.hits = true, append(c.hits, at)
		for _, w := range s.weights[at] {
			z[w.finding] += w.by
		}
	}
	for _, at := range c.hits {
		c.seen[at] = false
	}
	return z
}

// blend makes a probability of the rules' answer and a margin.
type blend struct {
	metrics.Logistic
	overrules []bool // finding → whether it may take the other side than the rules
}

func (b *blend) probability(finding int, l taxonomy.Label, margin float64) float64 {
	p := b.Probability(blendInput(l, margin))
	if b.overrules[finding] {
		return p
	}
	return hold(p, l)
}

// hold keeps a probability on the rules' side, where uncertain is present.
func hold(p float64, l taxonomy.Label) float64 {
	if v, _ := taxonomy.Binary(l, "one"); v == 1 {
		return max(p, 0.5)
	}
	return min(p, 0.4999)
}

// blendInputs is the number of a blend's inputs.
const blendInputs = 6

// blendInput is what the blend sees of a finding: the rules' state and probability, the margin, and the margin where the
// rules say present or uncertain.
func blendInput(l taxonomy.Label, margin float64) []float64 {
	x := make([]float64, blendInputs)
	switch l.State {
	case taxonomy.Present:
		x[0], x[5] = 1, margin
	case taxonomy.Uncertain:
		x[1], x[5] = 1, margin
	case taxonomy.Absent:
		x[2] = 1
	}
	p := min(max(float64(l.P), 0.001), 0.999)
	x[3], x[4] = math.Log(p/(1-p)), margin
	return x
}

// implications closes the taxonomy's.
func implications(t *taxonomy.Taxonomy) [][]int {
	closed := make([][]int, len(t.Findings))
	for i := range t.Findings {
		seen := map[int]bool{i: true}
		for next := []int{i}; len(next) > 0; next = next[1:] {
			for _, name := range t.Findings[next[0]].Implies {
				if j := t.Index(name); !seen[j] {
					seen[j], next, closed[i] = true, append(next, j), append(closed[i], j)
				}
			}
		}
	}
	return closed
}
