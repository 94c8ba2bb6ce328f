// Package volume reads CT scans and makes training tensors of them.
//
// A file becomes a Volume: int16 Hounsfield units on a regular grid in one canonical order (z, y, x in LPS), reached by
// permuting and flipping axes only. A Preset turns a Volume into a tensor of fixed shape by resampling, cropping and
// padding. Nothing here starts goroutines: the caller runs one volume per goroutine.
package volume

import (
	"errors"
	"fmt"
	"io"
	"os"
)

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

// HUSource says how stored voxel values become Hounsfield units.
type HUSource struct {
	Kind string // header (also ""): the file's own scaling; metadata: that of Metadata; already-hu: none
	Metadata
}

// Metadata is what a table says of a volume whose file does not: CT-RATE's first version.
type Metadata struct {
	Slope, Intercept float64    `json:",omitzero"` // HU = Slope*stored + Intercept
	SpacingMM        [3]float64 `json:",omitzero"` // z, y, x; zeros: as the file says
	Axes             [6]float64 `json:",omitzero"` // with SpacingMM: where a NIfTI file's first two axes run, unit vectors of LPS; its third is their normal
}

// scale is slope and intercept; header gives those of the file.
func (src HUSource) scale(header func() (slope, inter float64, err error)) (slope, inter float64, err error) {
	switch src.Kind {
	case "", "header":
		return header()
	case "already-hu":
		return 1, 0, nil
	case "metadata":
		if src.Slope == 0 || src.Slope-src.Slope != 0 || src.Intercept-src.Intercept != 0 { // x-x is not 0 for NaN and Inf
			return 0, 0, fmt.Errorf("metadata slope %v and intercept %v", src.Slope, src.Intercept)
		}
		return src.Slope, src.Intercept, nil
	}
	return 0, 0, fmt.Errorf("hu_source %q: must be header, metadata or already-hu", src.Kind)
}

// Options says what to read where that is not plain. Zero is the file's own scaling and its only series.
type Options struct {
	HU     HUSource
	Series string // SeriesInstanceUID of the DICOM series to read, where there are several
	Shear  bool   // DICOM of a tilted gantry is sheared back onto a grid, by linear interpolation; else it is an error
}

// Open reads a volume: a NIfTI file, an npy or npz file as RAD-ChestCT has them, a DICOM file, or a folder or zip with one
// DICOM series of CT. The content decides which, not the name. Errors name the path and are on one line; what they say
// of patients is at most names of files and UIDs.
func Open(path string, o Options) (*Volume, error) {
	v, err := open(path, o)
	if err != nil {
		return nil, fmt.Errorf("volume: %s: %w", path, plain(err))
	}
	return v, nil
}

// plain leaves the path out of an error of the file system: it is named already.
func plain(err error) error {
	if p, ok := err.(*os.PathError); ok {
		return p.Err
	}
	return err
}

func open(path string, o Options) (*Volume, error) {
	f, kind, err := begin(path, o)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return read(f, kind, path, o)
}

// begin opens a file, or a folder, and says of which kind it is.
func begin(path string, o Options) (f *os.File, kind string, err error) {
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, "", err
	case st.IsDir():
		kind = "folder"
	case !st.Mode().IsRegular(): // to open it might wait
		return nil, "", errors.New("not a file")
	}
	if f, err = os.Open(path); err != nil || kind != "" {
		return f, kind, err
	}
	b := make([]byte, beginBytes)
	n, err := io.ReadFull(f, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	kind = kindOf(b[:n])
	switch {
	case err != nil:
	case kind == "":
		err = fmt.Errorf("a file of %d bytes that is not NIfTI, npy, npz, DICOM or a zip of DICOM", st.Size())
	case o.Series != "" && (kind == "npy" || kind == "nifti"):
		err = fmt.Errorf("a file of kind %s has no DICOM series to pick", kind)
	}
	if err != nil {
		f.Close()
		return nil, "", err
	}
	return f, kind, nil
}

// read reads all of what begin has opened.
func read(f *os.File, kind, path string, o Options) (*Volume, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	switch kind {
	case "folder":
		files, err := folder(path)
		if err != nil {
			return nil, err
		}
		return readSeries(files, o, noLimit)
	case "dicom":
		s, err := fileSource(path)
		if err != nil {
			return nil, err
		}
		return readSeries([]source{s}, o, noLimit)
	case "zip":
		return readZip(f, st.Size(), o)
	case "npy":
		return readNPY(f, st.Size(), o.HU)
	}
	v, err := openNIfTI(f, o.HU)
	if err != nil {
		return nil, err
	}
	return v.volume()
}

// beginBytes is how many bytes kindOf needs: DICOM's magic is behind 128 others.
const beginBytes = 132

// kindOf knows a file by its first bytes.
func kindOf(b []byte) string {
	has := func(at int, magic string) bool {
		return len(b) >= at+len(magic) && string(b[at:at+len(magic)]) == magic
	}
	switch {
	case has(0, "PK\x03\x04"), has(0, "PK\x05\x06"):
		return "zip"
	case has(0, "\x93NUMPY"):
		return "npy"
	case has(128, "DICM"):
		return "dicom"
	case has(0, "\x1f\x8b"):
		return "nifti"
	case len(b) >= 4:
		if n, _ := headerBytes(b); n > 0 {
			return "nifti"
		}
	}
	return ""
}

// geometry is a volume without its voxels, made of a grid whose axes are dim long with the affine a and its orientation o.
func geometry(dim [3]int, a affine, o orientation, dtype string) *Volume {
	v, mm := &Volume{AffineLPS: a.oriented(o, dim), StoredType: dtype}, a.spacing()
	for i := range 3 { // z, y, x from x, y, z
		v.Shape[i], v.SpacingMM[i] = dim[o.axis[2-i]], mm[o.axis[2-i]]
	}
	return v
}
