package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"silverbeam/pkg/ledger"
	"silverbeam/pkg/shard"
	"silverbeam/schemas"
	"silverbeam/transforms/publish"
)

// Forget removes files of a run, as publish.Holding names them, and the study's name from what tells of the run, which is
// then one that was interrupted: the same command makes anew what is missing. The folder must be held.
func Forget(dir, study string, files []string) error {
	t, err := publish.Count(dir)
	if err == nil {
		for _, o := range t.Sinks {
			if err := o.Forget(context.Background(), files); err != nil {
				return err
			}
		}
	}
	var errs []error
	for _, f := range files {
		errs = append(errs, os.Remove(f))
	}
	if err == nil {
		t, err = publish.Count(dir) // without what was removed
	}
	if err == nil {
		err = t.WriteRejects(dir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // a pilot's folder has no graph yet
	}
	errs = append(errs, err)
	path := filepath.Join(dir, "run.json")
	p, err := os.ReadFile(path)
	var r schemas.Report
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.Join(errs...)
	case err == nil:
		err = json.Unmarshal(p, &r)
	}
	if len(files) > 0 || strings.Contains(r.Error, study) {
		r.Status, r.Error, r.Digest, r.Page = "interrupted", "", "", ""
		if p, err = json.MarshalIndent(r, "", " "); err == nil {
			err = shard.WriteFile(path, append(p, '\n'))
		}
	}
	return errors.Join(append(errs, err)...)
}

// ours are the files and folders that runs make in their folder, run.json last: until it is gone, the folder is a run's.
var ours = []string{"dataset", "models", "eval", "progress", "page.html", "model-card.md", "dataset-card.md", "rejects.jsonl", "egress.jsonl", "graph.json", liveName, liveName + ".tmp",
	promName, promName + ".tmp", "ledger.db.url", "ledger.db-wal", "ledger.db-shm", "ledger.db-journal", "run.json"}

// locks are removed last: who holds them holds the folder.
var locks = []string{"ledger.db.lock", lockName}

// Purge removes all that runs have made in a folder, and the folder if nothing else is in it; left is what else there is.
// A folder that another process holds is ErrBusy.
func Purge(dir string) (left []string, err error) {
	letGo, err := Hold(dir)
	if err != nil {
		return nil, err
	}
	defer letGo()
	for _, name := range ours {
		if target, err := os.Readlink(filepath.Join(dir, name)); err == nil {
			return nil, fmt.Errorf("%s leads to %s: remove that and the link, then the same command removes the rest", filepath.Join(dir, name), target)
		}
	}
	if err := ledger.Remove(filepath.Join(dir, "ledger.db")); err != nil {
		return nil, err
	}
	spools, _ := filepath.Glob(filepath.Join(dir, ".spool-*.jsonl"))
	errs := []error{shard.Sweep(dir)}
	for _, path := range spools {
		errs = append(errs, os.Remove(path))
	}
	for _, name := range append(ours, locks...) {
		if err := errors.Join(errs...); err != nil {
			return nil, err
		}
		errs = append(errs, os.RemoveAll(filepath.Join(dir, name)))
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if err == nil && len(left) == 0 {
		err = os.Remove(dir)
	}
	return left, errors.Join(append(errs, err)...)
}
