package table

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestVectors reads what pyarrow, pandas and Polars wrote (testdata/vectors.py).
func TestVectors(t *testing.T) {
	for _, name := range []string{"vectors", "vectors-pandas", "vectors-polars"} {
		of, err := Vectors(filepath.Join("testdata", name+".parquet"), "text", "embedding")
		if err != nil || len(of) != 5 {
			t.Fatalf("%s: %d vectors, %v", name, len(of), err)
		}
		if v := of["text 3"]; !slices.Equal(v, []float32{3.25, -3, 1}) {
			t.Errorf("%s: %v", name, v)
		}
	}
}

func TestVectorErrors(t *testing.T) {
	for _, c := range [][4]string{
		{"vectors-null.parquet", "text", "embedding", "row 1: a null among a vector's numbers"},
		{"vectors.parquet", "text", "vector", `no column "vector" of lists of floats; it has ["text" "embedding"]`},
		{"vectors.parquet", "report", "embedding", `no column "report" of text`},
		{"vectors.py", "text", "embedding", "row 1: "},
		{"none.parquet", "text", "embedding", "no such file"},
	} {
		if of, err := Vectors(filepath.Join("testdata", c[0]), c[1], c[2]); err == nil || of != nil || !strings.Contains(err.Error(), c[3]) {
			t.Errorf("%v: %v, %v", c, of, err)
		}
	}
	for v, want := range map[string][]float32{"a vector of zeros": {0, 0}, "a vector of 1 numbers, the first has 2": {1}, "a vector of 0 numbers": nil} {
		if err := fitVector(want, 2); err == nil || !strings.Contains(err.Error(), v) {
			t.Errorf("%v: %v", want, err)
		}
	}
	good, _ := os.ReadFile(filepath.Join("testdata", "vectors.parquet"))
	failed := 0
	for i := 4; i < len(good); i += 7 { // no flip may end the process; most must fail
		b := slices.Clone(good)
		b[i] ^= 0x55
		if _, err := Vectors(write(t, "t.parquet", string(b)), "text", "embedding"); err != nil {
			failed++
		}
	}
	for n := range len(good) {
		if _, err := Vectors(write(t, "t.parquet", string(good[:n])), "text", "embedding"); err == nil {
			t.Errorf("%d of %d bytes are read", n, len(good))
		}
	}
	if failed == 0 {
		t.Error("no flip was noticed")
	}
}
