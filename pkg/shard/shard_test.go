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
	t.Helper()
	rows = map[string][]Row{}
	m := Manifest{Preset: "x", Findings: findings, HUSource: "header", Splits: map[string]Split{}}
	for i, b := range []struct {
		split, id string
		n         int
	}{{"train", "b0", 5}, {"valid", "c0", 2}, {"train", "a0", 1}} {
		file := b.split + "/" + b.id + "-cfg.arrow"
		in := makeRows(b.n, uint64(i))
		f, err := Write(filepath.Join(dir, file), spec(b.split), sequence(in, nil))
		if err != nil || f.Rows != b.n {
			t.Fatal(f, err)
		}
		s := m.Splits[b.split]
		s.Batches = append(s.Batches, BatchRef{ID: b.id, File: file, Rows: f.Rows, Digest: f.Digest})
		m.Splits[b.split] = s
		rows[b.split] = append(rows[b.split], in...) // p0 of b0 before p2 of a0
	}
	digest, err := Commit(dir, m)
	if err != nil {
		t.Fatal(err)
	}
	return digest, rows
}

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	digest, want := dataset(t, dir)
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for split, rows := range want {
		got, err := d.Rows(split)
		if err != nil || !reflect.DeepEqual(got, rows) {
			t.Errorf("%s: %+v\nwant %+v (%v)", split, got, rows, err)
		}
	}
	if none, err := d.Rows("test"); err != nil || none != nil {
		t.Errorf("a split that is not there: %v %v", none, err)
	}
	if d.Manifest().Digest != digest || d.Preset() != spec("").Preset || !slices.Equal(d.Findings(), findings) || fmt.Sprint(d.Splits()) != "[train valid]" {
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

// TestDamageIsNamed flips each byte of a shard in turn: the digest must refuse all of them before Arrow sees one.
func TestDamageIsNamed(t *testing.T) {
	dir := t.TempDir()
	dataset(t, dir)
	path := filepath.Join(dir, "valid/c0-cfg.arrow")
	good, _ := os.ReadFile(path)
	bad := map[string][]byte{"empty": {}, "cut": good[:len(good)-1], "longer": append(slices.Clip(good), 0)}
	for i := 0; i < len(good); i += 11 {
		b := slices.Clone(good)
		b[i] ^= 0x10
		bad[fmt.Sprint("flip ", i)] = b
	}
	for name, b := range bad {
		os.WriteFile(path, b, 0o600)
		if d, err := Open(dir); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "damaged or replaced") {
			t.Fatalf("%s: %v %v", name, d, err)
		}
	}
	os.Remove(path)
	if _, err := Open(dir); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("missing: %v", err)
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
		if (err == nil) != (name == "no rows") || f != (File{}) {
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
	dir := t.TempDir()
	_, want := dataset(t, dir)
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
