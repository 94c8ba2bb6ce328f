package volume

import (
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
)

// inflater decodes one DEFLATE stream (RFC 1951) after another out of a reader, in windows of some 224 KiB: what is in
// memory does not grow with the stream. Its speed decides that of reading a .nii.gz, three quarters of which is this.
//
// The design is libdeflate's (Eric Biggers, decompress_template.h): a bit buffer of 64 bits filled without a branch, one
// table look-up a symbol with subtables for the long codes, matches copied eight bytes at a time past their end. Entries
// of two literals, as ISA-L has them, or of a literal and a length were slower: of CT voxels too few fit, and blocks are short.
// Every index into the fixed arrays is masked, so that the compiler leaves out its bounds checks and corrupt input can
// read or write nothing else.
type inflater struct {
	r    io.Reader
	rerr error // what r said at last, once it gives no more
	in   [inSize + 8]byte
	ip   int // in[ip:end] is not yet in the bit buffer
	end  int
	bits uint64 // the next bits, lowest first; those above count are right too, but are taken again
	left uint   // how many there are, in its low six bits

	out    [outSize + 8]byte
	op     int // out[:op] is made
	given  int // out[:given] is read
	oldest int // where the stream began, or the window: no match reaches further back

	final  bool // this block is the last
	stored int  // bytes left of a stored block
	coded  bool // within a block of codes

	codes   [1<<codeBits + subCodes]uint32
	offsets [1<<offsetBits + subOffsets]uint32
	lens    [320]uint8
}

const (
	inSize  = 1 << 16
	inSlack = 32 // bytes that one turn of the loop in block may load
	outSize = 1 << 18
	history = 1 << 15       // how far back a match may lie
	outFull = outSize - 288 // one turn makes up to 3 literals and a match of 258, copied in eights

	codeBits   = 11 // looked up at once of a literal or length
	offsetBits = 8  // and of an offset
	// What subtables can take, at most, of 286 codes of up to 15 bits behind 11 and of 30 behind 8 (zlib's enough.c
	// gives 2342 and 402 in all; powers of two are for the masks).
	subCodes   = 1<<12 - 1<<codeBits
	subOffsets = 1<<9 - 1<<offsetBits
)

// A table entry tells in its low byte how many bits it takes. A literal has its byte in bits 8 to 15; a length or offset
// its base in bits 16 to 30 and in 8 to 11 how many of its bits are the code, the rest being extra bits. An entry of 0 is
// no code.
const (
	isLiteral = 1 << 31
	isOther   = 1 << 15 // the end of the block, or a subtable
	isSub     = 1 << 14 // its start in bits 16 to 30, its index bits in 8 to 11
)

var (
	errCorrupt = errors.New("corrupt compressed data")
	errShort   = io.ErrUnexpectedEOF
)

// RFC 1951, 3.2.5 and 3.2.7.
var (
	lengthBase  = [29]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthExtra = [29]uint8{8: 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	offsetBase  = [30]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	offsetExtra = [30]uint8{4: 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
	lensOrder   = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
)

// start forgets the last stream: the next begins at in[ip].
func (d *inflater) start() {
	d.bits, d.left, d.final, d.coded, d.stored, d.oldest = 0, 0, false, false, 0, d.op
}

// fill makes sure that n bytes of input are there (at most inSize/2), unless the reader has no more.
func (d *inflater) fill(n int) {
	if d.end-d.ip >= n || d.rerr != nil {
		return
	}
	from := max(0, d.ip-8) // some of it may be given back
	d.end, d.ip = copy(d.in[:], d.in[from:d.end]), d.ip-from
	for d.end-d.ip < n && d.rerr == nil {
		var got int
		got, d.rerr = d.r.Read(d.in[d.end : inSize-2*inSlack])
		d.end += got
	}
	if d.rerr != nil {
		clear(d.in[d.end:]) // what is looked at past the end
	}
}

// past says whether bits were taken that the reader did not give.
func (d *inflater) past() bool { return d.ip-int(d.left&63>>3) > d.end }

// cut is the error of a stream that ended early.
func (d *inflater) cut() error {
	if d.rerr == io.EOF {
		return errShort
	}
	return d.rerr
}

// more makes more output, up to a full window; done says that the stream ended, with in[ip] the byte behind it.
func (d *inflater) more() (done bool, err error) {
	if d.op >= outFull {
		d.slide()
	}
	for d.op < outFull {
		switch {
		case d.stored > 0:
			err = d.copyStored()
		case d.coded:
			err = d.block()
		case d.final:
			return true, nil
		default:
			err = d.blockHeader()
		}
		if err != nil {
			return false, err
		}
		if d.final && !d.coded && d.stored == 0 {
			d.align()
		}
	}
	return false, nil
}

// slide keeps the history that later matches may want.
func (d *inflater) slide() {
	by := d.op - history
	copy(d.out[:history], d.out[by:d.op])
	d.op, d.given, d.oldest = history, d.given-by, max(0, d.oldest-by)
}

// align gives the bit buffer's whole bytes back.
func (d *inflater) align() {
	d.ip -= int(d.left & 63 >> 3)
	d.bits, d.left = 0, 0
}

func (d *inflater) refill() {
	d.bits |= d.load(d.ip) << (d.left & 63)
	d.ip += int(7 - d.left>>3&7)
	d.left |= 56
}

func (d *inflater) load(at int) uint64 {
	at &= inSize - 1
	return binary.LittleEndian.Uint64(d.in[at : at+8])
}

func (d *inflater) take(n uint) uint {
	v := uint(d.bits) & (1<<n - 1)
	d.bits >>= n
	d.left -= n
	return v
}

// blockHeader reads a block's type and its codes (RFC 1951, 3.2.3).
func (d *inflater) blockHeader() error {
	d.fill(1 << 10) // the longest is 565 bytes
	d.refill()
	d.final = d.take(1) == 1
	var err error
	switch d.take(2) {
	case 0:
		err = d.storedHeader()
	case 1:
		d.fixed()
		d.coded = true
	case 2:
		err = d.dynamic()
		d.coded = true
	default:
		err = errCorrupt
	}
	if d.past() {
		return d.cut()
	}
	return err
}

func (d *inflater) storedHeader() error {
	d.align()
	n := d.load(d.ip)
	d.ip += 4
	if n&0xffff^0xffff != n>>16&0xffff {
		return errCorrupt
	}
	d.stored = int(n & 0xffff)
	return nil
}

func (d *inflater) copyStored() error {
	if d.fill(1); d.end == d.ip {
		return d.cut()
	}
	n := copy(d.out[d.op:min(outSize, d.op+d.stored)], d.in[d.ip:d.end])
	d.op, d.ip, d.stored = d.op+n, d.ip+n, d.stored-n
	return nil
}

// fixed is RFC 1951, 3.2.6.
func (d *inflater) fixed() {
	for i := range d.lens {
		n := uint8(8)
		switch {
		case i >= 288:
			n = 5
		case i >= 280:
		case i >= 256:
			n = 7
		case i >= 144:
			n = 9
		}
		d.lens[i] = n
	}
	d.tables(288, 32)
}

// dynamic is RFC 1951, 3.2.7.
func (d *inflater) dynamic() error {
	codes, offsets, n := d.take(5)+257, d.take(5)+1, d.take(4)+4
	if codes > 286 || offsets > 30 {
		return errCorrupt
	}
	var lens [19]uint8
	for _, at := range lensOrder[:n] {
		d.refill()
		lens[at] = uint8(d.take(3))
	}
	var table [1 << 7]uint32
	if !build(table[:], 7, lens[:], func(symbol, bits int) uint32 { return uint32(symbol<<16 | bits) }) {
		return errCorrupt
	}
	for i := uint(0); i < codes+offsets; {
		d.refill()
		e := table[d.bits&(1<<7-1)]
		if e == 0 {
			return errCorrupt
		}
		d.take(uint(e & 63))
		v, times := uint8(e>>16), uint(1)
		switch v {
		case 16:
			if i == 0 {
				return errCorrupt
			}
			v, times = d.lens[i-1], 3+d.take(2)
		case 17:
			v, times = 0, 3+d.take(3)
		case 18:
			v, times = 0, 11+d.take(7)
		}
		if i+times > codes+offsets {
			return errCorrupt
		}
		for range times {
			d.lens[i] = v
			i++
		}
	}
	if !d.tables(int(codes), int(offsets)) {
		return errCorrupt
	}
	return nil
}

// tables makes both tables of d.lens.
func (d *inflater) tables(codes, offsets int) bool {
	ok := build(d.codes[:], codeBits, d.lens[:codes], func(symbol, bits int) uint32 {
		switch {
		case symbol < 256:
			return isLiteral | uint32(symbol<<8|bits)
		case symbol == 256:
			return uint32(isOther | bits)
		case symbol < 286:
			return uint32(int(lengthBase[symbol-257])<<16 | bits<<8 | (bits + int(lengthExtra[symbol-257])))
		}
		return 0
	})
	ok = ok && build(d.offsets[:], offsetBits, d.lens[codes:codes+offsets], func(symbol, bits int) uint32 {
		if symbol < 30 {
			return uint32(int(offsetBase[symbol])<<16 | bits<<8 | (bits + int(offsetExtra[symbol])))
		}
		return 0
	})
	return ok
}

// build makes a table for codes of the given lengths (0: unused), looked up by index bits, the first bit lowest. It says
// whether the lengths are those of a complete prefix code, or of a single code of one bit, or none, which is allowed.
func build(table []uint32, index int, lens []uint8, entry func(symbol, bits int) uint32) bool {
	var count, next [17]int
	for _, n := range lens {
		count[n]++
	}
	count[0] = 0
	space, longest := 1, 0
	for n := 1; n <= 15; n++ {
		if space = space<<1 - count[n]; space < 0 {
			return false
		}
		if next[n+1] = next[n] + count[n]; count[n] > 0 {
			longest = n
		}
	}
	if space > 0 && (longest > 1 || count[1] > 1) {
		return false
	}
	var sorted [320]uint16 // symbols by code
	first := next
	for s, n := range lens {
		if n > 0 {
			sorted[first[n]] = uint16(s)
			first[n]++
		}
	}
	clear(table[:1<<index])
	code, k := 0, 0
	sub := subtable{next: 1 << index, prefix: -1}
	for n := 1; n <= longest; n++ {
		for range count[n] {
			at := int(bits.Reverse16(uint16(code)) >> (16 - n))
			if n <= index {
				e := entry(int(sorted[k]), n)
				for i := at; i < 1<<index; i += 1 << n {
					table[i] = e
				}
			} else {
				if prefix := at & (1<<index - 1); prefix != sub.prefix {
					sub.open(table, prefix, index, n, count[n]-(k-next[n]), &count)
				}
				e := entry(int(sorted[k]), n-index)
				for i := at >> index; i < 1<<sub.bits; i += 1 << (n - index) {
					table[sub.start+i] = e
				}
			}
			code++
			k++
		}
		code <<= 1
	}
	return true
}

// subtable is the one being filled: of all codes that begin with prefix.
type subtable struct{ prefix, start, bits, next int }

// open begins the subtable of prefix, whose first code has n bits, of which there are rest more; it is as large as all
// codes with that prefix need, since the code is complete.
func (s *subtable) open(table []uint32, prefix, index, n, rest int, count *[17]int) {
	s.prefix, s.start, s.bits = prefix, s.next, n-index
	for space := 1<<s.bits - rest; space > 0 && n < 15; {
		n++
		s.bits++
		space = space<<1 - count[n]
	}
	s.next += 1 << s.bits
	clear(table[s.start:s.next])
	table[prefix] = uint32(isOther | isSub | s.start<<16 | s.bits<<8 | index)
}

// block decodes codes until the block ends, the window is full or the input used up.
func (d *inflater) block() error {
	for d.coded && d.op < outFull {
		d.fill(2 * inSlack)
		stop := d.end - inSlack
		if d.rerr != nil && d.ip >= stop {
			stop = d.ip + 1 // the last bytes, one turn at a time
		}
		op := d.op
		ok := d.turns(stop)
		if d.past() {
			d.op = op
			return d.cut()
		}
		if !ok {
			return errCorrupt
		}
	}
	return nil
}

// turns decodes while ip < stop. It says whether the codes were right.
func (d *inflater) turns(stop int) (ok bool) {
	const codeMask, offsetMask = 1<<codeBits - 1, 1<<offsetBits - 1
	bits, left, ip, op := d.bits, d.left, d.ip, d.op
	bits |= d.load(ip) << (left & 63)
	ip += int(7 - left>>3&7)
	left |= 56
	e := d.codes[bits&codeMask]
	for {
		// 56 bits or more, of which e takes the first: at most three entries of 11, or two and a length of 20
		was := bits
		bits >>= e & 63
		left -= uint(e)
		if int32(e) < 0 {
			d.out[op&(outSize-1)] = byte(e >> 8)
			op++
			e = d.codes[bits&codeMask]
			was = bits
			bits >>= e & 63
			left -= uint(e)
			if int32(e) < 0 {
				d.out[op&(outSize-1)] = byte(e >> 8)
				op++
				e = d.codes[bits&codeMask]
				was = bits
				bits >>= e & 63
				left -= uint(e)
				if int32(e) < 0 {
					d.out[op&(outSize-1)] = byte(e >> 8)
					op++
					goto next
				}
			}
		}
		if e&isOther != 0 {
			if e&isSub != 0 {
				e = d.codes[(e>>16+uint32(bits)&(1<<(e>>8&15)-1))&(1<<12-1)]
				was = bits
				bits >>= e & 63
				left -= uint(e)
				if int32(e) < 0 {
					d.out[op&(outSize-1)] = byte(e >> 8)
					op++
					goto next
				}
			}
			if e&isOther != 0 {
				d.coded, ok = false, true
				goto end
			}
		}
		{
			length := int(e>>16&0x1ff) + int(was&(1<<(e&63)-1)>>(e>>8&15))
			valid := e != 0
			if left&63 < 28+codeBits { // an offset takes up to 28, and the next look-up
				bits |= d.load(ip) << (left & 63)
				ip += int(7 - left>>3&7)
				left |= 56
			}
			e = d.offsets[bits&offsetMask]
			if e&isOther != 0 {
				bits >>= offsetBits
				left -= offsetBits
				e = d.offsets[(e>>16+uint32(bits)&(1<<(e>>8&15)-1))&(1<<9-1)]
			}
			offset := int(e>>16) + int(bits&(1<<(e&63)-1)>>(e>>8&15))
			bits >>= e & 63
			left -= uint(e)
			from := op - offset
			if !valid || e == 0 || from < d.oldest {
				goto end
			}
			to := op
			op += length
			for offset < 8 { // twice the pattern, until eight bytes are one
				d.copy8(to, from)
				to += offset
				offset += offset
			}
			d.copy8(to, from)
			for to += 8; to < op; to += 8 {
				from += 8
				d.copy8(to, from)
			}
		}
	next:
		e = d.codes[bits&codeMask]
		bits |= d.load(ip) << (left & 63)
		ip += int(7 - left>>3&7)
		left |= 56
		if ip >= stop || op >= outFull {
			ok = true
			goto end
		}
	}
end:
	d.bits, d.left, d.ip, d.op = bits, left, ip, op
	return ok
}

func (d *inflater) copy8(to, from int) {
	to, from = to&(outSize-1), from&(outSize-1)
	binary.LittleEndian.PutUint64(d.out[to:to+8], binary.LittleEndian.Uint64(d.out[from:from+8]))
}
