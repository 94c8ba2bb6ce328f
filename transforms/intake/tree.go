package intake

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"silverbeam/pkg/bucket"
)

// tree is where an input's files lie: a folder, or what a bucket has below a key, which is listed once.
type tree struct {
	root   string            // a folder's path or a URL
	listed map[string]string // path below root → version; nil: root is a folder
}

func openTree(root string) (tree, error) {
	t := tree{root: root}
	if !bucket.Is(root) {
		return t, nil
	}
	list, err := bucket.List(context.Background(), root)
	t.listed = make(map[string]string, len(list))
	for _, e := range list {
		t.listed[e.Key] = e.Version()
	}
	return t, err
}

// path is the path or URL of what lies there.
func (t tree) path(rel string) string { return bucket.Join(t.root, rel) }

// below is the part of the tree in a folder of it.
func (t tree) below(dir string) tree {
	b := tree{root: t.path(dir)}
	if t.listed != nil {
		b.listed = map[string]string{}
	}
	for key, version := range t.listed {
		if rel, ok := strings.CutPrefix(key, dir+"/"); ok {
			b.listed[rel] = version
		}
	}
	return b
}

// has says whether a folder with something in it is there.
func (t tree) has(dir string) bool {
	if t.listed != nil {
		return len(t.below(dir).listed) > 0
	}
	_, err := os.Stat(t.path(dir))
	return err == nil
}

// version tells versions of a file apart. Of what is not there the error is fs.ErrNotExist.
func (t tree) version(path string) (string, error) {
	if t.listed == nil {
		return bucket.Version(path)
	}
	rel, err := filepath.Rel(bucket.Name(t.root), bucket.Name(path))
	if v, ok := t.listed[rel]; ok && err == nil {
		return v, nil
	}
	return "", fs.ErrNotExist
}
