package table

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"runtime"
)

// window is the part of a text file in memory: whole rows are looked at in place, and what is taken is hashed.
type window struct {
	r      io.Reader
	buf    []byte
	lo, hi int   // what is not taken yet
	hashed int   // buf[:hashed] has gone into h
	base   int64 // file offset of buf[0]
	line   int64 // of buf[lo], from 1
	eof    bool
	h      hash.Hash
	prefix []byte // hashed before each range: the header
	aside  *aside // hashes instead of h, if not nil
}

var errFull = errors.New("table: row does not fit the window")

func newWindow(r io.Reader, base, line int64) *window {
	return &window{r: r, buf: make([]byte, 256<<10), base: base, line: line, h: sha256.New()}
}

func (w *window) bytes() []byte { return w.buf[w.lo:w.hi] }

// take passes over n bytes, which hold that many line ends.
func (w *window) take(n, lines int) { w.lo, w.line = w.lo+n, w.line+int64(lines) }

// ignore takes bytes that are no row and do not count in the digest, since nobody can tell whose they are.
func (w *window) ignore(n, lines int) {
	w.flush()
	w.take(n, lines)
	w.hashed = w.lo
}

// more reads on, moving the rest to the front or growing as needed. It returns errFull if a record's worth is there.
func (w *window) more() error {
	if w.lo > 0 {
		w.flush()
		w.base += int64(w.lo)
		w.hi = copy(w.buf, w.buf[w.lo:w.hi])
		w.lo, w.hashed = 0, 0
	}
	if w.hi == len(w.buf) {
		if len(w.buf) >= maxRecord {
			return errFull
		}
		w.buf = append(w.buf, make([]byte, len(w.buf))...)
	}
	for w.hi < len(w.buf) {
		n, err := w.r.Read(w.buf[w.hi:])
		w.hi += n
		if err == io.EOF {
			w.eof = true
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// skipLine takes the rest of the line, however long.
func (w *window) skipLine() error {
	for {
		b := w.bytes()
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			w.take(i+1, 1)
			return nil
		}
		w.take(len(b), 0)
		if w.eof {
			return nil
		}
		if err := w.more(); err != nil {
			return err
		}
	}
}

func (w *window) flush() {
	if w.aside != nil {
		w.aside.write(w.prefix, w.buf[w.hashed:w.lo])
	} else {
		w.h.Write(w.buf[w.hashed:w.lo])
	}
	w.hashed = w.lo
}

func (w *window) place() (offset, line int64) { return w.base + int64(w.lo), w.line }

// begin starts the first range here; prefix is hashed before this and all later ones.
func (w *window) begin(prefix []byte) {
	w.prefix, w.hashed = bytes.Clone(prefix), w.lo
	w.h.Reset()
	w.h.Write(w.prefix)
}

func (w *window) sum() func() string {
	w.flush()
	if w.aside != nil {
		return w.aside.sum()
	}
	d := hex.EncodeToString(w.h.Sum(nil))
	w.h.Reset()
	w.h.Write(w.prefix)
	return func() string { return d }
}

// hashAside has other goroutines hash what is taken from here on, where a range starts: on one core that is most of the
// work of cutting. stop ends them.
func (w *window) hashAside() (stop func()) {
	cores := runtime.GOMAXPROCS(0)
	if cores == 1 {
		return func() {}
	}
	w.aside = &aside{free: make(chan []byte, 4*cores)}
	for range cap(w.aside.free) {
		w.aside.free <- nil
	}
	return w.aside.end
}

// aside hashes each range in a goroutine of its own: they overlap, as many as there are buffers for.
type aside struct {
	free   chan []byte // buffers; nil: not made yet
	pieces chan []byte // of the range that is being taken; nil: it has none yet
	digest chan string // of it
}

const asidePiece = 256 << 10

// write hashes b, which it copies, and before the first bytes of a range the prefix.
func (a *aside) write(prefix, b []byte) {
	if a.pieces == nil {
		a.pieces, a.digest = make(chan []byte, cap(a.free)), make(chan string, 1)
		go a.hash(prefix, a.pieces, a.digest)
	}
	for len(b) > 0 {
		n := min(len(b), asidePiece)
		a.pieces <- append((<-a.free)[:0], b[:n]...)
		b = b[n:]
	}
}

func (a *aside) hash(prefix []byte, pieces <-chan []byte, digest chan<- string) {
	h := sha256.New()
	h.Write(prefix)
	for b := range pieces {
		h.Write(b)
		a.free <- b
	}
	digest <- hex.EncodeToString(h.Sum(nil))
}

// sum ends a range and gives its digest once it is there, once.
func (a *aside) sum() func() string {
	a.end()
	digest := a.digest
	return func() string { return <-digest }
}

func (a *aside) end() {
	if a.pieces != nil {
		close(a.pieces)
		a.pieces = nil
	}
}
