package dataset

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"silverbeam/pkg/volume"
	"silverbeam/schemas"
)

// A disk that cannot be read is no fault of the study: the run stops, to be tried again, and no reject is kept of it.
func TestShardsStopsForTheWorld(t *testing.T) {
	dir := t.TempDir()
	unreadable := filepath.Join(dir, "x_1.nii") // the memory of a process at address 0: a file that reads as EIO
	if err := os.Symlink("/proc/self/mem", unreadable); err != nil {
		t.Fatal(err)
	}
	preset, err := volume.PresetByName("demo")
	if err != nil {
		t.Fatal(err)
	}
	w := &shards{Name: "s", Options: Options{HUSource: "header"}, Findings: []string{"a"}, preset: preset}
	b := &schemas.Batch{ID: "b", Studies: []schemas.Study{{ID: "x", Volumes: []schemas.Volume{{ID: "x_1", Path: unreadable}, {ID: "x_2", Path: "none"}}}}}
	_, _, err = w.Write(t.Context(), filepath.Join(dir, "out.arrow"), b)
	if !errors.Is(err, syscall.EIO) || len(b.Rejects) != 0 {
		t.Errorf("%v, rejects %+v; want an error of the disk", err, b.Rejects)
	}
	b.Studies[0].Volumes = b.Studies[0].Volumes[1:]
	if _, p, err := w.Write(t.Context(), filepath.Join(dir, "out.arrow"), b); err != nil || p.Rejects != 1 {
		t.Errorf("a file that is not there: %v, %+v; want a reject", err, p)
	}
}
