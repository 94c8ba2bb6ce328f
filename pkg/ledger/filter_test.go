package ledger

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

func TestFilter(t *testing.T) {
	r, f, wrong := rand.New(rand.NewPCG(1, 2)), new(filter), 0
	draw := func() (id Identity) {
		for i := 0; i < len(id); i += 8 {
			binary.LittleEndian.PutUint64(id[i:], r.Uint64())
		}
		return id
	}
	for range 1_000_000 {
		id := draw()
		if f.has(id) {
			wrong++
		}
		if f.add(id); !f.has(id) {
			t.Fatalf("%x was added", id)
		}
	}
	if wrong > 1000 { // of the last alone 1 in 470 is expected, (1-exp(-4/16.8))^4, and a fifth of that over all
		t.Errorf("%d of a million were taken for others", wrong)
	}
}
