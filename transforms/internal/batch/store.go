package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"silverbeam/pkg/bucket"
	"silverbeam/pkg/shard"
	"silverbeam/schemas"
)

// url is where a file of the run folder lies in the bucket.
func (o Output) url(file string) string {
	rel, _ := filepath.Rel(o.Dir, file)
	return bucket.Join(o.Store, filepath.ToSlash(rel))
}

// store puts a batch's file into the bucket. Its name gets its digest there and here, so that of two runs at once, whose
// answers may differ, none replaces what the other's manifest names.
func (o Output) store(ctx context.Context, dir string, sh schemas.Shard) (schemas.Shard, error) {
	if o.Store == "" || sh.File == "" {
		return sh, nil
	}
	if end := "-" + sh.Digest[:16] + "." + o.Ext; !strings.HasSuffix(sh.File, end) {
		was := sh.File
		sh.File = strings.TrimSuffix(was, "."+o.Ext) + end
		if err := os.Rename(filepath.Join(dir, was), filepath.Join(dir, sh.File)); err != nil {
			return sh, err
		}
	}
	return sh, bucket.Put(ctx, o.url(sh.File), filepath.Join(dir, sh.File))
}

// unfinished is how old an upload must be to be taken for a killed process's.
const unfinished = 24 * time.Hour

// Sync makes run folder and bucket tell the same of which batches are done: a summary that only the bucket has comes here, and
// one that only the folder has goes there with its file, or is forgotten if it has none. The bucket's manifest comes too.
func (o Output) Sync(ctx context.Context, dir string, batches []schemas.Batch) error {
	if o.Store == "" {
		return nil
	}
	if err := bucket.Sweep(ctx, o.Store, unfinished); err != nil {
		return fmt.Errorf("%s: %w", o.Step, err)
	}
	list, err := bucket.List(ctx, o.Store)
	if err != nil {
		return fmt.Errorf("%s: %w", o.Step, err)
	}
	there := map[string]bool{}
	for _, e := range list {
		there[e.Key] = true
	}
	if there[shard.ManifestName] {
		err = o.bring(ctx, filepath.Join(o.Dir, shard.ManifestName), dir)
	}
	errs, turn := make([]error, len(batches)), make(chan struct{}, 16) // requests at once
	var wg sync.WaitGroup
	for i, b := range batches {
		turn <- struct{}{}
		wg.Go(func() { errs[i] = o.syncOne(ctx, dir, b, there); <-turn })
	}
	wg.Wait()
	if err := errors.Join(append(errs, err)...); err != nil {
		return fmt.Errorf("%s: %w", o.Step, err)
	}
	return nil
}

// bring copies an object into the run folder.
func (o Output) bring(ctx context.Context, file, dir string) error {
	b, _, err := bucket.ReadAll(ctx, o.url(file))
	if err != nil {
		return err
	}
	return shard.WriteFile(filepath.Join(dir, file), b)
}

func (o Output) syncOne(ctx context.Context, dir string, b schemas.Batch, there map[string]bool) error {
	name := o.File(b) + summary
	has := func(file string) bool { rel, _ := filepath.Rel(o.Dir, file); return there[filepath.ToSlash(rel)] }
	path, s := filepath.Join(dir, name), Summary{}
	p, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(p, &s) != nil {
		if !has(name) {
			return nil
		}
		if err := o.bring(ctx, name, dir); err != nil {
			return err
		}
		if p, err = os.ReadFile(path); err == nil {
			err = json.Unmarshal(p, &s)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if s.Shard.File == "" || has(s.Shard.File) {
		if has(name) {
			return nil
		}
		return bucket.Put(ctx, o.url(name), path)
	}
	if s.Shard, err = o.store(ctx, dir, s.Shard); errors.Is(err, fs.ErrNotExist) {
		return os.Remove(path) // nobody has its file: it is made anew
	}
	if err == nil {
		p, err = json.Marshal(s)
	}
	if err == nil {
		err = shard.WriteFile(path, p)
	}
	if err == nil {
		err = bucket.Put(ctx, o.url(name), path)
	}
	return err
}

// Forget removes from the bucket what files of the run folder stand for there: all that is named after their batches, and the
// files of the same name.
func (o Output) Forget(ctx context.Context, files []string) error {
	if o.Store == "" {
		return nil
	}
	batch := func(path string) string { name, _, _ := strings.Cut(filepath.Base(path), "-"); return name }
	gone := map[string]bool{}
	for _, f := range files {
		gone[batch(f)] = true
	}
	list, err := bucket.List(ctx, o.Store)
	for _, e := range list {
		if gone[batch(e.Key)] {
			err = errors.Join(err, bucket.Delete(ctx, bucket.Join(o.Store, e.Key)))
		}
	}
	return err
}
