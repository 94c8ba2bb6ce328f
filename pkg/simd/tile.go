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

// Panel is how many columns of b one kernel takes; weights are held in panels of so many, one after the other.
const Panel = 32

// tile is what a kernel takes; distances and offsets are in bytes. Rows come in two groups, the second a jump from the
// first.
type tile struct {
	c      *float32
	ldC    int64
	jumpC  int64
	a      *float32
	ldA    int64
	jumpA  int64
	b      *float32
	ldB    int64
	aOff   *int64
	bOff   *int64
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

// Matrix is the right factor of a product, in panels of Panel columns: row k of the panel from column j starts at
// j/Panel*Next + k*Ld. Next is Panel where whole rows lie together.
type Matrix struct {
	Data     []float32
	Ld, Next int
	Pairs    bool // each element, and each of the left factor, is a pair of bf16, of two neighbouring k; k counts pairs
}

// Lines is the places of a product's rows: N of each Line, at equal distances, the first at 0.
type Lines struct {
	N, Ld       int // rows of a line, and their distance
	Lines, Next int // number of lines, and their distance
}

func (l Lines) end() int { return (l.Lines-1)*l.Next + (l.N-1)*l.Ld }

// Rows computes c[i][j] (+)= Σ_block Σ_k a[aOff[block] + i*ldA + k] * b[bOff[block]][k][j] for i < m, j < n.
// Offsets and distances are in elements; n is a multiple of Lanes. With add, c's values are added to.
func Rows(c []float32, ldC int, a []float32, ldA int, aOff []int64, b Matrix, bOff []int64, m, n, k int, add bool) {
	Convolve(c, Lines{m, ldC, 1, 0}, a, Lines{m, ldA, 1, 0}, aOff, b, bOff, n, k, add)
}

// Convolve is Rows for several lines of rows, cl in c and al in a: lines of a convolution, blocks being its taps.
func Convolve(c []float32, cl Lines, a []float32, al Lines, aOff []int64, b Matrix, bOff []int64, n, k int, add bool) {
	m := cl.N
	if m == 0 || cl.Lines == 0 || n == 0 || k == 0 || len(aOff) == 0 {
		return
	}
	if Level == "go" {
		rowsGo(c, cl, a, al, aOff, b, bOff, n, k, add)
		return
	}
	last := (n - 1) / Panel * b.Next
	check(len(c), cl.end()+n)
	check(len(b.Data), int(slices.Max(bOff))+last+(k-1)*b.Ld+(n-1)%Panel+1)
	check(len(bOff), len(aOff))
	check(len(a), int(slices.Max(aOff))+al.end()+k)
	w := spaces.Get().(*space)
	defer spaces.Put(w)
	t := w.set(cl.Ld, al.Ld, b.Ld, k, add)
	t.aOff, t.bOff, t.blocks = bytesOf(&w.a, aOff), bytesOf(&w.b, bOff), int64(len(aOff))
	for j := 0; j < n; {
		nv, tall, kernels := shape(n-j, j%Panel, b.Pairs)
		t.b = ptr(b.Data, j/Panel*b.Next+j%Panel)
		for line := 0; line < cl.Lines; {
			if line+1 < cl.Lines && 2*m <= tall { // two lines at a time
				t.c, t.a = ptr(c, line*cl.Next+j), ptr(a, line*al.Next)
				t.jumpC, t.jumpA = int64(cl.Next)*4, int64(al.Next)*4
				kernels[2*m](t)
				line += 2
				continue
			}
			for i := 0; i < m; {
				h := even(m-i, tall)
				t.c, t.a = ptr(c, line*cl.Next+i*cl.Ld+j), ptr(a, line*al.Next+i*al.Ld)
				t.jumpC, t.jumpA = int64((h+1)/2*cl.Ld)*4, int64((h+1)/2*al.Ld)*4
				kernels[h](t)
				i += h
			}
			line++
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

// bytesOf turns offsets in elements into bytes, in a buffer that is kept.
func bytesOf(buf *[]int64, off []int64) *int64 {
	*buf = (*buf)[:0]
	for _, o := range off {
		*buf = append(*buf, o*4)
	}
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
