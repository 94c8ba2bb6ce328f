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
}

var (
	avx512 = isa{"512", "Z", 16, []int{31, 30}, []int{29, 28}}
	avx2   = isa{"256", "Y", 8, []int{15, 14}, []int{13, 12}}
)

type gen struct{ bytes.Buffer }

func (g *gen) op(f string, a ...any) { fmt.Fprintf(g, "\t"+f+"\n", a...) }
func (g *gen) label(l string)        { fmt.Fprintf(g, "%s:\n", l) }

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
		if nv == 1 && s.lanes == 16 {
			g.op("VFMADD231PS.BCST %s, %s%d, %s%d", at(i), s.reg, s.b[0], s.reg, i)
			continue
		}
		bc := s.bc[i%2]
		g.op("VBROADCASTSS %s, %s%d", at(i), s.reg, bc)
		for v := range nv {
			g.op("VFMADD231PS %s%d, %s%d, %s%d", s.reg, s.b[v], s.reg, bc, s.reg, i*nv+v)
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

func main() {
	var a, d gen
	a.WriteString("// Code generated by gen.go. DO NOT EDIT.\n\n#include \"textflag.h\"\n\n")
	d.WriteString("// Code generated by gen.go. DO NOT EDIT.\n\npackage simd\n\n")
	for _, x := range []struct {
		s    isa
		nv   int
		rows int   // row kernels of 1 to rows
		cols []int // column kernels of these heights
	}{{avx512, 1, 14, []int{16}}, {avx512, 2, 14, []int{8}}, {avx2, 2, 6, []int{4}}} {
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
		fmt.Fprintf(&d, "var rows%s_%d = [...]func(*tile){nil", x.s.name, x.nv)
		for m := 1; m <= x.rows; m++ {
			fmt.Fprintf(&d, ", rows%s_%dx%d", x.s.name, m, x.nv)
		}
		d.WriteString("}\n\n")
	}
	for name, b := range map[string][]byte{"tile_amd64.s": a.Bytes(), "tile_amd64.go": bytes.TrimRight(d.Bytes(), "\n")} {
		if err := os.WriteFile(name, append(bytes.TrimRight(b, "\n"), '\n'), 0o644); err != nil {
			panic(err)
		}
	}
}
