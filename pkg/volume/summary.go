package volume

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
)

// Summary is the distribution of a volume's HU. Percentile q is sorted[floor(q/100*(n-1))].
type Summary struct {
	Min  int     `json:"min"`
	Max  int     `json:"max"`
	Mean float64 `json:"mean"`
	P1   int     `json:"p1"`
	P50  int     `json:"p50"`
	P99  int     `json:"p99"`
}

// Summary counts every voxel. It panics on an empty volume.
func (v *Volume) Summary() Summary {
	h := v.histogram()
	s := Summary{Min: h.percentile(0), Max: h.percentile(100), P1: h.percentile(1), P50: h.percentile(50), P99: h.percentile(99)}
	sum := 0
	for i, c := range h.counts {
		sum += c * (i + math.MinInt16)
	}
	s.Mean = float64(sum) / float64(h.n)
	return s
}

// Histogram counts voxels by their HU.
type Histogram struct {
	counts [1 << 16]int // from -32768 on
	n      int
}

// Add counts voxels.
func (h *Histogram) Add(hu []int16) {
	for _, x := range hu {
		h.counts[int(x)-math.MinInt16]++
	}
	h.n += len(hu)
}

// Bins are voxels counted by HU: below BinsFromHU, then by BinHU, the last one with all above.
type Bins [54]int64

// BinsFromHU is the upper end of the first bin, BinHU the width of the others.
const (
	BinsFromHU = -1100
	BinHU      = 50
)

// Bins adds the counts up.
func (h *Histogram) Bins() (b Bins) {
	for i, c := range h.counts {
		b[binOf(i+math.MinInt16)] += int64(c)
	}
	return b
}

func binOf(hu int) int { return min(edge(hu), len(Bins{})-1) }

// edge is the bin that begins at or before hu, however many there are.
func edge(hu int) int {
	if hu < BinsFromHU {
		return 0
	}
	return (hu-BinsFromHU)/BinHU + 1
}

// Add adds the counts of other voxels.
func (b *Bins) Add(o Bins) {
	for i, c := range o {
		b[i] += c
	}
}

// Share is the share of the voxels from lo up to but not with hi HU, both multiples of BinHU; NaN of none. What is below the
// first edge or above the last is as all that is there.
func (b Bins) Share(lo, hi int) float64 {
	in, all := int64(0), int64(0)
	for i, c := range b {
		if all += c; i >= binOf(lo) && i < edge(hi) {
			in += c
		}
	}
	return float64(in) / float64(all)
}

func (v *Volume) histogram() *Histogram {
	var h Histogram
	h.Add(v.HU)
	return &h
}

func (h *Histogram) percentile(q int) int {
	rank := q * (h.n - 1) / 100
	for i, c := range h.counts {
		if rank < c {
			return i + math.MinInt16
		}
		rank -= c
	}
	panic("volume: percentile of nothing")
}

// Digest is the hex SHA-256 of the HU as little-endian int16 in z, y, x order.
func (v *Volume) Digest() string {
	h := sha256.New()
	buf := make([]byte, 0, 1<<15)
	for hu := v.HU; len(hu) > 0; {
		n := min(len(hu), cap(buf)/2)
		for _, x := range hu[:n] {
			buf = binary.LittleEndian.AppendUint16(buf, uint16(x))
		}
		h.Write(buf)
		hu, buf = hu[n:], buf[:0]
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Bounds of Plausible: lung and room air lie in [-1100, -700] HU, soft tissue in [-200, 300], and a chest CT has a good
// part of both. Raw values that lack their intercept (-1024 or -8192 in CT-RATE's first version) or got it twice have
// at most one of them.
const (
	airLo, airHi       = -1100, -700
	tissueLo, tissueHi = -200, 300
	leastShare         = 0.02
)

// Plausible returns an error with the numbers if the volume cannot be a chest CT in HU, which is what a wrong hu_source
// looks like.
func (v *Volume) Plausible() error { return v.histogram().Plausible() }

// Plausible is that of the volume whose voxels were counted, all of them.
func (h *Histogram) Plausible() error {
	share := func(lo, hi int) float64 {
		n := 0
		for _, c := range h.counts[lo-math.MinInt16 : hi-math.MinInt16+1] {
			n += c
		}
		return float64(n) / float64(h.n)
	}
	air, tissue := share(airLo, airHi), share(tissueLo, tissueHi)
	if air >= leastShare && tissue >= leastShare {
		return nil
	}
	return fmt.Errorf("volume: implausible HU: %.1f %% of voxels in [%d, %d] (air, lung) and %.1f %% in [%d, %d] (soft tissue), at least %.0f %% each expected; min %d, median %d, max %d; check hu_source",
		100*air, airLo, airHi, 100*tissue, tissueLo, tissueHi, 100*leastShare, h.percentile(0), h.percentile(50), h.percentile(100))
}
