package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

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
	want := Answer{[]taxonomy.Label{{State: taxonomy.NotMentioned, P: .25, From: 3, To: 70000}, {State: taxonomy.Uncertain, P: 1}}, "m", 42}
	if _, ok, err := s.Get(id); ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := errors.Join(s.Put(id, want), s.Put(id, Answer{[]taxonomy.Label{{}}, "other", 1})); err != nil {
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
		if a, ok, err := r.Get(r.Identity("report", "prompt")); !ok || err != nil || a.CostPico != 42 {
			t.Error(a, ok, err)
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
	if a, ok, err := s.Get(id); !ok || err != nil || fmt.Sprint(a) != fmt.Sprint(want) {
		t.Error(a, ok, err)
	}
	for _, f := range []string{"results.db", "results.db.key", "results.db.lock"} {
		if info, err := os.Stat(filepath.Join(dir, f)); err != nil || info.Mode().Perm() != 0o600 {
			t.Error(f, info.Mode(), err)
		}
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
	for _, bad := range []string{"postgres://h/db", "file://host/x"} {
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
				if err := s.Put(id, Answer{Model: fmt.Sprint(g), Labels: []taxonomy.Label{{From: i}}}); err != nil {
					t.Error(err)
				}
				if a, ok, err := s.Get(id); !ok || err != nil || a.Labels[0].From != i {
					t.Error(a, ok, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestLabelsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		labels := rapid.SliceOf(rapid.Custom(func(t *rapid.T) taxonomy.Label {
			return taxonomy.Label{State: taxonomy.State(rapid.Int8Range(-2, 1).Draw(t, "s")), P: rapid.Float32Range(0, 1).Draw(t, "p"),
				From: rapid.IntRange(0, 1<<31).Draw(t, "f"), To: rapid.IntRange(0, 1<<31).Draw(t, "t")}
		})).Draw(t, "labels")
		back, err := decodeLabels(encodeLabels(labels))
		if err != nil || fmt.Sprint(back) != fmt.Sprint(labels) {
			t.Errorf("%v comes back as %v, %v", labels, back, err)
		}
	})
}

func FuzzDecodeLabels(f *testing.F) {
	f.Add(encodeLabels([]taxonomy.Label{{State: taxonomy.Uncertain, P: .5, From: 1, To: 2}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		labels, err := decodeLabels(b)
		if err == nil && len(encodeLabels(labels)) != len(b) {
			t.Errorf("%d bytes gave %d labels", len(b), len(labels))
		}
	})
}
