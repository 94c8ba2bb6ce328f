package fit

import (
	"math"
	"math/rand/v2"
	"slices"
)

// order says which studies make which batch. An epoch is as many turns as there are studies, in an order of its own; what is
// left after the last full batch is left out of that epoch, so every batch has the same size.
type order struct {
	seed           uint64
	studies, batch int
	files          []string  // study → the file that it is in; for windows
	window         int       // studies that are mixed, at least, of whole files; 0: all
	weights        []float64 // study → how often it has a turn, relative to others; nil: once an epoch

	epoch int // of turns
	turns []turn
}

// turn is a study in one epoch.
type turn struct {
	study int
	nth   int // of the study in this epoch, from 0
}

func newOrder(c *corpus, o *Config) order {
	r := order{seed: o.Seed, studies: len(c.studies), batch: o.Batch, window: o.Window}
	if o.Sample == Balanced {
		r.weights = c.balance()
	}
	for _, s := range c.studies {
		r.files = append(r.files, s.file)
	}
	return r
}

// steps is the number of batches of one epoch.
func (o *order) steps() int { return o.studies / o.batch }

// at gives the turns of a step, counted from 0 over all epochs, and its epoch. The slice is valid until the next call.
func (o *order) at(step int) (turns []turn, epoch int) {
	epoch = step / o.steps()
	if o.turns == nil || o.epoch != epoch {
		o.epoch, o.turns = epoch, o.shuffle(stream(o.seed, forOrder, uint64(epoch)))
	}
	return o.turns[step%o.steps()*o.batch:][:o.batch], epoch
}

// shuffle draws an epoch.
func (o *order) shuffle(r *rand.Rand) (turns []turn) {
	seen := make([]int, o.studies)
	for _, w := range o.windows(r) {
		if o.weights != nil {
			w = o.drawn(w, r)
		}
		for _, i := range r.Perm(len(w)) {
			turns = append(turns, turn{w[i], seen[w[i]]})
			seen[w[i]]++
		}
	}
	return turns
}

// windows are the studies that are mixed with each other: all, or those of some files, which come in a random order.
func (o *order) windows(r *rand.Rand) (all [][]int) {
	if o.window == 0 {
		every := make([]int, o.studies)
		for i := range every {
			every[i] = i
		}
		return [][]int{every}
	}
	in := map[string][]int{}
	var files []string
	for i, f := range o.files {
		if in[f] == nil {
			files = append(files, f)
		}
		in[f] = append(in[f], i)
	}
	for _, k := range r.Perm(len(files)) {
		if n := len(all); n == 0 || len(all[n-1]) >= o.window {
			all = append(all, nil)
		}
		last := &all[len(all)-1]
		*last = append(*last, in[files[k]]...)
	}
	return all
}

// drawn are as many of a window's studies, each as often as its weight asks, rounded up or down at random without changing how
// many there are in all (systematic sampling, Madow 1949).
func (o *order) drawn(window []int, r *rand.Rand) (out []int) {
	window = slices.Clone(window)
	r.Shuffle(len(window), func(i, j int) { window[i], window[j] = window[j], window[i] })
	sum := 0.0
	for _, i := range window {
		sum += o.weights[i]
	}
	gap := sum / float64(len(window))
	at, reach := gap*r.Float64(), 0.0
	for k, i := range window {
		reach += o.weights[i]
		if k == len(window)-1 {
			reach = math.Inf(1) // whatever rounding left
		}
		for ; at < reach && len(out) < len(window); at += gap {
			out = append(out, i)
		}
	}
	return out
}
