package shard

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"silverbeam/pkg/volume"
)

// ErrLeak says that a patient, or the voxels of a volume, stand in two splits: what is measured on one is no measure for
// new patients.
var ErrLeak = errors.New("in two splits")

// namedLeaks is how many leaks an error names.
const namedLeaks = 5

// leaks is an error that names what is in two splits, the first few; "" is no patient.
func (m Manifest) leaks() error {
	var found []string
	patients, voxels := map[string]place{}, map[string]place{}
	for p := range m.places() {
		if was := first(patients, p.Patient, p); was.split != p.split && p.Patient != "" {
			found = append(found, fmt.Sprintf("patient %s in %s and %s", p.Patient, was.split, p.split))
			delete(patients, p.Patient) // once is enough, and again for the next shard
		}
		if was := first(voxels, p.SHA256, p); was.split != p.split {
			found = append(found, fmt.Sprintf("the same voxels as %s in %s and as %s in %s", was.Volume, was.split, p.Volume, p.split))
		}
	}
	if len(found) == 0 {
		return nil
	}
	text, more := strings.Join(found[:min(len(found), namedLeaks)], "; "), ""
	if n := len(found) - namedLeaks; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Errorf("%w: %s%s", ErrLeak, text, more)
}

// LearnedFrom is ErrLeak where a patient, or the voxels of a volume, stand in the split train of learned, which a model was
// made of, and in another split than train here.
func (m Manifest) LearnedFrom(learned Manifest) error {
	both := Manifest{Splits: maps.Clone(m.Splits)}
	delete(both.Splits, "train")
	both.Splits["the model's training"] = learned.Splits["train"]
	return both.leaks()
}

// place is a row of a split.
type place struct {
	split string
	Tensor
}

// places are the rows of all splits, in the order of the splits' names.
func (m Manifest) places() func(func(place) bool) {
	return func(yield func(place) bool) {
		for _, name := range slices.Sorted(maps.Keys(m.Splits)) {
			for _, b := range m.Splits[name].Batches {
				for _, t := range b.Tensors {
					if !yield(place{name, t}) {
						return
					}
				}
			}
		}
	}
}

// first is the place that first had a key.
func first(seen map[string]place, key string, p place) place {
	if was, ok := seen[key]; ok {
		return was
	}
	seen[key] = p
	return p
}

// Stats describe the scans that a split was made of.
type Stats struct {
	Known      int         `json:"known"`      // scans of which something is known; 0: the rest is zero
	Shape      [3]Range    `json:"shape"`      // voxels, z, y, x
	SpacingMM  [3]Range    `json:"spacing_mm"` // z, y, x
	HU         volume.Bins `json:"hu"`         // voxels below -1100 HU, then by 50 HU, the last from 1500 on
	Duplicates [][]string  `json:"duplicates"` // volumes that have the same voxels on the preset's grid
}

// Range is the least, the middle and the greatest of some numbers; of two in the middle the lower.
type Range struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

// Stats takes them from what the manifest says, without reading a shard.
func (s Split) Stats() (st Stats) {
	var values [6][]float64
	same := map[string][]string{}
	for _, b := range s.Batches {
		st.HU.Add(b.HU)
		for _, t := range b.Tensors {
			same[t.SHA256] = append(same[t.SHA256], t.Volume)
			if t.Shape == [3]int{} {
				continue
			}
			st.Known++
			for i := range 3 {
				values[i], values[3+i] = append(values[i], float64(t.Shape[i])), append(values[3+i], t.SpacingMM[i])
			}
		}
	}
	for i := range 3 {
		st.Shape[i], st.SpacingMM[i] = rangeOf(values[i]), rangeOf(values[3+i])
	}
	st.Duplicates = [][]string{}
	for _, volumes := range same {
		if len(volumes) > 1 {
			slices.Sort(volumes)
			st.Duplicates = append(st.Duplicates, volumes)
		}
	}
	slices.SortFunc(st.Duplicates, func(a, b []string) int { return cmp.Compare(a[0], b[0]) })
	return st
}

// String is "least / middle / greatest", or one number where they are the same.
func (r Range) String() string {
	if r.Min == r.Max {
		return fmt.Sprintf("%.4g", r.Min)
	}
	return fmt.Sprintf("%.4g / %.4g / %.4g", r.Min, r.Median, r.Max)
}

func rangeOf(values []float64) (r Range) {
	if n := len(values); n > 0 {
		slices.Sort(values)
		r = Range{values[0], values[(n-1)/2], values[n-1]}
	}
	return r
}
