package shard

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"silverbeam/pkg/volume"
)

// Dataset is an open data set. Its voxels are mapped, not read: they cost memory only while they are used.
type Dataset struct {
	manifest Manifest
	spec     Spec
	shards   []*mapped // in the manifest's order, split by split
}

type mapped struct {
	split string
	ref   BatchRef
	bytes []byte
	spec  Spec
	rows  []Row
}

// Open reads dir's manifest, maps every shard it names and checks their digests, several at a time, before it parses
// one. It fails naming the first file that is missing or not what the manifest says.
func Open(dir string) (*Dataset, error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	d := &Dataset{manifest: m}
	for _, name := range d.Splits() {
		for _, ref := range m.Splits[name].Batches {
			d.shards = append(d.shards, &mapped{split: name, ref: ref})
		}
	}
	if err := d.openAll(dir); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	for i, s := range d.shards {
		if i == 0 {
			d.spec = s.spec
		}
		if s.spec.Preset.Digest() != d.spec.Preset.Digest() {
			return nil, errors.Join(fmt.Errorf("shard: %s: made with the preset %s, others with %s", s.ref.File, s.spec.Preset.Name, d.spec.Preset.Name), d.Close())
		}
	}
	return d, nil
}

// openAll opens the shards, one a CPU, and gives the first failure in their order.
func (d *Dataset) openAll(dir string) error {
	errs := make([]error, len(d.shards))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(errs); i = next.Add(1) - 1 {
				errs[i] = d.shards[i].open(dir, d.manifest)
			}
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("shard: %s: %w", filepath.Join(dir, filepath.FromSlash(d.shards[i].ref.File)), err)
		}
	}
	return nil
}

func (s *mapped) open(dir string, m Manifest) error {
	local := filepath.FromSlash(s.ref.File)
	if !filepath.IsLocal(local) {
		return errors.New("the manifest names a file outside its folder")
	}
	if err := s.load(filepath.Join(dir, local)); err != nil {
		return err
	}
	switch {
	case len(s.rows) != s.ref.Rows:
		return fmt.Errorf("%d rows, the manifest says %d", len(s.rows), s.ref.Rows)
	case !slices.Equal(s.spec.Findings, m.Findings):
		return fmt.Errorf("findings %q, the manifest says %q", s.spec.Findings, m.Findings)
	case s.spec.HUSource != m.HUSource || s.spec.Split != s.split:
		return fmt.Errorf("hu_source %q and split %q, the manifest says %q and %q", s.spec.HUSource, s.spec.Split, m.HUSource, s.split)
	}
	return nil
}

// load maps a file, holds it to its digest and parses it.
func (s *mapped) load(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if s.bytes, err = mapFile(f, st.Size()); err != nil {
		return err
	}
	sum := sha256.Sum256(s.bytes)
	if got := hex.EncodeToString(sum[:]); got != s.ref.Digest {
		return fmt.Errorf("its digest is %.12s, the manifest says %.12s: %w or replaced", got, s.ref.Digest, ErrDamaged)
	}
	s.spec, s.rows, err = parse(s.bytes)
	return err
}

// Holds says whether a shard of that digest has a row of a study. It is an error where the file is not what it was.
func Holds(path, digest, study string) (bool, error) {
	s := mapped{ref: BatchRef{Digest: digest}}
	err := s.load(path)
	holds := slices.ContainsFunc(s.rows, func(r Row) bool { return r.Study == study })
	return holds, errors.Join(err, unmap(s.bytes))
}

// Splits lists the splits' names, sorted.
func (d *Dataset) Splits() []string { return slices.Sorted(maps.Keys(d.manifest.Splits)) }

// Manifest is what was read; it may not be changed.
func (d *Dataset) Manifest() Manifest { return d.manifest }

// Findings are the names that a row's labels belong to.
func (d *Dataset) Findings() []string { return d.manifest.Findings }

// Preset is how the tensors were made; the zero Preset if the data set has no rows.
func (d *Dataset) Preset() volume.Preset { return d.spec.Preset }

// Rows lists a split's rows by study and volume, whatever batches they came in: what is computed from them in their order
// is the same for the same rows. Their HU alias the files and end with Close. A split that is not there has none.
func (d *Dataset) Rows(split string) ([]Row, error) {
	if d.shards == nil && len(d.manifest.Splits[split].Batches) > 0 {
		return nil, errors.New("shard: the data set is closed")
	}
	var rows []Row
	for _, s := range d.shards {
		if s.split == split {
			rows = append(rows, s.rows...)
		}
	}
	slices.SortStableFunc(rows, func(a, b Row) int {
		return cmp.Or(strings.Compare(a.Study, b.Study), strings.Compare(a.Volume, b.Volume))
	})
	return rows, nil
}

// Close unmaps the files; no HU of any row may be used after.
func (d *Dataset) Close() (err error) {
	for _, s := range d.shards {
		err = errors.Join(err, unmap(s.bytes))
	}
	d.shards = nil
	return err
}
