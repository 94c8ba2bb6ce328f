package volume

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestNPYAgainstNumPy reads what testdata/makenpy.py made and compares with what NumPy read (npy.json).
func TestNPYAgainstNumPy(t *testing.T) {
	for name, w := range goldens(t, "npy.json", 20) {
		v, err := Open(filepath.Join("testdata/npy", name), Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		w.compare(t, name, v)
	}
}

// badNPY are the files that have to be refused, with what their refusal must say.
var badNPY = map[string]string{
	"no-ct.npz": "no array ct.npy: there is [\"volume.npy\" \"age.npy\"]", "folder.npz": "no array ct.npy", "twice.npz": "ct.npy stands there twice",
	"float32.npz": "an array of type '<f4': must be int16", "float64.npz": "'<f8'", "uint16.npz": "'<u2'", "int8.npz": "'|i1'", "int32.npz": "'<i4'", "complex.npz": "'<c8'", "bool.npz": "'|b1'",
	"text.npz": "'<U4'", "pickle.npz": "'|O'", "record.npy": "not one of an array of numbers", "2d.npy": "3 axes", "4d.npy": "3 axes", "scalar.npy": "3 axes",
	"shape-0.npy": "must be 1 to 1073741824 voxels", "shape-negative.npy": "not one of an array", "shape-huge.npy": "more than 1073741824 voxels", "shape-overflow.npy": "more than 1073741824 voxels", "shape-long.npy": "more than 1073741824 voxels",
	"shape-larger.npy": "truncated: 8000 voxels are 16000 bytes, the file has 248", "shape-limit.npy": "truncated", "shape-text.npy": "not one of an array", "shape-larger-deflated.npz": "truncated",
	"header-code.npy": "not one of an array", "header-two-shapes.npy": "not one of an array", "header-no-order.npy": "not one of an array", "header-more.npy": "not one of an array", "header-binary.npy": "not one of an array",
	"header-4-gb.npy": "a header of 4294967295 bytes: the limit is 10000", "header-open.npy": "not one of an array", "version-9.npy": "version 9", "magic.npz": "not an npy array", "short-header.npy": "truncated: 50 of 118 bytes of header",
	"only-magic.npy": "truncated: 8 of 10 bytes of header", "cut.npy": "truncated", "cut-entry.npz": "truncated", "empty-entry.npz": "truncated: 0 of 10 bytes of header", "crc.npz": "checksum",
	"cut.npz": "not a valid zip file", "bomb.npz": "more than 1048576 bytes follow the voxels", "path-up.npz": "a path out of the archive",
}

func TestBadNPYIsRefused(t *testing.T) {
	files, _ := filepath.Glob("testdata/npy/bad-*")
	if len(files) != len(badNPY) {
		t.Errorf("%d files, %d messages", len(files), len(badNPY))
	}
	for _, f := range files {
		_, err := Open(f, Options{})
		msg, ok := badNPY[strings.TrimPrefix(filepath.Base(f), "bad-")]
		if err == nil || !ok || !strings.Contains(err.Error(), msg) || !strings.HasPrefix(err.Error(), "volume: "+f+": ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %q, want %q", f, err, msg)
		}
	}
}
