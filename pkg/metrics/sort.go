package metrics

import "math"

type entry struct {
	key uint64
	row int32
}

// sortable maps a float64 to a uint64 of the same order; -0 and +0 are one value.
func sortable(v float64) uint64 {
	b := math.Float64bits(v + 0) // -0 + 0 = +0
	if b>>63 == 1 {
		return ^b
	}
	return b | 1<<63
}

const radixBits = 11 // 2048 counters of 8 bytes stay in the first-level cache; six passes cover 64 bits

// radixSort orders entries by key, equal keys in their first order. It may return either of its two buffers.
func radixSort(a []entry) []entry {
	b := make([]entry, len(a))
	for shift := 0; shift < 64; shift += radixBits {
		var count [1 << radixBits]int
		for i := range a {
			count[a[i].key>>shift&(1<<radixBits-1)]++
		}
		if len(a) == 0 || count[a[0].key>>shift&(1<<radixBits-1)] == len(a) {
			continue // one digit for all: nothing moves
		}
		at := 0
		for i, n := range count {
			count[i] = at
			at += n
		}
		for _, e := range a {
			digit := e.key >> shift & (1<<radixBits - 1)
			b[count[digit]] = e
			count[digit]++
		}
		a, b = b, a
	}
	return a
}
