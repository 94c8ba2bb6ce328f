//go:build unix

package metrics

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
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

// cpu is what this process has used of it.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
