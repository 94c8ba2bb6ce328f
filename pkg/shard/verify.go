package shard

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"silverbeam/pkg/bucket"
)

// Verified is what Verify found.
type Verified struct {
	Shards, Rows int
	Bytes        int64
	Problems     []error  // each names its file, patient or volume; none: the data set is what was committed
	Orphans      []string // shards that the manifest does not name, and files left half-written; they are no part of the data set
}

// Verify reads every byte that dir's manifest names and holds it to its digests before it is parsed, every tensor by itself
// too. It goes on after a problem. The error is that of a manifest that cannot be read. dir may be a place in a bucket.
func Verify(dir string) (v Verified, err error) {
	if bucket.Is(dir) {
		return verifyRemote(context.Background(), dir)
	}
	m, err := ReadManifest(dir)
	if err != nil {
		return v, err
	}
	d := newDataset(m)
	errs := make([]error, len(d.shards))
	d.each(func(i int) { errs[i] = d.shards[i].verify(dir, m) })
	for i, err := range errs {
		ref := d.shards[i].ref
		v.Shards, v.Rows, v.Bytes = v.Shards+1, v.Rows+ref.Rows, v.Bytes+ref.Bytes
		if err != nil {
			v.Problems = append(v.Problems, fmt.Errorf("%s: %w", filepath.Join(dir, filepath.FromSlash(ref.File)), err))
		}
	}
	if err := d.samePreset(); err != nil {
		v.Problems = append(v.Problems, err)
	}
	if err := m.leaks(); err != nil {
		v.Problems = append(v.Problems, err)
	}
	if v.Orphans, err = orphans(dir, m); err != nil {
		return v, err
	}
	return v, d.Close()
}

// verify opens a shard and reads all of it. Of a tensor that is wrong it names the row.
func (s *mapped) verify(dir string, m Manifest) error {
	if err := s.open(dir, m); err != nil {
		return err
	}
	for _, r := range s.rows {
		if _, err := r.Voxels(); err != nil {
			return err
		}
	}
	return s.ref.check(s.bytes)
}

// files are the names of all shards.
func (m Manifest) files() map[string]bool {
	named := map[string]bool{}
	for _, s := range m.Splits {
		for _, b := range s.Batches {
			named[b.File] = true
		}
	}
	return named
}

// orphans lists what looks like a part of the data set and is none, by path below dir.
func orphans(dir string, m Manifest) (found []string, err error) {
	named := m.files()
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		rel = filepath.ToSlash(rel)
		if !named[rel] && (strings.HasSuffix(rel, ".arrow") || strings.HasSuffix(rel, SpoolSuffix) || halfWritten.MatchString(rel)) {
			found = append(found, rel)
		}
		return err
	})
	slices.Sort(found)
	return found, err
}
