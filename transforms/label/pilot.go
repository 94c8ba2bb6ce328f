package label

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"silverbeam/pkg/ledger"
	"silverbeam/pkg/llm"
	"silverbeam/pkg/taxonomy"
	"silverbeam/schemas"
	"silverbeam/transforms/internal/batch"
)

// Sample is a report and the findings that a run would ask a model for.
type Sample struct {
	Report string
	Want   []int
}

// Pilot asks the model about some reports ahead of the run, as its step of that name would: answers go to the results
// store, calls to the run's ledger, outside any batch, under its cap. calls[i] is what samples[i] has taken in this run
// folder, now or in an earlier pilot; nil where another run had paid for the answer. A report may be refused: that is
// counted. A second pilot of the same reports pays for nothing.
func Pilot(ctx context.Context, step string, o Options, run schemas.Run, samples []Sample) (calls []*ledger.Called, refused int, err error) {
	t, err := o.Taxonomy()
	if err == nil {
		err = os.MkdirAll(run.Dir, 0o755)
	}
	if err != nil {
		return nil, 0, err
	}
	c, err := batch.Client(o.Client(run), t, run)
	if err != nil {
		return nil, 0, err
	}
	defer Close()
	names, errs := make([]string, len(samples)), make([]error, len(samples))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for i, s := range samples { // the client lets as many through as it may
		wg.Go(func() {
			names[i] = c.Name(s.Report)
			if _, errs[i] = c.Label(ctx, llm.Call{Step: step, Study: names[i], Report: s.Report, Findings: s.Want}); errs[i] == nil || isRefusal(errs[i]) {
				return
			}
			cancel(fmt.Errorf("%s: pilot: %w", step, errs[i]))
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, 0, err
	}
	book, err := Book(run)
	if err != nil {
		return nil, 0, err
	}
	all, err := book.Called("", step)
	if err != nil {
		return nil, 0, err
	}
	found := map[string]*ledger.Called{}
	for i := range all {
		found[all[i].Study] = &all[i]
	}
	for i, name := range names {
		calls = append(calls, found[name])
		if errs[i] != nil {
			refused++
		}
	}
	return calls, refused, nil
}

func isRefusal(err error) bool {
	return errors.As(err, new(taxonomy.NotAssessable)) || errors.As(err, new(llm.Refusal))
}
