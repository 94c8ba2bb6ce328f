//go:build unix

package metrics

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// TestTopAtScale is our side of testdata/peers.py: the top 100 of the vectors in SILVERBEAM_TOP, timed.
func TestTopAtScale(t *testing.T) {
	dir := os.Getenv("SILVERBEAM_TOP")
	if dir == "" {
		t.Skip("make bench-retrieval runs it")
	}
	const d = 512
	read := func(name string) (rows [][]float32) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for ; len(b) > 0; b = b[4*d:] {
			rows = append(rows, unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), d))
		}
		return rows
	}
	queries, pool := read("queries.f32"), read("pool.f32")
	begin, from := time.Now(), cpu()
	hits, err := TopK(queries, pool, Dot, 100, nil)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%.3f %.3f\n", (cpu() - from).Seconds(), time.Since(begin).Seconds())
	var out bytes.Buffer
	for _, h := range hits {
		for _, x := range h {
			binary.Write(&out, binary.LittleEndian, int32(x.Row))
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "ours.i32"), out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestScoresAtScale is our side of testdata/scale.py, on the tables in the folder SILVERBEAM_SCALE.
func TestScoresAtScale(t *testing.T) {
	dir := os.Getenv("SILVERBEAM_SCALE")
	if dir == "" {
		t.Skip("make bench-scores runs it")
	}
	const labels, rounds = 18, 5
	y, s := columnsOf[int8](t, dir, "Y", labels), columnsOf[float64](t, dir, "S", labels)
	var values []float64
	from := cpu()
	for range rounds {
		values = values[:0]
		for f := range y {
			auc, _, err := AUC(y[f], s[f])
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, auc)
		}
	}
	fmt.Printf("%.5f ", (cpu()-from).Seconds()/rounds)
	writeBinary(t, dir, "auc", values)

	c := Clusters{Of: columnsOf[int32](t, dir, "patient", 1)[0]}
	c.N = int(slices.Max(c.Of)) + 1
	data := Scores{Findings: make([]string, labels), Y: columnsOf[int8](t, dir, "y", labels), S: columnsOf[float64](t, dir, "s", labels)}
	resample := func(o Resampling) *Replicates {
		stats, err := data.statistics(data.S, c)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Bootstrap(c.N, stats, o)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	from = cpu()
	for range rounds {
		resample(Resampling{N: 1000})
	}
	fmt.Printf("%.5f\n", (cpu()-from).Seconds()/rounds)
	some := len(columnsOf[int32](t, dir, "resamples", 1)[0]) / c.N
	r := resample(Resampling{Resamples: columnsOf[int32](t, dir, "resamples", some)})
	writeBinary(t, dir, "boot", slices.Concat(r.draws...))
}

// columnsOf reads n columns of the same length from a file of nothing else.
func columnsOf[T any](t *testing.T, dir, name string, n int) [][]T {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name+".bin"))
	if err != nil {
		t.Fatal(err)
	}
	all := make([]T, len(b)/int(unsafe.Sizeof(*new(T))))
	if err := binary.Read(bytes.NewReader(b), binary.LittleEndian, all); err != nil {
		t.Fatal(err)
	}
	return slices.Collect(slices.Chunk(all, len(all)/n))
}

func writeBinary(t *testing.T, dir, name string, v []float64) {
	t.Helper()
	var out bytes.Buffer
	binary.Write(&out, binary.LittleEndian, v)
	if err := os.WriteFile(filepath.Join(dir, name+".bin"), out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// cpu is what this process has used of it.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
