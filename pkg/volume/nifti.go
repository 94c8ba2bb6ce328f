package volume

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxTrailing is how many bytes may follow the voxels: other readers ignore them, so a few are let pass.
const maxTrailing = 1 << 20

// ReadNIfTI reads a single-file NIfTI-1 or NIfTI-2, gzipped (of any number of members) or not, whatever its name.
//
// Rules are nibabel's: the scaling of scl_slope, sform before qform before pixdim, a trailing axis of 1 dropped. HU are
// computed in float64, rounded half to even and clipped to int16. A gzip stream is read to its end, so that its
// checksum counts. Memory is committed as voxels arrive, never on a header's word. Errors name the path.
func ReadNIfTI(path string, src HUSource) (*Volume, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("volume: %w", err)
	}
	defer f.Close()
	n, err := openNIfTI(f, src)
	if err != nil {
		return nil, fmt.Errorf("volume: %s: %w", path, err)
	}
	v, err := n.volume()
	if err != nil {
		return nil, fmt.Errorf("volume: %s: %w", path, err)
	}
	return v, nil
}

func scanNIfTI(f *os.File, src HUSource, layout string) (*Scan, error) {
	n, err := openNIfTI(f, src)
	if err != nil {
		return nil, err
	}
	if layout == LayoutCTCLIP {
		n.turn = orientation{axis: [3]int{1, 0, 2}}
	}
	return n.scan()
}

// nifti is a file whose header is read and whose voxels are next.
type nifti struct {
	*header
	in     io.Reader
	dim    [3]int // voxels along the file's axes, the first fastest
	affine affine
	turn   orientation
	hu     func(hu []int16, stored []byte) error
	stored []byte // scratch
	got    int    // bytes of voxels read
}

func openNIfTI(f *os.File, src HUSource) (*nifti, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New("not a file")
	}
	r := bufio.NewReader(f)
	n, most := &nifti{in: r}, st.Size()
	if magic, _ := r.Peek(2); string(magic) == "\x1f\x8b" {
		n.in, most = newGunzip(r), st.Size()*deflateMost
	}
	if n.header, err = readHeader(n.in); err != nil {
		return nil, err
	}
	n.dim = [3]int{int(n.header.dim[1]), int(n.header.dim[2]), int(n.header.dim[3])}
	if int64(n.bytes()) > most {
		return nil, fmt.Errorf("truncated: the voxels need %d bytes, the file can hold %d at most", n.bytes(), most)
	}
	slope, inter, err := src.scale(n.header.scale)
	if err != nil {
		return nil, err
	}
	n.hu = n.kind.hu(n.order, slope, inter)
	if src.Kind == "metadata" && src.SpacingMM != [3]float64{} {
		n.affine, err = src.affine()
	} else {
		n.affine, err = n.header.affine()
	}
	if err != nil {
		return nil, err
	}
	n.turn, err = n.affine.orientation()
	return n, err
}

// deflateMost bounds what one compressed byte can become (zlib's technical notes: 1032).
const deflateMost = 1032

func readHeader(r io.Reader) (*header, error) {
	b := make([]byte, nifti1Bytes, nifti2Bytes)
	if n, err := io.ReadFull(r, b); err != nil {
		return nil, short("header", n, nifti1Bytes, err)
	}
	n, order := headerBytes(b)
	if n == 0 {
		return nil, errors.New("not a NIfTI file")
	}
	b = b[:n]
	if m, err := io.ReadFull(r, b[nifti1Bytes:]); err != nil {
		return nil, short("header", nifti1Bytes+m, n, err)
	}
	h, err := parseHeader(b, order)
	if err != nil {
		return nil, err
	}
	if m, err := io.CopyN(io.Discard, r, h.offset-int64(n)); err != nil {
		return nil, short("header extension", n+int(m), int(h.offset), err)
	}
	return h, nil
}

func (n *nifti) voxels() int { return n.dim[0] * n.dim[1] * n.dim[2] }
func (n *nifti) bytes() int  { return n.voxels() * n.kind.size }

// read makes HU of the file's next voxels.
func (n *nifti) read(hu []int16) error {
	stored := Bytes(hu) // in place
	if size := len(hu) * n.kind.size; size != len(stored) {
		if cap(n.stored) < size {
			n.stored = make([]byte, size)
		}
		stored = n.stored[:size]
	}
	got, err := io.ReadFull(n.in, stored)
	if n.got += got; err != nil {
		return short("voxels", n.got, n.bytes(), err)
	}
	return n.hu(hu, stored)
}

// skip passes over voxels.
func (n *nifti) skip(voxels int) error {
	got, err := io.CopyN(io.Discard, n.in, int64(voxels*n.kind.size))
	if n.got += int(got); err != nil {
		return short("voxels", n.got, n.bytes(), err)
	}
	return nil
}

// volume reads everything.
func (n *nifti) volume() (*Volume, error) {
	hu := growing{most: n.voxels()}
	for left := n.voxels(); left > 0; {
		piece := hu.next(min(left, pieceMost))
		left -= len(piece)
		if err := n.read(piece); err != nil {
			return nil, err
		}
	}
	v := n.geometry()
	v.HU = permute(hu.hu, n.dim, n.turn)
	return v, drain(n.in)
}

// geometry is the volume without its voxels.
func (n *nifti) geometry() *Volume {
	return geometry(n.dim, n.affine, n.turn, n.kind.dtype)
}

// scan is the file slice by slice, if that is how it lies.
func (n *nifti) scan() (*Scan, error) {
	size := n.dim[0] * n.dim[1]
	if n.turn.axis[2] != 2 || size > pieceMost {
		v, err := n.volume()
		if err != nil {
			return nil, err
		}
		return v.Scan(), nil
	}
	s := n.geometry().Scan()
	s.down = n.turn.flip[2]
	slice := make([]int16, size)
	inPlane := n.turn
	inPlane.flip[2] = false
	s.next = func(want bool) ([]int16, error) {
		if !want && !n.kind.float() { // those are looked through for NaN
			return nil, n.skip(size)
		}
		if err := n.read(slice); err != nil {
			return nil, err
		}
		return permute(slice, [3]int{n.dim[0], n.dim[1], 1}, inPlane), nil
	}
	s.end = func() error { return drain(n.in) }
	return s, nil
}

func short(what string, got, want int, err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("truncated: %d of %d bytes of %s", got, want, what)
	}
	return fmt.Errorf("after %d of %d bytes of %s: %w", got, want, what, err)
}

// drain reads to the end, which is where gzip keeps its checksum.
func drain(r io.Reader) error {
	n, err := io.Copy(io.Discard, io.LimitReader(r, maxTrailing+1))
	if err != nil {
		return fmt.Errorf("after the voxels: %w", err)
	}
	if n > maxTrailing {
		return fmt.Errorf("more than %d bytes follow the voxels", maxTrailing)
	}
	return nil
}
