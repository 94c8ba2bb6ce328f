// Package simd multiplies float32 matrices and blocks of convolutions, on AVX-512, AVX2 or plain Go, as the machine has.
//
// The environment variable SILVERBEAM_SIMD (avx512, avx2, go) takes a lower level than the machine's. Within one level
// every sum has one fixed order, whatever the number of goroutines; between levels results differ in the last digits.
package simd

import (
	"os"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// Lanes is the number of columns that a product is padded to: every n here is a multiple of it.
const Lanes = 16

// tile is what a kernel takes; distances and offsets are in bytes.
type tile struct {
	c      *float32
	ldC    int64
	a      *float32
	ldA    int64
	b      *float32
	ldB    int64
	aOff   *int64
	bOff   *int64 // moved on by rows kernels
	blocks int64
	k      int64
	add    int64
}

// Level is the instruction set in use: avx512, avx2 or go.
var Level = pick(os.Getenv("SILVERBEAM_SIMD"))

func pick(want string) string {
	switch {
	case want == "go":
	case cpu.X86.HasAVX512F && want != "avx2":
		return "avx512"
	case cpu.X86.HasAVX2 && cpu.X86.HasFMA:
		return "avx2"
	}
	return "go"
}

func ptr(s []float32, i int) *float32 { return (*float32)(unsafe.Pointer(&s[i])) }

// Rows computes c[i][j] (+)= Σ_block Σ_k a[aOff[block] + i*ldA + k] * b[bOff[block] + k*ldB + j] for i < m, j < n.
// Offsets and distances are in elements; n is a multiple of Lanes. With add, c's values are added to.
// It is a product of matrices where there is one block, and one row of a convolution where blocks are its taps.
func Rows(c []float32, ldC int, a []float32, ldA int, aOff []int64, b []float32, ldB int, bOff []int64, m, n, k int, add bool) {
	if m == 0 || n == 0 || k == 0 || len(aOff) == 0 {
		return
	}
	if Level == "go" {
		rowsGo(c, ldC, a, ldA, aOff, b, ldB, bOff, m, n, k, add)
		return
	}
	check(len(c), (m-1)*ldC+n)
	check(len(b), int(slices.Max(bOff))+(k-1)*ldB+n)
	check(len(bOff), len(aOff))
	check(len(a), int(slices.Max(aOff))+(m-1)*ldA+k)
	w := spaces.Get().(*space)
	defer spaces.Put(w)
	t := w.set(ldC, ldA, ldB, k, add)
	t.aOff = bytesOf(&w.a, aOff)
	bOffset := bytesOf(&w.b, bOff)
	for j := 0; j < n; {
		nv, tall, kernels := shape(n - j)
		for i := 0; i < m; {
			h := even(m-i, tall)
			t.c, t.a, t.b, t.bOff, t.blocks = ptr(c, i*ldC+j), ptr(a, i*ldA), ptr(b, j), bOffset, int64(len(aOff))
			kernels[h](t)
			i += h
		}
		j += nv * Lanes
	}
}

// space is the memory of one call: what kernels point to must not be on a stack, since they are called by value.
type space struct {
	tile
	a, b []int64
}

var spaces = sync.Pool{New: func() any { return new(space) }}

func (w *space) set(ldC, ldA, ldB, k int, add bool) *tile {
	w.tile = tile{ldC: int64(ldC) * 4, ldA: int64(ldA) * 4, ldB: int64(ldB) * 4, k: int64(k)}
	if add {
		w.add = 1
	}
	return &w.tile
}

// bytesOf turns offsets in elements into bytes, in a buffer that is kept. One more follows, so that a pointer which has
// passed the last still points into the buffer: the garbage collector ends the program where it finds one into the next.
func bytesOf(buf *[]int64, off []int64) *int64 {
	*buf = (*buf)[:0]
	for _, o := range off {
		*buf = append(*buf, o*4)
	}
	*buf = append(*buf, 0)
	return &(*buf)[0]
}

// even is the height of the next tile: as few tiles as the tallest allows, of about one height.
func even(left, tall int) int {
	tiles := (left + tall - 1) / tall
	return (left + tiles - 1) / tiles
}

func check(have, want int) {
	if have < want {
		panic("simd: slice too short")
	}
}

// Set changes to a level if the machine has it, and says whether it has. It is for tests: nothing else may run.
func Set(level string) bool {
	if pick(level) == level {
		Level = level
	}
	return Level == level
}
