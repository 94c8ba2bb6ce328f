// Package bucket reads and writes objects by their URLs: s3://BUCKET/KEY, or s3://BUCKET/KEY?endpoint=URL for what speaks
// S3's protocol elsewhere.
//
// It stands on gocloud.dev/blob, and each kind of bucket is one driver: s3.go is the only file that knows one. Keys and
// secrets come from the environment that the driver's own tools use, never from a URL. Errors name bucket and key, and say
// whether it was the world (ErrTemporary), the credentials (ErrRefused) or that nothing is there (fs.ErrNotExist). A read
// that breaks off goes on where it stopped, of the same version of the object, so that no reader takes a broken connection
// for the end of a file.
package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"gocloud.dev/blob"
)

// Is says whether a path is the URL of an object and not a file's.
func Is(path string) bool { return strings.HasPrefix(path, "s3://") }

// Check says what is wrong with a URL, without repeating what may be secret in it. A file's path is right.
func Check(path string) error {
	if !Is(path) {
		return nil
	}
	_, err := parse(path)
	return err
}

// place is a parsed URL.
type place struct {
	u   url.URL
	key string // without slashes around it; "" is the bucket
}

func (p place) String() string {
	if p.key == "" {
		return p.u.Scheme + "://" + p.u.Host
	}
	return p.u.Scheme + "://" + p.u.Host + "/" + p.key
}

func parse(s string) (p place, err error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return p, errors.New("not a URL: s3://BUCKET/KEY, with %25, %3F and %23 for %, ? and # in a key")
	case u.User != nil:
		return p, errors.New("keys have no place in a URL: they are taken from the environment (AWS_ACCESS_KEY_ID, AWS_PROFILE and so on)")
	case u.Host == "":
		return p, errors.New("no bucket: s3://BUCKET/KEY")
	case u.Fragment != "":
		return p, errors.New("a # in a key is written %23")
	}
	for name := range u.Query() {
		if !slices.Contains(settings, name) {
			return p, fmt.Errorf("?%s=: one of %s", name, strings.Join(settings, ", "))
		}
	}
	return place{u: *u, key: strings.Trim(u.Path, "/")}, nil
}

// Join is the URL or path of what lies below another.
func Join(root, rel string) string {
	p, err := parse(root)
	if !Is(root) || err != nil {
		return filepath.Join(root, filepath.FromSlash(rel))
	}
	p.u.Path, p.u.RawPath = path.Join("/", p.key, rel), ""
	return p.u.String()
}

// Name is how messages name a path: of a URL the bucket and the key.
func Name(s string) string {
	if !Is(s) {
		return s
	}
	p, err := parse(s)
	if err != nil {
		return "s3://..." // it may hold a key
	}
	return p.String()
}

// buckets are those that this process has opened: URL → func() (*blob.Bucket, error).
var buckets sync.Map

func open(s string) (*blob.Bucket, place, error) {
	p, err := parse(s)
	if err != nil {
		return nil, p, err
	}
	u := bucketURL(p.u)
	once, _ := buckets.LoadOrStore(u, sync.OnceValues(func() (*blob.Bucket, error) {
		return blob.OpenBucket(context.Background(), u)
	}))
	b, err := once.(func() (*blob.Bucket, error))()
	if err != nil {
		return nil, p, fmt.Errorf("%s: %w: %s", p, ErrRefused, cause(err)) // settings and profiles; nothing was sent yet
	}
	return b, p, nil
}

// Entry is an object of a listing.
type Entry struct {
	Key  string // below the place that was listed
	Size int64
	Tag  string // differs between versions of the object
}

// Version tells versions of the object apart.
func (e Entry) Version() string { return fmt.Sprintf("%d %s", e.Size, e.Tag) }

// List gives all objects below a URL, by key.
func List(ctx context.Context, s string) (list []Entry, err error) {
	b, p, err := open(s)
	if err != nil {
		return nil, err
	}
	prefix := p.key
	if prefix != "" {
		prefix += "/"
	}
	objects := b.List(&blob.ListOptions{Prefix: prefix})
	for {
		o, err := objects.Next(ctx)
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, named(p, err)
		}
		if key := strings.TrimPrefix(o.Key, prefix); key != "" && !strings.HasSuffix(key, "/") { // some tools make folders' objects
			list = append(list, Entry{key, o.Size, tagOf(o)})
		}
	}
}

// Stat tells of one object.
func Stat(ctx context.Context, s string) (Entry, error) {
	b, p, err := open(s)
	if err != nil {
		return Entry{}, err
	}
	a, err := b.Attributes(ctx, p.key)
	if err != nil {
		return Entry{}, named(p, err)
	}
	return Entry{p.key, a.Size, a.ETag}, nil
}

// ErrTooLarge is an object of more bytes than were to be read.
var ErrTooLarge = errors.New("too large")

// Fetch copies an object of at most so many bytes into a file, which it makes or empties.
func Fetch(ctx context.Context, s, file string, most int64) error {
	o, err := Open(ctx, s)
	if err != nil {
		return err
	}
	defer o.Close()
	if o.size > most {
		return fmt.Errorf("%s: %w: %d bytes, %d at most", o.place, ErrTooLarge, o.size, most)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, o, make([]byte, 1<<20))
	return errors.Join(err, f.Close())
}

// ReadAll is a small object's content, and its tag for PutIf.
func ReadAll(ctx context.Context, s string) (b []byte, tag string, err error) {
	o, err := Open(ctx, s)
	if err != nil {
		return nil, "", err
	}
	defer o.Close()
	var buf bytes.Buffer
	_, err = buf.ReadFrom(o)
	return buf.Bytes(), o.tag, err
}
