package label

import (
	"context"
	"fmt"
	"iter"

	"silverbeam/pkg/llm"
	"silverbeam/schemas"
	"silverbeam/transforms/internal/batch"
)

// Ahead asks the provider's batch interface what a label.Reports step will ask its model, before the graph begins: jobs
// take hours, and a bundle that waited for them would be tried again. The step then finds the answers in the results
// store. Studies are those of whole batches, read once a round. In mode sync, jobs of an earlier process are still waited
// for, as they are paid for.
func Ahead(ctx context.Context, name string, o Options, run schemas.Run, batches iter.Seq2[schemas.Batch, error]) error {
	ctx, leave := batch.Enter(ctx, run.Dir)
	defer leave()
	c, err := openCascade(name, o, run)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var calls iter.Seq2[llm.Call, error]
	t, err := o.Taxonomy()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	wants, err := o.Wants(t)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if o.Mode == Batch {
		calls = func(yield func(llm.Call, error) bool) {
			for b, err := range batches {
				if err != nil {
					yield(llm.Call{}, err)
					return
				}
				i := 0
				for want := range batch.Ordered(64, b.Studies, func(s schemas.Study) []int { return wants(s.Report) }) {
					s := b.Studies[i]
					if i++; len(want) > 0 && !yield(llm.Call{Batch: b.ID, Step: name, Study: s.ID, Report: s.Report, Findings: want}, nil) {
						return
					}
				}
			}
		}
	}
	for _, l := range c.labelers {
		if m, ok := l.(llmLabeler); ok {
			if err := m.Ahead(ctx, calls); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}
