package fit

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
)

// Optimizer is an OPT.json of `silverbeam net fit`.
type Optimizer struct {
	Name     string     `json:"name"` // adamw or sgd
	LR       float64    `json:"lr"`
	Betas    [2]float64 `json:"betas"`    // of adamw
	Eps      float64    `json:"eps"`      // of adamw
	Momentum float64    `json:"momentum"` // of sgd
	Nesterov bool       `json:"nesterov"` // of sgd
	Decay    float64    `json:"weight_decay"`
	NoDecay  string     `json:"no_decay"` // "1d": tensors of one dimension do not decay; "": all do
	Clip     float64    `json:"clip"`     // of the gradient's norm; 0: none
	Schedule *Schedule  `json:"schedule"` // nil: LR at every step
}

// Schedule is a learning rate over the steps of a fit: up in a line to LR in Warmup steps, then by Name.
type Schedule struct {
	Name   string  `json:"name"`   // constant; cosine: Cosine; poly: to lr_min by a power of what is left; step: times gamma every so many steps
	Warmup int     `json:"warmup"` // steps
	Floor  float64 `json:"lr_min"` // of cosine and poly
	Power  float64 `json:"power"`  // of poly; 0: 0.9 (Isensee et al. 2021)
	Every  int     `json:"every"`  // of step
	Gamma  float64 `json:"gamma"`  // of step; 0: 0.1
}

// at is the learning rate of step i of so many, the highest being peak.
func (s Schedule) at(i, steps int, peak float64) float64 {
	if i < s.Warmup {
		return warm(peak, i, s.Warmup)
	}
	switch s.Name {
	case "cosine":
		return Cosine{Peak: peak, Floor: s.Floor, Warmup: s.Warmup, Steps: steps}.At(i)
	case "poly":
		left := 1 - float64(i-s.Warmup)/float64(max(1, steps-s.Warmup))
		return s.Floor + (peak-s.Floor)*math.Pow(left, cmp.Or(s.Power, 0.9))
	case "step":
		return peak * math.Pow(cmp.Or(s.Gamma, 0.1), float64((i-s.Warmup)/s.Every))
	}
	return peak
}

// ParseOptimizer reads the JSON of an OPT.json. What is left out is torch.optim.AdamW's or SGD's, an unknown key an error; the
// error joins all that is wrong.
func ParseOptimizer(b []byte) (Optimizer, error) {
	o := Optimizer{LR: 1e-3, Betas: [2]float64{0.9, 0.999}, Eps: 1e-8, Decay: 0.01}
	var named struct {
		Name string `json:"name"`
	}
	if !json.Valid(b) {
		return o, errors.New("not one JSON value")
	}
	if json.Unmarshal(b, &named); named.Name == "sgd" {
		o.Decay = 0
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
	want(o.Name == "adamw" || o.Name == "sgd", "name %q: want adamw or sgd", o.Name)
	want(o.LR > 0, "lr %g: want more than 0", o.LR)
	for i, b := range o.Betas {
		want(b >= 0 && b < 1, "betas[%d] %g: want at least 0 and less than 1", i, b)
	}
	want(o.Eps > 0, "eps %g: want more than 0", o.Eps)
	want(o.Momentum >= 0 && o.Momentum < 1, "momentum %g: want at least 0 and less than 1", o.Momentum)
	want(!o.Nesterov || o.Momentum > 0, "nesterov: want a momentum of more than 0")
	want(o.Name != "adamw" || o.Momentum == 0, "momentum %g: of sgd, not of adamw", o.Momentum)
	want(o.Decay >= 0, "weight_decay %g: want at least 0", o.Decay)
	want(o.NoDecay == "1d" || o.NoDecay == "", "no_decay %q: want \"1d\" or null", o.NoDecay)
	want(o.Clip >= 0, "clip %g: want more than 0, or null", o.Clip)
	if s := o.Schedule; s != nil {
		want(slices.Contains([]string{"constant", "cosine", "poly", "step"}, s.Name), "schedule.name %q: want constant, cosine, poly or step, or no schedule", s.Name)
		want(s.Warmup >= 0, "schedule.warmup %d: want at least 0", s.Warmup)
		want(s.Floor >= 0, "schedule.lr_min %g: want at least 0", s.Floor)
		want(s.Power >= 0, "schedule.power %g: want more than 0", s.Power)
		want(s.Gamma >= 0, "schedule.gamma %g: want more than 0", s.Gamma)
		want(s.Name != "step" || s.Every > 0, "schedule.every %d: want at least 1", s.Every)
	}
	return o, errors.Join(errs...)
}

// rate is the learning rate of step i of so many.
func (o Optimizer) rate(i, steps int) float64 {
	if o.Schedule == nil {
		return o.LR
	}
	return o.Schedule.at(i, steps, o.LR)
}

func (o Optimizer) new() optimizer {
	if o.Name == "sgd" {
		return &SGD{Momentum: o.Momentum, Nesterov: o.Nesterov, Decay: o.Decay, DecayAll: o.NoDecay == ""}
	}
	return &AdamW{Beta1: o.Betas[0], Beta2: o.Betas[1], Eps: o.Eps, Decay: o.Decay, DecayAll: o.NoDecay == ""}
}

// Repeat trains a program with a loss by so many steps on one batch, whose net.DropoutKey it counts up. After each it calls
// told with the step's record, whose epoch and times are zero; the program then has the step's gradients and the updated
// weights.
func Repeat(ctx context.Context, p engine.Program, in map[string]net.Tensor, o Optimizer, steps int, told func(Record) error) error {
	d := newDescent(p, o.new(), nil, o.Clip)
	for i := range steps {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if key, ok := in[net.DropoutKey]; ok {
			key.I32[1] = int32(i)
		}
		r := Record{Step: i, LR: o.rate(i, steps)}
		if err := d.step(&batch{in: in}, &r); err != nil {
			return err
		}
		if err := told(r); err != nil {
			return err
		}
	}
	return nil
}
