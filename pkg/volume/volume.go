// Package volume reads CT scans and makes training tensors of them.
//
// A file becomes a Volume: int16 Hounsfield units on a regular grid in one canonical order (z, y, x in LPS), reached by
// permuting and flipping axes only. A Preset turns a Volume into a tensor of fixed shape by resampling, cropping and
// padding. Nothing here starts goroutines: the caller runs one volume per goroutine.
package volume

// Volume is one CT series on a regular grid.
type Volume struct {
	HU         []int16     // len = z*y*x, x fastest; Hounsfield units
	Shape      [3]int      // voxels, ordered z, y, x; x grows to the patient's left, y to posterior, z to superior (LPS)
	SpacingMM  [3]float64  // millimetres per voxel, ordered z, y, x
	AffineLPS  [16]float64 // 4x4 row-major: voxel indices (x, y, z, 1) of this array to LPS millimetres
	StoredType string      // the voxels' type in the file, as numpy names it ("int16", "float32"); "" if made in memory
}

// MaxVoxels bounds what a reader accepts: 2^30 voxels, or 2 GiB of int16 (CT-RATE's largest matrix is 1024 x 1024).
const MaxVoxels = 1 << 30
