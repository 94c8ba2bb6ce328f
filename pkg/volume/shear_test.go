package volume

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
)

// Goldens are what SimpleITK resamples: see testdata/shear.py.
func TestShearAsGolden(t *testing.T) {
	b, err := os.ReadFile("testdata/shear.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name        string
		Dim, To     [3]int
		MM          [2]float64
		Orientation [6]float64
		Positions   [][3]float64
		HU          []int16
		Origin      [3]float64
		Want        []float64
	}
	if err := json.Unmarshal(b, &cases); err != nil || len(cases) != 3 {
		t.Fatal(err, len(cases))
	}
	for _, c := range cases {
		var planes []*dicomSlice
		o := c.Orientation
		normal := [3]float64{o[1]*o[5] - o[2]*o[4], o[2]*o[3] - o[0]*o[5], o[0]*o[4] - o[1]*o[3]}
		for _, at := range c.Positions {
			planes = append(planes, &dicomSlice{position: at, orientation: o, spacing: c.MM, along: dot(at, normal)})
		}
		hu, to, a, err := shearBack(c.HU, c.Dim, planes)
		if err != nil || to != c.To {
			t.Errorf("%s: %v, %v; want %v", c.Name, to, err, c.To)
			continue
		}
		for i, want := range c.Want {
			if math.Abs(float64(hu[i])-want) > .5+1e-3 {
				t.Errorf("%s: voxel %d is %d, want %v", c.Name, i, hu[i], want)
				break
			}
		}
		for i, mm := range c.Origin {
			if lps := a[4*i+3] * [3]float64{-1, -1, 1}[i]; math.Abs(lps-mm) > 1e-6 {
				t.Errorf("%s: origin %v along %d, want %v", c.Name, lps, i, mm)
			}
			for k := range 3 { // the axes are at right angles, the third of 2 mm
				want := [3]float64{c.MM[1] * c.MM[1], c.MM[0] * c.MM[0], 4}[i]
				if d := a[i]*a[k] + a[4+i]*a[4+k] + a[8+i]*a[8+k]; i != k && math.Abs(d) > 1e-9 || i == k && math.Abs(d-want) > 1e-9 {
					t.Errorf("%s: axes %d and %d: %v", c.Name, i, k, d)
				}
			}
		}
	}
}

// A tilted series is read where that is asked for, and only if its positions say by how much.
func TestTiltedIsReadWhenAsked(t *testing.T) {
	v, err := Open("testdata/dicom/bad-tilt-by-position.zip", Options{Shear: true})
	if err != nil {
		t.Fatal(err)
	}
	// ten slices, each 0.4 mm further along columns of 0.75 mm, of 6 rows
	if v.Shape[0] != 10 || v.Shape[1] != 6+5 || math.Abs(v.SpacingMM[1]-.75) > 1e-9 {
		t.Errorf("%v voxels of %v mm", v.Shape, v.SpacingMM)
	}
	if _, err := Open("testdata/dicom/bad-tilt-by-tag.zip", Options{Shear: true}); err == nil || !strings.Contains(err.Error(), "tilted gantry: GantryDetectorTilt") {
		t.Error(err)
	}
	straight, err := Open("testdata/dicom/axes-prone.zip", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if same, err := Open("testdata/dicom/axes-prone.zip", Options{Shear: true}); err != nil || same.Digest() != straight.Digest() {
		t.Errorf("a straight series is another: %v", err)
	}
}
