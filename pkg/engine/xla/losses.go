package xla

import (
	"math"

	"silverbeam/pkg/net"
)

// over is a sum divided by a count, at least 1.
func (f *forward) over(sum, count *val) *val {
	return f.div(sum, f.plain("maximum", count, f.like(count, 1)))
}

func (f *forward) bce(o net.BCE, in []*val) *val {
	x, labels := in[0], in[1]
	if o.Missing == "zero" || o.Missing == "one" {
		labels = f.choose(f.compare(labels, "LT", f.like(labels, 0)), f.like(labels, pick(o.Missing == "one", 1.0, 0)), labels)
	}
	known := f.convert(f.compare(labels, "GE", f.like(labels, 0)), "f32")
	yes := f.softplus(f.times(x, -1))
	if len(in) > 2 {
		yes = f.mul(yes, f.spread(in[2], x.shape, 1))
	}
	sum := f.total(f.mul(f.choose(f.compare(labels, "GT", f.like(labels, 0)), yes, f.softplus(x)), known))
	if o.Sum {
		return sum
	}
	return f.over(sum, f.total(known))
}

func (f *forward) ce(o net.CE, x, classes *val) *val {
	kept := f.convert(f.compare(classes, "NE", f.like(classes, float64(o.Ignore))), "f32")
	logs := f.logSoftmax(x)
	is := f.convert(f.compare(f.iota(1, x.shape...), "EQ", f.spread(classes, x.shape, 0)), "f32")
	want := f.plus(f.times(is, 1-o.Smoothing), o.Smoothing/float64(x.shape[1]))
	rows := f.sum(f.mul(logs, want), 1)
	return f.over(f.times(f.total(f.mul(rows, kept)), -1), f.total(kept))
}

// contrastive is net.Contrastive. What is masked is held far below all others, and no target: -Inf times 0 would be no number.
func (f *forward) contrastive(o net.Contrastive, x, p []*val) *val {
	n, rest := x[0].shape[0], x[2:]
	next := func(there bool) (v *val) {
		if there {
			v, rest = rest[0], rest[1:]
		}
		return v
	}
	ids := next(o.Targets == "class" || o.Targets == "labels")
	a, b, more := f.vectors(o, x[0]), f.vectors(o, x[1]), f.vectors(o, next(o.Negatives))
	apart := f.apart(next(o.Groups), n)
	targets := f.targets(o, f.fixed(a), f.fixed(b), ids, apart)
	if more != nil {
		m := more.shape[0]
		b = f.stack(b, more)
		yes := f.emit([]int{m, n}, "i1", "stablehlo.constant dense<true>", tensorType("i1", m, n))
		apart = f.stack(apart, yes) // by column and row; it is symmetric before
	}
	logits := f.mul(f.dot(b, 1, a, 1, false), f.spread(f.factor(o, p), []int{b.shape[0], n})) // by column and row
	if o.Sigmoid {
		return f.pairs(f.add(logits, f.spread(p[len(p)-1], logits.shape)), targets, apart)
	}
	logits = f.choose(apart, logits, f.like(logits, -1e30))
	first := targets
	if o.Targets == "self" {
		first = f.transpose(targets, 1, 0)
	}
	if more != nil {
		first = f.transpose(f.stack(f.transpose(first, 1, 0), f.constant(0, "f32", more.shape[0], n)), 1, 0)
	}
	sides := pick(o.Sides == [2]float64{}, [2]float64{0.5, 0.5}, o.Sides)
	rows := f.total(f.mul(f.logSoftmax(f.transpose(logits, 1, 0)), first))
	columns := f.total(f.mul(f.logSoftmax(f.rows(logits, 0, n)), targets))
	return f.add(f.times(rows, -sides[0]/float64(n)), f.times(columns, -sides[1]/float64(n)))
}

// vectors are rows as they are compared; nil stays nil.
func (f *forward) vectors(o net.Contrastive, x *val) *val {
	if x == nil || !o.Normalize {
		return x
	}
	return f.l2norm(x)
}

// factor is what dot products are multiplied by.
func (f *forward) factor(o net.Contrastive, p []*val) *val {
	switch o.Scale {
	case "none":
		return f.constant(1, "f32")
	case "fixed":
		return f.constant(o.Start, "f32")
	}
	scale := p[0]
	if o.MaxScale > 0 {
		top := f.like(scale, math.Log(o.MaxScale))
		scale = f.choose(f.compare(scale, "GT", top), top, scale)
	}
	return f.exp(scale)
}

// grid compares ids [n] with each other, [n, n].
func (f *forward) grid(ids *val, how string) *val {
	n := ids.shape[0]
	return f.compare(f.spread(ids, []int{n, n}, 0), how, f.spread(ids, []int{n, n}, 1))
}

// itself says which pairs of n are one.
func (f *forward) itself(n int) *val { return f.grid(f.iota(0, n), "EQ") }

// apart says which rows are told from each other: all, but two of one group.
func (f *forward) apart(groups *val, n int) *val {
	if groups == nil {
		return f.emit([]int{n, n}, "i1", "stablehlo.constant dense<true>", tensorType("i1", n, n))
	}
	return f.plain("or", f.grid(groups, "NE"), f.itself(n))
}

// targets are what rows are meant for, [n, n]: shares, or 1 for every one that is meant in the sigmoid form.
func (f *forward) targets(o net.Contrastive, a, b, ids, apart *val) *val {
	n := a.shape[0]
	scale := pick(o.TargetScale == 0, 1, o.TargetScale)
	soft := func(likeness *val) *val {
		return f.softmax(f.choose(apart, f.times(likeness, scale), f.like(likeness, -1e30)))
	}
	switch o.Targets {
	case "class":
		is := f.plain("or", f.sameClass(ids, apart), f.itself(n))
		t := f.convert(is, "f32")
		if o.Sigmoid {
			return t
		}
		return f.div(t, f.spread(f.sum(t, 1), t.shape, 0))
	case "self":
		return soft(f.times(f.add(f.dot(a, 1, a, 1, false), f.dot(b, 1, b, 1, false)), 0.5))
	case "labels":
		known := f.convert(f.plain("maximum", ids, f.like(ids, 0)), "f32")
		square := f.sum(f.mul(known, known), 1)
		lengths := f.plain("sqrt", f.mul(f.spread(square, []int{n, n}, 0), f.spread(square, []int{n, n}, 1)))
		return soft(f.div(f.dot(known, 1, known, 1, false), f.plain("maximum", lengths, f.like(lengths, 1e-12))))
	}
	return f.convert(f.itself(n), "f32")
}

// sameClass says which pairs are of one class, from 0, and apart.
func (f *forward) sameClass(ids, apart *val) *val {
	known := f.spread(f.compare(ids, "GE", f.like(ids, 0)), apart.shape, 0)
	return f.plain("and", f.plain("and", f.grid(ids, "EQ"), known), apart)
}

// pairs is the sigmoid form of logits by column and row.
func (f *forward) pairs(logits, targets, apart *val) *val {
	n, m := logits.shape[1], logits.shape[0]
	meant := f.transpose(targets, 1, 0)
	if m > n {
		meant = f.stack(meant, f.constant(0, "f32", m-n, n))
	}
	against := f.plus(f.times(meant, -2), 1) // -1 for a pair that is meant, else 1
	loss := f.mul(f.softplus(f.mul(logits, against)), f.convert(apart, "f32"))
	return f.times(f.total(loss), 1/float64(n))
}

func (f *forward) supCon(o net.SupCon, x, classes *val) *val {
	n := x.shape[0]
	others := f.plain("not", f.itself(n))
	logits := f.times(f.dot(x, 1, x, 1, false), 1/o.Temperature)
	logs := f.logSoftmax(f.choose(others, logits, f.like(logits, -1e30)))
	alike := f.convert(f.sameClass(classes, others), "f32")
	count := f.sum(alike, 1)
	rows := f.over(f.sum(f.mul(logs, alike), 1), count)
	some := f.convert(f.compare(count, "GT", f.like(count, 0)), "f32")
	return f.times(f.over(f.total(rows), f.total(some)), -1)
}

func (f *forward) recon(o net.Recon, in []*val) *val {
	d := f.sub(f.full(in[0]), f.full(in[1]))
	if o.Squared {
		d = f.mul(d, d)
	} else {
		d = f.abs(d)
	}
	if len(in) < 3 {
		return f.mean(d, without(len(d.shape), nil)...)
	}
	weight := f.full(in[2])
	sum := f.total(weight)
	return f.div(f.total(f.mul(d, weight)), f.choose(f.compare(sum, "GT", f.like(sum, 0)), sum, f.like(sum, 1)))
}
