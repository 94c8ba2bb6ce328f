package html

import (
	"bytes"
	"encoding/base64"
	"image/jpeg"
	"strings"
	"testing"
)

func TestMoney(t *testing.T) {
	for pico, want := range map[int64]string{
		0: "$0.00", 1: "$0.000000000001", 1_500_000_000_000: "$1.50", -20_000_000_000: "−$0.02",
		1_234_567_890_000_000_000: "$1,234,567.89", 9223372036854775807: "$9,223,372.036854775807",
	} {
		if got := Money(pico); got != want {
			t.Errorf("Money(%d) = %s, want %s", pico, got, want)
		}
	}
}

func TestPerThousandReports(t *testing.T) {
	for _, c := range []struct {
		spent, reports int64
		want           string
	}{{0, 0, "undefined: no report"}, {3, 1, "$0.000000003"}, {1, 3000, "≈ $0.00"}, {2, 3000, "≈ $0.000000000001"}, {41_207_500_000, 636, "≈ $0.064792"}, {9e18, 1, "$9,000,000,000.00"}} {
		if got := (&Cost{Spent: c.spent, Reports: c.reports}).perThousand(); got != c.want {
			t.Errorf("%d pico over %d reports: %s, want %s", c.spent, c.reports, got, c.want)
		}
	}
}

// A bright voxel block low in z, anterior (low y) and to the patient's right (low x) must appear where a radiologist
// expects it.
func TestSlicesAreOriented(t *testing.T) {
	const z, y, x = 8, 16, 32
	hu := make([]int16, z*y*x)
	for i := range hu {
		hu[i] = -1000
		if i/(y*x) < z/2+1 && i/x%y < y/2+1 && i%x < x/2+1 {
			hu[i] = 1000
		}
	}
	im, err := Slices(hu, [3]int{z, y, x}, [3]float64{2, 1, 1}, Lung)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, uri string
		w, h      int
		bright    [2]float64 // share of width, height
	}{{"axial", im.Axial, x, y, [2]float64{.2, .2}}, {"coronal", im.Coronal, x, 2 * z, [2]float64{.2, .8}}, {"sagittal", im.Sagittal, y, 2 * z, [2]float64{.2, .8}}} {
		b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(c.uri, "data:image/jpeg;base64,"))
		if err != nil {
			t.Fatal(err)
		}
		img, err := jpeg.Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if s := img.Bounds().Size(); s.X != c.w || s.Y != c.h {
			t.Errorf("%s is %v, want %d×%d", c.name, s, c.w, c.h)
			continue
		}
		for _, fx := range []float64{.2, .8} {
			for _, fy := range []float64{.2, .8} {
				r, _, _, _ := img.At(int(fx*float64(c.w)), int(fy*float64(c.h))).RGBA()
				if want := [2]float64{fx, fy} == c.bright; (r > 0x8000) != want {
					t.Errorf("%s at %g, %g: grey %d, bright %v", c.name, fx, fy, r>>8, want)
				}
			}
		}
	}
}

func TestSlicesAreSmall(t *testing.T) {
	im, err := Slices(make([]int16, 30*300*400), [3]int{30, 300, 400}, [3]float64{}, Mediastinum)
	if err != nil || len(im.Axial) > 8000 {
		t.Errorf("%d bytes, %v", len(im.Axial), err)
	}
	if _, err := Slices(make([]int16, 7), [3]int{2, 2, 2}, [3]float64{}, Lung); err == nil {
		t.Error("7 voxels of shape 2×2×2 pass")
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		lo, hi float64
		n      int
		want   string
	}{{0, 1, 5, "0 0.2 0.4 0.6 0.8 1"}, {.31, .74, 4, "0.2 0.4 0.6 0.8"}, {0, 950, 5, "0 200 400 600 800 1000"}, {2, 2, 2, "2 2.5 3"}} {
		var got []string
		for _, v := range ticks(c.lo, c.hi, c.n) {
			got = append(got, short(v))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("ticks(%g, %g, %d) = %v, want %s", c.lo, c.hi, c.n, got, c.want)
		}
	}
}
