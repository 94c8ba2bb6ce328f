package publish

import (
	"fmt"

	"silverbeam/pkg/html"
	"silverbeam/pkg/volume"
)

// examples is how many volumes the page shows of each split.
const examples = 3

// scans says what the data set was made of, with a few volumes of each split; nil where there is none yet.
func (src *source) scans() (*html.Scans, error) {
	if src.data == nil {
		return nil, nil
	}
	p := src.data.Preset()
	out := &html.Scans{Grid: fmt.Sprintf("%s: %d × %d × %d voxels", p.Name, p.Shape[0], p.Shape[1], p.Shape[2])}
	if mm := p.SpacingMM; mm != [3]float64{} {
		out.Grid += fmt.Sprintf(" of %g × %g × %g mm", mm[0], mm[1], mm[2])
	}
	for _, name := range src.data.Splits() {
		st := src.data.Manifest().Splits[name].Stats()
		out.Duplicates = append(out.Duplicates, st.Duplicates...)
		out.Splits = append(out.Splits, html.ScanSplit{Name: name, Known: st.Known, Slices: st.Shape[0].String(), Gap: st.SpacingMM[0].String(),
			Rows: st.Shape[1].String(), Columns: st.Shape[2].String(), Pixel: st.SpacingMM[2].String(), HU: density(st.HU)})
		if err := src.examples(name, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// density is the share of voxels around each bin's middle; nil where none were counted.
func density(b volume.Bins) (points [][2]float64) {
	all := int64(0)
	for _, c := range b {
		all += c
	}
	for i := 0; i < len(b) && all > 0; i++ {
		points = append(points, [2]float64{volume.BinsFromHU + volume.BinHU*(float64(i)-.5), float64(b[i]) / float64(all)})
	}
	return points
}

// examples adds volumes that are taken evenly from a split's rows.
func (src *source) examples(split string, to *html.Scans) error {
	rows, err := src.data.Rows(split)
	if err != nil {
		return err
	}
	for i := range min(examples, len(rows)) {
		r := rows[i*len(rows)/min(examples, len(rows))]
		e := html.Example{Volume: r.Volume, Split: split, Findings: src.present(r)}
		if e.Images, err = src.slices(r); err != nil {
			return err
		}
		to.Examples = append(to.Examples, e)
	}
	return nil
}
