package fit

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"strings"

	"silverbeam/pkg/shard"
	"silverbeam/pkg/taxonomy"
	"silverbeam/pkg/volume"
)

// corpus is a split of a data set, by study.
type corpus struct {
	digest   string // of the data set's manifest
	preset   volume.Preset
	findings []string
	studies  []study // by id
}

// study is one report with the reconstructions of its scan.
type study struct {
	id, patient string
	file        string // that its volumes are in
	report      string
	labels      []taxonomy.Label // by finding; nil: none are known
	volumes     []scan
}

// scan is a volume of the data set, which is read when it is used: a shard.Row.
type scan interface {
	Crop(dst []int16, at, size [3]int) error // HU, z y x of the preset
	Release()
}

// newCorpus groups the rows of a split by study. No voxel is read.
func newCorpus(d *shard.Dataset, t *taxonomy.Taxonomy, split string) (*corpus, error) {
	if !slices.Equal(d.Findings(), t.Names()) {
		return nil, fmt.Errorf("the data set's findings %q are not those of taxonomy %s %q", d.Findings(), t.Name, t.Names())
	}
	rows, err := d.Rows(split)
	if err != nil {
		return nil, err
	}
	c := &corpus{digest: d.Manifest().Digest, preset: d.Preset(), findings: d.Findings()}
	at := map[string]int{}
	for _, r := range rows {
		i, ok := at[r.Study]
		if !ok {
			i = len(c.studies)
			at[r.Study] = i
			c.studies = append(c.studies, study{id: r.Study, patient: cmp.Or(r.Patient, r.Study), file: r.File(), report: r.Report, labels: r.Labels})
		}
		c.studies[i].volumes = append(c.studies[i].volumes, r)
	}
	if len(c.studies) == 0 {
		return nil, fmt.Errorf("the data set has no studies in the split %s", split)
	}
	return c, nil
}

// share keeps the studies of some of the patients, rounded up: the first by a hash, so that a share holds all smaller ones.
func (c *corpus) share(of float64) *corpus {
	some, _ := c.cut("share", of)
	return some
}

// cut parts the studies by patient: some of the patients, rounded up, the first by a hash that is the purpose's own, and the rest.
func (c *corpus) cut(purpose string, of float64) (some, rest *corpus) {
	rank := func(patient string) string {
		sum := sha256.Sum256([]byte(purpose + " " + patient))
		return string(sum[:])
	}
	patients := map[string]bool{}
	var order []string
	for _, s := range c.studies {
		if !patients[s.patient] {
			patients[s.patient] = true
			order = append(order, s.patient)
		}
	}
	slices.SortFunc(order, func(a, b string) int { return strings.Compare(rank(a), rank(b)) })
	for _, p := range order[int(math.Ceil(of*float64(len(order)))):] {
		delete(patients, p)
	}
	a, b := *c, *c
	a.studies = slices.DeleteFunc(slices.Clone(c.studies), func(s study) bool { return !patients[s.patient] })
	b.studies = slices.DeleteFunc(slices.Clone(c.studies), func(s study) bool { return patients[s.patient] })
	return &a, &b
}

// balance weighs studies so that rare findings are met more often: a study's weight is that of the rarest finding present in it,
// 1/sqrt of the share of studies that have it, as in repeat factor sampling (Gupta et al. 2019, LVIS); 1 without any.
func (c *corpus) balance() []float64 {
	present := make([]float64, len(c.findings))
	for _, s := range c.studies {
		for f, l := range s.labels {
			if target(l) == 1 {
				present[f]++
			}
		}
	}
	weights := make([]float64, len(c.studies))
	for i, s := range c.studies {
		weights[i] = 1
		for f, l := range s.labels {
			if target(l) == 1 {
				weights[i] = max(weights[i], math.Sqrt(float64(len(c.studies))/present[f]))
			}
		}
	}
	return weights
}

// unknown is the label that the loss leaves out.
const unknown = -1

// target is what a label asks of the net: uncertain is unknown, not mentioned is absent, as in CT-RATE's own labels.
func target(l taxonomy.Label) int32 {
	v, known := taxonomy.Binary(l, "missing")
	if !known {
		return unknown
	}
	return int32(v)
}

// reports lists the texts that a vocabulary is learned from.
func (c *corpus) reports() []string {
	out := make([]string, len(c.studies))
	for i := range c.studies {
		out[i] = c.studies[i].report
	}
	return out
}
