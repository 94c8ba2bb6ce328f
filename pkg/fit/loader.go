package fit

import (
	"context"
	"errors"
	"fmt"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
)

// loader prepares batches ahead of the training step. It holds no volume beside those that its workers are reading.
type loader struct {
	corpus  *corpus
	order   order
	views   []view
	seed    uint64
	workers int
	ahead   int            // batches in memory, that of the step too
	stage   func(b *batch) // takes a batch to a device, where steps are taken on one; else nil
}

// newLoader has as many workers and batches as fit into o.Memory, at most maxAhead; without a bound two batches, so that while
// one is trained on the next is filled. What it makes is the same.
func newLoader(c *corpus, cfg *Config, views []view, o Options) (*loader, error) {
	l := &loader{corpus: c, order: newOrder(c, cfg), views: views, seed: cfg.Seed, workers: min(o.Workers, cfg.Batch), ahead: 2}
	if o.Memory == 0 {
		return l, nil
	}
	batch, worker := l.batchBytes(), int64(perWorker*2*c.preset.Len())
	if least := batch + worker; o.Memory < least {
		return nil, fmt.Errorf("memory of %d bytes: a batch of %d and one volume that is read need %d", o.Memory, cfg.Batch, least)
	}
	for l.workers > 1 && o.Memory < 2*batch+int64(l.workers)*worker {
		l.workers--
	}
	l.ahead = int(min(maxAhead, (o.Memory-int64(l.workers)*worker)/batch))
	return l, nil
}

// maxAhead bounds the batches in memory: more change nothing, for one volume takes as long as another.
const maxAhead = 8

// batchBytes is the memory of a batch.
func (l *loader) batchBytes() (n int64) {
	for _, i := range l.inputs() {
		n += 4 * int64(net.Size(i.shape))
	}
	return n
}

// batch is the inputs of one step.
type batch struct {
	step, epoch int
	in          map[string]net.Tensor // nil: staged holds it alone
	staged      engine.Staged         // on the device; nil: it is not there
	err         error                 // a volume could not be read
}

// drop gives back what is on the device.
func (b *batch) drop() {
	if b.staged != nil {
		b.staged.Drop()
	}
}

// inputs are the tensors of a batch.
func (l *loader) inputs() (all []input) {
	for _, v := range l.views {
		all = append(all, v.inputs(l.order.batch)...)
	}
	return all
}

// shapes are those of the inputs, by name, for a net's Compile.
func shapes(inputs []input) map[string][]int {
	out := map[string][]int{}
	for _, i := range inputs {
		out[i.name] = i.shape
	}
	return out
}

// run sends the batches of steps from to to-1 in order and closes ready. The reader hands each back by done, to be filled
// again. When ctx ends it stops, and ready is closed early.
func (l *loader) run(ctx context.Context, from, to int) (ready <-chan *batch, done func(*batch)) {
	free, filled := make(chan *batch, l.ahead), make(chan *batch, l.ahead)
	for range l.ahead {
		free <- &batch{in: blank(l.inputs())}
	}
	go func() {
		defer close(filled)
		for step := from; step < to; step++ {
			select {
			case b := <-free:
				l.fill(b, step)
				select {
				case filled <- b:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	if l.stage == nil {
		return filled, func(b *batch) { free <- b }
	}
	return l.stages(ctx, filled, free), (*batch).drop
}

// stages takes batches to the device while a step is taken on another there; each is free to be filled again at once.
func (l *loader) stages(ctx context.Context, filled <-chan *batch, free chan<- *batch) <-chan *batch {
	out := make(chan *batch)
	go func() {
		defer close(out)
		for b := range filled {
			there := *b
			l.stage(&there)
			there.in = nil
			free <- b
			select {
			case out <- &there:
			case <-ctx.Done():
				there.drop()
			}
		}
	}()
	return out
}

// fill makes the batch of a step. Every row depends on its own study and epoch alone.
func (l *loader) fill(b *batch, step int) {
	turns, epoch := l.order.at(step)
	b.step, b.epoch = step, epoch
	errs := make([]error, len(turns))
	parallelOn(l.workers, len(turns), func(row int) {
		t := turns[row]
		d := draw{study: &l.corpus.studies[t.study], seed: l.seed, epoch: epoch, index: t.study, nth: t.nth}
		for _, v := range l.views {
			errs[row] = errors.Join(errs[row], v.fill(b.in, row, d))
		}
	})
	b.err = errors.Join(errs...)
}
