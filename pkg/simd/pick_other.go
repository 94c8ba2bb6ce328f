//go:build !amd64

package simd

func shape(int, int, bool) (int, int, []func(*tile)) { panic("simd: no kernels on this machine") }
func column(int, bool) (int, int, []func(*tile))     { panic("simd: no kernels on this machine") }
