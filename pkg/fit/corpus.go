package fit

import (
	"fmt"
	"slices"

	"silverbeam/pkg/shard"
	"silverbeam/pkg/taxonomy"
	"silverbeam/pkg/volume"
)

// corpus is the training split of a data set, by study.
type corpus struct {
	digest   string // of the data set's manifest
	preset   volume.Preset
	findings []string
	studies  []study // by id
}

// study is one report with the reconstructions of its scan.
type study struct {
	id      string
	report  string
	labels  []taxonomy.Label // by finding; nil: none are known
	volumes [][]int16        // HU, z y x of the preset; read-only (memory of the file)
}

// newCorpus groups the rows of the training split by study.
func newCorpus(d *shard.Dataset, t *taxonomy.Taxonomy) (*corpus, error) {
	if !slices.Equal(d.Findings(), t.Names()) {
		return nil, fmt.Errorf("the data set's findings %q are not those of taxonomy %s %q", d.Findings(), t.Name, t.Names())
	}
	rows, err := d.Rows("train")
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
			c.studies = append(c.studies, study{id: r.Study, report: r.Report, labels: r.Labels})
		}
		hu, err := r.Voxels()
		if err != nil {
			return nil, err
		}
		c.studies[i].volumes = append(c.studies[i].volumes, hu)
	}
	if len(c.studies) == 0 {
		return nil, fmt.Errorf("the data set has no studies in the split train")
	}
	return c, nil
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
