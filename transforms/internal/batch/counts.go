package batch

import (
	"silverbeam/pkg/taxonomy"
	"silverbeam/schemas"
)

// Counts are the label statistics of a batch or of many.
type Counts struct {
	Studies  int      `json:"studies"`
	States   [][4]int `json:"states"`   // finding → present, absent, uncertain, not mentioned
	Together [][]int  `json:"together"` // finding → finding → studies in which both are present
}

// count takes the statistics of the labels; nil where there are none.
func count(studies []schemas.Study) *Counts {
	if len(studies) == 0 || studies[0].Labels == nil {
		return nil
	}
	c := &Counts{}
	var present []int
	for k := range studies {
		labels := studies[k].Labels
		c.grow(len(labels))
		c.Studies++
		present = present[:0]
		for i := range labels {
			if c.States[i][taxonomy.Present-labels[i].State]++; labels[i].State == taxonomy.Present {
				present = append(present, i)
			}
		}
		for _, i := range present {
			for _, j := range present {
				c.Together[i][j]++
			}
		}
	}
	return c
}

// Add adds the counts of another batch.
func (c *Counts) Add(o *Counts) {
	if o == nil {
		return
	}
	c.grow(len(o.States))
	c.Studies += o.Studies
	for i := range o.States {
		for k := range 4 {
			c.States[i][k] += o.States[i][k]
		}
		for j := range o.Together[i] {
			c.Together[i][j] += o.Together[i][j]
		}
	}
}

func (c *Counts) grow(findings int) {
	if c.States == nil {
		c.States, c.Together = make([][4]int, findings), make([][]int, findings)
		for i := range c.Together {
			c.Together[i] = make([]int, findings)
		}
	}
}
