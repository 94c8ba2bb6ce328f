package shard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"silverbeam/pkg/taxonomy"
	"silverbeam/pkg/volume"

	"github.com/apache/arrow/go/v17/arrow/memory"
)

// python is a Python with pyarrow and numpy, which opens with testdata/read.py what Go wrote; "": left out.
var python = os.Getenv("SILVERBEAM_PYTHON")

var findings = []string{"Medical material", "Lung nodule", "Emphysema"}

func spec(split string) Spec {
	return Spec{Preset: volume.Preset{Name: "tiny", Shape: [3]int{3, 4, 5}, LoHU: -1000, HiHU: 200}, Findings: findings, Split: split, HUSource: "header"}
}

// makeRows gives n rows of a seed; every third has no labels.
func makeRows(n int, seed uint64) (rows []Row) {
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := range n {
		r := Row{Patient: fmt.Sprintf("p%d", seed), Study: fmt.Sprintf("p%d_a%d", seed, i), Volume: fmt.Sprintf("p%d_a%d_1", seed, i), HU: make([]int16, 60)}
		if i > 0 {
			r.Report = strings.Repeat("Lungs: é normal.\n", i)
		}
		for k := range r.HU {
			r.HU[k] = int16(rng.IntN(2001) - 1000)
		}
		if i%3 != 2 {
			r.Scan = Scan{Shape: [3]int{10 + i, 20, 30}, SpacingMM: [3]float64{2.5, 0.5, 0.5 + float64(i)}}
			for k := range findings {
				r.Labels = append(r.Labels, taxonomy.Label{State: []taxonomy.State{1, 0, -1, -2}[(i+k)%4], P: rng.Float32()})
			}
		}
		rows = append(rows, r)
	}
	return rows
}

func sequence(rows []Row, err error) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
		if err != nil {
			yield(Row{}, err)
		}
	}
}

// dataset writes two train shards and a valid one, and commits them.
func dataset(t *testing.T, dir string) (digest string, rows map[string][]Row) {
	return datasetOf(t, dir, Raw)
}

func datasetOf(t *testing.T, dir, storage string) (digest string, rows map[string][]Row) {
	t.Helper()
	rows = map[string][]Row{}
	m := Manifest{Preset: "x", Findings: findings, HUSource: "header", Splits: map[string]Split{}}
	for i, b := range []struct {
		split, id string
		n         int
	}{{"train", "b0", 5}, {"valid", "c0", 2}, {"train", "a0", 1}} {
		file := b.split + "/" + b.id + "-cfg.arrow"
		in := makeRows(b.n, uint64(i))
		s := spec(b.split)
		s.Storage = storage
		f, err := Write(filepath.Join(dir, file), s, sequence(in, nil))
		if err != nil || f.Rows != b.n {
			t.Fatal(f, err)
		}
		m.Splits[b.split] = Split{append(m.Splits[b.split].Batches, BatchRef{ID: b.id, File: file, Written: f})}
		rows[b.split] = append(rows[b.split], in...) // p0 of b0 before p2 of a0
	}
	digest, err := Commit(dir, m)
	if err != nil {
		t.Fatal(err)
	}
	return digest, rows
}

func TestRoundTrip(t *testing.T) {
	for _, storage := range []string{Raw, Compressed} {
		t.Run(storage, func(t *testing.T) { roundTrip(t, storage) })
	}
}

func roundTrip(t *testing.T, storage string) {
	dir := t.TempDir()
	digest, want := datasetOf(t, dir, storage)
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for split, rows := range want {
		for _, b := range d.Manifest().Splits[split].Batches {
			for _, at := range b.Tensors {
				if at.At%64 != 0 {
					t.Errorf("%s: a tensor at %d, which is %d beyond a multiple of 64", b.File, at.At, at.At%64)
				}
			}
		}
		got, err := d.Rows(split)
		for i := range got {
			hu, err := got[i].Voxels()
			if err != nil {
				t.Fatal(err)
			}
			got[i].HU, got[i].kept = hu, nil
		}
		if err != nil || !reflect.DeepEqual(got, rows) {
			t.Errorf("%s: %+v\nwant %+v (%v)", split, got, rows, err)
		}
	}
	if none, err := d.Rows("test"); err != nil || none != nil {
		t.Errorf("a split that is not there: %v %v", none, err)
	}
	if d.Manifest().Digest != digest || d.Preset() != spec("").Preset || d.Storage() != storage || !slices.Equal(d.Findings(), findings) || fmt.Sprint(d.Splits()) != "[train valid]" {
		t.Errorf("%+v %v %v %v", d.Manifest(), d.Preset(), d.Findings(), d.Splits())
	}
}

func TestSameRowsSameBytes(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	da, _ := dataset(t, a)
	db, _ := dataset(t, b)
	fa, _ := os.ReadFile(filepath.Join(a, "train/b0-cfg.arrow"))
	fb, _ := os.ReadFile(filepath.Join(b, "train/b0-cfg.arrow"))
	if da != db || len(fa) == 0 || !bytes.Equal(fa, fb) {
		t.Error("two runs differ")
	}
	other := makeRows(5, 0)
	other[4].HU[59] ^= 1
	f, err := Write(filepath.Join(b, "train/b0-cfg.arrow"), spec("train"), sequence(other, nil))
	if err != nil {
		t.Fatal(err)
	}
	if m, _ := ReadManifest(b); f.Digest == m.Splits["train"].Batches[1].Digest {
		t.Error("one voxel more makes no difference")
	}
}

// TestDamageIsNamed flips each byte of a shard in turn: a digest must refuse it before Arrow sees one. What is wrong in a
// tensor is found when that row is read, and its row alone.
func TestDamageIsNamed(t *testing.T) {
	for _, storage := range []string{Raw, Compressed} {
		t.Run(storage, func(t *testing.T) { damageIsNamed(t, storage) })
	}
}

func damageIsNamed(t *testing.T, storage string) {
	dir := t.TempDir()
	datasetOf(t, dir, storage)
	path := filepath.Join(dir, "valid/c0-cfg.arrow")
	good, _ := os.ReadFile(path)
	bad := map[string][]byte{"empty": {}, "cut": good[:len(good)-1], "longer": append(slices.Clip(good), 0)}
	tensors, tries := 0, 0
	refused := func(name string) {
		d, err := Open(dir)
		if err == nil {
			rows, _ := d.Rows("valid")
			_, first := rows[0].Voxels()
			_, second := rows[1].Voxels()
			if (first == nil) == (second == nil) {
				t.Errorf("%s: %v and %v", name, first, second)
			}
			err, tensors = fmt.Errorf("%s: %w", path, errors.Join(first, second)), tensors+1
			d.Close()
		}
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "damaged or replaced") {
			t.Fatalf("%s: %v", name, err)
		}
		if tries++; tries%4 > 0 {
			return
		}
		if s, err := Verify(dir); err != nil || len(s.Problems) == 0 || !errors.Is(s.Problems[0], ErrDamaged) || !strings.Contains(s.Problems[0].Error(), path) {
			t.Fatalf("%s: %+v %v", name, s, err)
		}
	}
	for name, b := range bad {
		os.WriteFile(path, b, 0o600)
		refused(name)
	}
	os.WriteFile(path, good, 0o600)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i, b := range good {
		f.WriteAt([]byte{b ^ 1<<(i%8)}, int64(i))
		refused(fmt.Sprint("flip ", i))
		f.WriteAt([]byte{b}, int64(i))
	}
	if m, _ := ReadManifest(dir); int64(tensors) != m.Splits["valid"].Batches[0].Tensors[0].Bytes+m.Splits["valid"].Batches[0].Tensors[1].Bytes {
		t.Errorf("%d flips in tensors, want one for each of their bytes", tensors)
	}
	os.Remove(path)
	if _, err := Open(dir); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("missing: %v", err)
	}
}

// TestManifestDamageIsNamed flips bits of each byte of a manifest in turn: none is taken, none ends the process.
func TestManifestDamageIsNamed(t *testing.T) {
	dir := t.TempDir()
	dataset(t, dir)
	path := filepath.Join(dir, ManifestName)
	good, _ := os.ReadFile(path)
	for i := range 8 * len(good) {
		if i%8 != i/8%8 && i%20 > 0 { // one bit of each byte, and a twentieth of the others
			continue
		}
		b := slices.Clone(good)
		b[i/8] ^= 1 << (i % 8)
		os.WriteFile(path, b, 0o600)
		if _, err := ReadManifest(dir); err == nil || !strings.Contains(err.Error(), path) {
			t.Fatalf("bit %d of byte %d, %q: %v", i%8, i/8, good[max(0, i/8-20):i/8+1], err)
		}
	}
}

// TestVerify holds what a data set may have wrong beside its bytes.
func TestVerify(t *testing.T) {
	dir := t.TempDir()
	dataset(t, dir)
	for _, f := range []string{"train/old-cfg.arrow", "train/b0-cfg.arrow.tmp123", "train/b0-cfg.arrow.summary.json", "labels.csv"} {
		if err := os.WriteFile(filepath.Join(dir, f), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	v, err := Verify(dir)
	if err != nil || len(v.Problems) > 0 || v.Rows != 8 || v.Shards != 3 || fmt.Sprint(v.Orphans) != "[train/b0-cfg.arrow.tmp123 train/old-cfg.arrow]" {
		t.Errorf("%+v %v", v, err)
	}
	leaky := t.TempDir()
	m := Manifest{Preset: "x", Findings: findings, HUSource: "header", Splits: map[string]Split{}}
	for _, split := range []string{"train", "valid"} {
		f, err := Write(filepath.Join(leaky, split, "a.arrow"), spec(split), sequence(makeRows(3, 7), nil))
		if err != nil {
			t.Fatal(err)
		}
		m.Splits[split] = Split{[]BatchRef{{ID: split, File: split + "/a.arrow", Written: f}}}
	}
	want := "in two splits: patient p7 in train and valid; "
	if _, err := Commit(leaky, m); !errors.Is(err, ErrLeak) || !strings.Contains(err.Error(), want) || exists(filepath.Join(leaky, ManifestName)) {
		t.Errorf("committed: %v", err)
	}
	if _, err := commit(leaky, m); err != nil { // as another program might
		t.Fatal(err)
	}
	if _, err := Open(leaky); !errors.Is(err, ErrLeak) || !strings.Contains(err.Error(), want) {
		t.Errorf("opened: %v", err)
	}
	if v, err := Verify(leaky); err != nil || len(v.Problems) != 1 || !strings.Contains(v.Problems[0].Error(), want) {
		t.Errorf("%+v %v", v, err)
	}
	os.Remove(filepath.Join(leaky, "train/a.arrow"))
	if v, err := Verify(leaky); err != nil || len(v.Problems) != 2 || !errors.Is(v.Problems[0], os.ErrNotExist) {
		t.Errorf("%+v %v", v, err)
	}
}

func TestManifestNamesItsPredecessor(t *testing.T) {
	dir := t.TempDir()
	first, _ := dataset(t, dir)
	m, err := ReadManifest(dir)
	if err != nil || m.Previous != "" {
		t.Fatal(m, err)
	}
	train := m.Splits["train"]
	m.Splits["train"] = Split{train.Batches[:1]}
	for range 2 { // the second time nothing changes
		second, err := Commit(dir, m)
		if got, _ := ReadManifest(dir); err != nil || second == first || got.Previous != first {
			t.Fatal(second, got.Previous, err)
		}
	}
}

func TestManifestIsChecked(t *testing.T) {
	dir := t.TempDir()
	dataset(t, dir)
	path := filepath.Join(dir, ManifestName)
	good, _ := os.ReadFile(path)
	for old, new := range map[string]string{
		`"preset": "x"`:              `"preset": "y"`,
		Schema:                       "silverbeam.shard.0",
		`"Lung nodule"`:              `"Lung mass"`,
		`{`:                          `(`,
		`"rows": 2`:                  `"rows": 3`,
		`valid/c0-cfg.arrow`:         `../c0-cfg.arrow`,
		`"hu_source": "header"`:      `"hu_source": "already-hu"`,
		`"file": "valid/c0-cfg.arro`: `"file": "train/b0-cfg.arro`,
	} {
		b := strings.Replace(string(good), old, new, 1)
		if b == string(good) {
			t.Fatalf("%s is not in the manifest:\n%s", old, good)
		}
		os.WriteFile(path, []byte(b), 0o600)
		if _, err := Open(dir); err == nil {
			t.Errorf("%s for %s is taken", new, old)
		}
	}
}

// TestFailuresLeaveNothing holds what a failing source, a bad row and no row leave behind: no file, no part of one.
func TestFailuresLeaveNothing(t *testing.T) {
	boom := errors.New("boom")
	short, long := makeRows(2, 1), makeRows(2, 1)
	short[1].HU = short[1].HU[:59]
	long[1].Labels = append(long[1].Labels, taxonomy.Label{})
	for name, rows := range map[string]iter.Seq2[Row, error]{
		"error first": sequence(nil, boom), "error later": sequence(makeRows(2, 1), boom), "short volume": sequence(short, nil), "a label too many": sequence(long, nil), "no rows": sequence(nil, nil),
	} {
		dir := t.TempDir()
		f, err := Write(filepath.Join(dir, "train", "x.arrow"), spec("train"), rows)
		if (err == nil) != (name == "no rows") || !reflect.DeepEqual(f, Written{}) {
			t.Errorf("%s: %v %v", name, f, err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*", "*")); len(left) > 0 {
			t.Errorf("%s: %v", name, left)
		}
	}
}

func TestCrashLeftoversAreSwept(t *testing.T) {
	dir := t.TempDir()
	before, _ := dataset(t, dir)
	orphans := []string{"b0-cfg.arrow.tmp123", "b0-cfg.arrow.summary.json.tmp1"}
	for _, f := range append(orphans, "mine.tmp", "mine.tmp1.txt") {
		if err := os.WriteFile(filepath.Join(dir, "train", f), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Open(dir) // they are no part of it
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	if err := Sweep(filepath.Dir(dir)); err != nil {
		t.Fatal(err)
	}
	for _, f := range orphans {
		if _, err := os.Stat(filepath.Join(dir, "train", f)); !os.IsNotExist(err) {
			t.Errorf("%s: %v", f, err)
		}
	}
	left, _ := filepath.Glob(filepath.Join(dir, "train", "mine*"))
	if m, err := ReadManifest(dir); err != nil || m.Digest != before || len(left) != 2 {
		t.Error(m.Digest, before, left, err)
	}
}

func TestNoMemoryIsLost(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	for _, fail := range []error{nil, errors.New("boom")} {
		write(filepath.Join(t.TempDir(), "x.arrow"), spec("train"), sequence(makeRows(7, 1), fail), mem)
	}
}

// TestPyarrow opens shards with the real pyarrow.
func TestPyarrow(t *testing.T) {
	if python == "" {
		t.Skip("SILVERBEAM_PYTHON names no Python with pyarrow")
	}
	for _, storage := range []string{Raw, Compressed} {
		t.Run(storage, func(t *testing.T) { pyarrow(t, storage) })
	}
}

func pyarrow(t *testing.T, storage string) {
	dir := t.TempDir()
	_, want := datasetOf(t, dir, storage)
	dump, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	expect := filepath.Join(t.TempDir(), "expect.json")
	if err := os.WriteFile(expect, dump, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, "testdata/read.py", dir, expect).CombinedOutput()
	if t.Logf("%s", out); err != nil {
		t.Error(err)
	}
}
