package volume

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/klauspost/compress/zip"
)

// noLimit is for files of a folder: their bytes are there.
const noLimit = math.MaxInt64

// directoryMost bounds a zip's list of its files, some 50,000 of them.
const directoryMost = 4 << 20

// meteredReaderAt gives so many bytes and no more, until it is told to give all.
type meteredReaderAt struct {
	io.ReaderAt
	left int64
}

func (m *meteredReaderAt) ReadAt(b []byte, at int64) (int, error) {
	if m.left -= int64(len(b)); m.left < 0 {
		return 0, fmt.Errorf("zip: more than %d bytes of directory", directoryMost)
	}
	return m.ReaderAt.ReadAt(b, at)
}

// readZip reads an npz, or a zip of one DICOM series. Nothing is unpacked to disk.
func readZip(f io.ReaderAt, size int64, o Options) (*Volume, error) {
	m := &meteredReaderAt{f, directoryMost}
	z, err := zip.NewReader(m, size)
	if err != nil {
		return nil, err
	}
	m.left = noLimit
	var files []source
	npz := false
	for _, f := range z.File {
		if err := checkEntry(f); err != nil {
			return nil, fmt.Errorf("zip: %q: %w", f.Name, err)
		}
		if !f.Mode().IsRegular() {
			continue
		}
		npz = npz || strings.HasSuffix(f.Name, ".npy")
		files = append(files, source{name: f.Name, size: int64(min(f.UncompressedSize64, math.MaxInt64)), checksum: true, open: f.Open})
	}
	if npz {
		if o.Series != "" {
			return nil, errors.New("an npz file has no DICOM series to pick")
		}
		return readNPZ(files, o.HU)
	}
	return readSeries(files, o, 4*size+4*headMost)
}

// checkEntry refuses entries that cannot be read, and names that point out of the archive: whoever made those did not
// make a scan.
func checkEntry(f *zip.File) error {
	name := strings.ReplaceAll(f.Name, `\`, "/")
	switch {
	case slices.Contains(strings.Split(name, "/"), ".."), strings.HasPrefix(name, "/"), len(name) > 1 && name[1] == ':':
		return errors.New("a path out of the archive")
	case f.Flags&1 != 0:
		return errors.New("encrypted")
	case f.Method != zip.Store && f.Method != zip.Deflate:
		return fmt.Errorf("compression method %d: only stored and deflated are read", f.Method)
	case f.UncompressedSize64 > math.MaxInt64:
		return errors.New("its size is not one")
	}
	return nil
}
