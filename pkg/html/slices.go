package html

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/jpeg"
	"math"
)

// Window maps HU to grey: LoHU is black, HiHU white.
type Window struct{ LoHU, HiHU float64 }

// The usual reading windows, as centre ± half of width: lung -600 ± 750, mediastinum 40 ± 200.
var (
	Lung        = Window{-1350, 150}
	Mediastinum = Window{-160, 240}
)

// maxSide keeps an image of a 128³ or 480² volume at some 4 kB.
const maxSide = 160

// Slices cuts the middle axial and coronal slice and the sagittal one through the middle of the right lung (a third of the
// width; the very middle shows hardly any lung). hu is z*y*x, x fastest, in LPS; spacingMM is z, y, x in
// millimetres per voxel, zero meaning equal. Images are shown as a radiologist holds them: the patient's right on the
// left of axial and coronal, anterior on top of axial and on the left of sagittal, head up; a pixel is square, and at
// most 160 of them make a side. JPEG, as noise makes PNG three times as large.
func Slices(hu []int16, shape [3]int, spacingMM [3]float64, w Window) (Images, error) {
	z, y, x := shape[0], shape[1], shape[2]
	if z < 1 || y < 1 || x < 1 || len(hu) != z*y*x {
		return Images{}, fmt.Errorf("html: %d voxels for shape %v", len(hu), shape)
	}
	if !(w.HiHU > w.LoHU) {
		return Images{}, fmt.Errorf("html: window from %g to %g HU", w.LoHU, w.HiHU)
	}
	for i, mm := range spacingMM {
		if !(mm > 0) {
			spacingMM[i] = 1
		}
	}
	c := slicer{hu, w}
	axial := c.plane(z/2*y*x, y, x, x, 1, spacingMM[1], spacingMM[2])
	coronal := c.plane((z-1)*y*x+y/2*x, z, x, -y*x, 1, spacingMM[0], spacingMM[2]) // rows run from the head down
	sagittal := c.plane((z-1)*y*x+x/3, z, y, -y*x, x, spacingMM[0], spacingMM[1])
	var out Images
	for _, p := range []struct {
		img *image.Gray
		uri *string
	}{{axial, &out.Axial}, {coronal, &out.Coronal}, {sagittal, &out.Sagittal}} {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, p.img, &jpeg.Options{Quality: 80}); err != nil {
			return Images{}, fmt.Errorf("html: slice: %w", err)
		}
		*p.uri = "data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(b.Bytes())
	}
	return out, nil
}

type slicer struct {
	hu []int16
	w  Window
}

// plane samples rows×columns voxels, from origin in the given strides, to square pixels: each is the mean of four
// bilinear samples inside it, which is enough for the modest reductions of a thumbnail.
func (c slicer) plane(origin, rows, columns, rowStride, columnStride int, rowMM, columnMM float64) *image.Gray {
	height, width := float64(rows)*rowMM, float64(columns)*columnMM
	pixelMM := max(min(rowMM, columnMM), max(height, width)/maxSide)
	h, w := max(1, int(math.Round(height/pixelMM))), max(1, int(math.Round(width/pixelMM)))
	img := image.NewGray(image.Rect(0, 0, w, h))
	at := func(r, k float64) float64 {
		r, k = clamp(r, float64(rows-1)), clamp(k, float64(columns-1))
		r0, k0 := int(r), int(k)
		r1, k1 := min(r0+1, rows-1), min(k0+1, columns-1)
		v := func(r, k int) float64 { return float64(c.hu[origin+r*rowStride+k*columnStride]) }
		fr, fk := r-float64(r0), k-float64(k0)
		return (1-fr)*((1-fk)*v(r0, k0)+fk*v(r0, k1)) + fr*((1-fk)*v(r1, k0)+fk*v(r1, k1))
	}
	for i := range h {
		for j := range w {
			sum := 0.0
			for _, di := range []float64{.25, .75} {
				for _, dj := range []float64{.25, .75} {
					sum += at((float64(i)+di)*float64(rows)/float64(h)-.5, (float64(j)+dj)*float64(columns)/float64(w)-.5)
				}
			}
			grey := (sum/4 - c.w.LoHU) / (c.w.HiHU - c.w.LoHU)
			img.Pix[i*img.Stride+j] = uint8(math.Round(255 * clamp(grey, 1)))
		}
	}
	return img
}

func clamp(v, hi float64) float64 { return max(0, min(v, hi)) }
