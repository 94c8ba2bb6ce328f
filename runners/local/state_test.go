package local

import (
	"errors"
	"fmt"
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

// The step at work is the first that is not through, or the one behind it that holds it up.
func TestStepAtWork(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("run.json", `{"status":"running","steps":[{"name":"intake.Studies","skipped":20},{"name":"label.Reports","skipped":20},{"name":"dataset.Shards","skipped":35},{"name":"publish.Page"}]}`)
	write("graph.json", `{"Batches":[{"ID":"0123456789abcdef"}],"Studies":[200]}`)
	for _, c := range []struct {
		labels, shards int
		want           string
		done           int64
	}{{60, 0, "label.Reports", 80}, {60, 50, "label.Reports", 80}, {60, 30, "dataset.Shards", 50}, {180, 0, "label.Reports", 200}, {180, 170, "dataset.Shards", 190}} {
		text := fmt.Sprintf(`{"label.Reports":{"Seen":%d},"dataset.Shards":{"Seen":%d}}`, c.labels, c.shards)
		write("progress/1.json", text)
		s, err := Look(dir)
		if err != nil || s.Step != c.want || s.Done != c.done || s.Total != 200 {
			t.Errorf("%s: %s %d of %d, %v; want %s %d", text, s.Step, s.Done, s.Total, err, c.want, c.done)
		}
	}
}
