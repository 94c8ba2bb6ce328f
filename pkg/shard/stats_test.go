package shard

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"silverbeam/pkg/volume"
)

// commitRows writes a shard a split, a and then b, and commits them.
func commitRows(t *testing.T, dir string, a, b []Row) error {
	t.Helper()
	m := Manifest{Preset: "x", Findings: findings, HUSource: "header", Splits: map[string]Split{}}
	for split, rows := range map[string][]Row{"a": a, "b": b} {
		f, err := Write(filepath.Join(dir, split, "x.arrow"), spec(split), sequence(rows, nil))
		if err != nil {
			t.Fatal(err)
		}
		m.Splits[split] = Split{[]BatchRef{{ID: split, File: split + "/x.arrow", Written: f}}}
	}
	_, err := Commit(dir, m)
	return err
}

func TestLeaksAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(a, b []Row)
		want   string
	}{
		"none":              {func(a, b []Row) {}, ""},
		"no patient":        {func(a, b []Row) { a[1].Patient, b[0].Patient = "", "" }, ""},
		"same in one split": {func(a, b []Row) { a[0].HU = a[1].HU }, ""},
		"patient":           {func(a, b []Row) { b[2].Patient = "p1" }, "patient p1 in a and b"},
		"patient, twice":    {func(a, b []Row) { b[1].Patient, b[2].Patient = "p1", "p1" }, "patient p1 in a and b"},
		"voxels":            {func(a, b []Row) { b[1].HU = slices.Clone(a[2].HU) }, "the same voxels as p1_a2_1 in a and as p2_a1_1 in b"},
		"all of them": {func(a, b []Row) {
			for i := range b {
				b[i].Patient, b[i].HU = fmt.Sprint("q", i), a[i].HU
				a[i].Patient = b[i].Patient
			}
		}, " and 1 more"},
	} {
		a, b := makeRows(3, 1), makeRows(3, 2)
		c.change(a, b)
		err := commitRows(t, t.TempDir(), a, b)
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, ErrLeak) || !strings.HasSuffix(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Count(err.Error(), "p1 in a") > 1 {
			t.Errorf("%s: named twice: %v", name, err)
		}
	}
}

// What a model learned from is looked for in all splits of another data set but train.
func TestLearnedFrom(t *testing.T) {
	of := func(patient string) Split {
		return Split{Batches: []BatchRef{{Written: Written{Tensors: []Tensor{{Patient: patient, Volume: "v" + patient, SHA256: patient}}}}}}
	}
	learned := Manifest{Splits: map[string]Split{"train": of("p1"), "valid": of("p2")}}
	for _, c := range []struct{ train, valid, want string }{
		{"p1", "p3", ""}, {"p3", "p2", ""}, {"p3", "p1", "patient p1 in the model's training and valid; the same voxels as vp1 in the model's training and as vp1 in valid"},
	} {
		err := Manifest{Splits: map[string]Split{"train": of(c.train), "valid": of(c.valid)}}.LearnedFrom(learned)
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, ErrLeak) || !strings.HasSuffix(err.Error(), c.want)) {
			t.Errorf("train %s, valid %s: %v", c.train, c.valid, err)
		}
	}
}

func TestStats(t *testing.T) {
	dir := t.TempDir()
	a, b := makeRows(5, 1), makeRows(1, 2)
	a[3].HU, a[0].HU = a[2].HU, a[2].HU
	for i, hu := range [][]int16{{-2000, -1101}, {-1100, -1051, -1050}, {}, {1499, 1500, 3000}} {
		var h volume.Histogram
		h.Add(hu)
		a[i].Scan.HU = h.Bins()
	}
	if err := commitRows(t, dir, a, b); err != nil {
		t.Fatal(err)
	}
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	want := Stats{Known: 4, Shape: [3]Range{{10, 11, 14}, {20, 20, 20}, {30, 30, 30}}, SpacingMM: [3]Range{{2.5, 2.5, 2.5}, {.5, .5, .5}, {.5, 1.5, 4.5}},
		Duplicates: [][]string{{"p1_a0_1", "p1_a2_1", "p1_a3_1"}}}
	want.HU[0], want.HU[1], want.HU[2], want.HU[52], want.HU[53] = 2, 2, 1, 1, 2
	if got := d.Manifest().Splits["a"].Stats(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	for _, c := range []struct {
		lo, hi int
		want   float64
	}{{-1100, 1500, 4. / 8}, {math.MinInt16, -1100, 2. / 8}, {1500, math.MaxInt16, 2. / 8}, {-1050, 1450, 1. / 8}} {
		if got := want.HU.Share(c.lo, c.hi); got != c.want {
			t.Errorf("share of %d to %d HU: %v, want %v", c.lo, c.hi, got, c.want)
		}
	}
}
