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
	"unsafe"

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

// Open reads dir's manifest, maps every shard it names and checks the digests of all but the tensors, several shards at a
// time, before it parses one. It fails naming the first file that is missing or not what the manifest says, or what is
// in two splits (ErrLeak). A tensor is checked when it is first read.
func Open(dir string) (*Dataset, error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	d := newDataset(m)
	if err := d.openAll(dir); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	if err := d.samePreset(); err != nil {
		return nil, errors.Join(fmt.Errorf("shard: %w", err), d.Close())
	}
	if err := m.leaks(); err != nil {
		return nil, errors.Join(fmt.Errorf("shard: %s: %w", dir, err), d.Close())
	}
	return d, nil
}

func newDataset(m Manifest) *Dataset {
	d := &Dataset{manifest: m}
	for _, name := range d.Splits() {
		for _, ref := range m.Splits[name].Batches {
			d.shards = append(d.shards, &mapped{split: name, ref: ref})
		}
	}
	return d
}

// samePreset holds the shards that could be read to one preset, and keeps what they have in common.
func (d *Dataset) samePreset() error {
	for _, s := range d.shards {
		if s.rows == nil {
			continue
		}
		if d.spec.Findings == nil {
			d.spec = s.spec
		}
		if s.spec.Preset.Digest() != d.spec.Preset.Digest() || s.spec.Storage != d.spec.Storage {
			return fmt.Errorf("%s: made with the preset %s, %s, others with %s, %s", s.ref.File, s.spec.Preset.Name, s.spec.Storage, d.spec.Preset.Name, d.spec.Storage)
		}
	}
	return nil
}

// each does a thing for every shard, one a CPU.
func (d *Dataset) each(do func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := int(next.Add(1) - 1); i < len(d.shards); i = int(next.Add(1) - 1) {
				do(i)
			}
		})
	}
	wg.Wait()
}

// openAll opens the shards and gives the first failure in their order.
func (d *Dataset) openAll(dir string) error {
	errs := make([]error, len(d.shards))
	d.each(func(i int) { errs[i] = d.shards[i].open(dir, d.manifest) })
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
	if err := s.load(filepath.Join(dir, local), s.ref.checkHead); err != nil {
		return err
	}
	switch {
	case len(s.rows) != len(s.ref.Tensors):
		return fmt.Errorf("%d rows, the manifest has %d tensors", len(s.rows), len(s.ref.Tensors))
	case len(s.rows) != s.ref.Rows:
		return fmt.Errorf("%d rows, the manifest says %d", len(s.rows), s.ref.Rows)
	case !slices.Equal(s.spec.Findings, m.Findings):
		return fmt.Errorf("findings %q, the manifest says %q", s.spec.Findings, m.Findings)
	case s.spec.HUSource != m.HUSource || s.spec.Split != s.split:
		return fmt.Errorf("hu_source %q and split %q, the manifest says %q and %q", s.spec.HUSource, s.spec.Split, m.HUSource, s.split)
	}
	for i, r := range s.rows {
		t := s.ref.Tensors[i]
		if t.Patient != r.Patient || t.Study != r.Study || t.Volume != r.Volume {
			return fmt.Errorf("row %d is volume %s, the manifest says %s", i, r.Volume, t.Volume)
		}
		if at := s.bytes[t.At:][:t.Bytes]; unsafe.SliceData(at) != unsafe.SliceData(r.kept.bytes) || len(at) != len(r.kept.bytes) {
			return fmt.Errorf("volume %s: its tensor is not where the manifest says", r.Volume)
		}
		s.rows[i].Scan, r.kept.sha256, r.kept.file = t.Scan, t.SHA256, s.ref.File
	}
	return nil
}

// load maps a file, has its digest checked and parses it.
func (s *mapped) load(path string, check func([]byte) error) error {
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
	if err := check(s.bytes); err != nil {
		return err
	}
	s.spec, s.rows, err = parse(s.bytes)
	return err
}

// check holds a shard's bytes to the digest of all of them.
func (w Written) check(b []byte) error { return w.differs(digestOf(b), w.Digest) }

// checkHead holds a shard's bytes outside the tensors to their digest, after its length.
func (w Written) checkHead(b []byte) error {
	if int64(len(b)) != w.Bytes {
		return fmt.Errorf("%d bytes, the manifest says %d: %w or replaced", len(b), w.Bytes, ErrDamaged)
	}
	h, at := sha256.New(), int64(0)
	for _, t := range w.Tensors {
		if t.At < at || t.Bytes < 0 || t.Bytes > w.Bytes-t.At {
			return fmt.Errorf("tensor of %d bytes at %d, in a file of %d", t.Bytes, t.At, w.Bytes)
		}
		h.Write(b[at:t.At])
		at = t.At + t.Bytes
	}
	h.Write(b[at:])
	return w.differs(hex.EncodeToString(h.Sum(nil)), w.Head)
}

func (Written) differs(got, want string) error {
	if got != want {
		return fmt.Errorf("its digest is %.12s, the manifest says %.12s: %w or replaced", got, want, ErrDamaged)
	}
	return nil
}

// Holds says whether a shard of that digest has a row of a study. It is an error where the file is not what it was.
func Holds(path, digest, study string) (bool, error) {
	var s mapped
	err := s.load(path, Written{Digest: digest}.check)
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

// Storage is how the tensors are kept: Raw or Compressed.
func (d *Dataset) Storage() string { return cmp.Or(d.spec.Storage, Raw) }

// Rows lists a split's rows by study and volume, whatever batches they came in: what is computed from them in their order
// is the same for the same rows. Their voxels end with Close. A split that is not there has none.
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

// Close unmaps the files; no voxels of any row may be used after.
func (d *Dataset) Close() (err error) {
	for _, s := range d.shards {
		err = errors.Join(err, unmap(s.bytes))
	}
	d.shards = nil
	return err
}
