package shard

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

// How a shard keeps its tensors.
const (
	Raw        = "raw"        // as they lie in memory; "" is the same
	Compressed = "compressed" // about 0.4 of that, decoded block by block: see blocks.go
)

// kept is a row's tensor in a mapped file.
type kept struct {
	volume     string
	file       string // as the manifest names it
	shape      [3]int
	compressed bool
	bytes      []byte // raw: int16, little-endian
	sha256     string // hex, of bytes
	checked    atomic.Bool
}

// check holds the bytes to their digest, once.
func (k *kept) check() error {
	if k.checked.Load() {
		return nil
	}
	if got := digestOf(k.bytes); got != k.sha256 {
		return fmt.Errorf("shard: volume %s: the digest of its tensor is %.12s, the manifest says %.12s: %w or replaced", k.volume, got, k.sha256, ErrDamaged)
	}
	k.checked.Store(true)
	return nil
}

// Voxels are the row's HU, len = z*y*x of the preset's shape, not to be written to: of a row that was read they lie in
// the mapped file until the data set is closed, or are new memory where the shard is compressed. The first call holds them
// to their digest, and fails where they are not what was written. Any number of goroutines may call it.
func (r Row) Voxels() ([]int16, error) {
	k := r.kept
	if k == nil {
		return r.HU, nil
	}
	if err := k.check(); err != nil {
		return nil, err
	}
	if !k.compressed {
		return unsafe.Slice((*int16)(unsafe.Pointer(unsafe.SliceData(k.bytes))), len(k.bytes)/2), nil
	}
	hu := make([]int16, box{size: k.shape}.voxels())
	return hu, k.unpack(hu, box{size: k.shape})
}

// Crop copies the part of a read row's HU that starts at a voxel, both ordered z, y, x, into dst, len = the product of
// size. Of a compressed tensor only the blocks that the part touches are decoded. It panics where the part is not inside
// the tensor or dst has another length.
func (r Row) Crop(dst []int16, at, size [3]int) error {
	k, part := r.kept, box{at, size}
	if part.meet(box{size: k.shape}) != part || len(dst) != part.voxels() {
		panic(fmt.Sprintf("shard: Crop of %v at %v from %v into %d voxels", size, at, k.shape, len(dst)))
	}
	if k.compressed {
		if err := k.check(); err != nil {
			return err
		}
		return k.unpack(dst, part)
	}
	hu, err := r.Voxels()
	if err != nil {
		return err
	}
	for z := range size[0] {
		for y := range size[1] {
			copy(dst[(z*size[1]+y)*size[2]:][:size[2]], hu[((at[0]+z)*k.shape[1]+at[1]+y)*k.shape[2]+at[2]:])
		}
	}
	return nil
}

// Release takes a read row's voxels out of the process's memory, where they came by reading the mapped file. They may be
// used again, and are then read again. Whoever copies voxels out of a data set larger than memory calls it behind.
func (r Row) Release() {
	if r.kept != nil {
		letGo(r.kept.bytes)
	}
}

// File is where a read row stands, as the manifest names it.
func (r Row) File() string { return r.kept.file }

func (k *kept) unpack(dst []int16, part box) error {
	if err := unpack(dst, k.bytes, k.shape, part); err != nil {
		return fmt.Errorf("shard: volume %s: %w", k.volume, err)
	}
	return nil
}
