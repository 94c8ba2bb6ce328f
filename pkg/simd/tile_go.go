package simd

// rowsGo is Rows in plain Go.
func rowsGo(c []float32, ldC int, a []float32, ldA int, aOff []int64, b []float32, ldB int, bOff []int64, m, n, k int, add bool) {
	for i := range m {
		row := c[i*ldC : i*ldC+n]
		if !add {
			clear(row)
		}
		for t, o := range aOff {
			ai := a[int(o)+i*ldA:]
			for kk := range k {
				x, br := ai[kk], b[int(bOff[t])+kk*ldB:][:n]
				for j, y := range br {
					row[j] += x * y
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
