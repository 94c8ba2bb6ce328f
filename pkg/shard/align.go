package shard

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"slices"
	"unsafe"
)

// alignment is what Arrow's columnar format recommends for buffers: a processor's widest register and a line of its cache.
// Arrow v17 keeps to 8 bytes in files.
const alignment = 64

// arrowFile takes what Arrow writes into a shard, and places every tensor at a multiple of 64 bytes from the file's start:
// the message before it gets a longer head. It digests each tensor, and all that is none.
type arrowFile struct {
	w       io.Writer
	n       int64 // bytes written to w
	head    hash.Hash
	tensor  []byte   // the next tensor, known by its memory
	tensors []Tensor // those that were written
	held    []byte   // what came since the last of them
	message int      // where in held the last message begins
	added   []uint32 // bytes by which the heads of the record batches' messages grew
}

func newArrowFile(w io.Writer) *arrowFile { return &arrowFile{w: w, head: sha256.New()} }

func (f *arrowFile) Write(b []byte) (int, error) {
	if len(f.tensor) == 0 || unsafe.SliceData(b) != unsafe.SliceData(f.tensor) || len(b) != len(f.tensor) {
		f.held = append(f.held, b...)
		return len(b), nil
	}
	f.align()
	if err := f.flush(); err != nil {
		return 0, err
	}
	f.tensors, f.tensor = append(f.tensors, Tensor{At: f.n, Bytes: int64(len(b)), SHA256: digestOf(b)}), nil
	n, err := f.w.Write(b)
	f.n += int64(n)
	return n, err
}

// align lengthens the head of the message that is held, so that what follows is aligned. The head's length stands after
// its four bytes of mark, and what it has beyond its content is padding (Arrow IPC, encapsulated message format).
func (f *arrowFile) align() {
	add := uint32(-(f.n + int64(len(f.held))) & (alignment - 1))
	length := f.held[f.message+4:]
	was := binary.LittleEndian.Uint32(length)
	binary.LittleEndian.PutUint32(length, was+add)
	f.held = slices.Insert(f.held, f.message+8+int(was), make([]byte, add)...)
	f.added = append(f.added, add)
}

func (f *arrowFile) flush() error {
	n, err := f.w.Write(f.held)
	f.head.Write(f.held)
	f.n, f.held = f.n+int64(n), f.held[:0]
	return err
}

// Seek tells the position, which is all that the Arrow writer asks for, and it asks at the start of every message.
func (f *arrowFile) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekCurrent {
		return 0, errors.ErrUnsupported
	}
	f.message = len(f.held)
	return f.n + int64(len(f.held)), nil
}

// close writes the footer, which Arrow has given, with the heads' real lengths: File.fbs, Block. It gives the digest of all
// that is no tensor.
func (f *arrowFile) close() (head string, err error) {
	i := 0
	for block := range footerBlocks(f.held) {
		length := block[8:]
		binary.LittleEndian.PutUint32(length, binary.LittleEndian.Uint32(length)+f.added[i])
		i++
	}
	err = f.flush()
	return hex.EncodeToString(f.head.Sum(nil)), err
}
