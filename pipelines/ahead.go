package pipelines

import (
	"context"
	"iter"
	"path/filepath"

	"silverbeam/pkg/ledger"
	"silverbeam/schemas"
	"silverbeam/transforms/intake"
	"silverbeam/transforms/label"
)

// Ahead does, before the graph, what takes a provider's batch interface hours: see label.Ahead. Jobs of an earlier process
// are waited for in any mode.
func (g *Graph) Ahead(ctx context.Context, run schemas.Run) error {
	under, _ := ledger.ReadBatches(filepath.Join(run.Dir, "ledger.db")) // none can be read: none was made
	todo := g.todo(run.Dir)
	for _, s := range g.Pipeline.Steps {
		o, ok := s.Options.(*label.Options)
		if !ok || !o.Calls() || run.Replay || under.Open == 0 && (o.Mode != label.Batch || len(todo) == 0) {
			continue
		}
		if err := label.Ahead(ctx, s.Name, *o, run, g.reading(todo)); err != nil {
			return err
		}
	}
	return nil
}

// reading reads the studies of batches, one batch after the other.
func (g *Graph) reading(batches []schemas.Batch) iter.Seq2[schemas.Batch, error] {
	o := *g.Pipeline.Steps[0].Options.(*intake.Options)
	return func(yield func(schemas.Batch, error) bool) {
		for _, b := range batches {
			if err := intake.Read(o, &b); !yield(b, err) || err != nil {
				return
			}
		}
	}
}
