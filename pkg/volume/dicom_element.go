package volume

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Tags of the elements that we use (PS3.6), as group<<16 | element, with their keywords for messages.
const (
	tagSyntaxUID      = 0x00020010
	tagMediaClassUID  = 0x00020002
	tagImageType      = 0x00080008
	tagClassUID       = 0x00080016
	tagModality       = 0x00080060
	tagTilt           = 0x00181120
	tagSeriesUID      = 0x0020000E
	tagPosition       = 0x00200032
	tagOrientation    = 0x00200037
	tagFrameOfRefUID  = 0x00200052
	tagSamples        = 0x00280002
	tagPhotometric    = 0x00280004
	tagFrames         = 0x00280008
	tagRows           = 0x00280010
	tagColumns        = 0x00280011
	tagSpacing        = 0x00280030
	tagBitsAllocated  = 0x00280100
	tagBitsStored     = 0x00280101
	tagHighBit        = 0x00280102
	tagSigned         = 0x00280103
	tagPadding        = 0x00280120
	tagIntercept      = 0x00281052
	tagSlope          = 0x00281053
	tagRescaleType    = 0x00281054
	tagModalityLUT    = 0x00283000
	tagPixels         = 0x7FE00010
	tagShared         = 0x52009229 // functional groups of all frames
	tagPerFrame       = 0x52009230 // functional groups of each frame
	tagItem           = 0xFFFEE000
	tagItemEnd        = 0xFFFEE00D
	tagSequenceEnd    = 0xFFFEE0DD
	groupPosition     = 0x00209113
	groupOrientation  = 0x00209116
	groupMeasures     = 0x00289110
	groupPixelRescale = 0x00289145
)

var keywords = map[uint32]string{
	tagSyntaxUID: "TransferSyntaxUID", tagMediaClassUID: "MediaStorageSOPClassUID", tagImageType: "ImageType", tagClassUID: "SOPClassUID",
	tagModality: "Modality", tagTilt: "GantryDetectorTilt", tagSeriesUID: "SeriesInstanceUID", tagPosition: "ImagePositionPatient",
	tagOrientation: "ImageOrientationPatient", tagFrameOfRefUID: "FrameOfReferenceUID", tagSamples: "SamplesPerPixel",
	tagPhotometric: "PhotometricInterpretation", tagFrames: "NumberOfFrames", tagRows: "Rows", tagColumns: "Columns", tagSpacing: "PixelSpacing",
	tagBitsAllocated: "BitsAllocated", tagBitsStored: "BitsStored", tagHighBit: "HighBit", tagSigned: "PixelRepresentation",
	tagPadding: "PixelPaddingValue", tagIntercept: "RescaleIntercept", tagSlope: "RescaleSlope", tagRescaleType: "RescaleType",
	tagModalityLUT: "ModalityLUTSequence", tagPixels: "PixelData",
}

// named is a tag as a reader finds it in the standard: Rows (0028,0010).
func named(tag uint32) string {
	return fmt.Sprintf("%s (%04x,%04x)", keywords[tag], tag>>16, tag&0xffff)
}

// Limits of what is read before the pixels. CT headers have some kB, those of enhanced CT some MB.
const (
	headMost  = 16 << 20 // bytes before the pixels
	valueMost = 1 << 10  // bytes of a value that we use
	deepest   = 32       // sequences within sequences
	undefined = 0xFFFFFFFF
)

// element is the head of a data element; its value comes next.
type element struct {
	tag    uint32
	vr     string // "" in implicit VR and of items
	length uint32 // bytes of the value, or undefined
}

// elements reads a data set in little endian (PS3.5, 7). Its memory is the reader's buffer.
type elements struct {
	r        *bufio.Reader
	at       int64 // bytes read
	implicit bool
}

// take gives the next n bytes, valid until the next call.
func (e *elements) take(n int) ([]byte, error) {
	b, err := e.r.Peek(n)
	if err != nil {
		if err == io.EOF && len(b) > 0 {
			err = fmt.Errorf("truncated at byte %d: %w", e.at+int64(len(b)), io.ErrUnexpectedEOF)
		}
		return nil, err
	}
	e.r.Discard(n)
	if e.at += int64(n); e.at > headMost {
		return nil, errHead
	}
	return b, nil
}

var errHead = fmt.Errorf("more than %d bytes before the pixels", headMost)

func (e *elements) discard(n int64) error {
	if e.at+n > headMost {
		return errHead
	}
	m, err := io.CopyN(io.Discard, e.r, n)
	e.at += m
	if err == io.EOF {
		return fmt.Errorf("truncated: a value of %d bytes ends after %d", n, m)
	}
	return err
}

// next reads the head of an element; io.EOF is the end of the file between two.
func (e *elements) next() (el element, err error) {
	b, err := e.take(8)
	if err != nil {
		return el, err
	}
	el.tag = uint32(binary.LittleEndian.Uint16(b))<<16 | uint32(binary.LittleEndian.Uint16(b[2:]))
	if e.implicit || el.tag>>16 == 0xFFFE {
		el.length = binary.LittleEndian.Uint32(b[4:])
		return el, nil
	}
	if el.vr = string(b[4:6]); el.vr[0]-'A' > 25 || el.vr[1]-'A' > 25 {
		return el, fmt.Errorf("element (%04x,%04x) at byte %d has no value representation: %q", el.tag>>16, el.tag&0xffff, e.at-8, el.vr)
	}
	if shortVR[el.vr] {
		el.length = uint32(binary.LittleEndian.Uint16(b[6:]))
		return el, nil
	}
	if b, err = e.take(4); err != nil {
		return el, e.cut(err)
	}
	el.length = binary.LittleEndian.Uint32(b)
	return el, nil
}

// shortVR are the value representations with a length of two bytes (PS3.5, 7.1.2); all others have four.
var shortVR = map[string]bool{"AE": true, "AS": true, "AT": true, "CS": true, "DA": true, "DS": true, "DT": true, "FL": true, "FD": true, "IS": true,
	"LO": true, "LT": true, "PN": true, "SH": true, "SL": true, "SS": true, "ST": true, "TM": true, "UI": true, "UL": true, "US": true}

// cut says where the file ends too early.
func (e *elements) cut(err error) error {
	if err == io.EOF {
		return fmt.Errorf("truncated at byte %d: %w", e.at, io.ErrUnexpectedEOF)
	}
	return err
}

// value reads a value that we use.
func (e *elements) value(el element) (string, error) {
	if el.length > valueMost {
		return "", fmt.Errorf("%s has %d bytes: the limit is %d", named(el.tag), el.length, valueMost)
	}
	b, err := e.take(int(el.length))
	return string(b), e.cut(err)
}

// see is shown each element of a level. It reads the value and returns true, or returns false to have it skipped.
type see func(el element, depth int) (bool, error)

var errStop = errors.New("stop")

// level shows the elements up to the byte end; -1 is up to the item's delimiter, on the top level up to the file's end.
func (e *elements) level(depth int, end int64, s see) error {
	for end < 0 || e.at < end {
		el, err := e.next()
		switch {
		case err == io.EOF && depth == 0:
			return nil
		case err != nil:
			return e.cut(err)
		case el.tag == tagItemEnd && end < 0 && depth > 0:
			return nil
		case el.tag>>16 == 0xFFFE:
			return fmt.Errorf("a delimiter (%04x,%04x) out of place at byte %d", el.tag>>16, el.tag&0xffff, e.at-8)
		}
		used, err := s(el, depth)
		if err == nil && !used {
			err = e.skip(el, depth)
		}
		if err != nil {
			return err
		}
	}
	if end >= 0 && e.at != end {
		return fmt.Errorf("an element runs past the end of its item at byte %d", end)
	}
	return nil
}

// items shows the elements of each item of a sequence; begin is told its number.
func (e *elements) items(seq element, depth int, begin func(i int) (see, error)) error {
	if depth >= deepest {
		return fmt.Errorf("sequences are nested more than %d deep at byte %d", deepest, e.at)
	}
	end := e.end(seq)
	for i := 0; end < 0 || e.at < end; i++ {
		el, err := e.next()
		switch {
		case err != nil:
			return e.cut(err)
		case el.tag == tagSequenceEnd && end < 0:
			return nil
		case el.tag != tagItem:
			return fmt.Errorf("(%04x,%04x) at byte %d where an item must stand", el.tag>>16, el.tag&0xffff, e.at-8)
		}
		s, err := begin(i)
		if err == nil {
			err = e.level(depth+1, e.end(el), s)
		}
		if err != nil {
			return err
		}
	}
	if end >= 0 && e.at != end {
		return fmt.Errorf("an item runs past the end of its sequence at byte %d", end)
	}
	return nil
}

// end is the byte after the value that comes next; -1 where a delimiter ends it.
func (e *elements) end(el element) int64 {
	if el.length == undefined {
		return -1
	}
	return e.at + int64(el.length)
}

// skip passes over a value. What has no length is a sequence; of VR UN it is in implicit VR (PS3.5, 6.2.2). Pixels of no
// length are fragments: an icon image may have them.
func (e *elements) skip(el element, depth int) error {
	if el.length != undefined {
		return e.discard(int64(el.length))
	}
	if el.tag == tagPixels {
		return e.fragments()
	}
	defer func(was bool) { e.implicit = was }(e.implicit)
	e.implicit = e.implicit || el.vr == "UN"
	return e.items(el, depth, func(int) (see, error) { return skipAll, nil })
}

func skipAll(element, int) (bool, error) { return false, nil }

func (e *elements) fragments() error {
	for {
		el, err := e.next()
		if err != nil || el.tag == tagSequenceEnd {
			return e.cut(err)
		}
		if el.tag != tagItem || el.length == undefined {
			return fmt.Errorf("(%04x,%04x) at byte %d where a fragment of pixels must stand", el.tag>>16, el.tag&0xffff, e.at-8)
		}
		if err := e.discard(int64(el.length)); err != nil {
			return err
		}
	}
}
