package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"

	"silverbeam/pkg/bucket"
	"silverbeam/pkg/volume"
)

// copyMost bounds a file that is copied out of a bucket: as many voxels as a reader takes, of eight bytes, and a header.
const copyMost = 8*volume.MaxVoxels + 1<<20

// errCopy says that a volume could not be copied out of its bucket, which says nothing of the volume.
var errCopy = errors.New("not copied")

// copied is a volume of a bucket in a temporary file.
type copied struct {
	url   string
	ready chan struct{} // closed once path or err is set
	path  string
	err   error
	free  func() // removes the file and lets the next be copied
}

// fetch copies the volumes that lie in a bucket into dir, in the jobs' order, at most so many ahead of those that are read;
// end stops that and removes what is left. A killed process's copies have names that shard.Sweep knows.
func fetch(ctx context.Context, dir string, jobs []job) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	room := make(chan struct{}, 2*runtime.GOMAXPROCS(0)) // more than batch.Ordered has under way
	var all []*copied
	for i := range jobs {
		if bucket.Is(jobs[i].volume.Path) && !jobs[i].spool.Has(jobs[i].volume.ID) {
			c := &copied{url: jobs[i].volume.Path, ready: make(chan struct{})}
			jobs[i].copy, all = c, append(all, c)
		}
	}
	var under sync.WaitGroup
	under.Go(func() {
		for _, c := range all {
			room <- struct{}{}
			c.free = sync.OnceFunc(func() { os.Remove(c.path); <-room })
			under.Go(func() {
				defer close(c.ready)
				c.path, c.err = fetchOne(ctx, dir, c.url)
			})
		}
	})
	return func() {
		cancel()
		for _, c := range all {
			<-c.ready
			c.free()
		}
		under.Wait()
	}
}

func fetchOne(ctx context.Context, dir, url string) (path string, err error) {
	if err := errors.Join(ctx.Err(), os.MkdirAll(dir, 0o755)); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, "volume.tmp")
	if err != nil {
		return "", err
	}
	err = errors.Join(f.Close(), bucket.Fetch(ctx, url, f.Name(), copyMost))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, bucket.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", errCopy, err)
	}
	return f.Name(), err
}

// file is where a job's volume lies; done says that it is read.
func (j job) file() (path string, done func(), err error) {
	if j.copy == nil {
		return j.volume.Path, func() {}, nil
	}
	<-j.copy.ready
	return j.copy.path, j.copy.free, j.copy.err
}

// named is an error of a copy that names the object.
func (j job) named(err error) error {
	if j.copy == nil || j.copy.path == "" || err == nil {
		return err
	}
	return renamed{err, j.copy.path, bucket.Name(j.copy.url)}
}

type renamed struct {
	error
	from, to string
}

func (r renamed) Error() string { return strings.ReplaceAll(r.error.Error(), r.from, r.to) }
func (r renamed) Unwrap() error { return r.error }
