package shard

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

// kept is a row's tensor in a mapped file.
type kept struct {
	volume  string
	bytes   []byte // int16, little-endian
	sha256  string // hex, of bytes
	checked atomic.Bool
}

// Voxels are the row's HU, len = z*y*x of the preset's shape, not to be written to: of a row that was read they lie in
// the mapped file until the data set is closed. The first call holds them to their digest, and fails where they are not
// what was written. Any number of goroutines may call it.
func (r Row) Voxels() ([]int16, error) {
	k := r.kept
	if k == nil {
		return r.HU, nil
	}
	if !k.checked.Load() {
		if got := digestOf(k.bytes); got != k.sha256 {
			return nil, fmt.Errorf("shard: volume %s: the digest of its tensor is %.12s, the manifest says %.12s: %w or replaced", k.volume, got, k.sha256, ErrDamaged)
		}
		k.checked.Store(true)
	}
	return unsafe.Slice((*int16)(unsafe.Pointer(unsafe.SliceData(k.bytes))), len(k.bytes)/2), nil
}
