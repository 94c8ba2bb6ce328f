package local

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A run that was killed is dead at once, and one that goes on is not disturbed by those who look.
func TestDeadIsWhatNobodyHolds(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "run.json"), []byte(`{"status":"running"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	state := func(want string) {
		t.Helper()
		if s, err := Look(dir); err != nil || s.State != want {
			t.Errorf("state %+v, %v; want %s", s, err, want)
		}
	}
	state("dead")
	path := filepath.Join(dir, lockName)
	unlock, err := lock(path)
	if err != nil {
		t.Fatal(err)
	}
	state("running")
	if _, err := lock(path); !errors.Is(err, ErrBusy) {
		t.Errorf("a second one got in: %v", err)
	}
	unlock()
	state("dead")
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		for range 300 {
			held(path)
		}
	}()
	for range 300 {
		unlock, err := lock(path)
		if err != nil {
			t.Fatalf("one who looked kept it: %v", err)
		}
		unlock()
	}
	<-stop
}
