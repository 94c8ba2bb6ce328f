package shard

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"silverbeam/pkg/phantom"
	"silverbeam/pkg/volume"
)

// readBack writes tensors of a shape as one split of a data set and opens it.
func readBack(t testing.TB, storage string, shape [3]int, tensors ...[]int16) (rows []Row, bytes int64) {
	t.Helper()
	dir := t.TempDir()
	s := Spec{Preset: volume.Preset{Name: "t", Shape: shape, LoHU: -1000, HiHU: 200}, Findings: findings, Split: "train", HUSource: "header", Storage: storage}
	var in []Row
	for i, hu := range tensors {
		in = append(in, Row{Patient: "p", Study: "s", Volume: fmt.Sprintf("v%03d", i), HU: hu})
	}
	f, err := Write(filepath.Join(dir, "a.arrow"), s, sequence(in, nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Commit(dir, Manifest{Findings: findings, HUSource: "header", Splits: map[string]Split{"train": {[]BatchRef{{ID: "a", File: "a.arrow", Written: f}}}}}); err != nil {
		t.Fatal(err)
	}
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if rows, err = d.Rows("train"); err != nil {
		t.Fatal(err)
	}
	return rows, f.Bytes
}

// TestCrops holds random parts of tensors of random shapes against naive loops.
func TestCrops(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 12 {
		shape := [3]int{1 + rng.IntN(70), 1 + rng.IntN(70), 1 + rng.IntN(70)}
		hu := make([]int16, shape[0]*shape[1]*shape[2])
		for i := range hu {
			hu[i] = int16(rng.IntN(1 << 16))
		}
		for _, storage := range []string{Raw, Compressed} {
			rows, _ := readBack(t, storage, shape, hu)
			if got, err := rows[0].Voxels(); err != nil || !slices.Equal(got, hu) {
				t.Fatalf("%s of %v: %v", storage, shape, err)
			}
			for range 20 {
				var at, size [3]int
				for i, n := range shape {
					at[i] = rng.IntN(n)
					size[i] = 1 + rng.IntN(n-at[i])
				}
				var want []int16
				for z := range size[0] {
					for y := range size[1] {
						for x := range size[2] {
							want = append(want, hu[((at[0]+z)*shape[1]+at[1]+y)*shape[2]+at[2]+x])
						}
					}
				}
				got := make([]int16, len(want))
				if err := rows[0].Crop(got, at, size); err != nil || !slices.Equal(got, want) {
					t.Fatalf("%s, %v at %v of %v: %v", storage, size, at, shape, err)
				}
			}
		}
	}
}

// phantoms are volumes of 128 x 128 x 128 as shards keep them, with the noise of both kernels.
func phantoms(t testing.TB, studies int) (tensors [][]int16) {
	t.Helper()
	o := phantom.Options{Studies: studies, Seed: 1}
	list, err := phantom.Draw(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		volumes, err := s.Render(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range volumes {
			for i, h := range v.HU {
				v.HU[i] = max(-1000, min(1000, h))
			}
			tensors = append(tensors, v.HU)
		}
	}
	return tensors
}

// TestCompressedIsSmall holds the compressed form to 0.40 of the raw one.
func TestCompressedIsSmall(t *testing.T) {
	in := phantoms(t, 3)
	_, raw := readBack(t, Raw, [3]int{128, 128, 128}, in...)
	_, packed := readBack(t, Compressed, [3]int{128, 128, 128}, in...)
	share := float64(packed) / float64(raw)
	if t.Logf("%d volumes: %.3f of raw", len(in), share); share > 0.40 {
		t.Errorf("compressed to %.3f of raw, want 0.40 at most", share)
	}
}

// TestPackedGarbageIsAnError holds that bytes with the right digest and the wrong content end in errors.
func TestPackedGarbageIsAnError(t *testing.T) {
	shape := [3]int{33, 5, 40}
	rng := rand.New(rand.NewPCG(3, 4))
	hu := make([]int16, 33*5*40)
	for i := range hu {
		hu[i] = int16(i % 900)
	}
	good, all := pack(nil, hu, shape), box{size: shape}
	for range 5000 {
		b := slices.Clone(good)
		b[rng.IntN(min(len(b), 40))] ^= 1 << rng.IntN(8)
		b[rng.IntN(len(b))] = byte(rng.Int())
		_ = unpack(make([]int16, len(hu)), b[:rng.IntN(len(b)+1)], shape, all) // it may not panic
	}
	if err := unpack(make([]int16, len(hu)), good[:15], shape, all); err == nil {
		t.Error("a table that is cut is taken")
	}
}
