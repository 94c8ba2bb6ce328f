package volume

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// gunzip reads a gzip file (RFC 1952) of any number of members, each to its checksum and length. Zeros may follow the
// last one, as tapes and some servers leave them; Python's gzip lets them pass too.
type gunzip struct {
	inflater
	member bool // within one
	some   bool // that was not the first
	crc    uint32
	size   uint32
	err    error
}

func newGunzip(r io.Reader) *gunzip { return &gunzip{inflater: inflater{r: r}} }

// Read gives what is decoded before it gives an error.
func (g *gunzip) Read(p []byte) (int, error) {
	for g.given == g.op && len(p) > 0 {
		if g.err != nil {
			return 0, g.err
		}
		g.err = g.next()
	}
	n := copy(p, g.out[g.given:g.op])
	g.given += n
	return n, nil
}

// next decodes the next window of a member.
func (g *gunzip) next() error {
	if !g.member {
		return g.header()
	}
	done, err := g.more()
	made := g.out[g.given:g.op]
	g.crc, g.size = crc32.Update(g.crc, crc32.IEEETable, made), g.size+uint32(len(made))
	if err != nil || !done {
		return err
	}
	g.member = false
	var want [8]byte
	for i := range want {
		if want[i], err = g.byte(); err != nil {
			return err
		}
	}
	if crc, size := binary.LittleEndian.Uint32(want[:]), binary.LittleEndian.Uint32(want[4:]); crc != g.crc || size != g.size {
		return fmt.Errorf("gzip: invalid checksum: %08x of %d bytes, the file says %08x of %d", g.crc, g.size, crc, size)
	}
	return nil
}

func (g *gunzip) byte() (byte, error) {
	if g.fill(1); g.ip >= g.end {
		return 0, g.cut()
	}
	g.ip++
	return g.in[g.ip-1], nil
}

// header reads a member's header, or the end of the file.
func (g *gunzip) header() error {
	if g.fill(1); g.ip == g.end && g.rerr == io.EOF && g.some {
		return io.EOF
	}
	if g.some && g.in[g.ip] == 0 {
		return g.zeros()
	}
	crc := uint32(0)
	next := func() (b byte, err error) {
		b, err = g.byte()
		crc = crc32.Update(crc, crc32.IEEETable, []byte{b})
		return b, err
	}
	var fixed [10]byte
	for i := range fixed {
		var err error
		if fixed[i], err = next(); err != nil {
			return err
		}
	}
	if string(fixed[:3]) != "\x1f\x8b\x08" {
		return errors.New("gzip: invalid header")
	}
	if err := optional(fixed[3], next, &crc); err != nil {
		return err
	}
	g.start()
	g.member, g.some, g.crc, g.size = true, true, 0, 0
	return nil
}

// optional reads the parts of a header that its flags name (RFC 1952, 2.3.1).
func optional(flags byte, next func() (byte, error), crc *uint32) error {
	two := func() (int, error) {
		lo, err := next()
		if err != nil {
			return 0, err
		}
		hi, err := next()
		return int(hi)<<8 | int(lo), err
	}
	if flags&4 != 0 { // FEXTRA
		n, err := two()
		for ; n > 0 && err == nil; n-- {
			_, err = next()
		}
		if err != nil {
			return err
		}
	}
	for _, text := range []byte{8, 16} { // FNAME, FCOMMENT
		for flags&text != 0 {
			b, err := next()
			if err != nil {
				return err
			}
			if b == 0 {
				break
			}
		}
	}
	if flags&2 != 0 { // FHCRC
		want := int(*crc & 0xffff)
		if got, err := two(); err != nil || got != want {
			return errors.Join(err, errors.New("gzip: invalid header checksum"))
		}
	}
	return nil
}

// zeros reads zeros to the end of the file.
func (g *gunzip) zeros() error {
	for {
		b, err := g.byte()
		switch {
		case err == io.ErrUnexpectedEOF:
			return io.EOF
		case err != nil:
			return err
		case b != 0:
			return errors.New("gzip: invalid header")
		}
	}
}
