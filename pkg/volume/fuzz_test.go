package volume

import (
	"archive/zip"
	"bufio"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime/metrics"
	"testing"
)

// allocated is what the process has allocated so far, in bytes.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// bounded fails where one input takes more than 512 MiB, or gives a volume that is not one.
func bounded(t *testing.T, read func() (*Volume, error)) {
	before := allocated()
	v, err := read()
	if took := allocated() - before; took > 512<<20 {
		t.Errorf("%d MiB allocated", took>>20)
	}
	if err == nil && (v.Shape[0]*v.Shape[1]*v.Shape[2] != len(v.HU) || len(v.HU) == 0) {
		t.Errorf("%d voxels in the shape %v", len(v.HU), v.Shape)
	}
}

func inMemory(b []byte) source {
	return source{name: "f", size: int64(len(b)), open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}
}

// FuzzDICOM reads one file as a series, and its first frame as one of two slices.
func FuzzDICOM(f *testing.F) {
	files, _ := filepath.Glob("testdata/dicom/*.zip")
	for _, name := range files {
		z, err := zip.OpenReader(name)
		if err != nil {
			continue
		}
		for _, e := range z.File[:min(1, len(z.File))] {
			in, err := e.Open()
			if err != nil {
				continue
			}
			if b, _ := io.ReadAll(io.LimitReader(in, 1<<14)); len(b) < 1<<14 {
				f.Add(b)
			}
		}
		z.Close()
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		bounded(t, func() (*Volume, error) {
			return readSeries([]source{inMemory(b)}, Options{Shear: len(b)%2 == 1}, noLimit)
		})
		buf := bufio.NewReaderSize(nil, 16<<10)
		head, err := readHead(inMemory(b), buf)
		if err != nil || head.check() != nil || head.frames > 1 {
			return
		}
		p, err := head.slice(0, HUSource{})
		if err != nil {
			return
		}
		other, q := *head, p
		q.file = &other
		for i := range q.position {
			q.position[i]++
		}
		bounded(t, func() (*Volume, error) { return stack([]*dicomSlice{&p, &q}, buf, len(b)%2 == 1) })
	})
}

// FuzzNPY reads an array.
func FuzzNPY(f *testing.F) {
	files, _ := filepath.Glob("testdata/npy/*.npy")
	for _, name := range files {
		b, _ := os.ReadFile(name)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		bounded(t, func() (*Volume, error) { return readNPY(bytes.NewReader(b), int64(len(b)), HUSource{}) })
	})
}

// FuzzZip reads an npz or a zip of DICOM.
func FuzzZip(f *testing.F) {
	for _, pattern := range []string{"testdata/npy/*.npz", "testdata/dicom/*.zip"} {
		files, _ := filepath.Glob(pattern)
		for _, name := range files {
			if b, _ := os.ReadFile(name); len(b) < 1<<14 {
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		bounded(t, func() (*Volume, error) { return readZip(bytes.NewReader(b), int64(len(b)), Options{}) })
	})
}
