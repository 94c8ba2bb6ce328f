package publish

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"silverbeam/pkg/shard"
	"silverbeam/schemas"
	"silverbeam/transforms/internal/batch"
)

// Holding lists the files of a run in which a study stands or may stand, relative to its folder: all files of each batch
// that has the study, under whatever options it was made, and what is made of all batches. Models are not among them.
func Holding(dir, study string) (files []string, err error) {
	var all []string
	batches := map[string]bool{} // by the first half of a batch's file's name
	for _, sub := range []string{"dataset", "eval"} {
		err := filepath.WalkDir(filepath.Join(dir, sub), func(path string, e fs.DirEntry, err error) error {
			switch {
			case err != nil && os.IsNotExist(err):
				return nil
			case err != nil || !e.Type().IsRegular():
				return err
			}
			all = append(all, path)
			if holds(path, study) {
				name, _, _ := strings.Cut(filepath.Base(path), "-")
				batches[name] = true
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if len(batches) == 0 {
		return nil, nil
	}
	whole, err := filepath.Glob(filepath.Join(dir, "eval", "*.*"))
	for _, name := range []string{"dataset/labels.csv", "dataset/labels.parquet", "dataset/manifest.json", "dataset/manifest.parquet", "dataset/croissant.json", "page.html"} {
		whole = append(whole, filepath.Join(dir, name))
	}
	for _, path := range all {
		if name, _, ok := strings.Cut(filepath.Base(path), "-"); ok && batches[name] {
			files = append(files, path)
		}
	}
	for _, path := range whole {
		if _, err := os.Lstat(path); err == nil {
			files = append(files, path)
		}
	}
	slices.Sort(files)
	return files, err
}

// holds says whether a file of one batch has a study, also where it cannot be read: the next run makes it anew.
func holds(path, study string) bool {
	switch filepath.Ext(path) {
	case ".part":
		_, rows, err := shard.ReadLabelPart(path)
		return err != nil || slices.ContainsFunc(rows, func(r shard.LabelRow) bool { return r.ID == study })
	case ".arrow":
		s, err := readSummary(path + ".summary.json")
		if i := strings.LastIndexByte(path, '-'); err != nil && i > 0 { // one that is in a bucket has its digest in its name
			s, err = readSummary(path[:i] + ".arrow.summary.json")
		}
		if err != nil {
			return true
		}
		has, err := shard.Holds(path, s.Shard.Digest, study)
		return has || err != nil
	case shard.SpoolSuffix: // an unfinished batch: its heads say whose volumes it has
		text, err := os.ReadFile(path)
		return err != nil || bytes.Contains(text, []byte(study))
	case ".jsonl":
		text, err := os.ReadFile(path)
		for line := range bytes.Lines(text) {
			var l struct{ Study string }
			if json.Unmarshal(line, &l) != nil || l.Study == study {
				return true
			}
		}
		return err != nil
	}
	if !strings.HasSuffix(path, ".summary.json") {
		return false
	}
	s, err := readSummary(path)
	return err != nil || slices.ContainsFunc(s.Rejects, func(r schemas.Reject) bool { return r.Of(study) })
}

func readSummary(path string) (s batch.Summary, err error) {
	p, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(p, &s)
	}
	return s, err
}
