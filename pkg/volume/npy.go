package volume

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// RAD-ChestCT's volumes: an array of this name, slices from the head down, of this spacing (Draelos et al. 2021,
// arXiv 2002.04752).
const (
	radchestKey = "ct.npy"
	radchestMM  = 0.8
)

// readNPZ reads the array ct of an npz.
func readNPZ(files []source, src HUSource) (*Volume, error) {
	var keys []string
	for _, s := range files {
		keys = append(keys, s.name)
	}
	i := slices.Index(keys, radchestKey)
	switch {
	case i < 0:
		return nil, fmt.Errorf("no array %s: there is %s", radchestKey, quoted(keys))
	case slices.Contains(keys[i+1:], radchestKey):
		return nil, fmt.Errorf("%s stands there twice", radchestKey)
	}
	in, err := files[i].open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return readNPY(in, files[i].size, src)
}

// quoted lists names, a few.
func quoted(names []string) string {
	more := ""
	if len(names) > 5 {
		names, more = names[:5], fmt.Sprintf(" and %d more", len(names)-5)
	}
	return fmt.Sprintf("%q", names) + more
}

// readNPY reads an array of int16 (z, y, x) in either order of memory; most is how many bytes it can have.
func readNPY(in io.Reader, most int64, src HUSource) (*Volume, error) {
	slope, inter, err := src.scale(func() (float64, float64, error) { return 1, 0, nil })
	if err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(in, 16<<10)
	h, err := readNPYHeader(r)
	if err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	order, err := h.ofVoxels()
	if err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	n := h.shape[0] * h.shape[1] * h.shape[2]
	if int64(2*n) > most {
		return nil, fmt.Errorf("npy: truncated: %d voxels are %d bytes, the file has %d", n, 2*n, most)
	}
	hu, scale := growing{most: n}, kind{size: 2, dtype: "int16"}.hu(order, slope, inter)
	for len(hu.hu) < n {
		piece := hu.next(min(n-len(hu.hu), pieceMost))
		if got, err := io.ReadFull(r, Bytes(piece)); err != nil {
			return nil, fmt.Errorf("npy: %w", short("voxels", 2*(len(hu.hu)-len(piece))+got, 2*n, err))
		}
		if err := scale(piece, Bytes(piece)); err != nil {
			return nil, err
		}
	}
	if err := drain(r); err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	return h.volume(hu.hu), nil
}

// npyHeader is what an npy file says (NumPy Enhancement Proposal 1 and numpy.lib.format).
type npyHeader struct {
	descr   string // type and byte order, as '<i2' (with its quotes)
	fortran bool   // the first axis is the fastest, not the last
	shape   []int  // none is negative
}

// npyHeadMost bounds the header; numpy's own limit is 10,000.
const npyHeadMost = 10_000

func readNPYHeader(r *bufio.Reader) (h npyHeader, err error) {
	b := make([]byte, 12)
	if n, err := io.ReadFull(r, b[:10]); err != nil {
		return h, short("header", n, 10, err)
	}
	n := int(binary.LittleEndian.Uint16(b[8:]))
	switch version := b[6]; {
	case string(b[:6]) != "\x93NUMPY":
		return h, fmt.Errorf("not an npy array: it begins with %q", b[:6])
	case version == 2, version == 3:
		if n, err := io.ReadFull(r, b[10:]); err != nil {
			return h, short("header", 10+n, 12, err)
		}
		n = int(binary.LittleEndian.Uint32(b[8:]))
	case version != 1:
		return h, fmt.Errorf("version %d: 1 to 3 are known", version)
	}
	if n > npyHeadMost {
		return h, fmt.Errorf("a header of %d bytes: the limit is %d", n, npyHeadMost)
	}
	text := make([]byte, n)
	if got, err := io.ReadFull(r, text); err != nil {
		return h, short("header", got, n, err)
	}
	return h, h.parse(string(text))
}

// npyDict is the header's Python dictionary; numpy writes its keys in any order.
var npyDict = regexp.MustCompile(`^\s*\{\s*(?:'(?:descr|fortran_order|shape)'\s*:\s*(?:'[^']*'|True|False|\([\d,\s]*\))\s*,?\s*){3}\}\s*$`)

var npyField = regexp.MustCompile(`'(descr|fortran_order|shape)'\s*:\s*('[^']*'|True|False|\([\d,\s]*\))`)

func (h *npyHeader) parse(text string) error {
	fields := map[string]string{}
	for _, m := range npyField.FindAllStringSubmatch(text, -1) {
		fields[m[1]] = m[2]
	}
	if !npyDict.MatchString(text) || len(fields) != 3 {
		return fmt.Errorf("the header is %.120q: not one of an array of numbers", text)
	}
	h.descr, h.fortran = fields["descr"], fields["fortran_order"] == "True"
	if !h.fortran && fields["fortran_order"] != "False" {
		return fmt.Errorf("fortran_order is %s", fields["fortran_order"])
	}
	size := 1
	for _, a := range strings.FieldsFunc(fields["shape"], func(r rune) bool { return strings.ContainsRune("(), \t\n", r) }) {
		n, err := strconv.Atoi(a)
		if err != nil || n > MaxVoxels/max(size, 1) {
			return fmt.Errorf("shape %s: more than %d voxels or numbers", fields["shape"], MaxVoxels)
		}
		h.shape = append(h.shape, n)
		size *= n
	}
	return nil
}

// ofVoxels checks that the array is a volume, and gives its byte order.
func (h *npyHeader) ofVoxels() (binary.ByteOrder, error) {
	if h.descr != "'<i2'" && h.descr != "'>i2'" {
		return nil, fmt.Errorf("an array of type %s: must be int16, as RAD-ChestCT has", h.descr)
	}
	if len(h.shape) != 3 {
		return nil, fmt.Errorf("shape %d: a CT volume has 3 axes", h.shape)
	}
	if n := h.shape[0] * h.shape[1] * h.shape[2]; n < 1 || n > MaxVoxels {
		return nil, fmt.Errorf("shape %d: must be 1 to %d voxels", h.shape, MaxVoxels)
	}
	if h.descr == "'>i2'" {
		return binary.BigEndian, nil
	}
	return binary.LittleEndian, nil
}

// volume turns the slices round, so that they go up, and places the first voxel at the origin: there is no other.
func (h *npyHeader) volume(hu []int16) *Volume {
	shape := [3]int(h.shape)
	dim, o := [3]int{shape[2], shape[1], shape[0]}, orientation{axis: [3]int{0, 1, 2}}
	if h.fortran {
		dim, o = shape, orientation{axis: [3]int{2, 1, 0}}
	}
	o.flip[2] = true
	v := &Volume{HU: permute(hu, dim, o), Shape: shape, SpacingMM: [3]float64{radchestMM, radchestMM, radchestMM}, StoredType: "int16"}
	for i := range 3 {
		v.AffineLPS[5*i] = radchestMM
	}
	v.AffineLPS[15] = 1
	return v
}
