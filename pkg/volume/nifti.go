package volume

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"
)

// HUSource says how stored voxel values become Hounsfield units.
type HUSource struct {
	Kind             string  // header (also ""): the file's own scaling; metadata: Slope and Intercept; already-hu: none
	Slope, Intercept float64 // of Kind metadata: HU = Slope*stored + Intercept
}

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
	v, err := readNIfTI(f, src)
	if err != nil {
		return nil, fmt.Errorf("volume: %s: %w", path, err)
	}
	return v, nil
}

func readNIfTI(f *os.File, src HUSource) (*Volume, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New("not a file")
	}
	r := bufio.NewReader(f)
	most := st.Size()
	var in io.Reader = r
	if magic, _ := r.Peek(2); string(magic) == "\x1f\x8b" {
		in, most = newGunzip(r), st.Size()*deflateMost
	}
	h, raw, err := readRaw(in, most)
	if err != nil {
		return nil, err
	}
	return h.volume(raw, src)
}

// deflateMost bounds what one compressed byte can become (zlib's technical notes: 1032).
const deflateMost = 1032

// readRaw reads header and voxels. most is how many bytes the stream can have at all.
func readRaw(r io.Reader, most int64) (*header, []byte, error) {
	b := make([]byte, nifti1Bytes, nifti2Bytes)
	if n, err := io.ReadFull(r, b); err != nil {
		return nil, nil, short("header", n, nifti1Bytes, err)
	}
	n, order := headerBytes(b)
	if n == 0 {
		return nil, nil, errors.New("not a NIfTI file")
	}
	b = b[:n]
	if m, err := io.ReadFull(r, b[nifti1Bytes:]); err != nil {
		return nil, nil, short("header", nifti1Bytes+m, n, err)
	}
	h, err := parseHeader(b, order)
	if err != nil {
		return nil, nil, err
	}
	if m, err := io.CopyN(io.Discard, r, h.offset-int64(n)); err != nil {
		return nil, nil, short("header extension", n+int(m), int(h.offset), err)
	}
	want := h.dim[1] * h.dim[2] * h.dim[3] * int64(h.kind.size)
	if want > most {
		return nil, nil, fmt.Errorf("truncated: the voxels need %d bytes, the file can hold %d at most", want, most)
	}
	raw, err := readGrowing(r, int(want))
	if err != nil {
		return nil, nil, err
	}
	return h, raw, drain(r)
}

func short(what string, got, want int, err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("truncated: %d of %d bytes of %s", got, want, what)
	}
	return fmt.Errorf("after %d of %d bytes of %s: %w", got, want, what, err)
}

// readGrowing reads want bytes into memory that grows with what has come; it is aligned for any voxel type.
func readGrowing(r io.Reader, want int) ([]byte, error) {
	buf, got := aligned(min(want, 16<<20)), 0
	for {
		n, err := io.ReadFull(r, buf[got:])
		if got += n; err != nil {
			return nil, short("voxels", got, want, err)
		}
		if got == want {
			return buf, nil
		}
		grown := aligned(min(want, 4*got))
		copy(grown, buf)
		buf = grown
	}
}

func aligned(n int) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(make([]uint64, n/8+1)))), n)
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

// volume makes the canonical array of stored voxels.
func (h *header) volume(raw []byte, src HUSource) (*Volume, error) {
	slope, inter, err := h.rescale(src)
	if err != nil {
		return nil, err
	}
	a, err := h.affine()
	if err != nil {
		return nil, err
	}
	o, err := a.orientation()
	if err != nil {
		return nil, err
	}
	hu, err := h.hu(raw, slope, inter)
	if err != nil {
		return nil, err
	}
	dim, mm := [3]int{int(h.dim[1]), int(h.dim[2]), int(h.dim[3])}, a.spacing()
	v := &Volume{HU: permute(hu, dim, o), AffineLPS: a.oriented(o, dim), StoredType: h.kind.dtype}
	for i := range 3 { // z, y, x from x, y, z
		v.Shape[i], v.SpacingMM[i] = dim[o.axis[2-i]], mm[o.axis[2-i]]
	}
	return v, nil
}

func (h *header) rescale(src HUSource) (slope, inter float64, err error) {
	switch src.Kind {
	case "", "header":
		return h.scale()
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
