//go:build ignore

// gen writes the assembly kernels of this package: go run gen.go.
//
// One kernel holds a tile of the result, m rows by nv vectors, in registers. A "rows" kernel broadcasts a[row][k], with
// any distance between rows, which come in two groups of up to seven: a tile can reach over two lines of a convolution.
// A "cols" kernel broadcasts a[k][row], rows being neighbours in memory.
package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// Offsets of the fields of type tile, and of type pass.
const (
	fC, fLdC, fJumpC, fA, fLdA, fJumpA, fB, fLdB, fAOff, fBOff, fBlocks, fK, fAdd = 0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96
	fRows, fRow, fPtr                                                             = 0, 8, 16
)

type isa struct {
	name  string
	reg   string // vector register prefix
	lanes int
	b     []int // registers for vectors of b
	bc    []int // registers for a broadcast
	pairs bool  // elements are pairs of bf16
}

var (
	avx512 = isa{"512", "Z", 16, []int{31, 30}, []int{29, 28}, false}
	bf16   = isa{"BF16", "Z", 16, []int{31, 30}, []int{29, 28}, true}
	avx2   = isa{"256", "Y", 8, []int{15, 14}, []int{13, 12}, false}
)

type gen struct{ bytes.Buffer }

func (g *gen) op(f string, a ...any) { fmt.Fprintf(g, "\t"+f+"\n", a...) }
func (g *gen) label(l string)        { fmt.Fprintf(g, "%s:\n", l) }

// evex writes an instruction of AVX512_BF16, which Go's assembler lacks: its map is 0F38 (Intel's manual, volume 2, 2.7).
// pp is 2 for a prefix of F3, v the second source, or 0 where there is none.
func (g *gen) evex(name string, pp, opcode, rm, v, to int) {
	not := func(r, bit int) int { return ^r >> bit & 1 }
	bytes := []int{0x62, not(to, 3)<<7 | not(rm, 4)<<6 | not(rm, 3)<<5 | not(to, 4)<<4 | 2, (^v&15)<<3 | 4 | pp, 0x40 | not(v, 4)<<3, opcode, 0xc0 | to&7<<3 | rm&7}
	line := "\t"
	for _, b := range bytes {
		line += fmt.Sprintf("BYTE $0x%02x; ", b)
	}
	fmt.Fprintf(g, "%s// %s\n", line, name)
}

// half is the number of rows in a tile's first group; the second begins a jump from the first.
func half(m int) int { return (m + 1) / 2 }

// eachC visits the result's vectors, with R15 at the row.
func (g *gen) eachC(s isa, m, nv int, f func(acc, at int)) {
	g.op("MOVQ %d(DI), R8", fLdC)
	g.op("MOVQ %d(DI), R15", fC)
	for i := range m {
		if i == half(m) {
			g.op("MOVQ %d(DI), R15", fC)
			g.op("ADDQ %d(DI), R15", fJumpC)
		} else if i > 0 {
			g.op("ADDQ R8, R15")
		}
		for v := range nv {
			f(i*nv+v, v*s.lanes*4)
		}
	}
}

// open loads the accumulators: zero, or what c holds where the tile adds.
func (g *gen) open(s isa, m, nv int) {
	g.op("MOVQ t+0(FP), DI")
	g.op("CMPQ %d(DI), $0", fAdd)
	g.op("JE zero")
	g.eachC(s, m, nv, func(acc, at int) { g.op("VMOVUPS %d(R15), %s%d", at, s.reg, acc) })
	g.op("JMP begin")
	g.label("zero")
	for i := range m * nv {
		g.op("VXORPS %s%d, %s%d, %s%d", s.reg, i, s.reg, i, s.reg, i)
	}
	g.label("begin")
}

// shut stores the accumulators.
func (g *gen) shut(s isa, m, nv int) {
	g.eachC(s, m, nv, func(acc, at int) { g.op("VMOVUPS %s%d, %d(R15)", s.reg, acc, at) })
	g.op("VZEROUPPER")
	g.op("RET\n")
}

// step multiplies one k: b's vectors at DX, then every row's broadcast.
func (g *gen) step(s isa, m, nv, b int, at func(i int) string) {
	for v := range nv {
		g.op("VMOVUPS %d(DX), %s%d", b+v*s.lanes*4, s.reg, s.b[v])
	}
	for i := range m {
		if nv == 1 && s.lanes == 16 && !s.pairs {
			g.op("VFMADD231PS.BCST %s, %s%d, %s%d", at(i), s.reg, s.b[0], s.reg, i)
			continue
		}
		bc := s.bc[i%2]
		g.op("VBROADCASTSS %s, %s%d", at(i), s.reg, bc)
		for v := range nv {
			if s.pairs {
				g.evex(fmt.Sprintf("VDPBF16PS Z%d, Z%d, Z%d", s.b[v], bc, i*nv+v), 2, 0x52, s.b[v], bc, i*nv+v)
			} else {
				g.op("VFMADD231PS %s%d, %s%d, %s%d", s.reg, s.b[v], s.reg, bc, s.reg, i*nv+v)
			}
		}
	}
}

func (g *gen) rows(s isa, m, nv int) {
	fmt.Fprintf(g, "// func rows%s_%dx%d(t *tile)\nTEXT ·rows%s_%dx%d(SB), NOSPLIT, $0-8\n", s.name, m, nv, s.name, m, nv)
	g.open(s, m, nv)
	g.op("MOVQ %d(DI), R8", fLdA)
	g.op("LEAQ (R8)(R8*2), R9")
	g.op("LEAQ (R8)(R8*4), R10")
	g.op("MOVQ %d(DI), BX", fAOff)
	g.op("MOVQ %d(DI), R11", fBOff)
	g.op("MOVQ %d(DI), R12", fBlocks)
	g.op("MOVQ %d(DI), R13", fLdB)
	g.label("block")
	g.op("MOVQ (R11), DX")
	g.op("ADDQ %d(DI), DX", fB)
	g.op("MOVQ (BX), SI")
	g.op("ADDQ %d(DI), SI", fA)
	g.op("MOVQ SI, AX")
	g.op("ADDQ %d(DI), AX", fJumpA)
	g.op("MOVQ %d(DI), CX", fK)
	at := func(k int) func(i int) string {
		return func(i int) string {
			base := "SI"
			if i >= half(m) {
				base, i = "AX", i-half(m)
			}
			return fmt.Sprintf("%d(%s)%s", 4*k, base, [...]string{"", "(R8*1)", "(R8*2)", "(R9*1)", "(R8*4)", "(R10*1)", "(R9*2)"}[i])
		}
	}
	g.op("SUBQ $2, CX")
	g.op("JL last")
	g.label("pair")
	g.op("PREFETCHT0 1024(DX)")
	g.op("PREFETCHT0 1088(DX)")
	g.step(s, m, nv, 0, at(0))
	g.op("ADDQ R13, DX")
	g.op("PREFETCHT0 1024(DX)")
	g.op("PREFETCHT0 1088(DX)")
	g.step(s, m, nv, 0, at(1))
	g.op("ADDQ R13, DX")
	g.op("ADDQ $8, SI")
	g.op("ADDQ $8, AX")
	g.op("SUBQ $2, CX")
	g.op("JGE pair")
	g.label("last")
	g.op("TESTQ $1, CX")
	g.op("JZ next")
	g.step(s, m, nv, 0, at(0))
	g.label("next")
	g.op("ADDQ $8, BX")
	g.op("ADDQ $8, R11")
	g.op("DECQ R12")
	g.op("JNZ block")
	g.shut(s, m, nv)
}

func (g *gen) cols(s isa, m, nv int) {
	fmt.Fprintf(g, "// func cols%s_%dx%d(t *tile)\nTEXT ·cols%s_%dx%d(SB), NOSPLIT, $0-8\n", s.name, m, nv, s.name, m, nv)
	g.open(s, m, nv)
	g.op("MOVQ %d(DI), R8", fLdA)
	g.op("MOVQ %d(DI), R9", fLdB)
	g.op("MOVQ %d(DI), SI", fAOff)
	g.op("MOVQ %d(DI), BX", fBOff)
	g.op("MOVQ %d(DI), R12", fBlocks)
	g.label("block")
	g.op("MOVQ (SI), AX")
	g.op("ADDQ %d(DI), AX", fA)
	g.op("MOVQ (BX), DX")
	g.op("ADDQ %d(DI), DX", fB)
	g.op("MOVQ %d(DI), CX", fK)
	g.label("k")
	g.step(s, m, nv, 0, func(i int) string { return fmt.Sprintf("%d(AX)", 4*i) })
	g.op("ADDQ R8, AX")
	g.op("ADDQ R9, DX")
	g.op("DECQ CX")
	g.op("JNZ k")
	g.op("ADDQ $8, SI")
	g.op("ADDQ $8, BX")
	g.op("DECQ R12")
	g.op("JNZ block")
	g.shut(s, m, nv)
}

// passes are functions of vectors, one after the other, in memory: pointers to streams, which run through rows, then to
// channels, which each row goes through again, then, for some, to constants.
var passes = []struct {
	name            string
	streams, others int
	body            func(g *gen, s isa, at func(i int) string)
}{
	{"channelSum", 1, 1, func(g *gen, s isa, at func(int) string) {
		g.load(s, at(1), 0)
		g.op("VADDPS %s, %s0, %s0", at(0), s.reg, s.reg)
		g.store(s, 0, at(1))
	}},
	{"channelSquares", 1, 2, func(g *gen, s isa, at func(int) string) {
		g.load(s, at(0), 0)
		g.load(s, at(1), 1)
		g.op("VSUBPS %s, %s0, %s0", at(2), s.reg, s.reg)
		g.op("VFMADD231PS %s0, %s0, %s1", s.reg, s.reg, s.reg)
		g.store(s, 1, at(1))
	}},
	{"scaleShift", 2, 2, func(g *gen, s isa, at func(int) string) {
		g.scaleShift(s, at, 2)
		g.store(s, 0, at(0))
	}},
	{"scaleShiftReLU", 2, 2, func(g *gen, s isa, at func(int) string) {
		g.scaleShift(s, at, 2)
		g.op("VMAXPS %s0, %s15, %s0", s.reg, s.reg, s.reg)
		g.store(s, 0, at(0))
	}},
	{"scaleShiftAddReLU", 3, 2, func(g *gen, s isa, at func(int) string) {
		g.scaleShift(s, at, 3)
		g.op("VADDPS %s, %s0, %s0", at(2), s.reg, s.reg)
		g.op("VMAXPS %s0, %s15, %s0", s.reg, s.reg, s.reg)
		g.store(s, 0, at(0))
	}},
	{"mask", 3, 0, func(g *gen, s isa, at func(int) string) {
		g.load(s, at(1), 0)
		g.load(s, at(2), 1)
		g.positive(s, 1)
		if s.lanes == 16 {
			g.op("VMOVUPS.Z Z0, K1, Z0")
		} else {
			g.op("VANDPS Y14, Y0, Y0")
		}
		g.store(s, 0, at(0))
	}},
	{"gradSums", 2, 3, func(g *gen, s isa, at func(int) string) {
		g.load(s, at(0), 0)
		g.op("VADDPS %s, %s0, %s1", at(2), s.reg, s.reg)
		g.store(s, 1, at(2))
		g.load(s, at(1), 2)
		g.op("VSUBPS %s, %s2, %s2", at(4), s.reg, s.reg)
		g.load(s, at(3), 3)
		g.op("VFMADD231PS %s2, %s0, %s3", s.reg, s.reg, s.reg)
		g.store(s, 3, at(3))
	}},
	{"gradInput", 3, 3, func(g *gen, s isa, at func(int) string) {
		g.load(s, at(1), 0)
		g.load(s, at(2), 1)
		g.load(s, at(5), 2)
		g.op("VFMADD231PS %s, %s1, %s2", at(4), s.reg, s.reg)
		g.op("VFMADD231PS %s, %s0, %s2", at(3), s.reg, s.reg)
		g.store(s, 2, at(0))
	}},
	{"add", 2, 0, func(g *gen, s isa, at func(int) string) {
		g.load(s, at(0), 0)
		g.op("VADDPS %s, %s0, %s0", at(1), s.reg, s.reg)
		g.store(s, 0, at(0))
	}},
	{"mul", 2, 0, func(g *gen, s isa, at func(int) string) {
		g.load(s, at(0), 0)
		g.op("VMULPS %s, %s0, %s0", at(1), s.reg, s.reg)
		g.store(s, 0, at(0))
	}},
	// w, g, m, v and the numbers of an Adam, in its order.
	{"adam", 4, 1, func(g *gen, s isa, at func(int) string) {
		c := func(i, to int) { g.op("VBROADCASTSS %d(R12), %s%d", 4*i, s.reg, to) }
		v := func(f string, regs ...any) { g.op(strings.ReplaceAll(f, "V:", s.reg), regs...) }
		c(0, 0)
		v("VMULPS %s, V:0, V:0", at(1)) // the gradient
		c(1, 1)
		v("VMULPS %s, V:1, V:1", at(2))
		c(2, 2)
		v("VFMADD231PS V:0, V:2, V:1") // first moment
		v("VMOVUPS V:1, %s", at(2))
		c(3, 2)
		v("VMULPS %s, V:2, V:2", at(3))
		v("VMULPS V:0, V:0, V:0")
		c(4, 3)
		v("VFMADD231PS V:0, V:3, V:2") // second moment
		v("VMOVUPS V:2, %s", at(3))
		v("VSQRTPS V:2, V:2")
		c(5, 3)
		c(6, 4)
		v("VFMADD213PS V:4, V:3, V:2") // root and eps
		c(7, 3)
		v("VMULPS V:3, V:1, V:1")
		v("VDIVPS V:2, V:1, V:1")
		c(8, 0)
		v("VMULPS %s, V:0, V:0", at(0))
		v("VSUBPS V:1, V:0, V:0")
		v("VMOVUPS V:0, %s", at(0))
	}},
	// y, x and expNumbers with shift and scale: e to the power of (x - shift)·scale.
	{"exps", 2, 1, func(g *gen, s isa, at func(int) string) {
		g.load(s, at(1), 0)
		g.constant(s, 12, 1)
		g.op("VSUBPS %s1, %s0, %s0", s.reg, s.reg, s.reg)
		g.constant(s, 13, 1)
		g.op("VMULPS %s1, %s0, %s0", s.reg, s.reg, s.reg)
		g.exp(s)
		g.store(s, 0, at(0))
	}},
	{"gelu", 2, 1, func(g *gen, s isa, at func(int) string) { g.gelu(s, at, "") }},
	{"geluSlope", 3, 1, func(g *gen, s isa, at func(int) string) { g.gelu(s, at, at(2)) }},
}

// bf16Passes need AVX512_BF16.
var bf16Passes = []struct {
	name    string
	streams int
	body    func(g *gen, at func(i int) string)
}{
	{"pairs", 2, func(g *gen, at func(i int) string) { // half as many elements as it reads
		g.load(bf16, at(1), 0)
		g.evex("VCVTNEPS2BF16 Z0, Y0", 2, 0x72, 0, 0, 0)
		g.op("MOVQ AX, BX")
		g.op("SHRQ $1, BX")
		g.op("VMOVUPS Y0, (R8)(BX*1)")
	}},
	{"pairRows", 3, func(g *gen, at func(i int) string) {
		for i := range 2 {
			g.load(bf16, at(1+i), i)
			g.evex(fmt.Sprintf("VCVTNEPS2BF16 Z%d, Y%d", i, i), 2, 0x72, i, 0, i)
			g.op("VPMOVZXWD Y%d, Z%d", i, i)
		}
		g.op("VPSLLD $16, Z1, Z1")
		g.op("VPORD Z1, Z0, Z0")
		g.store(bf16, 0, at(0))
	}},
	{"unpair", 2, func(g *gen, at func(i int) string) { // twice as many elements as it reads
		g.op("MOVQ AX, BX")
		g.op("SHRQ $1, BX")
		g.op("VPMOVZXWD (R9)(BX*1), Z0")
		g.op("VPSLLD $16, Z0, Z0")
		g.store(bf16, 0, at(0))
	}},
	{"weave", 3, func(g *gen, at func(i int) string) { // likewise
		g.op("MOVQ AX, BX")
		g.op("SHRQ $1, BX")
		g.op("VPMOVZXWD (R9)(BX*1), Z0")
		g.op("VPMOVZXWD (R10)(BX*1), Z1")
		g.op("VPSLLD $16, Z1, Z1")
		g.op("VPORD Z1, Z0, Z0")
		g.store(bf16, 0, at(0))
	}},
}

func (g *gen) load(s isa, from string, reg int) { g.op("VMOVUPS %s, %s%d", from, s.reg, reg) }
func (g *gen) store(s isa, reg int, to string)  { g.op("VMOVUPS %s%d, %s", s.reg, reg, to) }

// constant broadcasts one of a table, to which the last pointer goes.
func (g *gen) constant(s isa, i, reg int) { g.op("VBROADCASTSS %d(R13), %s%d", 4*i, s.reg, reg) }

// scaleShift leaves x·a + b in register 0; a's pointer is number a.
func (g *gen) scaleShift(s isa, at func(int) string, a int) {
	g.load(s, at(1), 0)
	g.load(s, at(a), 1)
	g.op("VFMADD213PS %s, %s1, %s0", at(a+1), s.reg, s.reg)
}

// positive makes the mask of a register's positive elements.
func (g *gen) positive(s isa, reg int) {
	if s.lanes == 16 {
		g.op("VCMPPS $14, Z15, Z%d, K1", reg)
	} else {
		g.op("VCMPPS $14, Y15, Y%d, Y14", reg)
	}
}

// exp turns register 0 into its exponential, as Exp; it uses 1 to 3.
func (g *gen) exp(s isa) {
	v := func(f string) { g.op(strings.ReplaceAll(f, "V:", s.reg)) }
	c := func(i, to int) { g.constant(s, i, to) }
	c(0, 1)
	v("VMAXPS V:0, V:1, V:0") // the second is what comes of no number
	c(1, 1)
	v("VMINPS V:0, V:1, V:0")
	c(2, 1)
	v("VMULPS V:0, V:1, V:1")
	v(map[int]string{16: "VRNDSCALEPS $0, V:1, V:1", 8: "VROUNDPS $0, V:1, V:1"}[s.lanes]) // n
	c(3, 2)
	v("VFNMADD231PS V:2, V:1, V:0")
	c(4, 2)
	v("VFMADD231PS V:2, V:1, V:0") // r
	c(5, 2)
	for i := 6; i <= 10; i++ {
		c(i, 3)
		v("VFMADD213PS V:3, V:0, V:2")
	}
	v("VMULPS V:0, V:0, V:3")
	v("VFMADD213PS V:0, V:3, V:2") // p·r·r + r
	v("VCVTPS2DQ V:1, V:1")
	c(11, 3)
	v("VPADDD V:3, V:1, V:1")
	v("VPSLLD $23, V:1, V:1")
	v("VFMADD213PS V:1, V:1, V:2") // (…+ 1)·2^n
	v("VMOVAPS V:2, V:0")
}

// gelu is GELU, its slope where there is a place for it.
func (g *gen) gelu(s isa, at func(int) string, slope string) {
	v := func(f string) { g.op(strings.ReplaceAll(f, "V:", s.reg)) }
	c := func(i, to int) { g.constant(s, i, to) }
	g.load(s, at(1), 4)
	c(14, 0)
	v("VMULPS V:4, V:0, V:0")
	v("VMULPS V:4, V:0, V:0")
	g.exp(s) // of -x²/2
	v("VSUBPS V:4, V:15, V:1")
	v("VMAXPS V:4, V:1, V:1") // |x|
	c(15, 2)
	c(16, 3)
	v("VFMADD213PS V:3, V:1, V:2")
	v("VDIVPS V:2, V:3, V:1") // t
	c(17, 2)
	for i := 18; i <= 21; i++ {
		c(i, 3)
		v("VFMADD213PS V:3, V:1, V:2")
	}
	v("VMULPS V:1, V:2, V:2")
	v("VMULPS V:0, V:2, V:2") // Φ(-|x|): the polynomial's numbers are halved
	g.positive(s, 4)
	c(16, 3)
	if s.lanes == 16 {
		g.op("VSUBPS Z2, Z3, K1, Z2")
	} else {
		g.op("VSUBPS Y2, Y3, Y3")
		g.op("VBLENDVPS Y14, Y3, Y2, Y2")
	}
	v("VMULPS V:2, V:4, V:1")
	g.store(s, 1, at(0))
	if slope != "" {
		c(22, 1)
		v("VMULPS V:0, V:1, V:1")
		v("VFMADD231PS V:4, V:1, V:2")
		g.store(s, 2, slope)
	}
}

func (g *gen) pass(s isa, name string, streams, others int, body func(*gen, isa, func(int) string)) {
	fmt.Fprintf(g, "// func %s%s(t *pass)\nTEXT ·%s%s(SB), NOSPLIT, $0-8\n", name, s.name, name, s.name)
	regs := []string{"R8", "R9", "R10", "R11", "R12", "R13"}
	g.op("MOVQ t+0(FP), DI")
	g.op("MOVQ %d(DI), CX", fRows)
	g.op("MOVQ %d(DI), DX", fRow)
	for i := range streams + others {
		g.op("MOVQ %d(DI), %s", fPtr+8*i, regs[i])
	}
	g.op("MOVQ %d(DI), R13", fPtr+8*5)
	g.op("VXORPS %s15, %s15, %s15", s.reg, s.reg, s.reg)
	g.label("row")
	g.op("XORQ AX, AX")
	g.label("vector")
	body(g, s, func(i int) string { return fmt.Sprintf("(%s)(AX*1)", regs[i]) })
	g.op("ADDQ $%d, AX", 4*s.lanes)
	g.op("CMPQ AX, DX")
	g.op("JB vector")
	for i := range streams {
		g.op("ADDQ DX, %s", regs[i])
	}
	g.op("DECQ CX")
	g.op("JNZ row")
	g.op("VZEROUPPER")
	g.op("RET\n")
}

func main() {
	var a, d, o gen
	o.WriteString("// Code generated by gen.go. DO NOT EDIT.\n\n//go:build !amd64\n\npackage simd\n\nfunc none() { panic(\"simd: no kernels on this machine\") }\n\n")
	a.WriteString("// Code generated by gen.go. DO NOT EDIT.\n\n#include \"textflag.h\"\n\n")
	d.WriteString("// Code generated by gen.go. DO NOT EDIT.\n\npackage simd\n\n")
	for _, x := range []struct {
		s    isa
		nv   int
		rows int   // row kernels of 1 to rows
		cols []int // column kernels of these heights, in a table from the first on
	}{{avx512, 1, 14, []int{16}}, {avx512, 2, 14, []int{8, 9, 10, 11, 12, 13}}, {bf16, 1, 14, []int{16}}, {bf16, 2, 14, []int{8, 9, 10, 11, 12, 13}}, {avx2, 2, 6, []int{4}}} {
		declare := func(kind string, m int) {
			fmt.Fprintf(&d, "//go:noescape\nfunc %s%s_%dx%d(t *tile)\n\n", kind, x.s.name, m, x.nv)
		}
		for m := 1; m <= x.rows; m++ {
			a.rows(x.s, m, x.nv)
			declare("rows", m)
		}
		for _, m := range x.cols {
			a.cols(x.s, m, x.nv)
			declare("cols", m)
		}
		if len(x.cols) > 0 {
			fmt.Fprintf(&d, "var cols%s_%d = [...]func(*tile){", x.s.name, x.nv)
			for i, m := range x.cols {
				fmt.Fprintf(&d, "%scols%s_%dx%d", [...]string{"", ", "}[min(i, 1)], x.s.name, m, x.nv)
			}
			d.WriteString("}\n\n")
		}
		fmt.Fprintf(&d, "var rows%s_%d = [...]func(*tile){nil", x.s.name, x.nv)
		for m := 1; m <= x.rows; m++ {
			fmt.Fprintf(&d, ", rows%s_%dx%d", x.s.name, m, x.nv)
		}
		d.WriteString("}\n\n")
	}
	for _, p := range passes {
		for _, i := range []isa{avx512, avx2} {
			a.pass(i, p.name, p.streams, p.others, p.body)
			fmt.Fprintf(&d, "//go:noescape\nfunc %s%s(t *pass)\n\n", p.name, i.name)
		}
		fmt.Fprintf(&d, "func %s(t *pass) {\n\tif Level == \"avx512\" {\n\t\t%s512(t)\n\t} else {\n\t\t%s256(t)\n\t}\n}\n\n", p.name, p.name, p.name)
		fmt.Fprintf(&o, "func %s(*pass) { none() }\n\n", p.name)
	}
	for _, p := range bf16Passes {
		a.pass(bf16, p.name, p.streams, 0, func(g *gen, _ isa, at func(int) string) { p.body(g, at) })
		fmt.Fprintf(&d, "//go:noescape\nfunc %sBF16(t *pass)\n\n", p.name)
		fmt.Fprintf(&o, "func %sBF16(*pass) { none() }\n\n", p.name)
	}
	for name, b := range map[string][]byte{"pass_other.go": bytes.TrimRight(o.Bytes(), "\n"), "tile_amd64.s": a.Bytes(), "tile_amd64.go": bytes.TrimRight(d.Bytes(), "\n")} {
		if err := os.WriteFile(name, append(bytes.TrimRight(b, "\n"), '\n'), 0o644); err != nil {
			panic(err)
		}
	}
}
