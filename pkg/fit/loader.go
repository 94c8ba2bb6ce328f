package fit

import (
	"context"

	"silverbeam/pkg/net"
)

// loader prepares batches ahead of the training step.
type loader struct {
	corpus  *corpus
	order   order
	views   []view
	seed    uint64
	workers int
}

// batch is the inputs of one step.
type batch struct {
	step, epoch int
	in          map[string]net.Tensor
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

// run sends the batches of steps from to to-1 in order and closes ready. Two batches take turns: while one is trained
// on, the next is filled; the reader hands each back by done. When ctx ends it stops, and ready is closed early.
func (l *loader) run(ctx context.Context, from, to int) (ready <-chan *batch, done func(*batch)) {
	free, out := make(chan *batch, 2), make(chan *batch)
	free <- &batch{in: blank(l.inputs())}
	free <- &batch{in: blank(l.inputs())}
	go func() {
		defer close(out)
		for step := from; step < to; step++ {
			select {
			case b := <-free:
				l.fill(b, step)
				select {
				case out <- b:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, func(b *batch) { free <- b }
}

// fill makes the batch of a step. Every row depends on its own study and epoch alone.
func (l *loader) fill(b *batch, step int) {
	studies, epoch := l.order.at(step)
	b.step, b.epoch = step, epoch
	parallelOn(l.workers, len(studies), func(row int) {
		d := draw{study: &l.corpus.studies[studies[row]], seed: l.seed, epoch: epoch, index: studies[row]}
		for _, v := range l.views {
			v.fill(b.in, row, d)
		}
	})
}
