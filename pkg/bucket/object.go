package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"gocloud.dev/blob"
)

// File is a file or an object that is open for reading.
type File interface {
	io.Reader
	io.ReaderAt
	io.Seeker
	io.Closer
}

// OpenFile opens a file or, by its URL, an object.
func OpenFile(path string) (File, error) {
	if !Is(path) {
		return os.Open(path)
	}
	return Open(context.Background(), path)
}

// Version tells versions of a file or an object apart.
func Version(path string) (string, error) {
	if Is(path) {
		e, err := Stat(context.Background(), path)
		return e.Version(), err
	}
	st, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d %d", st.Size(), st.ModTime().UnixNano()), nil
}

// Object is an object that is open for reading, in one version of it. It reads as it is asked; nothing is kept.
type Object struct {
	ctx    context.Context
	bucket *blob.Bucket
	place  place
	size   int64
	tag    string
	at     int64
	body   *blob.Reader // nil: none is open at that place
	cancel func()
}

// Open opens an object.
func Open(ctx context.Context, s string) (*Object, error) {
	b, p, err := open(s)
	if err != nil {
		return nil, err
	}
	a, err := b.Attributes(ctx, p.key)
	if err != nil {
		return nil, named(p, err)
	}
	return &Object{ctx: ctx, bucket: b, place: p, size: a.Size, tag: a.ETag}, nil
}

// Size is in bytes.
func (o *Object) Size() int64 { return o.size }

const (
	tries = 5                // of reading on at one place; the driver tries a request three times by itself
	stall = 60 * time.Second // without a byte, after which a read is tried again
)

// Read reads on.
func (o *Object) Read(b []byte) (n int, err error) {
	for try := 1; ; try++ {
		if o.at >= o.size {
			return 0, io.EOF
		}
		if n, err = o.read(b); n > 0 || err == nil {
			return n, nil
		}
		o.stop()
		if try == tries || !errors.Is(err, ErrTemporary) {
			return 0, err
		}
		wait := 100 * time.Millisecond << try
		if try == 1 {
			wait = 0 // a connection that ended may be made again
		}
		select {
		case <-time.After(wait):
		case <-o.ctx.Done():
			return 0, o.ctx.Err()
		}
	}
}

// read reads from the connection, opening one if need be.
func (o *Object) read(b []byte) (int, error) {
	if o.body == nil {
		ctx, cancel := context.WithCancel(o.ctx)
		body, err := o.bucket.NewRangeReader(ctx, o.place.key, o.at, -1, sameVersion(o.tag))
		if err != nil {
			cancel()
			return 0, named(o.place, err)
		}
		o.body, o.cancel = body, cancel
	}
	late := time.AfterFunc(stall, o.cancel)
	n, err := o.body.Read(b[:min(int64(len(b)), o.size-o.at)])
	late.Stop()
	o.at += int64(n)
	switch {
	case err == io.EOF && o.at == o.size:
		err = nil // the next Read says so
	case err == io.EOF:
		err = fmt.Errorf("%s: %w: the connection ended at byte %d of %d", o.place, ErrTemporary, o.at, o.size)
	case err != nil:
		if err = named(o.place, err); o.ctx.Err() == nil && !errors.Is(err, ErrTemporary) {
			err = fmt.Errorf("%s: %w: %s", o.place, ErrTemporary, cause(err)) // nothing but a connection breaks in the middle
		}
	}
	if err != nil && n > 0 {
		o.stop() // the rest is asked for anew
	}
	return n, err
}

func (o *Object) stop() {
	if o.body != nil {
		o.cancel()
		o.body.Close()
		o.body = nil
	}
}

// Seek moves to a place; the next Read asks for what is there.
func (o *Object) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += o.at
	case io.SeekEnd:
		offset += o.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("%s: seek to %d", o.place, offset)
	}
	if offset != o.at {
		o.stop()
		o.at = offset
	}
	return offset, nil
}

// ReadAt is a request of its own.
func (o *Object) ReadAt(b []byte, at int64) (int, error) {
	part := Object{ctx: o.ctx, bucket: o.bucket, place: o.place, size: min(o.size, at+int64(len(b))), tag: o.tag, at: at}
	defer part.Close()
	n, err := io.ReadFull(&part, b)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}

// Close ends the connection.
func (o *Object) Close() error {
	o.stop()
	return nil
}
