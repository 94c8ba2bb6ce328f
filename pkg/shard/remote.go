package shard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"silverbeam/pkg/bucket"
)

// Pull copies the shards that a manifest names and dir lacks out of a bucket, each whole or not at all. What it copied is
// held to its digest when it is opened.
func Pull(ctx context.Context, url, dir string, m Manifest) error {
	for _, s := range m.Splits {
		for _, b := range s.Batches {
			path := filepath.Join(dir, filepath.FromSlash(b.File))
			if st, err := os.Stat(path); err == nil && st.Size() == b.Bytes {
				continue
			}
			if err := pull(ctx, url, dir, b.File); err != nil {
				return fmt.Errorf("shard: %w", err)
			}
		}
	}
	return nil
}

func pull(ctx context.Context, url, dir, file string) error {
	path := filepath.Join(dir, filepath.FromSlash(file))
	if !filepath.IsLocal(filepath.FromSlash(file)) {
		return fmt.Errorf("%s: the manifest names a file outside its folder", bucket.Name(url))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+tmpSuffix)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := errors.Join(f.Close(), bucket.Fetch(ctx, bucket.Join(url, file), f.Name(), math.MaxInt64)); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Push makes the data set that was committed in dir the one at a URL, whose shards are there already, with the tables beside
// it. base is the manifest that the run began with, nil for none. Where another is there by now, it is left, and the error is
// bucket.ErrRaced.
func Push(ctx context.Context, dir, url string, base []byte) error {
	at := bucket.Join(url, ManifestName)
	m, err := os.ReadFile(filepath.Join(dir, ManifestName))
	if err != nil {
		return err
	}
	now, tag, err := bucket.ReadAll(ctx, at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = bucket.PutIf(ctx, at, m, "")
	case err != nil:
	case bytes.Equal(now, m):
	case !bytes.Equal(now, base):
		err = fmt.Errorf("%s: %w: it has committed a data set since this run began", bucket.Name(at), bucket.ErrRaced)
	default:
		err = bucket.PutIf(ctx, at, m, tag)
	}
	if errors.Is(err, bucket.ErrRaced) { // or our own write, whose answer was lost
		if now, _, again := bucket.ReadAll(ctx, at); again == nil && bytes.Equal(now, m) {
			err = nil
		}
	}
	for _, table := range []string{VolumesName, LabelsName, CroissantName} {
		if _, missing := os.Stat(filepath.Join(dir, table)); err == nil && missing == nil {
			err = bucket.Put(ctx, bucket.Join(url, table), filepath.Join(dir, table))
		}
	}
	return err
}

// Local gives a folder with the data set at a path: the path itself or, of a bucket's, a copy in the user's cache, where each
// manifest has its own. A copy may hold report text: only the user may read it.
func Local(ctx context.Context, path string) (dir string, err error) {
	if !bucket.Is(path) {
		return path, nil
	}
	b, m, err := remoteManifest(ctx, path)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("shard: no place for a copy: %w", err)
	}
	dir = filepath.Join(cache, "silverbeam", "datasets", digestOf(b)[:16])
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if err := Pull(ctx, path, dir, m); err != nil {
		return "", err
	}
	return dir, WriteFile(filepath.Join(dir, ManifestName), b)
}

func remoteManifest(ctx context.Context, url string) (b []byte, m Manifest, err error) {
	at := bucket.Join(url, ManifestName)
	if b, _, err = bucket.ReadAll(ctx, at); err != nil {
		return nil, m, fmt.Errorf("shard: %w", err)
	}
	m, err = parseManifest(bucket.Name(at), b)
	return b, m, err
}

// verifyRemote is Verify of a data set in a bucket: its shards are copied, read and removed one after the other.
func verifyRemote(ctx context.Context, url string) (v Verified, err error) {
	_, m, err := remoteManifest(ctx, url)
	if err != nil {
		return v, err
	}
	dir, err := os.MkdirTemp("", "silverbeam-*")
	if err != nil {
		return v, err
	}
	defer os.RemoveAll(dir)
	d := newDataset(m)
	for _, s := range d.shards {
		err := pull(ctx, url, dir, s.ref.File)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return v, fmt.Errorf("shard: %w", err)
		}
		if err == nil {
			if err = s.verify(dir, m); err != nil {
				err = fmt.Errorf("%s: %w", bucket.Name(bucket.Join(url, s.ref.File)), err)
			}
			err = errors.Join(err, unmap(s.bytes), os.Remove(filepath.Join(dir, filepath.FromSlash(s.ref.File))))
			s.bytes = nil
		}
		v.Shards, v.Rows, v.Bytes = v.Shards+1, v.Rows+s.ref.Rows, v.Bytes+s.ref.Bytes
		if err != nil {
			v.Problems = append(v.Problems, err)
		}
	}
	for _, err := range []error{d.samePreset(), m.leaks()} {
		if err != nil {
			v.Problems = append(v.Problems, err)
		}
	}
	list, err := bucket.List(ctx, url)
	named := m.files()
	for _, e := range list {
		if !named[e.Key] && strings.HasSuffix(e.Key, ".arrow") {
			v.Orphans = append(v.Orphans, e.Key)
		}
	}
	return v, err
}
