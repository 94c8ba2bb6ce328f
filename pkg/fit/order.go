package fit

// order says which studies make which batch. An epoch is one pass over the studies in an order of its own; what is left
// after the last full batch is left out of that epoch, so every batch has the same size.
type order struct {
	seed           uint64
	studies, batch int

	epoch int   // of perm
	perm  []int // nil before the first use
}

// steps is the number of batches of one epoch.
func (o *order) steps() int { return o.studies / o.batch }

// at gives the studies of a step, counted from 0 over all epochs, and its epoch. The slice is valid until the next call.
func (o *order) at(step int) (studies []int, epoch int) {
	epoch = step / o.steps()
	if o.perm == nil || o.epoch != epoch {
		o.epoch, o.perm = epoch, stream(o.seed, forOrder, uint64(epoch)).Perm(o.studies)
	}
	return o.perm[step%o.steps()*o.batch:][:o.batch], epoch
}
