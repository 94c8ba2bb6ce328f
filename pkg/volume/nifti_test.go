package volume

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// golden is what testdata/make.py says of a file: what others read from it, in our axes.
type golden struct {
	Shape     [3]int
	SpacingMM [3]float64  `json:"spacing_mm"`
	AffineLPS [16]float64 `json:"affine_lps"`
	DType     string
	Min, Max  int
	SHA256    string
	Series    string // to pick
}

func (w golden) compare(t *testing.T, name string, v *Volume) {
	t.Helper()
	s := v.Summary()
	if v.Shape != w.Shape || v.StoredType != w.DType || v.Digest() != w.SHA256 || s.Min != w.Min || s.Max != w.Max {
		t.Errorf("%s: %v %s [%d, %d] %.8s, want %v %s [%d, %d] %.8s", name, v.Shape, v.StoredType, s.Min, s.Max, v.Digest(), w.Shape, w.DType, w.Min, w.Max, w.SHA256)
	}
	if !near(v.AffineLPS[:], w.AffineLPS[:]) || !near(v.SpacingMM[:], w.SpacingMM[:]) {
		t.Errorf("%s: affine %v spacing %v,\nwant %v %v", name, v.AffineLPS, v.SpacingMM, w.AffineLPS, w.SpacingMM)
	}
}

// TestNIfTIAgainstNibabel reads what testdata/make.py made and compares with what nibabel read (nifti.json).
func TestNIfTIAgainstNibabel(t *testing.T) {
	for name, w := range goldens(t, "nifti.json", 100) {
		v, err := ReadNIfTI(filepath.Join("testdata", name), HUSource{})
		if err != nil {
			t.Error(err)
			continue
		}
		w.compare(t, name, v)
	}
}

// written makes one volume for every way the axes of a CT may lie: as stored, mirrored, turned by 90 degrees about each
// axis, tilted by 20 degrees.
func written() map[string]*Volume {
	sin, cos := math.Sincos(20 * math.Pi / 180)
	volumes := map[string]*Volume{}
	for name, axes := range map[string][9]float64{ // columns: where x, y, z point to in LPS
		"none.nii":       {},
		"plain.nii":      {1, 0, 0, 0, 1, 0, 0, 0, 1},
		"mirrored.nii":   {-1, 0, 0, 0, -1, 0, 0, 0, -1},
		"about-x.nii":    {1, 0, 0, 0, 0, -1, 0, 1, 0},
		"about-y.nii.gz": {0, 0, 1, 0, 1, 0, -1, 0, 0},
		"about-z.nii":    {0, -1, 0, 1, 0, 0, 0, 0, 1},
		"upside.nii.gz":  {-1, 0, 0, 0, 1, 0, 0, 0, -1},
		"tilted.nii":     {1, 0, 0, 0, cos, -sin, 0, sin, cos},
		"tilted-y.nii":   {-cos, 0, sin, 0, 1, 0, sin, 0, cos},
	} {
		v := &Volume{HU: make([]int16, 4*5*6), Shape: [3]int{4, 5, 6}, SpacingMM: [3]float64{2.5, 0.75, 0.6875}}
		for i := range v.HU {
			v.HU[i] = int16(37*i - 1024)
		}
		v.HU[7], v.HU[8] = math.MinInt16, math.MaxInt16
		if name != "none.nii" {
			for i, a := range axes {
				v.AffineLPS[i/3*4+i%3] = a * v.SpacingMM[2-i%3]
			}
			v.AffineLPS[3], v.AffineLPS[7], v.AffineLPS[11], v.AffineLPS[15] = -150.5, 12.25, 1000, 1
		}
		volumes[name] = v
	}
	return volumes
}

// TestWriteNIfTI reads back what it wrote, and with SILVERBEAM_PYTHON, a Python with nibabel, compares that with what
// nibabel reads, and nibabel's quaternion with its matrix.
func TestWriteNIfTI(t *testing.T) {
	args, read := []string{"testdata/make.py"}, map[string]*Volume{}
	for name, v := range written() {
		path := save(t, name, v)
		got, err := ReadNIfTI(path, HUSource{})
		if err != nil {
			t.Fatal(err)
		}
		for i, hu := range v.HU { // where a voxel lies, not how it is stored
			x, y, z := i%6, i/6%5, i/30
			want := v.AffineLPS
			if want == ([16]float64{}) {
				want = [16]float64{0: v.SpacingMM[2], 5: v.SpacingMM[1], 10: v.SpacingMM[0], 15: 1}
			}
			if at := got.at(apply(want, x, y, z)); at != int(hu) {
				t.Fatalf("%s: voxel (%d, %d, %d) is %d, want %d", name, x, y, z, at, hu)
			}
		}
		args, read[path] = append(args, path), got
	}
	python := os.Getenv("SILVERBEAM_PYTHON")
	if python == "" {
		return
	}
	out, err := exec.Command(python, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var want map[string]golden
	if err := json.Unmarshal(out, &want); err != nil || len(want) != len(read) {
		t.Fatalf("%v: %s", err, out)
	}
	for path, w := range want {
		w.compare(t, filepath.Base(path), read[path])
	}
}

// apply is the LPS place in mm of a voxel.
func apply(m [16]float64, x, y, z int) (mm [3]float64) {
	for i := range mm {
		mm[i] = m[4*i]*float64(x) + m[4*i+1]*float64(y) + m[4*i+2]*float64(z) + m[4*i+3]
	}
	return mm
}

// at is the value of the voxel whose centre lies within 0.01 mm of a place, -99999 where there is none.
func (v *Volume) at(mm [3]float64) int {
	for i, hu := range v.HU {
		c := apply(v.AffineLPS, i%v.Shape[2], i/v.Shape[2]%v.Shape[1], i/v.Shape[2]/v.Shape[1])
		if math.Hypot(math.Hypot(c[0]-mm[0], c[1]-mm[1]), c[2]-mm[2]) < 0.01 {
			return int(hu)
		}
	}
	return -99999
}

// near allows for another order of float64 operations.
func near(a, b []float64) bool {
	for i := range a {
		if math.Abs(a[i]-b[i]) > 1e-12*max(1, math.Abs(b[i])) {
			return false
		}
	}
	return true
}

func TestBadNIfTIIsRefused(t *testing.T) {
	want := map[string]string{
		"truncated.nii.gz": "truncated", "crc.nii.gz": "invalid checksum", "truncated.nii": "truncated: 113 of 120 bytes of voxels", "short-header.nii": "truncated: 200 of 348 bytes of header",
		"short-gz.nii.gz": "truncated: 48 of 120 bytes of voxels", "dim-huge.nii": "the limit is 1073741824", "dim-huge.nii.gz": "truncated", "dim-7.nii": "the limit", "dim-overflow.nii": "the limit",
		"dim-negative.nii": "dim[1] = -5", "dim-zero.nii": "dim[2] = 0", "dim0.nii": "dim[0] = 0", "4d.nii": "4 axes", "2d.nii": "2 axes", "inter.nii": "scl_inter is NaN",
		"bitpix.nii": "16 bits a voxel, the header says 8", "rgb.nii": "datatype 128", "complex.nii": "datatype 32", "offset.nii": "voxels at byte -352", "offset-nan.nii": "voxels at byte NaN",
		"magic.nii": "not NIfTI-1", "pair.nii": "in another file", "singular.nii": "singular", "zero-axis.nii": "spacing along file axis 0 is 0 mm", "nan-affine.nii": "is NaN",
		"quaternion.nii": "longer than 1", "metres.nii": "metres", "nan.nii": "NaN", "empty.nii": "truncated", "text.nii": "not a NIfTI file",
	}
	files, _ := filepath.Glob("testdata/bad-*")
	if len(files) != len(want) {
		t.Errorf("%d files, %d messages", len(files), len(want))
	}
	for _, f := range files {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := ReadNIfTI(f, HUSource{})
		runtime.ReadMemStats(&after)
		msg, ok := want[strings.TrimPrefix(filepath.Base(f), "bad-")]
		if err == nil || !ok || !strings.Contains(err.Error(), msg) || !strings.Contains(err.Error(), f) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %q, want %q", f, err, msg)
		}
		if grew := after.TotalAlloc - before.TotalAlloc; grew > 1<<20 {
			t.Errorf("%s: %d bytes allocated", f, grew)
		}
	}
	if _, err := ReadNIfTI("testdata/no-such.nii", HUSource{}); !os.IsNotExist(unwrapAll(err)) {
		t.Errorf("missing file: %v", err)
	}
}

func unwrapAll(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok || os.IsNotExist(err) {
			return err
		}
		err = u.Unwrap()
	}
}

// TestHUSource reads one file, stored int16 with slope 2.5 and intercept -1024, in the three ways.
func TestHUSource(t *testing.T) {
	read := func(src HUSource) []int16 {
		v, err := ReadNIfTI("testdata/slope-2.5.nii", src)
		if err != nil {
			t.Fatal(err)
		}
		return v.HU
	}
	stored, header := read(HUSource{Kind: "already-hu"}), read(HUSource{Kind: "header"})
	metadata := read(HUSource{"metadata", Metadata{Slope: 1, Intercept: -8192}})
	for i, s := range stored {
		if want := round(2.5*float64(s) - 1024); header[i] != want {
			t.Fatalf("header: %d becomes %d, want %d", s, header[i], want)
		}
		if metadata[i] != s-8192 {
			t.Fatalf("metadata: %d becomes %d", s, metadata[i])
		}
	}
	for _, src := range []HUSource{{Kind: "metadata"}, {"metadata", Metadata{Slope: math.NaN()}}, {"metadata", Metadata{Slope: 1, Intercept: math.Inf(1)}}, {Kind: "guess"}} {
		if _, err := ReadNIfTI("testdata/slope-2.5.nii", src); err == nil {
			t.Errorf("%+v is taken", src)
		}
	}
}

func TestPlausible(t *testing.T) {
	chest := func(shift int16) *Volume {
		v := &Volume{HU: make([]int16, 1000), Shape: [3]int{10, 10, 10}}
		for i := range v.HU {
			v.HU[i] = []int16{-1000, -850, -100, 40, 60}[i%5] + shift
		}
		return v
	}
	if err := chest(0).Plausible(); err != nil {
		t.Error(err)
	}
	for _, shift := range []int16{1024, -1024, 8192} { // the intercept forgotten, applied twice, CT-RATE's other one forgotten
		err := chest(shift).Plausible()
		if err == nil || !strings.Contains(err.Error(), "check hu_source") {
			t.Errorf("shift %d: %v", shift, err)
		}
	}
}

// FuzzReadNIfTI looks for panics and for memory taken on a header's word.
func FuzzReadNIfTI(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.nii*")
	for _, name := range files {
		b, _ := os.ReadFile(name)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "f.nii")
		os.WriteFile(path, b, 0o600)
		bounded(t, func() (*Volume, error) { return Open(path, Options{}) })
	})
}

// BenchmarkFileToDemo reads a 128^3 .nii.gz of noisy tissue and makes the demo tensor.
func BenchmarkFileToDemo(b *testing.B) {
	v := &Volume{HU: make([]int16, 128*128*128), Shape: [3]int{128, 128, 128}, SpacingMM: [3]float64{2.5, 2.8, 2.8}}
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range v.HU {
		v.HU[i] = int16(rng.NormFloat64()*15) + []int16{-1000, -850, 40}[i/4096%3]
	}
	path := filepath.Join(b.TempDir(), "v.nii.gz")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	z, _ := gzip.NewWriterLevel(f, 1)
	if err := errors.Join(WriteNIfTI(z, v), z.Close(), f.Close()); err != nil {
		b.Fatal(err)
	}
	demo, _ := PresetByName("demo")
	b.SetBytes(int64(2 * len(v.HU)))
	for b.Loop() {
		v, err := ReadNIfTI(path, HUSource{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := demo.Tensor(v.Scan()); err != nil {
			b.Fatal(err)
		}
	}
}

// What a table says of a grid is what a header with the same affine says.
func TestGeometryOfMetadata(t *testing.T) {
	for name, axes := range map[string][6]float64{"supine": {1, 0, 0, 0, 1, 0}, "prone": {-1, 0, 0, 0, -1, 0}, "feet first": {-1, 0, 0, 0, 1, 0}, "tilted": {1, 0, 0, 0, .96, -.28}, "sagittal": {0, 1, 0, 0, 0, -1}} {
		v := Volume{Shape: [3]int{4, 3, 2}, SpacingMM: [3]float64{3, 2, 1}, AffineLPS: [16]float64{15: 1}}
		r, c := axes[:3], axes[3:]
		for i, n := range [3]float64{r[1]*c[2] - r[2]*c[1], r[2]*c[0] - r[0]*c[2], r[0]*c[1] - r[1]*c[0]} {
			v.AffineLPS[4*i], v.AffineLPS[4*i+1], v.AffineLPS[4*i+2] = r[i], 2*c[i], 3*n
		}
		for i := range 24 {
			v.HU = append(v.HU, int16(i))
		}
		write := func(v Volume) string {
			path := filepath.Join(t.TempDir(), "x.nii")
			f, err := os.Create(path)
			if err == nil {
				err = errors.Join(WriteNIfTI(f, &v), f.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
			return path
		}
		want, err := ReadNIfTI(write(v), HUSource{})
		if err != nil {
			t.Fatal(err)
		}
		v.SpacingMM, v.AffineLPS = [3]float64{1, 1, 1}, [16]float64{-1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}
		path := write(v)
		src := HUSource{"metadata", Metadata{Slope: 1, SpacingMM: [3]float64{3, 2, 1}, Axes: axes}}
		got, err := ReadNIfTI(path, src)
		if err != nil || got.Digest() != want.Digest() || got.Shape != want.Shape {
			t.Fatalf("%s: %v, %+v; want %+v", name, err, got, want)
		}
		for i := range 12 {
			if math.Abs(got.AffineLPS[i]-want.AffineLPS[i]) > 1e-5 || math.Abs(got.SpacingMM[i%3]-want.SpacingMM[i%3]) > 1e-5 {
				t.Errorf("%s: affine %v, want %v", name, got.AffineLPS, want.AffineLPS)
			}
		}
		for _, bad := range []Metadata{{Slope: 1, SpacingMM: [3]float64{3, 2, 1}}, {Slope: 1, SpacingMM: [3]float64{3, -2, 1}, Axes: axes}, {Slope: 1, SpacingMM: [3]float64{3, 2, 1}, Axes: [6]float64{1, 0, 0, 1, 0, 0}}} {
			if _, err := ReadNIfTI(path, HUSource{"metadata", bad}); err == nil || !strings.Contains(err.Error(), "are no grid") {
				t.Errorf("%s: %+v: %v", name, bad, err)
			}
		}
	}
}
