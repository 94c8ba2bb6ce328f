package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"silverbeam/pkg/taxonomy"

	"pgregory.net/rapid"
)

func TestStoreKeepsTheFirstAnswer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b%?#") // a path that a URL would mangle
	path := filepath.Join(dir, "results.db")
	s, err := OpenStore(path)
	if err != nil {
		t.Fatal(err)
	}
	id := s.Identity("report", "prompt")
	x, y := s.Finding("effusion"), s.Finding("nodule")
	want := Answer{[]FindingID{x, y}, []taxonomy.Label{{State: taxonomy.NotMentioned, P: .25}, {State: taxonomy.Uncertain, P: 1}}, "m", 42, "0123456789abcdef"}
	if a, err := s.Get(id); len(a) > 0 || err != nil {
		t.Fatal(a, err)
	}
	if err := errors.Join(s.Put(id, want), s.Put(id, Answer{Findings: []FindingID{y, x}, Labels: []taxonomy.Label{{}, {}}, Model: "other", CostPico: 1})); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore("file://" + path); err == nil {
		t.Error("a second opener was let in")
	}
	for range 2 { // while another holds it, and when nobody does
		t.Chdir(filepath.Dir(path))
		r, err := ReadStore(filepath.Base(path))
		if err != nil {
			t.Fatal(err)
		}
		if a, err := r.Get(r.Identity("report", "prompt")); err != nil || len(a) != 1 || a[0].CostPico != 42 {
			t.Error(a, err)
		}
		if r.Put(r.Identity("new"), want) == nil {
			t.Error("a reader has written")
		}
		if err := errors.Join(r.Close(), s.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ReadStore(filepath.Join(dir, "none.db")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if s, err = OpenStore(path); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Identity("report", "prompt") != id || s.Identity("reportp", "rompt") == id {
		t.Error("identities changed, or parts run together")
	}
	if a, err := s.Get(id); err != nil || fmt.Sprint(a) != fmt.Sprint([]Answer{want}) {
		t.Error(a, err)
	}
	for _, f := range []string{"results.db", "results.db.key", "results.db.lock"} {
		if info, err := os.Stat(filepath.Join(dir, f)); err != nil || info.Mode().Perm() != 0o600 {
			t.Error(f, info.Mode(), err)
		}
	}
}

// What is said of a finding comes from the oldest answer that has it; its cost is shared by the findings of that answer.
func TestPick(t *testing.T) {
	label := func(from int) taxonomy.Label { return taxonomy.Label{From: from} }
	a, b, c, d := FindingID{1}, FindingID{2}, FindingID{3}, FindingID{4}
	answers := []Answer{
		{[]FindingID{a, b, c}, []taxonomy.Label{label(1), label(2), label(3)}, "m", 100, ""},
		{[]FindingID{c, d}, []taxonomy.Label{label(30), label(4)}, "m", 7, ""},
	}
	for _, x := range []struct {
		want    []FindingID
		from    []int
		missing int
		cost    int64
	}{
		{[]FindingID{a, b, c}, []int{1, 2, 3}, 0, 100}, // all of the first, and nothing of the second
		{[]FindingID{d, c, b, a}, []int{4, 3, 2, 1}, 0, 100 + 7/2},
		{[]FindingID{b}, []int{2}, 0, 100 / 3},
		{[]FindingID{{9}, a}, []int{0, 1}, 1, 100 / 3},
		{nil, nil, 0, 0},
	} {
		labels, missing, cost := Pick(answers, x.want)
		var from []int
		for _, l := range labels {
			from = append(from, l.From)
		}
		if fmt.Sprint(from) != fmt.Sprint(x.from) || len(missing) != x.missing || cost != x.cost {
			t.Errorf("%v: from %v, %d missing, cost %d", x, from, len(missing), cost)
		}
	}
}

// A store of the program's first months holds answers to all findings at once: it stays as it is, and takes new ones.
func TestOldStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.db")
	d, err := openDatabase(path, `CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
		CREATE TABLE answers (identity BLOB PRIMARY KEY, model TEXT NOT NULL, cost INTEGER NOT NULL, created INTEGER NOT NULL, labels BLOB NOT NULL) WITHOUT ROWID;
		INSERT INTO answers VALUES (x'01','m',5,0,x'01')`, 0, storeFolding)
	if err != nil {
		t.Fatal(err)
	}
	s := &Store{d: d}
	if err := errors.Join(s.readKey(path+".key"), s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadStore(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("a reader of an old store:", err)
	}
	if s, err = OpenStore(path); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Put(Identity{1}, Answer{Findings: []FindingID{{1}}, Labels: []taxonomy.Label{{}}, Model: "m", CostPico: 3}); err != nil {
		t.Error(err)
	}
	var old int
	if err := s.d.db.QueryRow(`SELECT count(*) FROM answers`).Scan(&old); err != nil || old != 1 {
		t.Error(old, err)
	}
	if a, err := s.Get(Identity{1}); err != nil || len(a) != 1 {
		t.Error(a, err)
	}
}

func TestSiteKeyIsGuarded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.db")
	again := func() error {
		s, err := OpenStore(path)
		if err == nil {
			err = s.Close()
		}
		return err
	}
	if err := again(); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(path + ".key")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func() error
		want   string
	}{
		"lost":            {func() error { return os.Remove(path + ".key") }, "site key: open "},
		"another":         {func() error { return os.WriteFile(path+".key", []byte(strings.Repeat("0a", 32)), 0o600) }, "is not the one this store was made with"},
		"damaged":         {func() error { return os.WriteFile(path+".key", []byte("x"), 0o600) }, "is not 64 hex digits"},
		"open to readers": {func() error { return os.Chmod(path+".key", 0o644) }, "its mode must be 0600"},
	} {
		os.WriteFile(path+".key", key, 0o600)
		os.Chmod(path+".key", 0o600)
		if err := c.change(); err != nil {
			t.Fatal(err)
		}
		if err := again(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStoreInDefaultPlace(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	s, err := OpenStore("")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := os.Stat(filepath.Join(dir, "silverbeam", "results.db")); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"mysql://h/db", "file://host/x"} {
		if _, err := OpenStore(bad); err == nil {
			t.Errorf("%s was opened", bad)
		}
	}
}

func TestStoreUnderConcurrency(t *testing.T) {
	s, err := OpenStore(filepath.Join(t.TempDir(), "results.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				id := s.Identity(fmt.Sprint(i))
				if err := s.Put(id, Answer{Findings: []FindingID{{1}}, Labels: []taxonomy.Label{{P: float32(i)}}, Model: fmt.Sprint(g)}); err != nil {
					t.Error(err)
				}
				if a, err := s.Get(id); err != nil || len(a) != 1 || a[0].Labels[0].P != float32(i) {
					t.Error(a, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestLabelsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		labels := rapid.SliceOf(rapid.Custom(func(t *rapid.T) taxonomy.Label {
			return taxonomy.Label{State: taxonomy.State(rapid.Int8Range(-2, 1).Draw(t, "s")), P: rapid.Float32Range(0, 1).Draw(t, "p")}
		})).Draw(t, "labels")
		findings := make([]FindingID, len(labels))
		old := []byte{2}
		for i, l := range labels {
			findings[i] = FindingID{byte(i), 15: 1}
			old = append(append(old, findings[i][:]...), byte(l.State))
			old = append(binary.LittleEndian.AppendUint32(old, math.Float32bits(l.P)), 1, 0, 0, 0, 2, 0, 0, 0)
		}
		of := func(set FindingID) ([]FindingID, error) { return findings, nil }
		want := Answer{Findings: findings, Labels: labels, Run: rapid.SampledFrom([]string{"", "0123456789abcdef"}).Draw(t, "run")}
		var back, older Answer
		err := back.decode(encodeAnswer(want, FindingID{9}), of)
		if err != nil || fmt.Sprint(back) != fmt.Sprint(want) {
			t.Errorf("%v comes back as %v, %v", want, back, err)
		}
		if err := older.decode(old, nil); err != nil || fmt.Sprint(older.Findings, older.Labels) != fmt.Sprint(findings, labels) {
			t.Errorf("version 2: %v comes back as %v, %v", labels, older, err)
		}
	})
}

func FuzzDecodeAnswer(f *testing.F) {
	of := func(set FindingID) ([]FindingID, error) { return make([]FindingID, set[0]), nil }
	f.Add(encodeAnswer(Answer{Labels: []taxonomy.Label{{State: taxonomy.Uncertain, P: .5}}, Run: "0123456789abcdef"}, FindingID{1}))
	f.Add(make([]byte, 1+oldSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		var a Answer
		if err := a.decode(b, of); err == nil && len(a.Labels) != len(a.Findings) {
			t.Errorf("%d bytes gave %d labels of %d findings", len(b), len(a.Labels), len(a.Findings))
		}
	})
}

// An answer that waits in the journal is found as one in the table is: here, by a reader, and after its process has died.
func TestAnswersThatWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db") // as dead copies it
	s, err := OpenStore(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	answer := func(cost int64, findings ...FindingID) Answer {
		return Answer{Findings: findings, Labels: make([]taxonomy.Label, len(findings)), Model: "m", CostPico: cost, Run: "0123456789abcdef"}
	}
	id, x, y := s.Identity("report"), FindingID{1}, FindingID{2}
	for _, a := range []Answer{answer(1, x), answer(2, y), answer(3, x, y), answer(4, y, x), answer(5, y)} {
		if err := s.Put(id, a); err != nil {
			t.Fatal(err)
		}
	}
	rows := 0
	if err := s.d.db.QueryRow(`SELECT count(*) FROM calls`).Scan(&rows); err != nil || rows != 0 {
		t.Fatalf("%d rows in the table, %v", rows, err)
	}
	want := []int64{1, 2, 3}
	costs := func(s *Store, err error) (got []int64) {
		if err != nil {
			t.Fatal(err)
		}
		all, err := s.Get(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range all {
			got = append(got, a.CostPico)
		}
		return got
	}
	waiting := costs(s, nil)
	if got := slices.Sorted(slices.Values(waiting)); !slices.Equal(got, want) {
		t.Errorf("while they wait: %v", got)
	}
	whole, err := os.ReadFile(journalOf(path))
	if err != nil {
		t.Fatal(err)
	}
	copied := dead(t, path, whole)
	key, err := os.ReadFile(path + ".key")
	if err == nil {
		err = os.WriteFile(copied+".key", key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link.db")
	if err := errors.Join(os.Symlink(copied, link), os.Symlink(copied+".key", link+".key")); err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup // all at once, and by another name
	for _, name := range []string{copied, copied, copied, link} {
		readers.Go(func() {
			r, err := ReadStore(name)
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			if all, err := r.Get(id); err != nil || len(all) != len(want) {
				t.Errorf("of one who died, read: %v, %v", all, err)
			}
		})
	}
	readers.Wait()
	if err := s.d.fold(); err != nil {
		t.Fatal(err)
	}
	if got := costs(s, nil); !slices.Equal(got, waiting) {
		t.Errorf("in the table: %v, and while they waited: %v", got, waiting)
	}
	if err := s.Put(id, answer(6, x)); err != nil { // waits beside the one in the table
		t.Fatal(err)
	}
	if got := costs(s, nil); !slices.Equal(got, waiting) {
		t.Errorf("in the table, with another one that waits: %v", got)
	}
	if err := errors.Join(os.WriteFile(journalOf(copied), whole, 0o600), os.Remove(copied)); err != nil {
		t.Fatal(err)
	}
	again, err := OpenStore(copied)
	if got := costs(again, err); got != nil {
		t.Errorf("of one that was removed: %v", got)
	}
	again.Close()
}

// However often answers go from the journal into the table, one that was put is found.
func TestAnswersAreFoundWhileTheyMove(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.db")
	d, err := openDatabase(path, storeSchema, 0, folding{entries: 5, every: time.Millisecond, size: 4 << 10})
	if err != nil {
		t.Fatal(err)
	}
	s := &Store{d: d}
	defer s.Close()
	if err := s.readKey(path + ".key"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 300 {
				id := s.Identity(fmt.Sprint(g, i))
				if err := s.Put(id, Answer{Findings: []FindingID{{1}}, Labels: []taxonomy.Label{{}}, CostPico: int64(i)}); err != nil {
					t.Error(err)
				}
				for range 5 {
					if a, err := s.Get(id); err != nil || len(a) != 1 || a[0].CostPico != int64(i) {
						t.Errorf("%d of %d: %v, %v", i, g, a, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}
