package volume

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// within is how far a tensor may be from float64 arithmetic, of values in [-1, 1].
const within = 5e-7

type tensorCase struct {
	Preset string
	Shape  [3]int
	MM     [3]float64
	Last   bool // clipped after resampling
	Mean   float64
	At     []int
	Values []float64
}

// values makes the case's volume, the hash of testdata/tensors.py, and its tensor.
func (c tensorCase) values(t *testing.T) []float32 {
	v := &Volume{Shape: c.Shape, SpacingMM: c.MM, HU: make([]int16, c.Shape[0]*c.Shape[1]*c.Shape[2])}
	for i := range v.HU {
		x := uint32(i) * 2654435761
		x ^= x >> 15
		v.HU[i] = int16(x*2246822519>>8%4000) - 2000
	}
	p, err := PresetByName(c.Preset)
	if err != nil {
		t.Fatal(err)
	}
	p.ClipLast = c.Last
	values := make([]float32, p.Len())
	if err := p.Values(values, v.Scan()); err != nil {
		t.Fatal(err)
	}
	return values
}

func tensorCases(t *testing.T) (cases []tensorCase) {
	b, err := os.ReadFile("testdata/tensors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

// TestTensorsAgainstTorch compares samples and means with what testdata/tensors.py, PyTorch in float64, made of the same
// volumes: ten spacings, odd and even sizes, cropped and padded, both orders of clipping.
func TestTensorsAgainstTorch(t *testing.T) {
	cases := tensorCases(t)
	if len(cases) != 26 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		values := c.values(t)
		for k, at := range c.At {
			if d := math.Abs(float64(values[at]) - c.Values[k]); !(d <= within) {
				t.Errorf("%s of %v at %v mm, clip last %v: value %d is %v, want %v", c.Preset, c.Shape, c.MM, c.Last, at, values[at], c.Values[k])
			}
		}
		sum := 0.0
		for _, x := range values {
			sum += float64(x)
		}
		if mean := sum / float64(len(values)); !(math.Abs(mean-c.Mean) <= within) {
			t.Errorf("%s of %v at %v mm, clip last %v: mean %v, want %v", c.Preset, c.Shape, c.MM, c.Last, mean, c.Mean)
		}
	}
}

// TestWholeTensorsAgainstTorch compares every value, with SILVERBEAM_TORCH, a Python with torch (make test-oracles).
func TestWholeTensorsAgainstTorch(t *testing.T) {
	python := os.Getenv("SILVERBEAM_TORCH")
	if python == "" {
		t.Skip("SILVERBEAM_TORCH names no Python")
	}
	dir := t.TempDir()
	if out, err := exec.Command(python, "testdata/tensors.py", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var volumes []tensorCase // each with both orders
	for _, c := range tensorCases(t) {
		if c.Preset == "mps-ct" {
			volumes = append(volumes, c)
		}
	}
	most := 0.0
	for i := range 2 * len(volumes) {
		c := volumes[i%len(volumes)]
		c.Preset = []string{"mps-ct", "ctclip"}[i/len(volumes)]
		values := c.values(t)
		b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%d.f64", i)))
		if err != nil || len(b) != 8*len(values) {
			t.Fatalf("%d values, %d bytes, %v", len(values), len(b), err)
		}
		for k, x := range values {
			d := math.Abs(float64(x) - math.Float64frombits(binary.LittleEndian.Uint64(b[8*k:])))
			if most = max(most, d); !(d <= within) {
				t.Fatalf("%s of %v at %v mm, clip last %v: value %d is off by %v", c.Preset, c.Shape, c.MM, c.Last, k, d)
			}
		}
	}
	t.Logf("%d tensors, largest difference %.3g", 2*len(volumes), most)
}

// TestLayoutCTCLIP: whatever the affine says, the tensor is that of the file's array [i][j][k] as [k][i][j].
func TestLayoutCTCLIP(t *testing.T) {
	p := Preset{SpacingMM: [3]float64{3, 1, 0.9}, Shape: [3]int{3, 5, 4}, LoHU: -1000, HiHU: 200}
	for name, v := range written() {
		path := save(t, name, v)
		turned := &Volume{Shape: [3]int{4, 6, 5}, SpacingMM: [3]float64{2.5, 0.6875, 0.75}}
		for k := range 4 {
			for i := range 6 {
				for j := range 5 {
					turned.HU = append(turned.HU, v.HU[(k*5+j)*6+i])
				}
			}
		}
		s, err := OpenScan(path, Options{}, LayoutCTCLIP)
		if err != nil {
			t.Fatal(err)
		}
		got, want := make([]float32, p.Len()), make([]float32, p.Len())
		if err := p.Values(want, turned.Scan()); err != nil {
			t.Fatal(err)
		}
		if err := p.Values(got, s); err != nil {
			t.Fatal(err)
		}
		s.Close()
		for i := range got {
			if math.Abs(float64(got[i]-want[i])) > 1e-6 { // spacings of a tilted affine are off by a rounding
				t.Fatalf("%s: value %d is %v, want %v", name, i, got[i], want[i])
			}
		}
	}
	if _, err := OpenScan("testdata/dicom/axes-prone.zip", Options{}, LayoutCTCLIP); err == nil {
		t.Error("DICOM has no such order")
	}
}

// TestWriteNPY writes what numpy.save does for the same array (numpy 2.4).
func TestWriteNPY(t *testing.T) {
	var b bytes.Buffer
	if err := WriteNPY(&b, [3]int{1, 1, 2}, []float32{-1, 0.5}); err != nil {
		t.Fatal(err)
	}
	want := "\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 2), }" +
		"                                                    \n\x00\x00\x80\xbf\x00\x00\x00\x3f"
	if b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
