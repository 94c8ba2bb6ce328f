package volume

import (
	"errors"
	"fmt"
)

// Scan is a volume that is read as it is used, slice by slice, so that a few slices are in memory and not all: a NIfTI
// file whose slowest axis is z, or a Volume. What else a file may be is read at once. It is good for one use.
type Scan struct {
	Shape      [3]int // as those of Volume
	SpacingMM  [3]float64
	AffineLPS  [16]float64
	StoredType string
	Seen       *Histogram // if not nil, every voxel is counted

	down  bool                             // the highest slice comes first
	next  func(want bool) ([]int16, error) // the next slice, valid until the one after it; anything if it is not wanted
	end   func() error                     // what follows the voxels is read, and its checksum
	close func() error
	path  string // of the file, or ""
	read  int    // slices
}

// Layouts of a Scan's axes.
const (
	LayoutZYX    = "zyx"    // z, y, x of LPS, as a Volume has them
	LayoutCTCLIP = "ctclip" // the file's k, i, j as they lie, whatever they mean: what CT-CLIP's scripts do
)

// OpenScan reads what Open does. Only NIfTI has another layout than LayoutZYX, which "" is too. The caller closes the
// Scan; errors of its use name the path too.
func OpenScan(path string, o Options, layout string) (*Scan, error) {
	s, err := openScan(path, o, layout)
	if err != nil {
		return nil, fmt.Errorf("volume: %s: %w", path, plain(err))
	}
	return s, nil
}

func openScan(path string, o Options, layout string) (s *Scan, err error) {
	f, kind, err := begin(path, o)
	if err != nil {
		return nil, err
	}
	if kind == "nifti" {
		if s, err = scanNIfTI(f, o.HU, layout); err != nil {
			f.Close()
			return nil, err
		}
		s.path, s.close = path, f.Close
		return s, nil
	}
	defer f.Close()
	if layout == LayoutCTCLIP {
		return nil, errors.New("not NIfTI: the layout ctclip is the order of axes of such a file")
	}
	v, err := read(f, kind, path, o)
	if err != nil {
		return nil, err
	}
	return v.Scan(), nil
}

// Scan reads a volume in memory.
func (v *Volume) Scan() *Scan {
	n, at := v.Shape[1]*v.Shape[2], 0
	nothing := func() error { return nil }
	return &Scan{Shape: v.Shape, SpacingMM: v.SpacingMM, AffineLPS: v.AffineLPS, StoredType: v.StoredType, close: nothing, end: nothing,
		next: func(bool) ([]int16, error) {
			if len(v.HU) != n*v.Shape[0] {
				return nil, fmt.Errorf("volume: %d voxels in the shape %v", len(v.HU), v.Shape)
			}
			at += n
			return v.HU[at-n : at], nil
		}}
}

// Close closes the file.
func (s *Scan) Close() error { return s.close() }

// slice gives slice z, which comes after those that were asked for (down: before); it is valid until the next call.
func (s *Scan) slice(z int) ([]int16, error) {
	if s.down {
		z = s.Shape[0] - 1 - z
	}
	for s.read < z {
		if _, err := s.more(false); err != nil {
			return nil, err
		}
	}
	return s.more(true)
}

func (s *Scan) more(want bool) ([]int16, error) {
	hu, err := s.next(want || s.Seen != nil)
	s.read++
	if err == nil && s.Seen != nil {
		s.Seen.Add(hu)
	}
	return hu, s.named(err)
}

func (s *Scan) named(err error) error {
	if err != nil && s.path != "" {
		return fmt.Errorf("volume: %s: %w", s.path, err)
	}
	return err
}

// finish reads to the end.
func (s *Scan) finish() error {
	for s.read < s.Shape[0] {
		if _, err := s.more(false); err != nil {
			return err
		}
	}
	return s.named(s.end())
}
