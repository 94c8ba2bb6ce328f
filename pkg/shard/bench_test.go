//go:build unix

package shard

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"silverbeam/pkg/volume"
)

// benchRows is the data set that testdata/peers.py reads too: 24 phantoms of 128 x 128 x 128, in the folder that
// SILVERBEAM_SHARDS names, or one of the benchmark's own.
func benchRows(b *testing.B, storage string) []Row {
	b.Helper()
	dir := os.Getenv("SILVERBEAM_SHARDS")
	if dir == "" {
		dir = b.TempDir()
	}
	if dir = filepath.Join(dir, storage); !exists(dir) {
		writeBench(b, dir, storage)
	}
	d, err := Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close() })
	rows, err := d.Rows("train")
	if err != nil || len(rows) != 24 {
		b.Fatal(len(rows), err)
	}
	for _, r := range rows { // digests are checked once
		if _, err := r.Voxels(); err != nil {
			b.Fatal(err)
		}
	}
	return rows
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func writeBench(b *testing.B, dir, storage string) {
	preset, err := volume.PresetByName("compact")
	if err != nil {
		b.Fatal(err)
	}
	tensors := phantoms(b, 20)[:24]
	var rows []Row
	for i, hu := range tensors {
		rows = append(rows, Row{Patient: "p", Study: "s", Volume: string(rune('a' + i)), HU: hu})
	}
	s := Spec{Preset: preset, Findings: findings, Split: "train", HUSource: "header", Storage: storage}
	f, err := Write(filepath.Join(dir, "train/a.arrow"), s, sequence(rows, nil))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := Commit(dir, Manifest{Findings: findings, HUSource: "header", Splits: map[string]Split{"train": {[]BatchRef{{ID: "a", File: "train/a.arrow", Written: f}}}}}); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkRead reads volumes in random order, every byte of them: the words of 8 bytes are summed. Raw ones are read where they
// lie, compressed ones into memory that is used again, as training does.
func BenchmarkRead(b *testing.B) {
	for _, storage := range []string{Raw, Compressed} {
		b.Run(storage, func(b *testing.B) {
			rows, rng, hu := benchRows(b, storage), rand.New(rand.NewPCG(1, 1)), make([]int16, 128*128*128)
			runtime.GC()
			start := cpu()
			for b.Loop() {
				r, err := rows[rng.IntN(len(rows))], error(nil)
				if storage == Raw {
					hu, err = r.Voxels()
				} else {
					err = r.Crop(hu, [3]int{}, r.kept.shape)
				}
				if err != nil {
					b.Fatal(err)
				}
				sink += sum(hu)
			}
			b.ReportMetric(float64(b.N)/(cpu()-start).Seconds(), "samples/cpu-s")
		})
	}
}

// BenchmarkCrop reads 64 x 64 x 64 voxels anywhere in a volume.
func BenchmarkCrop(b *testing.B) {
	for _, storage := range []string{Raw, Compressed} {
		b.Run(storage, func(b *testing.B) {
			rows, rng, dst := benchRows(b, storage), rand.New(rand.NewPCG(1, 1)), make([]int16, 64*64*64)
			for b.Loop() {
				at := [3]int{rng.IntN(65), rng.IntN(65), rng.IntN(65)}
				if err := rows[rng.IntN(len(rows))].Crop(dst, at, [3]int{64, 64, 64}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDigest is what the first read of a volume costs more.
func BenchmarkDigest(b *testing.B) {
	hu := make([]int16, 128*128*128)
	b.SetBytes(int64(2 * len(hu)))
	for b.Loop() {
		digestOf(volume.Bytes(hu))
	}
}

var sink uint64

// sum adds words of 8 bytes, as numpy does of an array of them, in four places at once: memory is what it waits for.
func sum(hu []int16) (s uint64) {
	w := unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(hu))), len(hu)/4)
	n := len(w) / 4
	a, b, c, d := w[:n], w[n:][:n], w[2*n:][:n], w[3*n:][:n]
	for i := range a {
		s += a[i] + b[i] + c[i] + d[i]
	}
	return s
}

// cpu is the process's user and system time.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
