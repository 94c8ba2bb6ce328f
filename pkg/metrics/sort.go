package metrics

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// rankedRow is a row in the order of scores. It is what is sorted: leading bits of the score above the row's number, whether
// it is positive and whether the next row has a higher score.
type rankedRow uint64

const (
	rowBits   = 31                 // below the score's
	mostRows  = 1 << (rowBits - 2) // rows
	digitBits = 12                 // of a pass; 4096 counters of 4 bytes stay in the first-level cache
	digitMask = 1<<digitBits - 1
)

// Row is the row of y and s.
func (p rankedRow) Row() int32 { return int32(p >> 2 & (mostRows - 1)) }

// Positive says that the row's label is 1.
func (p rankedRow) Positive() bool { return p&2 != 0 }

// TieEnd says that the next row has a higher score, or that there is none.
func (p rankedRow) TieEnd() bool { return p&1 != 0 }

// sortable maps a float64 to a uint64 of the same order; -0 and +0 are one value.
func sortable(v float64) uint64 {
	b := math.Float64bits(v + 0) // -0 + 0 = +0
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}

// ascending orders the known rows by score, equal scores by row, and counts the positive ones. Two passes order them by
// the first 24 bits in which scores differ; where those agree, the scores themselves decide.
// The rows lie in all, which has room for twice as many.
func ascending(y []int8, s []float64, all []rankedRow) (rows []rankedRow, positives int, err error) {
	n, lowest, highest := 0, ^uint64(0), uint64(0)
	for i, v := range y {
		if known(v) {
			k := sortable(s[i])
			lowest, highest = min(lowest, k), max(highest, k)
			n++
		}
	}
	if lowest < sortable(-inf) || highest > sortable(inf) { // where NaNs are sorted
		nan := slices.IndexFunc(s, math.IsNaN)
		for !known(y[nan]) {
			nan += 1 + slices.IndexFunc(s[nan+1:], math.IsNaN)
		}
		return nil, 0, fmt.Errorf("metrics: row %d: %w", nan, ErrNaN)
	}
	unused := max(0, bits.Len64(lowest^highest)-2*digitBits)
	var low, high [1 << digitBits]uint32
	rows, spare := all[:0:n], all[n:2*n]
	for i, v := range y {
		if known(v) {
			p := rankedRow(sortable(s[i])>>unused<<rowBits | uint64(i)<<2 | uint64(v)<<1)
			rows = append(rows, p)
			low[p>>rowBits&digitMask]++
			high[p>>(rowBits+digitBits)&digitMask]++
			positives += int(v)
		}
	}
	for d, count := range []*[1 << digitBits]uint32{&low, &high} {
		shift := (rowBits + d*digitBits) & 63
		if n == 0 || count[rows[0]>>shift&digitMask] == uint32(n) {
			continue // one digit for all: nothing moves
		}
		before := uint32(0)
		for i, n := range count {
			count[i] = before
			before += n
		}
		for _, p := range rows {
			digit := p >> shift & digitMask
			to := count[digit]
			spare[to], count[digit] = p, to+1
		}
		rows, spare = spare, rows
	}
	for i := 0; i < n; i++ {
		from, lead := i, rows[i]>>rowBits
		for i+1 < n && rows[i+1]>>rowBits == lead {
			i++
		}
		if i > from {
			settle(rows[from:i+1], s)
		}
		rows[i] |= 1
	}
	return rows, positives, nil
}

// settle orders rows of equal leading bits by their scores, equal scores by row, and marks where ties end, but for the last.
func settle(rows []rankedRow, s []float64) {
	const few = 16
	if len(rows) > few {
		slices.SortFunc(rows, func(a, b rankedRow) int {
			return cmp.Or(cmp.Compare(s[a.Row()], s[b.Row()]), cmp.Compare(a, b))
		})
	}
	for i := 1; i < len(rows); i++ { // in order already where they are many
		for k := i; k > 0 && s[rows[k-1].Row()] > s[rows[k].Row()]; k-- {
			rows[k-1], rows[k] = rows[k], rows[k-1]
		}
	}
	for i := range rows[1:] {
		if s[rows[i].Row()] != s[rows[i+1].Row()] {
			rows[i] |= 1
		}
	}
}
