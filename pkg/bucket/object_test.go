package bucket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serve answers GET and HEAD of one object by the standard library's rules for ranges and If-Match. What comes of a request is
// up to meddle: a body that ends after so many bytes (-1: it is whole), or an error before.
func serve(t *testing.T, content []byte, meddle func(r *http.Request) (bytes int64, status int, tag string)) (url string) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		most, status, tag := meddle(r)
		if status != 0 {
			w.WriteHeader(status)
			return
		}
		w.Header().Set("ETag", tag)
		http.ServeContent(&cut{w, most}, r, "", time.Unix(0, 0), bytes.NewReader(content))
	}))
	t.Cleanup(s.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	return "s3://scans/a/b.nii.gz?endpoint=" + s.URL
}

// cut breaks the connection after so many bytes of a body.
type cut struct {
	http.ResponseWriter
	left int64
}

func (c *cut) Write(b []byte) (int, error) {
	if c.left < 0 {
		return c.ResponseWriter.Write(b)
	}
	n, err := c.ResponseWriter.Write(b[:min(int64(len(b)), c.left)])
	if c.left -= int64(n); err != nil || c.left == 0 {
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, nil
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// A connection that breaks is not the end of a file: the rest is asked for, and the file is whole.
func TestReadGoesOn(t *testing.T) {
	content := noise(1 << 20)
	var requests atomic.Int64
	url := serve(t, content, func(r *http.Request) (int64, int, string) {
		if r.Method == http.MethodGet {
			requests.Add(1)
		}
		return 300_000, 0, `"v1"`
	})
	file := filepath.Join(t.TempDir(), "copy")
	if err := Fetch(context.Background(), url, file, 1<<20); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if err != nil || sha256.Sum256(got) != sha256.Sum256(content) {
		t.Errorf("%v, %d bytes that are not the object's %d", err, len(got), len(content))
	}
	if n := requests.Load(); n != 4 {
		t.Errorf("%d requests for four parts", n)
	}
}

func TestReadFails(t *testing.T) {
	for _, c := range []struct {
		name string
		most int64
		is   error
		how  func(r *http.Request, gets int) (int64, int, string)
	}{
		{"another version comes in between", 1 << 20, ErrRaced, func(_ *http.Request, gets int) (int64, int, string) { return 300_000, 0, fmt.Sprintf(`"v%d"`, gets/2) }},
		{"it vanishes after it was found", 1 << 20, fs.ErrNotExist, func(_ *http.Request, gets int) (int64, int, string) { return -1, 404 * min(gets, 1), `"v"` }},
		{"it is not there", 1 << 20, fs.ErrNotExist, func(*http.Request, int) (int64, int, string) { return -1, 404, "" }},
		{"the key may not", 1 << 20, ErrRefused, func(*http.Request, int) (int64, int, string) { return -1, 403, "" }},
		{"it is larger than is taken", 1<<20 - 1, ErrTooLarge, func(r *http.Request, _ int) (int64, int, string) { return -1, 0, `"v"` }},
	} {
		t.Run(c.name, func(t *testing.T) {
			gets := 0
			url := serve(t, noise(1<<20), func(r *http.Request) (int64, int, string) {
				if r.Method == http.MethodGet {
					gets++
				}
				return c.how(r, gets)
			})
			err := Fetch(context.Background(), url, filepath.Join(t.TempDir(), "copy"), c.most)
			if !errors.Is(err, c.is) || !strings.HasPrefix(err.Error(), "s3://scans/a/b.nii.gz: ") {
				t.Errorf("got %v, want an error of the object that is %v", err, c.is)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "endpoint") {
				t.Errorf("%v says too much", err)
			}
		})
	}
}

// ReadAt and Seek give what a file gives.
func TestReadAnywhere(t *testing.T) {
	content := noise(100_000)
	o, err := Open(context.Background(), serve(t, content, func(*http.Request) (int64, int, string) { return -1, 0, `"v1"` }))
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	end := make([]byte, 10)
	if n, err := o.ReadAt(end, 99_995); n != 5 || err != io.EOF || !bytes.Equal(end[:n], content[99_995:]) {
		t.Errorf("ReadAt over the end: %d, %v", n, err)
	}
	part := make([]byte, 1000)
	if _, err := io.ReadFull(o, part); err != nil || !bytes.Equal(part, content[:1000]) {
		t.Errorf("the first bytes: %v", err)
	}
	if _, err := o.Seek(-7, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(o); err != nil || !bytes.Equal(rest, content[99_993:]) {
		t.Errorf("after Seek: %d bytes, %v", len(rest), err)
	}
}

func TestURLs(t *testing.T) {
	for _, c := range []struct{ url, rel, joined, name, check string }{
		{"data/x", "a/b.csv", "data/x/a/b.csv", "data/x", ""},
		{"s3://scans", "a b/c#1.csv", "s3://scans/a%20b/c%231.csv", "s3://scans", ""},
		{"s3://scans/in/?endpoint=http://127.0.0.1:1", "a.csv", "s3://scans/in/a.csv?endpoint=http://127.0.0.1:1", "s3://scans/in", ""},
		{"s3://id:a-secret@scans/in", "", "", "s3://...", "keys have no place in a URL"},
		{"s3://scans/in?secret=a-secret", "", "", "s3://...", "?secret=: one of endpoint, region"},
		{"s3:///in", "", "", "s3://...", "no bucket"},
		{"s3://scans/a#b", "", "", "s3://...", "%23"},
		{"s3://scans/a%zz", "", "", "s3://...", "not a URL"},
	} {
		err := Check(c.url)
		if (err == nil) != (c.check == "") || err != nil && (!strings.Contains(err.Error(), c.check) || strings.Contains(err.Error(), "a-secret")) {
			t.Errorf("Check(%s) = %v, want %q", c.url, err, c.check)
		}
		if got := Name(c.url); got != c.name {
			t.Errorf("Name(%s) = %s, want %s", c.url, got, c.name)
		}
		if got := Join(c.url, c.rel); c.joined != "" && got != c.joined {
			t.Errorf("Join(%s, %s) = %s, want %s", c.url, c.rel, got, c.joined)
		}
	}
}
