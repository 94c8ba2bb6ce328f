// Package phantom makes synthetic chest CT studies: volumes, radiologist-style reports and the truth about both.
//
// A study is a parametric chest in millimetres. Each of CT-RATE's eighteen findings is switched on by a random stream of
// its own, keyed by seed, study and finding, so that two studies which differ in one finding differ only where that
// finding is; body size, lung volume, fat, noise and kernel vary always. Reports come from a grammar with two template
// families that share no template: one for the training split, one for the validation split. Write lays a data set out
// as CT-RATE or RAD-ChestCT does, or as a tree of DICOM files, and adds truth.jsonl.
//
// Nothing here claims to be anatomy: it is a test object whose labels are known exactly.
package phantom

import (
	"errors"
	"fmt"
	"slices"
)

// Options say which data set Write makes. Zero values are the defaults.
type Options struct {
	Studies       int      // how many; default 100. More studies in the same folder only add to it
	Seed          uint64   // same seed, same bytes
	Shape         [3]int   // voxels, ordered z, y, x; default 128 x 128 x 128. The field of 330 to 420 mm and the height of 320 mm stay
	Difficulty    float64  // (0, 1]: 1 makes findings half as large as 0.5 does, near 0 twice, those as large as organs 1.25 times, and contrast likewise within bounds; 0 means 0.5
	ValidFraction float64  // part of the patients in the valid split, [0, 1); 0 means 0.2
	Layout        string   // of the folder, one of Layouts; "" is ct-rate
	Findings      []string // the only findings that may occur, by name; nil: all eighteen
	Workers       int      // goroutines; 0: one a processor. It changes no byte
}

// Layouts of the folder that Write makes. ct-rate-v1: CT-RATE's first version, whose files hold raw values and no geometry, which
// stand in its tables; dicom: a tree of files, one a slice, and a table of reports; radchestct:
// RAD-ChestCT's arrays and tables of labels, and a table of reports, which RAD-ChestCT itself does not come with.
var Layouts = []string{"ct-rate", "ct-rate-v1", "dicom", "radchestct"}

// defaults fills in zeros and reports every setting that cannot work.
func (o Options) defaults() (Options, error) {
	if o.Studies == 0 {
		o.Studies = 100
	}
	if o.Shape == [3]int{} {
		o.Shape = [3]int{128, 128, 128}
	}
	if o.Difficulty == 0 {
		o.Difficulty = 0.5
	}
	if o.ValidFraction == 0 {
		o.ValidFraction = 0.2
	}
	var bad []error
	if o.Studies < 0 || o.Studies > 10_000_000 {
		bad = append(bad, fmt.Errorf("phantom: studies = %d, must be 1..10000000", o.Studies))
	}
	for _, n := range o.Shape {
		if n < 16 || n > 1024 {
			bad = append(bad, fmt.Errorf("phantom: shape %v, each axis must be 16..1024 voxels", o.Shape))
			break
		}
	}
	if o.Layout == "" {
		o.Layout = Layouts[0]
	}
	if !slices.Contains(Layouts, o.Layout) {
		bad = append(bad, fmt.Errorf("phantom: no layout is called %q: there are %v", o.Layout, Layouts))
	}
	if !(o.Difficulty > 0 && o.Difficulty <= 1) {
		bad = append(bad, fmt.Errorf("phantom: difficulty = %g, must be above 0 and at most 1", o.Difficulty))
	}
	if !(o.ValidFraction > 0 && o.ValidFraction < 1) {
		bad = append(bad, fmt.Errorf("phantom: valid fraction = %g, must be between 0 and 1", o.ValidFraction))
	}
	for _, f := range o.Findings {
		if !slices.Contains(Findings[:], f) {
			bad = append(bad, fmt.Errorf("phantom: no finding is called %q", f))
		}
	}
	return o, errors.Join(bad...)
}
