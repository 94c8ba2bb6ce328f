package volume

// growing is an array of voxels whose memory grows with those that have come.
type growing struct {
	hu   []int16
	most int // voxels it will have
}

// pieceMost is how many voxels are made room for before they have come.
const pieceMost = 1 << 22

// next gives room for n more voxels.
func (g *growing) next(n int) []int16 {
	at := len(g.hu)
	if at+n > cap(g.hu) {
		grown := make([]int16, at, min(g.most, max(8<<20, 4*at, at+n)))
		copy(grown, g.hu)
		g.hu = grown
	}
	g.hu = g.hu[:at+n]
	return g.hu[at:]
}
