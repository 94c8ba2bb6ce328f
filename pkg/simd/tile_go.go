package simd

// rowsGo is Convolve in plain Go.
func rowsGo(c []float32, cl Lines, a []float32, al Lines, aOff []int64, b Matrix, bOff []int64, n, k int, add bool) {
	for i := range cl.Lines * cl.N {
		line, at := i/cl.N, i%cl.N
		row := c[line*cl.Next+at*cl.Ld:][:n]
		if !add {
			clear(row)
		}
		for t, o := range aOff {
			ai := a[int(o)+line*al.Next+at*al.Ld:]
			for j := 0; j < n; j += Panel {
				dst := row[j:min(n, j+Panel)]
				for kk := range k {
					x, br := ai[kk], b.Data[int(bOff[t])+j/Panel*b.Next+kk*b.Ld:][:len(dst)]
					for l, y := range br {
						dst[l] += x * y
					}
				}
			}
		}
	}
}

// colsGo is Cols in plain Go.
func colsGo(c []float32, ldC int, a []float32, ldA int, aOff []int64, b []float32, ldB int, bOff []int64, m, n, k int, add bool) {
	if !add {
		for i := range m {
			clear(c[i*ldC : i*ldC+n])
		}
	}
	for t, o := range aOff {
		for kk := range k {
			ak, bk := a[int(o)+kk*ldA:][:m], b[int(bOff[t])+kk*ldB:][:n]
			for i, x := range ak {
				row := c[i*ldC:][:n]
				for j, y := range bk {
					row[j] += x * y
				}
			}
		}
	}
}
