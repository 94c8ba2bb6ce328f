// Package batch lifts a method on one study to Beam, where one element is one Batch.
//
// It is the one place that knows DoFns, emitters and bundles. A step is a registered struct whose exported fields are
// its options; it travels to a worker as its type's name and JSON. Every study that enters a step is emitted, rejected
// or fails the run, in input order. A sink writes one file a batch and, after it, a summary: a batch whose summaries
// exist is never read again, so a retry, a resume and a re-run are the same thing.
package batch

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"silverbeam/schemas"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

// Step is what a transform on studies writes.
type Step interface {
	// Open readies the step in this process. atOnce is how many studies may wait on calls together; 0 means that the
	// step computes, and shares the process's cores with every other such step.
	Open(ctx context.Context, run schemas.Run) (atOnce int, err error)
	// Study assigns fields of s, never writing into what an earlier step made. It returns nil, a schemas.Refusal (this
	// study leaves), or any other error (the run stops).
	Study(ctx context.Context, s *schemas.Study) error
}

// cores is the process-wide limit on computing studies.
var cores = make(chan struct{}, runtime.GOMAXPROCS(0))

// turn is a worker's hold on a core. It passes on after some milliseconds, not after each study: a report takes 50 µs,
// and to wake another thread costs as much.
type turn struct{ since time.Time }

func (t *turn) take() {
	if time.Since(t.since) < 5*time.Millisecond {
		return
	}
	t.end()
	cores <- struct{}{}
	t.since = time.Now()
}

func (t *turn) end() {
	if !t.since.IsZero() {
		<-cores
		t.since = time.Time{}
	}
}

type batchKey struct{}

// ID is the id of the batch that ctx belongs to.
func ID(ctx context.Context) string {
	id, _ := ctx.Value(batchKey{}).(string)
	return id
}

// lifted is an opened step that takes whole batches; of Beam it knows the counters only.
type lifted struct {
	name              string
	step              Step
	run               schemas.Run
	atOnce            int
	slots             chan struct{} // atOnce of them, for the studies of all batches under way
	in, out, rejected beam.Counter
}

func lift(ctx context.Context, name string, st Step, run schemas.Run) (*lifted, error) {
	n, err := st.Open(ctx, run)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if n > 0 {
		beginAsking()
	}
	return &lifted{name, st, run, n, make(chan struct{}, n), beam.NewCounter(name, "in"), beam.NewCounter(name, "out"), beam.NewCounter(name, "rejects")}, nil
}

// passing is a batch that a step works on.
type passing struct {
	b      schemas.Batch
	errs   []error // a refusal of each study
	err    error   // stops the run
	took   time.Duration
	cpu    float64
	cancel context.CancelFunc
	done   chan struct{}
}

// begin starts the step on a batch. Its slices are cloned before that, because another consumer may hold b, and who
// emitted it empties them.
func (l *lifted) begin(ctx context.Context, b schemas.Batch) *passing {
	b.Studies, b.Rows = slices.Clone(b.Studies), slices.Clone(b.Rows)
	ctx, leave := Enter(context.WithValue(ctx, batchKey{}, b.ID), l.run.Dir)
	ctx, cancel := context.WithCancel(ctx)
	p, start := &passing{b: b, cancel: cancel, done: make(chan struct{})}, time.Now()
	go func() {
		defer close(p.done)
		defer leave()
		defer cancel()
		p.errs, p.cpu, p.err = l.each(ctx, b.Studies)
		p.took = time.Since(start)
	}()
	return p
}

// end waits for the step and gives what it made of the batch.
func (p *passing) end(ctx context.Context, l *lifted) (schemas.Batch, error) {
	<-p.done
	b := p.b
	if p.err != nil {
		return b, p.err
	}
	in := len(b.Studies)
	kept, rejects := b.Studies[:0], slices.Clip(b.Rejects) // clipped, so that append copies
	for i, s := range b.Studies {
		var r schemas.Refusal
		if errors.As(p.errs[i], &r) {
			rejects = append(rejects, schemas.Reject{Step: l.name, Study: s.ID, Class: r.Class, Reason: r.Reason, Batch: b.ID})
			continue
		}
		kept = append(kept, s)
	}
	b.Studies, b.Rejects = kept, rejects
	b.Trail = append(slices.Clip(b.Trail), schemas.Passage{Step: l.name, Unit: "studies", In: in, Out: len(kept),
		Rejects: in - len(kept), Seconds: p.took.Seconds(), CPUSeconds: p.cpu})
	l.in.Inc(ctx, int64(in))
	l.out.Inc(ctx, int64(len(kept)))
	l.rejected.Inc(ctx, int64(in-len(kept)))
	return b, nil
}

// each runs the step on every study, some at a time. It returns each study's refusal, the CPU seconds of the workers, and
// the error that stops the run: of those that had begun, the one of the first study in order, so that a run says the same
// each time. Of a step that waits on calls the seconds are the process's since such a step was last through a batch, but for
// what others compute.
func (l *lifted) each(ctx context.Context, studies []schemas.Study) ([]error, float64, error) {
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	errs, workers, seen := make([]error, len(studies)), l.atOnce, watching(l.run, l.name)
	if workers == 0 {
		workers = cap(cores)
	}
	var next, cpuNS atomic.Int64
	var wg sync.WaitGroup
	for range min(workers, len(studies)) {
		wg.Go(func() {
			var core turn
			var did work
			var passed teller
			defer passed.tell(l.run.Dir, l.name)
			if l.atOnce == 0 {
				defer func() { cpuNS.Add(int64(did.total())) }()
				defer core.end()
			} else {
				l.slots <- struct{}{}
				defer func() { <-l.slots }()
			}
			for i := int(next.Add(1)) - 1; i < len(studies) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if l.atOnce == 0 {
					core.take()
				}
				began := time.Now()
				if errs[i] = l.study(ctx, &studies[i]); errs[i] != nil && !errors.As(errs[i], new(schemas.Refusal)) {
					cancel(l.stops(studies[i], errs[i]))
				} else if err := seen.watch(errs[i]); err != nil {
					cancel(fmt.Errorf("%s: %w", l.name, err))
				}
				did.add(time.Since(began))
				passed.count(l.run.Dir, l.name, errs[i] != nil)
			}
		})
	}
	wg.Wait()
	if l.atOnce > 0 {
		cpuNS.Add(int64(sinceAsked()))
	}
	why := context.Cause(ctx)
	for i, err := range errs {
		if why != nil && outer.Err() == nil && err != nil && !errors.As(err, new(schemas.Refusal)) && !errors.Is(err, context.Canceled) {
			why = l.stops(studies[i], err)
			break
		}
	}
	return errs, time.Duration(cpuNS.Load()).Seconds(), why
}

func (l *lifted) stops(s schemas.Study, err error) error {
	return fmt.Errorf("%s: study %s: %w", l.name, s.ID, err)
}

// study runs the step on one study; a panic becomes an error, since in a goroutine of ours it would end the process.
func (l *lifted) study(ctx context.Context, s *schemas.Study) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return l.step.Study(ctx, s)
}
