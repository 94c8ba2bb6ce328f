package volume

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// save writes v as NIfTI, gzipped where the name says so.
func save(t testing.TB, name string, v *Volume) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteNIfTI(&b, v); err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".gz") {
		plain := bytes.Clone(b.Bytes())
		b.Reset()
		z := gzip.NewWriter(&b)
		z.Write(plain)
		z.Close()
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestScanIsTheVolume makes tensors of files slice by slice and of the whole array, whose voxels nibabel has judged: they
// are the same to the bit, whichever way the axes lie, with and without low-pass and crop.
func TestScanIsTheVolume(t *testing.T) {
	small := []Preset{
		{Name: "linear", SpacingMM: [3]float64{3, 1, 0.9}, Shape: [3]int{3, 4, 5}, LoHU: -1000, HiHU: 200},
		{Name: "crop", SpacingMM: [3]float64{1.1, 0.5, 0.4}, Shape: [3]int{2, 2, 3}, LoHU: -1000, HiHU: 200, ClipLast: true},
		{Name: "low-pass", SpacingMM: [3]float64{4.9, 1.7, 1.9}, Shape: [3]int{2, 2, 3}, LoHU: -1000, HiHU: 200, LowPass: true},
		{Name: "wide low-pass", Shape: [3]int{1, 2, 2}, LoHU: -1000, HiHU: 1000, LowPass: true},
	}
	var paths []string
	for name, v := range written() {
		paths = append(paths, save(t, name, v))
	}
	more, _ := filepath.Glob("testdata/[^b]*.nii*")
	for _, path := range append(paths, more...) {
		v, err := ReadNIfTI(path, HUSource{})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range small {
			want, wantErr := p.Tensor(v.Scan())
			s, err := OpenScan(path, Options{}, "")
			if err != nil {
				t.Fatal(err)
			}
			s.Seen = new(Histogram)
			got, err := p.Tensor(s)
			if !slices.Equal(got, want) || (err == nil) != (wantErr == nil) || err == nil && *s.Seen != *v.histogram() {
				t.Errorf("%s by %s: %v %v, want %v %v", path, p.Name, got, err, want, wantErr)
			}
			if s.Shape != v.Shape || s.SpacingMM != v.SpacingMM || s.AffineLPS != v.AffineLPS || s.StoredType != v.StoredType {
				t.Errorf("%s: %v, want %v", path, s, v)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestScanHoldsFewSlices: of a volume of 12 MB some 2 MB are allocated, either way up.
func TestScanHoldsFewSlices(t *testing.T) {
	v := random(rand.New(rand.NewPCG(1, 1)), [3]int{96, 256, 256}, [3]float64{1, 1, 1})
	up, down := [16]float64{0: 1, 5: 1, 10: 1, 15: 1}, [16]float64{0: 1, 5: 1, 10: -1, 15: 1}
	for _, affine := range [][16]float64{up, down} {
		v.AffineLPS = affine
		path := save(t, "v.nii.gz", v)
		p := Preset{SpacingMM: [3]float64{3, 3, 3}, Shape: [3]int{32, 80, 80}, LoHU: -1000, HiHU: 200}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s, err := OpenScan(path, Options{}, "")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := p.Tensor(s); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if grew := after.TotalAlloc - before.TotalAlloc; grew > 2<<20 {
			t.Errorf("%d bytes allocated for %d bytes of voxels", grew, 2*len(v.HU))
		}
	}
}

// TestScanReadsToTheEnd: what is wrong behind the last slice that a tensor needs, or in voxels that it does not, counts.
func TestScanReadsToTheEnd(t *testing.T) {
	first := Preset{SpacingMM: [3]float64{1, 1, 1}, Shape: [3]int{1, 1, 1}, LoHU: -1000, HiHU: 200}
	for _, name := range []string{"bad-truncated.nii.gz", "bad-crc.nii.gz", "bad-truncated.nii", "bad-nan.nii", "bad-short-gz.nii.gz"} {
		path := filepath.Join("testdata", name)
		_, want := ReadNIfTI(path, HUSource{})
		s, err := OpenScan(path, Options{}, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := first.Tensor(s); err == nil || err.Error() != want.Error() {
			t.Errorf("%v, want %v", err, want)
		}
		s.Close()
	}
}

// BenchmarkFileToTensor makes the mps-ct tensor of the .nii.gz that SILVERBEAM_GZIP names.
func BenchmarkFileToTensor(b *testing.B) {
	path := os.Getenv("SILVERBEAM_GZIP")
	if path == "" {
		b.Skip("SILVERBEAM_GZIP names no file")
	}
	p, err := PresetByName("mps-ct")
	if err != nil {
		b.Fatal(err)
	}
	values := make([]float32, p.Len())
	for b.Loop() {
		s, err := OpenScan(path, Options{}, "")
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Values(values, s); err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}
