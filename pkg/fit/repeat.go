package fit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
)

// Optimizer is an OPT.json of `silverbeam net fit`.
type Optimizer struct {
	Name     string     `json:"name"` // adamw
	LR       float64    `json:"lr"`
	Betas    [2]float64 `json:"betas"`
	Eps      float64    `json:"eps"`
	Decay    float64    `json:"weight_decay"`
	NoDecay  string     `json:"no_decay"` // "1d": tensors of one dimension do not decay; "": all do
	Clip     float64    `json:"clip"`     // of the gradient's norm; 0: none
	Schedule *Schedule  `json:"schedule"` // nil: LR at every step
}

// Schedule is a learning rate over the steps of a fit: a Cosine, its peak being LR.
type Schedule struct {
	Name   string  `json:"name"`   // cosine
	Warmup int     `json:"warmup"` // steps
	Floor  float64 `json:"lr_min"`
}

// ParseOptimizer reads the JSON of an OPT.json. What is left out is torch.optim.AdamW's, an unknown key an error; the
// error joins all that is wrong.
func ParseOptimizer(b []byte) (Optimizer, error) {
	o := Optimizer{LR: 1e-3, Betas: [2]float64{0.9, 0.999}, Eps: 1e-8, Decay: 0.01}
	if !json.Valid(b) {
		return o, errors.New("not one JSON value")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		return o, err
	}
	var errs []error
	want := func(ok bool, format string, a ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, a...))
		}
	}
	want(o.Name == "adamw", "name %q: want adamw", o.Name)
	want(o.LR > 0, "lr %g: want more than 0", o.LR)
	for i, b := range o.Betas {
		want(b >= 0 && b < 1, "betas[%d] %g: want at least 0 and less than 1", i, b)
	}
	want(o.Eps > 0, "eps %g: want more than 0", o.Eps)
	want(o.Decay >= 0, "weight_decay %g: want at least 0", o.Decay)
	want(o.NoDecay == "1d" || o.NoDecay == "", "no_decay %q: want \"1d\" or null", o.NoDecay)
	want(o.Clip >= 0, "clip %g: want more than 0, or null", o.Clip)
	if s := o.Schedule; s != nil {
		want(s.Name == "cosine", "schedule.name %q: want cosine, or no schedule", s.Name)
		want(s.Warmup >= 0, "schedule.warmup %d: want at least 0", s.Warmup)
		want(s.Floor >= 0, "schedule.lr_min %g: want at least 0", s.Floor)
	}
	return o, errors.Join(errs...)
}

// rate is the learning rate of step i of so many.
func (o Optimizer) rate(i, steps int) float64 {
	if o.Schedule == nil {
		return o.LR
	}
	return Cosine{Peak: o.LR, Floor: o.Schedule.Floor, Warmup: o.Schedule.Warmup, Steps: steps}.At(i)
}

// Repeat trains a program with a loss by so many steps on one batch. After each it calls told with the step's record,
// whose epoch and times are zero; the program then has the step's gradients and the updated weights.
func Repeat(ctx context.Context, p engine.Program, in map[string]net.Tensor, o Optimizer, steps int, told func(Record) error) error {
	adam := AdamW{Beta1: o.Betas[0], Beta2: o.Betas[1], Eps: o.Eps, Decay: o.Decay, DecayAll: o.NoDecay == ""}
	adam.Bind(p.Params(), nil)
	for i := range steps {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		out, err := p.Run(in)
		if err != nil {
			return err
		}
		r := Record{Step: i, Loss: float64(out["loss"].F32[0]), GradNorm: adam.Norm(), LR: o.rate(i, steps)}
		if err := r.finite(); err != nil {
			return err
		}
		adam.Step(r.LR, clip(r.GradNorm, o.Clip))
		if err := told(r); err != nil {
			return err
		}
	}
	return nil
}
