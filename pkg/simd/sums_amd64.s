#include "textflag.h"

// Bytes 14 and 15 of a half, in all its words.
DATA lastWord<>+0(SB)/8, $0x0f0e0f0e0f0e0f0e
DATA lastWord<>+8(SB)/8, $0x0f0e0f0e0f0e0f0e
DATA lastWord<>+16(SB)/8, $0x0f0e0f0e0f0e0f0e
DATA lastWord<>+24(SB)/8, $0x0f0e0f0e0f0e0f0e
GLOBL lastWord<>(SB), RODATA|NOPTR, $32

DATA oneWord<>+0(SB)/2, $1
GLOBL oneWord<>(SB), RODATA|NOPTR, $2

// func sums256(dst *int16, lo, hi *byte, n int64, before int16)
TEXT ·sums256(SB), NOSPLIT, $0-34
	MOVQ dst+0(FP), DI
	MOVQ lo+8(FP), SI
	MOVQ hi+16(FP), DX
	MOVQ n+24(FP), CX
	VPBROADCASTW before+32(FP), Y7
	VMOVDQU lastWord<>(SB), Y6
	VPBROADCASTW oneWord<>(SB), Y5
	VPXOR Y4, Y4, Y4

words:
	VPMOVZXBW (SI), Y0
	VPMOVZXBW (DX), Y1
	VPSLLW $8, Y1, Y1
	VPOR Y1, Y0, Y0

	// (u >> 1) ^ -(u & 1)
	VPSRLW $1, Y0, Y1
	VPAND Y5, Y0, Y0
	VPSUBW Y0, Y4, Y0
	VPXOR Y1, Y0, Y0

	// sums within each half
	VPSLLDQ $2, Y0, Y1
	VPADDW Y1, Y0, Y0
	VPSLLDQ $4, Y0, Y1
	VPADDW Y1, Y0, Y0
	VPSLLDQ $8, Y0, Y1
	VPADDW Y1, Y0, Y0

	// the low half's last goes to all of the high one, and what came before to all
	VPERM2I128 $0x08, Y0, Y0, Y1
	VPSHUFB Y6, Y1, Y1
	VPADDW Y1, Y0, Y0
	VPADDW Y7, Y0, Y0
	VMOVDQU Y0, (DI)
	VPERMQ $0xff, Y0, Y7
	VPSHUFB Y6, Y7, Y7

	ADDQ $16, SI
	ADDQ $16, DX
	ADDQ $32, DI
	SUBQ $16, CX
	JG words
	VZEROUPPER
	RET
