package flink

import (
	"bufio"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"silverbeam/pkg/shard"
)

// The newest set of Beam's Flink runner and of Flink that Maven Central had whole in November 2026: Beam 2.62.0, Flink 1.19.3.
// RocksDB is left out, which batch jobs do not use.
//
//go:embed jars.txt
var jarsText string

// jar is one file of a Maven repository.
type jar struct {
	path   string // below the repository
	sha256 string
	bytes  int64
}

func (j jar) name() string { return path.Base(j.path) }

// jarList is a set of jars that belong together: Flink, and Beam's job server for it.
type jarList struct {
	text       string
	repository string // URL
	jars       []jar
}

// openJars reads the list in a file, or of "" the program's own.
func openJars(file string) (l jarList, err error) {
	if file == "" {
		return readJars(jarsText)
	}
	text, err := os.ReadFile(file)
	if err == nil {
		l, err = readJars(string(text))
	}
	if err == nil && l.flink() == "" {
		err = errors.New("names no flink-runtime-VERSION.jar")
	}
	if err != nil {
		return l, fmt.Errorf("list of jars %s: %w", file, err)
	}
	return l, nil
}

// CheckJars says what is wrong with a file that lists jars as Options.Jars wants it.
func CheckJars(file string) error {
	_, err := openJars(file)
	return err
}

// flink is the version of Flink, such as 1.19.3; "": the list does not say.
func (l jarList) flink() string {
	for _, j := range l.jars {
		if dir := path.Dir(j.path); path.Base(path.Dir(dir)) == "flink-runtime" {
			return path.Base(dir)
		}
	}
	return ""
}

// readJars reads a list such as jars.txt: comments, the repository's URL, then a line a jar.
func readJars(text string) (l jarList, err error) {
	l.text = text
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		f := strings.Fields(lines.Text())
		switch {
		case len(f) == 0 || strings.HasPrefix(f[0], "#"):
		case len(f) == 1 && l.repository == "":
			l.repository = strings.TrimSuffix(f[0], "/")
		case len(f) == 3 && len(f[0]) == 2*sha256.Size:
			bytes, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				return l, fmt.Errorf("line %d: bytes: %q", n, f[1])
			}
			l.jars = append(l.jars, jar{f[2], f[0], bytes})
		default:
			return l, fmt.Errorf("line %d: wants SHA-256, bytes and path of a jar", n)
		}
	}
	if l.repository == "" || len(l.jars) == 0 {
		return l, errors.New("wants a repository's URL and jars")
	}
	return l, lines.Err()
}

// fetch gives the folder that holds the jars of a list, after getting those that are missing. Each is checked as it comes.
func (l jarList) fetch(ctx context.Context, say func(string)) (dir string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(cache, "silverbeam", fmt.Sprintf("flink-%.12x", sha256.Sum256([]byte(l.text))))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	var missing []jar
	var total int64
	for _, j := range l.jars {
		if info, err := os.Stat(filepath.Join(dir, j.name())); err != nil || info.Size() != j.bytes {
			missing = append(missing, j)
			total += j.bytes
		}
	}
	if len(missing) == 0 {
		return dir, nil
	}
	say(fmt.Sprintf("flink: fetching %d jars, %d MB, once, from %s into %s", len(missing), total/1e6, l.repository, dir))
	return dir, fetchAll(ctx, l.repository, missing, dir, total, say)
}

func fetchAll(ctx context.Context, repository string, missing []jar, dir string, total int64, say func(string)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var got atomic.Int64
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(10 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				say(fmt.Sprintf("flink: %d of %d MB", got.Load()/1e6, total/1e6))
			case <-done:
				return
			}
		}
	}()
	queue := make(chan jar)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for j := range queue {
				if err := fetchOne(ctx, repository+"/"+j.path, j, dir, &got); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, j := range missing {
		queue <- j
	}
	close(queue)
	wg.Wait()
	close(done)
	return context.Cause(ctx)
}

// fetchOne gets a jar, which stands in its place when it is whole and has been checked.
func fetchOne(ctx context.Context, url string, j jar, dir string, got *atomic.Int64) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("%s: %w", j.name(), err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	return shard.Replace(filepath.Join(dir, j.name()), 0o600, func(w io.Writer) error {
		sum := sha256.New()
		n, err := io.Copy(io.MultiWriter(w, sum), io.LimitReader(answer.Body, j.bytes+1))
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", j.name(), err)
		case n != j.bytes || hex.EncodeToString(sum.Sum(nil)) != j.sha256:
			return fmt.Errorf("%s: is not the file that the list names: %d bytes, SHA-256 %x; it wants %d bytes, %s", url, n, sum.Sum(nil), j.bytes, j.sha256)
		}
		got.Add(n)
		return nil
	})
}
