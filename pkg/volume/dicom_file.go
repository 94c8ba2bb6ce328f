package volume

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// SOP classes that hold CT images (PS3.4, B.5).
var ctClasses = []string{"1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"}

// values are the raw values of elements that we use, by tag.
type values map[uint32]string

// text is a value without its padding.
func (v values) text(tag uint32) string { return strings.Trim(v[tag], " \x00") }

// word is an unsigned 16-bit value.
func (v values) word(tag uint32) (int, error) {
	s, ok := v[tag]
	if !ok || s == "" {
		return 0, missing(tag)
	}
	if len(s) != 2 {
		return 0, fmt.Errorf("%s has %d bytes, not 2", named(tag), len(s))
	}
	return int(binary.LittleEndian.Uint16([]byte(s))), nil
}

// numbers are n decimal numbers of a value.
func (v values) numbers(tag uint32, n int) ([]float64, error) {
	s := v.text(tag)
	if s == "" {
		return nil, missing(tag)
	}
	parts := strings.Split(s, `\`)
	if len(parts) != n {
		return nil, fmt.Errorf("%s is %q: must be %d decimal numbers", named(tag), s, n)
	}
	out := make([]float64, n)
	for i, p := range parts {
		p = strings.Trim(p, " \x00")
		x, err := strconv.ParseFloat(p, 64)
		if err != nil || strings.Trim(p, "+-.0123456789eE") != "" {
			return nil, fmt.Errorf("%s is %q: must be %d decimal numbers", named(tag), s, n)
		}
		out[i] = x
	}
	return out, nil
}

func (v values) uid(tag uint32) (string, error) {
	s := v.text(tag)
	if s == "" {
		return "", missing(tag)
	}
	if len(s) > 64 || strings.Trim(s, ".0123456789") != "" {
		return "", fmt.Errorf("%s is %q: not a UID", named(tag), s)
	}
	return s, nil
}

// or is v with what it lacks from w.
func (v values) or(w values, tags ...uint32) values {
	out := make(values, len(tags))
	for _, t := range tags {
		if s, ok := v[t]; ok {
			out[t] = s
		} else if s, ok := w[t]; ok {
			out[t] = s
		}
	}
	return out
}

// dicomFile is what a DICOM file says before its pixels.
type dicomFile struct {
	source
	head     values
	shared   values   // of all frames of an enhanced image
	perFrame []values // of each frame; nil in a classic image
	pixels   element
	pixelsAt int64  // byte where the value of pixels begins; 0 if there is none
	series   string // SeriesInstanceUID
	layout   pixelLayout
	frames   int
}

// errNotDICOM is a file to be passed over.
var errNotDICOM = errors.New("not a DICOM file")

// readHead reads a file up to its pixels, with a reader to use for that. Errors are errNotDICOM, those of the file's
// disk, or what is wrong with it; with the last the file is given too, with what had been read.
func readHead(s source, r *bufio.Reader) (*dicomFile, error) {
	return readElements(s, r, func(f *dicomFile, e *elements) see {
		return func(el element, depth int) (bool, error) { return f.see(e, el, depth) }
	})
}

// readElements shows the elements of the data set.
func readElements(s source, r *bufio.Reader, show func(*dicomFile, *elements) see) (*dicomFile, error) {
	in, err := s.open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	r.Reset(in)
	e := &elements{r: r}
	b, err := e.take(132)
	if string(b[min(128, len(b)):]) != "DICM" {
		if err != nil && err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, err
		}
		return nil, errNotDICOM
	}
	f := &dicomFile{source: s, head: values{}}
	err = f.meta(e)
	if err == nil {
		e.implicit = f.head.text(tagSyntaxUID) == implicitLittle
		err = e.level(0, -1, show(f, e))
	}
	if err == errStop {
		err = nil
	}
	return f, err
}

// meta reads group 2, which is in explicit VR whatever the data set is in. A data set that cannot be read at all stops there.
func (f *dicomFile) meta(e *elements) error {
	for {
		b, err := e.r.Peek(2)
		if err != nil || binary.LittleEndian.Uint16(b) != 2 {
			uid := f.head.text(tagSyntaxUID)
			if s := refusedSyntaxes[uid]; s.opaque || uid == "" {
				return refuseSyntax(uid)
			}
			return nil
		}
		el, err := e.next()
		if err != nil {
			return e.cut(err)
		}
		used, err := f.head.keep(e, el)
		if err == nil && !used {
			err = e.skip(el, 0)
		}
		if err != nil {
			return err
		}
	}
}

// keep takes the value of an element that we use; a second one would leave open which counts.
func (v values) keep(e *elements, el element) (bool, error) {
	if _, ok := keywords[el.tag]; !ok {
		return false, nil
	}
	if _, ok := v[el.tag]; ok {
		return false, fmt.Errorf("%s stands there twice", named(el.tag))
	}
	if el.length == undefined {
		return false, nil
	}
	s, err := e.value(el)
	v[el.tag] = s
	return true, err
}

// see reads an element of the data set's top level.
func (f *dicomFile) see(e *elements, el element, depth int) (bool, error) {
	switch el.tag {
	case tagPixels:
		f.pixels, f.pixelsAt = el, e.at
		return true, errStop
	case tagShared:
		return true, e.items(el, depth, func(i int) (see, error) {
			if i > 0 || f.shared != nil {
				return nil, errors.New("shared functional groups stand there twice")
			}
			f.shared = values{}
			return f.group(e, f.shared), nil
		})
	case tagPerFrame:
		n, err := f.frameCount()
		if err != nil {
			return true, err
		}
		return true, e.items(el, depth, func(i int) (see, error) {
			if i >= n || len(f.perFrame) > i {
				return nil, fmt.Errorf("functional groups of more than the %d frames", n)
			}
			f.perFrame = append(f.perFrame, values{})
			return f.group(e, f.perFrame[i]), nil
		})
	}
	if el.tag == tagModalityLUT {
		f.head[tagModalityLUT] = ""
		return false, nil
	}
	return f.head.keep(e, el)
}

// group reads what a frame's functional groups say of place and scale.
func (f *dicomFile) group(e *elements, into values) see {
	return func(el element, depth int) (bool, error) {
		switch el.tag {
		case groupPosition, groupOrientation, groupMeasures, groupPixelRescale:
			return true, e.items(el, depth, func(int) (see, error) {
				return func(el element, _ int) (bool, error) { return into.keep(e, el) }, nil
			})
		}
		return false, nil
	}
}

// framesMost bounds one file: a perfusion study has some thousand.
const framesMost = 1 << 16

func (f *dicomFile) frameCount() (int, error) {
	s := f.head.text(tagFrames)
	if s == "" {
		return 1, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > framesMost {
		return 0, fmt.Errorf("%s is %q: must be 1 to %d", named(tagFrames), s, framesMost)
	}
	return n, nil
}

// isCT tells a CT image from what is passed over: other modalities, localizers, screens that were saved as CT. What the
// data set does not say, because it cannot be read so far, the file's meta information does.
func (f *dicomFile) isCT() bool {
	class, modality := f.head.text(tagClassUID), f.head.text(tagModality)
	if class == "" {
		class = f.head.text(tagMediaClassUID)
	}
	return (class == "" || slices.Contains(ctClasses, class)) && (modality == "" || modality == "CT") && !f.isLocalizer()
}

func (f *dicomFile) isLocalizer() bool {
	return slices.Contains(strings.Split(strings.ReplaceAll(f.head.text(tagImageType), " ", ""), `\`), "LOCALIZER")
}

// check makes sense of a CT image's head.
func (f *dicomFile) check() (err error) {
	if err := refuseSyntax(f.head.text(tagSyntaxUID)); err != nil {
		return err
	}
	for _, tag := range []uint32{tagClassUID, tagModality} {
		if f.head.text(tag) == "" {
			return missing(tag)
		}
	}
	if f.series, err = f.head.uid(tagSeriesUID); err != nil {
		return err
	}
	if _, ok := f.head[tagModalityLUT]; ok {
		return fmt.Errorf("a %s: HU by table are not read", named(tagModalityLUT))
	}
	if f.frames, err = f.frameCount(); err != nil {
		return err
	}
	if f.perFrame == nil && f.frames > 1 || f.perFrame != nil && len(f.perFrame) != f.frames {
		return fmt.Errorf("%d frames, functional groups of %d: each frame needs its position", f.frames, len(f.perFrame))
	}
	if f.pixelsAt == 0 {
		return missing(tagPixels)
	}
	if err := f.layout.read(f.head); err != nil {
		return err
	}
	return f.checkPixels()
}

// checkPixels compares the length of the pixels with what the head needs, before anything is allocated for them.
func (f *dicomFile) checkPixels() error {
	if f.rle() {
		if f.pixels.length != undefined {
			return errors.New("RLE pixels that are not in fragments")
		}
		return nil
	}
	if f.pixels.length == undefined {
		return errors.New("pixels in fragments, but the transfer syntax is not a compressed one")
	}
	frame, has := int64(f.layout.bytes()), int64(f.pixels.length)
	need := frame * int64(f.frames)
	if has < need || has-need > 1+int64(f.layout.cols) {
		return fmt.Errorf("%s has %d bytes: %d rows of %d columns and %d bits in %d frames are %d", named(tagPixels), has, f.layout.rows, f.layout.cols, f.layout.allocated, f.frames, need)
	}
	if f.pixelsAt+need > f.size {
		return fmt.Errorf("truncated: the pixels end at byte %d, the file at %d", f.pixelsAt+need, f.size)
	}
	return nil
}

func (f *dicomFile) rle() bool { return f.head.text(tagSyntaxUID) == rleLossless }

// dicomSlice is one slice: a classic file or a frame of an enhanced one.
type dicomSlice struct {
	file         *dicomFile
	frame        int
	position     [3]float64 // of the first pixel's centre, LPS mm
	orientation  [6]float64 // direction of a row, then of a column
	spacing      [2]float64 // mm between rows, then between columns
	slope, inter float64
	along        float64 // of the position along the normal, mm
}

// slice reads what a frame says of itself, else what its file says of all.
func (f *dicomFile) slice(frame int, src HUSource) (p dicomSlice, err error) {
	tags := []uint32{tagPosition, tagOrientation, tagSpacing, tagSlope, tagIntercept, tagRescaleType}
	v := f.head
	if f.shared != nil {
		v = f.shared.or(v, tags...)
	}
	if f.perFrame != nil {
		v = f.perFrame[frame].or(v, tags...)
	}
	p = dicomSlice{file: f, frame: frame, slope: 1}
	for _, n := range []struct {
		tag uint32
		to  []float64
	}{{tagPosition, p.position[:]}, {tagOrientation, p.orientation[:]}, {tagSpacing, p.spacing[:]}} {
		x, err := v.numbers(n.tag, len(n.to))
		if err != nil {
			return p, err
		}
		copy(n.to, x)
	}
	if err := p.check(); err != nil {
		return p, err
	}
	p.slope, p.inter, err = src.scale(v.rescale)
	return p, err
}

// rescale reads slope and intercept; a type that says they do not give HU is refused (PS3.3, C.11.1.1.2).
func (v values) rescale() (slope, inter float64, err error) {
	s, err := v.numbers(tagSlope, 1)
	if err != nil {
		return 0, 0, err
	}
	i, err := v.numbers(tagIntercept, 1)
	if err != nil {
		return 0, 0, err
	}
	if t := v.text(tagRescaleType); t != "" && t != "HU" && t != "US" { // US: unspecified
		return 0, 0, fmt.Errorf("%s is %q, not HU", named(tagRescaleType), t)
	}
	if s[0] == 0 {
		return 0, 0, fmt.Errorf("%s is 0", named(tagSlope))
	}
	return s[0], i[0], nil
}

// check refuses directions that are not two unit vectors at a right angle, and lengths that are not positive.
func (p *dicomSlice) check() error {
	o := p.orientation
	x, y := [3]float64(o[:3]), [3]float64(o[3:])
	if off := max(math.Abs(dot(x, x)-1), math.Abs(dot(y, y)-1), math.Abs(dot(x, y))); !(off < 1e-3) {
		return fmt.Errorf("%s is %v: not two unit vectors at a right angle", named(tagOrientation), o)
	}
	for _, mm := range p.spacing {
		if !(mm > 0 && mm < 1e4) {
			return fmt.Errorf("%s is %v mm", named(tagSpacing), p.spacing)
		}
	}
	for _, mm := range p.position {
		if !(math.Abs(mm) < 1e6) {
			return fmt.Errorf("%s is %v mm", named(tagPosition), p.position)
		}
	}
	p.along = dot(p.position, cross(x, y))
	return nil
}

func dot(a, b [3]float64) float64 { return a[0]*b[0] + a[1]*b[1] + a[2]*b[2] }

func cross(a, b [3]float64) [3]float64 {
	return [3]float64{a[1]*b[2] - a[2]*b[1], a[2]*b[0] - a[0]*b[2], a[0]*b[1] - a[1]*b[0]}
}
