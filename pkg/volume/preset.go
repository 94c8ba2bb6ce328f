package volume

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Preset says how a training tensor is made of a volume: resample, crop or pad to Via, crop to Shape, window.
//
// Resampling is separable and linear with half-pixel centres (torch's align_corners=False) in float32; the resampled
// size is int(n*spacing/SpacingMM). With LowPass, an axis that shrinks is averaged over a box as wide as the scale
// instead, so that a one-voxel nodule does not fall between samples. Crops start at (n-t)/2, pads are (t-n)/2 before.
type Preset struct {
	Name      string
	SpacingMM [3]float64 // z, y, x; zeros: the whole field becomes Shape
	Via       [3]int     // z, y, x: the box that is cropped or padded to first; zeros: none
	Shape     [3]int     // z, y, x
	LoHU      int        // becomes -1 in a training tensor; what is padded counts as air, padHU
	HiHU      int        // becomes 1
	LowPass   bool
	ClipLast  bool // clip to [-1000, 1000] HU after resampling, as CT-CLIP's training does, not before, as its inference does
}

// Stored tensors are clipped to this range; it is wide enough for every preset's window.
const (
	storedLo, storedHi = -1000, 1000
	padHU              = -1000
)

// presets: mps-ct is the paper's configuration; radchest has its numbers, for RAD-ChestCT's 0.8 mm arrays; ctclip is CT-CLIP's
// own; compact, demo and small are ours.
var presets = []Preset{
	{Name: "demo", SpacingMM: [3]float64{6, 3, 3}, Shape: [3]int{48, 96, 96}, LoHU: -1000, HiHU: 200, LowPass: true},
	{Name: "small", SpacingMM: [3]float64{9, 4.5, 4.5}, Shape: [3]int{32, 64, 64}, LoHU: -1000, HiHU: 200, LowPass: true},
	{Name: "mps-ct", SpacingMM: [3]float64{3, 1.5, 1.5}, Via: [3]int{120, 240, 240}, Shape: [3]int{96, 192, 192}, LoHU: -1000, HiHU: 200},
	{Name: "ctclip", SpacingMM: [3]float64{1.5, 0.75, 0.75}, Shape: [3]int{240, 480, 480}, LoHU: -1000, HiHU: 1000},
	{Name: "radchest", SpacingMM: [3]float64{3, 1.5, 1.5}, Via: [3]int{120, 240, 240}, Shape: [3]int{96, 192, 192}, LoHU: -1000, HiHU: 200},
	{Name: "compact", Shape: [3]int{128, 128, 128}, LoHU: -1000, HiHU: 1000, LowPass: true},
}

// PresetByName finds one of demo, small, mps-ct, ctclip, radchest, compact.
func PresetByName(name string) (Preset, error) {
	if i := slices.IndexFunc(presets, func(p Preset) bool { return p.Name == name }); i >= 0 {
		return presets[i], nil
	}
	return Preset{}, fmt.Errorf("volume: no preset %q: there are %s", name, strings.Join(PresetNames(), ", "))
}

// PresetNames lists the presets.
func PresetNames() (names []string) {
	for _, p := range presets {
		names = append(names, p.Name)
	}
	return names
}

// resampler and resamplerLast name the arithmetic of this file's neighbours; a change of their results changes them, and every digest.
const (
	resampler     = "separable linear half-pixel float32, box low-pass, rounded half to even: 1"
	resamplerLast = "separable linear half-pixel float64, box low-pass, rounded half to even: 1" // of ClipLast
)

// Digest identifies everything that decides the stored tensor and its training values: hex SHA-256.
func (p Preset) Digest() string {
	arithmetic := resampler
	if p.ClipLast {
		arithmetic = resamplerLast
	}
	b, err := json.Marshal(struct {
		Resampler string
		Preset    Preset
	}{arithmetic, p})
	if err != nil {
		panic("volume: preset " + p.Name + ": " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Len is the number of voxels of the tensor.
func (p Preset) Len() int { return p.Shape[0] * p.Shape[1] * p.Shape[2] }

// Tensor is the volume resampled, cropped and padded, in HU clipped to [-1000, 1000] and rounded half to even:
// len = z*y*x of p.Shape. It does not check that the values are plausible HU. It reads the scan to its end.
func (p Preset) Tensor(s *Scan) ([]int16, error) {
	out := make([]int16, p.Len())
	if p.ClipLast {
		return out, tensor(p, out, s, new(scratch[float64]))
	}
	memory := scratches.Get().(*scratch[float32])
	defer scratches.Put(memory)
	return out, tensor(p, out, s, memory)
}

func tensor[T real](p Preset, out []int16, s *Scan, memory *scratch[T]) error {
	return resample(p, s, memory, func(at int, row []T) {
		dst := out[at:][:len(row)]
		for i, x := range row {
			dst[i] = int16(math.RoundToEven(float64(x)))
		}
	}, func(from, to int) {
		for i := range out[from:to] {
			out[from+i] = padHU
		}
	})
}

// Values writes the training tensor without the rounding to whole HU that storage brings: what a stored tensor's Window
// gives, up to half a HU. It panics if len(dst) != p.Len().
func (p Preset) Values(dst []float32, s *Scan) error {
	if len(dst) != p.Len() {
		panic(fmt.Sprintf("volume: %d values for a tensor of %v", len(dst), p.Shape))
	}
	if p.ClipLast {
		return windowed(p, dst, s, new(scratch[float64]))
	}
	memory := scratches.Get().(*scratch[float32])
	defer scratches.Put(memory)
	return windowed(p, dst, s, memory)
}

func windowed[T real](p Preset, dst []float32, s *Scan, memory *scratch[T]) error {
	m, h := p.window()
	mid, half := T(m), T(h)
	return resample(p, s, memory, func(at int, row []T) {
		dst := dst[at:][:len(row)]
		for i, x := range row {
			dst[i] = float32(max(-1, min(1, (x-mid)/half)))
		}
	}, func(from, to int) {
		pad := float32(max(-1, min(1, (padHU-mid)/half)))
		for i := range dst[from:to] {
			dst[from+i] = pad
		}
	})
}

// Window makes training values of stored HU: LoHU becomes -1, HiHU 1, linear between, clamped outside. It panics if
// len(dst) != len(hu).
func (p Preset) Window(dst []float32, hu []int16) {
	if len(dst) != len(hu) {
		panic(fmt.Sprintf("volume: Window of %d HU into %d values", len(hu), len(dst)))
	}
	mid, half := p.window()
	lo, hi := int16(p.LoHU), int16(p.HiHU)
	for i, h := range hu {
		dst[i] = (float32(max(lo, min(hi, h))) - mid) / half
	}
}

func (p Preset) window() (mid, half float32) {
	return float32(p.LoHU+p.HiHU) / 2, float32(p.HiHU-p.LoHU) / 2
}
