package ledger

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
)

func TestStoreKeepsVectors(t *testing.T) {
	onBoth(t, func(t *testing.T, place string) {
		s, err := OpenStore(place)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.d.db.Exec(`DROP TABLE vectors`); err != nil { // a store of before
			t.Fatal(err)
		}
		r, err := ReadStore(place)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := r.HasVectors([]Identity{{}}); err != nil || n != 0 {
			t.Error(n, err)
		}
		if found, err := r.Vectors([]Identity{{}}); err != nil || len(found) != 0 {
			t.Error(found, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		s.Close()
		if s, err = OpenStore(place); err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		other := s
		if isPostgres(place) { // where it has the table now
			if other, err = OpenStore(place); err != nil {
				t.Fatal(err)
			}
			defer other.Close()
		}
		var all []Vector
		var ids []Identity
		for i := range 600 { // more than one statement looks up
			v := Vector{Identity: s.Identity("text", fmt.Sprint(i)), Values: []float32{float32(i), -1.5, 1e-38}}
			if i < 500 {
				v.Report = s.Identity("report", fmt.Sprint(i/2))
			}
			all, ids = append(all, v), append(ids, v.Identity)
		}
		backwards := slices.Clone(all)
		slices.Reverse(backwards)
		var wg sync.WaitGroup // who makes the same ones stands in nobody's way
		wg.Go(func() {
			if err := other.PutVectors(backwards); err != nil {
				t.Error(err)
			}
		})
		if err := s.PutVectors(all); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if err := s.PutVectors([]Vector{{Identity: ids[3], Values: []float32{7}}}); err != nil { // the first stays
			t.Fatal(err)
		}
		found, err := s.Vectors(append(ids, Identity{}))
		if err != nil || len(found) != 600 {
			t.Fatal(len(found), err)
		}
		for _, v := range all {
			if !reflect.DeepEqual(found[v.Identity], v.Values) {
				t.Fatalf("%v, want %v", found[v.Identity], v.Values)
			}
		}
		gone := []Identity{all[6].Report, all[100].Report, s.Identity("report", "of nobody")}
		if n, err := s.HasVectors(gone); err != nil || n != 4 {
			t.Error(n, err)
		}
		if before := onDisk(t, s.d, "vectors"); !bytes.Contains(before, ids[6][:]) {
			t.Fatal("the bytes to look for are not there before")
		}
		if err := s.Forget(nil, gone); err != nil {
			t.Fatal(err)
		}
		if found, err = s.Vectors(ids); err != nil || len(found) != 596 || found[ids[6]] != nil || found[ids[101]] != nil {
			t.Error(len(found), err)
		}
		after := onDisk(t, s.d, "vectors")
		for _, i := range []int{6, 7, 100, 101} {
			if bytes.Contains(after, ids[i][:]) {
				t.Error("a vector is still on the disk")
			}
		}
	})
}

// What was embedded is known by its study, counts for nothing, and is not another study's of the same words.
func TestCostLeavesOutWhatWasEmbedded(t *testing.T) {
	bookOnBoth(t, func(t *testing.T, b *Book, path string) {
		if _, err := b.d.db.Exec(`DROP TABLE embedded`); err != nil { // a ledger of before
			t.Fatal(err)
		}
		b.Close()
		b, err := OpenBook(path)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		r := Identity{7}
		if err := b.Embedded(map[string][]Identity{"s1": {r, {8}}, "s2": {r}}); err != nil {
			t.Fatal(err)
		}
		if c := costOf(t, path); c.Reports != 0 || c.DistinctReports != nil {
			t.Errorf("%+v", c)
		}
		reports, err := b.EmbeddedOf("s1")
		if err != nil || len(reports) != 2 || reports[0] != r {
			t.Error(reports, err)
		}
		if _, rows, err := b.Forget("s1", reports); err != nil || rows != 2 {
			t.Error(rows, err)
		}
		if left, err := b.EmbeddedOf("s2"); err != nil || len(left) != 1 {
			t.Error(left, err)
		}
		if left, err := b.EmbeddedOf("s1"); err != nil || len(left) != 0 {
			t.Error(left, err)
		}
	})
}
