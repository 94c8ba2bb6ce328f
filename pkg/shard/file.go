package shard

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
)

// ErrDamaged says that a file of ours is not the one that was written. Without it, a run makes it anew.
var ErrDamaged = errors.New("damaged")

// tmpSuffix marks a file that is being written; CreateTemp adds digits after it.
const tmpSuffix = ".tmp"

// WriteFile puts b at path atomically and durably: beside its place, fsynced, renamed, its folder fsynced. Folders that
// are missing are made. The file's mode is 0600, for what we write may hold report text.
func WriteFile(path string, b []byte) error {
	return Replace(path, 0o600, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// Replace is WriteFile for a stream, with a mode: 0600 for what holds report text.
func Replace(path string, mode fs.FileMode, write func(io.Writer) error) error {
	_, _, err := writeAtomic(path, mode, write)
	return err
}

// writeAtomic is Replace. It also returns the hex SHA-256 and the number of bytes. Whatever goes wrong, no part of a file stays
// behind.
func writeAtomic(path string, mode fs.FileMode, write func(io.Writer) error) (digest string, bytes int64, err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", 0, err
	}
	f, err := os.CreateTemp(dir, filepath.Base(path)+tmpSuffix)
	if err != nil {
		return "", 0, err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	w := &hashing{f: f, h: sha256.New()}
	if err = write(w); err == nil {
		err = errors.Join(f.Chmod(mode), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", 0, err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return "", 0, err
	}
	return hex.EncodeToString(w.h.Sum(nil)), w.n, syncDir(dir)
}

var halfWritten = regexp.MustCompile(regexp.QuoteMeta(tmpSuffix) + `\d+$`)

// Sweep removes what killed processes left half-written in dir and the folders below it. No process may be writing there.
func Sweep(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && halfWritten.MatchString(path) {
			err = os.Remove(path)
		}
		return err
	})
}

// syncDir makes a rename durable, where the file system knows how to.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// hashing digests what is written.
type hashing struct {
	f *os.File
	h hash.Hash
	n int64
}

func (w *hashing) Write(b []byte) (int, error) {
	n, err := w.f.Write(b)
	w.h.Write(b[:n])
	w.n += int64(n)
	return n, err
}

// digestOf is the hex SHA-256.
func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
