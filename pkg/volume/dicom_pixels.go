package volume

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// pixelLayout is how a frame's pixels are stored (PS3.5, 8.1.1).
type pixelLayout struct {
	rows, cols        int
	allocated, stored int // bits
	signed            bool
	padding           int // the padding value as 16 bits; -1 for none
}

func (l *pixelLayout) read(v values) error {
	var samples, high, signed int
	l.padding = -1
	for _, w := range []struct {
		tag     uint32
		to      *int
		lo, hi  int
		options string
	}{
		{tagSamples, &samples, 1, 1, "1, as CT has"}, {tagRows, &l.rows, 1, 1 << 16, "1 or more"}, {tagColumns, &l.cols, 1, 1 << 16, "1 or more"},
		{tagBitsAllocated, &l.allocated, 8, 16, "8 or 16"}, {tagBitsStored, &l.stored, 1, 16, "1 to BitsAllocated"},
		{tagHighBit, &high, 0, 15, "BitsStored - 1"}, {tagSigned, &signed, 0, 1, "0 or 1"},
	} {
		n, err := v.word(w.tag)
		if err != nil {
			return err
		}
		if n < w.lo || n > w.hi {
			return fmt.Errorf("%s is %d: must be %s", named(w.tag), n, w.options)
		}
		*w.to = n
	}
	switch photometric := v.text(tagPhotometric); {
	case photometric == "":
		return missing(tagPhotometric)
	case photometric != "MONOCHROME2" && photometric != "MONOCHROME1":
		return fmt.Errorf("%s is %q: CT has MONOCHROME1 or MONOCHROME2", named(tagPhotometric), photometric)
	case l.allocated != 8 && l.allocated != 16:
		return fmt.Errorf("%s is %d: must be 8 or 16", named(tagBitsAllocated), l.allocated)
	case l.stored > l.allocated:
		return fmt.Errorf("%s is %d, %s %d", named(tagBitsStored), l.stored, named(tagBitsAllocated), l.allocated)
	case high != l.stored-1:
		return fmt.Errorf("%s is %d: must be BitsStored - 1 = %d", named(tagHighBit), high, l.stored-1)
	}
	l.signed = signed == 1
	if n, err := v.word(tagPadding); err == nil {
		l.padding = n
	}
	return nil
}

// bytes of a frame.
func (l *pixelLayout) bytes() int { return l.rows * l.cols * l.allocated / 8 }

func (l *pixelLayout) dtype() string {
	name := fmt.Sprintf("int%d", l.allocated)
	if !l.signed {
		name = "u" + name
	}
	return name
}

// value is the number that a pixel's bits stand for: those above the stored ones are none of it. A padding value that
// needs them is a negative number that did not fit; it is outside of what was scanned.
func (l *pixelLayout) value(word int) int {
	if word == l.padding && word>>l.stored != 0 && l.allocated == 16 {
		return int(int16(word))
	}
	word &= 1<<l.stored - 1
	if l.signed && word>>(l.stored-1) == 1 {
		word -= 1 << l.stored
	}
	return word
}

// toHU turns the words of a slice's pixels into HU, in place. It keeps its table while layout and scale stay the same.
type toHU struct {
	layout       pixelLayout
	slope, inter float64
	scale        func(hu []int16, stored []byte) error
}

func (t *toHU) apply(hu []int16, p *dicomSlice) {
	l := p.file.layout
	if add, ok := l.sum(p); ok {
		add.all(hu)
		return
	}
	if t.scale == nil || t.layout != l || t.slope != p.slope || t.inter != p.inter {
		t.layout, t.slope, t.inter = l, p.slope, p.inter
		t.scale = scaled16(binary.NativeEndian, p.slope, p.inter, func(w uint16) float64 { return float64(l.value(int(w))) })
	}
	t.scale(hu, Bytes(hu))
}

// lanes does hu = clip(int16(word&mask^flip) + add) to four words at a time; each field holds its number four times.
type lanes struct{ mask, flip, add, most uint64 } // most: what a sum that is too large becomes

// sum is slope and layout as such a sum, if they are one: a slope of 1 and a whole intercept. A sign bit below the highest
// is extended by turning it over and taking its weight off again.
func (l *pixelLayout) sum(p *dicomSlice) (lanes, bool) {
	add, flip := int(max(-1e6, min(1e6, p.inter))), 0
	if p.slope != 1 || float64(add) != p.inter || l.padding>>l.stored > 0 {
		return lanes{}, false
	}
	switch {
	case l.signed && l.stored < 16:
		flip = 1 << (l.stored - 1)
		add -= flip
	case !l.signed && l.stored == 16:
		flip = 1 << 15
		add += flip
	}
	most := math.MaxInt16
	if add < 0 {
		most = math.MinInt16
	}
	four := func(x int) uint64 { return uint64(uint16(x)) * 0x0001_0001_0001_0001 }
	return lanes{four(1<<l.stored - 1), four(flip), four(add), four(most)}, add == int(int16(add))
}

func (a lanes) all(hu []int16) {
	b := Bytes(hu)
	for ; len(b) >= 8; b = b[8:] {
		binary.NativeEndian.PutUint64(b, a.one(binary.NativeEndian.Uint64(b)))
	}
	var tail [8]byte
	copy(tail[:], b)
	binary.NativeEndian.PutUint64(tail[:], a.one(binary.NativeEndian.Uint64(tail[:])))
	copy(b, tail[:])
}

func (a lanes) one(words uint64) uint64 {
	const top = 0x8000_8000_8000_8000
	x := words&a.mask ^ a.flip
	sum := (x&^top + a.add&^top) ^ (x^a.add)&top   // no carry from lane to lane
	over := (^(x ^ a.add) & (x ^ sum) & top) >> 15 // like signs gave another one
	over *= 0xffff
	return sum&^over | a.most&over
}

// frameReader reads the pixels of one file after another and appends their HU.
type frameReader struct {
	hu       growing
	buf      *bufio.Reader
	to       toHU
	fragment []byte
}

// read appends the planes of one file, which are all its frames in order.
func (r *frameReader) read(planes []*dicomSlice) (err error) {
	f := planes[0].file
	in, err := f.open()
	if err != nil {
		return err
	}
	defer in.Close()
	r.buf.Reset(in)
	if n, err := io.CopyN(io.Discard, r.buf, f.pixelsAt); err != nil {
		return short("header", int(n), int(f.pixelsAt), err)
	}
	if f.rle() {
		err = r.rle(planes)
	} else {
		for _, p := range planes {
			if err == nil {
				err = r.native(p)
			}
		}
	}
	if err == nil && f.checksum {
		err = drain(r.buf)
	}
	return err
}

// native appends an uncompressed frame; its words are read to where their HU will be.
func (r *frameReader) native(p *dicomSlice) error {
	l := p.file.layout
	for left := l.rows * l.cols; left > 0; {
		hu := r.hu.next(min(left, pieceMost))
		left -= len(hu)
		b := Bytes(hu)
		if l.allocated == 8 {
			b = b[len(hu):] // widened from the front
		}
		if n, err := io.ReadFull(r.buf, b); err != nil {
			return short("pixels", n, len(b), err)
		}
		if l.allocated == 16 {
			inOrder(hu, b, binary.LittleEndian)
		} else {
			for i := range hu {
				hu[i] = int16(b[i])
			}
		}
		r.to.apply(hu, p)
	}
	return nil
}

// packBitsMost is how many bytes one byte of RLE can become: two make 128 (PS3.5, G.3.1).
const packBitsMost = 64

// rle appends the frames of a file in RLE: after a table of offsets, one fragment a frame (PS3.5, A.4 and G).
func (r *frameReader) rle(planes []*dicomSlice) error {
	e := &elements{r: r.buf}
	if el, err := r.item(e); err != nil || e.discard(int64(el.length)) != nil {
		return errors.Join(err, errors.New("RLE: no table of offsets"))
	}
	for _, p := range planes {
		e.at = 0 // the limit is of headers
		el, err := r.item(e)
		if err != nil {
			return fmt.Errorf("RLE frame %d: %w", p.frame+1, err)
		}
		need := p.file.layout.bytes()
		if int64(el.length) > 2*int64(need)+1024 {
			return fmt.Errorf("RLE frame %d: %d bytes for a frame of %d", p.frame+1, el.length, need)
		}
		if r.fragment, err = readInto(r.fragment, r.buf, int(el.length)); err != nil {
			return fmt.Errorf("RLE frame %d: %w", p.frame+1, err)
		}
		if need > packBitsMost*len(r.fragment) {
			return fmt.Errorf("RLE frame %d: %d bytes cannot hold a frame of %d", p.frame+1, len(r.fragment), need)
		}
		hu := r.hu.next(p.file.layout.rows * p.file.layout.cols)
		if err := unRLE(hu, r.fragment, p.file.layout.allocated/8); err != nil {
			return fmt.Errorf("RLE frame %d: %w", p.frame+1, err)
		}
		r.to.apply(hu, p)
	}
	if el, err := e.next(); err != nil || el.tag != tagSequenceEnd {
		return errors.New("RLE: more fragments than frames, or no end")
	}
	return nil
}

func (r *frameReader) item(e *elements) (element, error) {
	el, err := e.next()
	if err != nil {
		return el, e.cut(err)
	}
	if el.tag != tagItem || el.length == undefined {
		return el, errors.New("no fragment of pixels")
	}
	return el, nil
}

// readInto reads n bytes into buf, which grows as they come.
func readInto(buf []byte, r io.Reader, n int) ([]byte, error) {
	buf = buf[:0]
	for len(buf) < n {
		at := len(buf)
		buf = slices.Grow(buf, min(n-at, max(at, 1<<20)))
		m := min(n, cap(buf))
		k, err := io.ReadFull(r, buf[at:m])
		buf = buf[:at+k]
		if err != nil {
			return buf, short("fragment", len(buf), n, err)
		}
	}
	return buf, nil
}

// unRLE decodes a fragment: one segment for each byte of a word, the high one first (PS3.5, G.2).
func unRLE(words []int16, b []byte, bytesEach int) error {
	if len(b) < 64 {
		return fmt.Errorf("a header of %d bytes, not 64", len(b))
	}
	if n := binary.LittleEndian.Uint32(b); n != uint32(bytesEach) {
		return fmt.Errorf("%d segments, not %d", n, bytesEach)
	}
	for s := range bytesEach {
		from, to := int64(binary.LittleEndian.Uint32(b[4+4*s:])), int64(len(b))
		if s+1 < bytesEach {
			to = int64(binary.LittleEndian.Uint32(b[8+4*s:]))
		}
		if from < 64 || from > to || to > int64(len(b)) {
			return fmt.Errorf("segment %d at bytes %d to %d of %d", s+1, from, to, len(b))
		}
		if err := unpackBits(words, b[from:to], 8*(bytesEach-1-s), s == 0); err != nil {
			return fmt.Errorf("segment %d: %w", s+1, err)
		}
	}
	return nil
}

// unpackBits decodes a segment into the bits from shift on of each word.
func unpackBits(words []int16, b []byte, shift int, first bool) error {
	if first {
		clear(words)
	}
	at := 0
	for len(b) > 0 && at < len(words) {
		n := int(int8(b[0]))
		b = b[1:]
		switch {
		case n >= 0 && n < len(b) && n < len(words)-at:
			for _, x := range b[:n+1] {
				words[at] |= int16(uint16(x) << shift)
				at++
			}
			b = b[n+1:]
		case n < 0 && n > -128 && len(b) > 0 && -n < len(words)-at:
			x := int16(uint16(b[0]) << shift)
			for range 1 - n {
				words[at] |= x
				at++
			}
			b = b[1:]
		case n == -128:
		default:
			return fmt.Errorf("a run passes the end after %d of %d pixels", at, len(words))
		}
	}
	if at < len(words) || len(b) > 1 {
		return fmt.Errorf("%d of %d pixels, %d bytes left", at, len(words), len(b))
	}
	return nil
}
