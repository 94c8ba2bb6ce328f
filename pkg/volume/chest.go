package volume

import "fmt"

// What Chest asks of a tensor. Aerated lung lies in [-950, -500] HU (Gattinoni and others 2001 draw it from -900 to -500; above
// -950 leaves out gas and what is emphysema alone); in a chest it takes a third of the body's section over 200 mm and more. A
// whole side that is white halves that. Heads and necks have a few per cent, in airways; an abdomen shows some centimetres
// of the lungs' bases.
const (
	lungLo, lungHi = -950, -500
	bodyHU         = -300 // above: tissue
	lungShare      = .1   // of the body in a slice
	lungMM         = 80   // of slices with that
	chestBlockMM   = 6    // side of the squares whose means are looked at: noise and bronchi are not
)

// Chest returns an error with the numbers if a tensor of this preset shows too little lung to be a chest. Lung is what has its HU
// between the first and the last tissue of a row. mm is the scan's extent along z, y, x, for presets without a spacing.
func (p Preset) Chest(hu []int16, mm [3]float64) error {
	spacing := p.SpacingMM
	for i, n := range p.Shape {
		if spacing[i] == 0 {
			spacing[i] = mm[i] / float64(n)
		}
	}
	ky, kx := max(1, int(chestBlockMM/spacing[1]+.5)), max(1, int(chestBlockMM/spacing[2]+.5))
	means := make([]int, p.Shape[2]/kx)
	high, most := 0.0, 0.0
	for z := range p.Shape[0] {
		slice := hu[z*p.Shape[1]*p.Shape[2]:][:p.Shape[1]*p.Shape[2]]
		lung, body := 0, 0
		for y := range p.Shape[1] / ky {
			for x := range means {
				sum := 0
				for j := range ky {
					for _, h := range slice[(y*ky+j)*p.Shape[2]+x*kx:][:kx] {
						sum += int(h)
					}
				}
				means[x] = sum / (ky * kx)
			}
			l, b := lungOf(means)
			lung, body = lung+l, body+b
		}
		share := 0.0
		if body > 0 {
			share = float64(lung) / float64(body)
		}
		if most = max(most, share); share >= lungShare {
			high += spacing[0]
		}
	}
	if high >= lungMM {
		return nil
	}
	return fmt.Errorf("volume: not a chest: lung (%d to %d HU inside the body) is %.0f %% of the body or more over %.0f mm of %.0f, at least %d mm expected; %.1f %% at most",
		lungLo, lungHi, 100*lungShare, high, spacing[0]*float64(p.Shape[0]), lungMM, 100*most)
}

// lungOf counts lung and all there is between the first and the last tissue of a row.
func lungOf(row []int) (lung, body int) {
	from, to := 0, len(row)
	for from < to && row[from] <= bodyHU {
		from++
	}
	for to > from && row[to-1] <= bodyHU {
		to--
	}
	for _, h := range row[from:to] {
		if h >= lungLo && h <= lungHi {
			lung++
		}
	}
	return lung, to - from
}
