package ledger

import (
	"encoding/binary"
	"sync/atomic"
)

// filter is a Bloom filter of identities (Bloom, Communications of the ACM 13, 1970): what it has not, was never added. Two MiB
// take a wrong "perhaps" in 500 for a million identities.
type filter [1 << 18]atomic.Uint64

// places are four bits of an identity, whose bytes are random: HMACs.
func (f *filter) places(id Identity) (words [4]*atomic.Uint64, bits [4]uint64) {
	for i := range words {
		n := binary.LittleEndian.Uint32(id[8+4*i:])
		words[i], bits[i] = &f[n>>6%uint32(len(f))], 1<<(n%64)
	}
	return words, bits
}

func (f *filter) add(id Identity) {
	words, bits := f.places(id)
	for i, w := range words {
		w.Or(bits[i])
	}
}

func (f *filter) has(id Identity) bool {
	words, bits := f.places(id)
	for i, w := range words {
		if w.Load()&bits[i] == 0 {
			return false
		}
	}
	return true
}
