package dataset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"

	"silverbeam/pkg/shard"
	"silverbeam/schemas"
	"silverbeam/transforms/internal/batch"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

// commitFn writes the manifest and its tables once every shard is there.
type commitFn struct {
	Name     string
	Options  Options
	Findings []string
	Labels   bool // also the table of labels
	Run      schemas.Run
}

func (f *commitFn) ProcessElement(ctx context.Context, g batch.Gathered, emit func(schemas.Shard)) error {
	sh, err := f.commit(ctx, g)
	if err != nil {
		return batch.Stop(f.Run, fmt.Errorf("%s: %w", f.Name, err))
	}
	emit(sh)
	return nil
}

func (f *commitFn) commit(ctx context.Context, g batch.Gathered) (out schemas.Shard, err error) {
	dir := filepath.Join(f.Run.Dir, "dataset")
	id, err := f.Options.Identity()
	if err != nil {
		return out, err
	}
	m := shard.Manifest{Preset: id, Findings: f.Findings, HUSource: f.Options.HUSource, Splits: map[string]shard.Split{}}
	rows := 0
	for _, s := range g.Shards {
		if s.File == "" {
			continue
		}
		rel, err := filepath.Rel("dataset", s.File)
		if err != nil {
			return out, err
		}
		sp := m.Splits[s.Split]
		ref := shard.BatchRef{ID: s.Batch, File: rel}
		if err := json.Unmarshal([]byte(s.Entry), &ref.Written); err != nil {
			return out, fmt.Errorf("%s: its summary: %w", s.File, err)
		}
		sp.Batches = append(sp.Batches, ref)
		m.Splits[s.Split], rows = sp, rows+s.Rows
	}
	base, _ := os.ReadFile(filepath.Join(dir, shard.ManifestName)) // the bucket's, since Sync
	if f.Options.Out != "" {
		if err := shard.Pull(ctx, f.Options.Out, dir, m); err != nil {
			return out, err
		}
	}
	digest, err := shard.Commit(dir, m)
	if err == nil {
		err = f.tables(dir)
	}
	if err == nil && f.Options.Out != "" {
		err = shard.Push(ctx, dir, f.Options.Out, base)
	}
	return schemas.Shard{Step: f.Name, File: "dataset/manifest.json", Rows: rows, Digest: digest}, err
}

// tables writes the Parquet files and the metadata beside the manifest.
func (f *commitFn) tables(dir string) error {
	d, err := shard.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.WriteTables(dir, f.Labels, f.Options.License), d.Close())
}

func init() {
	beam.RegisterDoFn(reflect.TypeFor[commitFn]())
}
