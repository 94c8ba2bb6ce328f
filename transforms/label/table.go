package label

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"silverbeam/pkg/shard"
	"silverbeam/schemas"
	"silverbeam/transforms/internal/batch"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

// TableName is the type of the step that writes labels as a table.
const TableName = "label.Table"

// TableOptions is the config block of a label.Table step.
type TableOptions struct {
	As        string `yaml:"as"`        // state (default), binary or probability
	Uncertain string `yaml:"uncertain"` // how uncertain becomes binary: one (default), zero or missing
}

// Validate names every setting that cannot work.
func (o TableOptions) Validate() error {
	var errs []error
	for _, c := range []struct {
		field, value string
		known        []string
	}{{"as", o.As, []string{"", "state", "binary", "probability"}}, {"uncertain", o.Uncertain, []string{"", "one", "zero", "missing"}}} {
		if !slices.Contains(c.known, c.value) {
			errs = append(errs, schemas.FieldError{Field: c.field, Value: c.value, Bound: "one of " + strings.Join(c.known[1:], ", ")})
		}
	}
	return errors.Join(errs...)
}

// TableOutput is where the step's parts go. config is the digest of the chain down to the step.
func TableOutput(name, config string) batch.Output {
	return batch.Output{Step: name, Dir: "dataset/labels", Ext: "part", Config: config}
}

// Table writes dataset/labels.parquet and labels.csv, one row for every row of the input in its order, those of rejects
// empty: PCollection<Batch> → PCollection<Shard> of one element, the table.
func Table(s beam.Scope, out batch.Output, o TableOptions, findings []string, run schemas.Run, in, done beam.PCollection) (beam.PCollection, error) {
	parts, err := batch.Write(s, out, &tableParts{Findings: findings}, run, in, done)
	if err != nil {
		return beam.PCollection{}, err
	}
	s = s.Scope(out.Step)
	return beam.ParDo(s, &mergeFn{out.Step, o, findings, run}, batch.Gather(s, parts)), nil
}

type tableParts struct{ Findings []string }

func (*tableParts) Open(context.Context, schemas.Run) error { return nil }

// Write makes the part of one batch.
func (w *tableParts) Write(_ context.Context, path string, b *schemas.Batch) (schemas.Shard, schemas.Passage, error) {
	rows := make([]shard.LabelRow, len(b.Rows))
	for i, id := range b.Rows {
		rows[i].ID = id
	}
	for i := range b.Studies {
		rows[b.Studies[i].Row].Labels = b.Studies[i].Labels
	}
	digest, err := shard.WriteLabelPart(path, w.Findings, rows)
	n := len(b.Studies)
	return schemas.Shard{Rows: len(rows), Digest: digest}, schemas.Passage{Unit: "studies", In: n, Out: n}, err
}

// mergeFn joins the parts once all are there.
type mergeFn struct {
	Name     string
	Options  TableOptions
	Findings []string
	Run      schemas.Run
}

func (f *mergeFn) ProcessElement(_ context.Context, g batch.Gathered, emit func(schemas.Shard)) error {
	var parts []string
	for _, s := range g.Shards {
		if s.File != "" {
			parts = append(parts, filepath.Join(f.Run.Dir, s.File))
		}
	}
	dir := filepath.Join(f.Run.Dir, "dataset")
	rows, digest, err := shard.MergeLabels(parts, f.Findings, shard.LabelForm{As: f.Options.As, Uncertain: f.Options.Uncertain},
		filepath.Join(dir, "labels.parquet"), filepath.Join(dir, "labels.csv"))
	if err != nil {
		return batch.Stop(f.Run, fmt.Errorf("%s: %w", f.Name, err))
	}
	emit(schemas.Shard{Step: f.Name, File: "dataset/labels.parquet", Rows: rows, Digest: digest})
	return nil
}

func init() {
	beam.RegisterType(reflect.TypeFor[tableParts]())
	beam.RegisterDoFn(reflect.TypeFor[mergeFn]())
}
