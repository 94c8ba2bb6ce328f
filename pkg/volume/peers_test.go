package volume_test

import (
	"compress/gzip"
	"errors"
	"os"
	"testing"

	"silverbeam/pkg/phantom"
	"silverbeam/pkg/volume"
)

// TestWritePhantom writes a phantom of 512 x 512 x 300 voxels, compressed as most tools do it (zlib's level 6), to the
// file that SILVERBEAM_PHANTOM names, for testdata/peers.py.
func TestWritePhantom(t *testing.T) {
	path := os.Getenv("SILVERBEAM_PHANTOM")
	if path == "" {
		t.Skip("SILVERBEAM_PHANTOM names no file")
	}
	o := phantom.Options{Studies: 1, Seed: 1, Shape: [3]int{300, 512, 512}}
	list, err := phantom.Draw(o)
	if err != nil {
		t.Fatal(err)
	}
	volumes, err := list[0].Render(o)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewWriterLevel(f, 6)
	if err := errors.Join(err, volume.WriteNIfTI(z, volumes[0]), z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}
