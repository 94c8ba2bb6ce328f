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
	counts := v.histogram()
	s := Summary{P1: percentile(counts, len(v.HU), 1), P50: percentile(counts, len(v.HU), 50), P99: percentile(counts, len(v.HU), 99)}
	s.Min, s.Max = percentile(counts, len(v.HU), 0), percentile(counts, len(v.HU), 100)
	sum := 0
	for i, c := range counts {
		sum += c * (i + math.MinInt16)
	}
	s.Mean = float64(sum) / float64(len(v.HU))
	return s
}

// histogram counts the voxels of each HU from -32768 on.
func (v *Volume) histogram() *[1 << 16]int {
	var counts [1 << 16]int
	for _, h := range v.HU {
		counts[int(h)-math.MinInt16]++
	}
	return &counts
}

func percentile(counts *[1 << 16]int, n, q int) int {
	rank := q * (n - 1) / 100
	for i, c := range counts {
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
func (v *Volume) Plausible() error {
	counts := v.histogram()
	share := func(lo, hi int) float64 {
		n := 0
		for _, c := range counts[lo-math.MinInt16 : hi-math.MinInt16+1] {
			n += c
		}
		return float64(n) / float64(len(v.HU))
	}
	air, tissue := share(airLo, airHi), share(tissueLo, tissueHi)
	if air >= leastShare && tissue >= leastShare {
		return nil
	}
	n := len(v.HU)
	return fmt.Errorf("volume: implausible HU: %.1f %% of voxels in [%d, %d] (air, lung) and %.1f %% in [%d, %d] (soft tissue), at least %.0f %% each expected; min %d, median %d, max %d; check hu_source",
		100*air, airLo, airHi, 100*tissue, tissueLo, tissueHi, 100*leastShare,
		percentile(counts, n, 0), percentile(counts, n, 50), percentile(counts, n, 100))
}
