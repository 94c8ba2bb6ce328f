package bucket

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// Put makes an object of a file. It is seen whole or not at all, and replaces what was there.
func Put(ctx context.Context, s, file string) error {
	b, p, err := open(s)
	if err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := b.Upload(ctx, p.key, f, &blob.WriterOptions{ContentType: "application/octet-stream"}); err != nil {
		return named(p, err)
	}
	return nil
}

// PutIf makes an object of bytes where it is still the one that had the tag, or, if that is "", where none is. Else it is
// ErrRaced. Of two writers who saw the same, one wins.
func PutIf(ctx context.Context, s string, content []byte, tag string) error {
	b, p, err := open(s)
	if err != nil {
		return err
	}
	o := &blob.WriterOptions{ContentType: "application/json", IfNotExist: tag == ""}
	if tag != "" {
		o.BeforeWrite = replacing(tag)
	}
	if err := b.Upload(ctx, p.key, bytes.NewReader(content), o); err != nil {
		return named(p, err)
	}
	return nil
}

// Delete removes an object; one that is not there is no error.
func Delete(ctx context.Context, s string) error {
	b, p, err := open(s)
	if err != nil {
		return err
	}
	if err := b.Delete(ctx, p.key); err != nil && gcerrors.Code(err) != gcerrors.NotFound && !errors.Is(named(p, err), fs.ErrNotExist) {
		return named(p, err)
	}
	return nil
}
