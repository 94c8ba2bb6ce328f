package pipelines

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"math"
	"slices"

	"silverbeam/pkg/ledger"
	"silverbeam/pkg/llm"
	"silverbeam/schemas"
	"silverbeam/transforms/label"

	"gonum.org/v1/gonum/stat/distuv"
)

// Pilot is what some calls, made and paid for ahead of a run, took.
type Pilot struct {
	Reports        int           `json:"reports"`  // different ones, drawn from the whole input by a seeded hash
	Measured       int           `json:"measured"` // of them, not answered by what other runs had paid for
	Refused        int           `json:"refused"`
	CostUSD        float64       `json:"cost_usd"`
	SecondsPerCall float64       `json:"seconds_per_call"` // each report's, retries included
	sent           []llm.Request // of the measured ones
	took           []ledger.Called
}

// ErrNoCalls says that a pilot has nobody to ask.
var ErrNoCalls = errors.New("no step would call a model")

// Pilot asks the model about n reports that the run would ask it about. Their answers stay: the run does not pay again.
func (g *Graph) Pilot(ctx context.Context, run schemas.Run, n int) (*Pilot, error) {
	o := g.Pipeline.labeling()
	if o == nil || !o.Calls() {
		return nil, ErrNoCalls
	}
	d := &draw{n: n}
	if _, _, err := g.count(new(Plan).addSkipped(g, run.Dir), o, run, d); err != nil {
		return nil, err
	}
	var samples []label.Sample
	for _, s := range d.drawn {
		samples = append(samples, s.Sample)
	}
	step := ""
	for _, s := range g.Pipeline.Steps {
		if s.Options == Options(o) {
			step = s.Name
		}
	}
	calls, refused, err := label.Pilot(ctx, step, *o, run, samples)
	if err != nil {
		return nil, err
	}
	p := &Pilot{Reports: len(samples), Refused: refused}
	for i, c := range calls {
		if c == nil {
			continue
		}
		p.sent, p.took = append(p.sent, d.drawn[i].sent), append(p.took, *c)
		p.CostUSD += float64(c.CostPico) / 1e12
		p.SecondsPerCall += c.Seconds
	}
	p.Measured = len(p.took)
	p.SecondsPerCall /= float64(max(p.Measured, 1))
	return p, nil
}

// draw keeps the n reports of the lowest hashes: of all different ones each is as likely, whatever their order.
type draw struct {
	n     int
	drawn []drawn                                              // by hash
	bare  func(report string, want []int) (llm.Request, error) // what would be sent to answer all of it
}

type drawn struct {
	label.Sample
	hash [sha256.Size]byte
	sent llm.Request
}

func (d *draw) offer(report string, want []int, sent llm.Request) (err error) {
	if d == nil || len(want) == 0 {
		return nil
	}
	s := drawn{label.Sample{Report: report, Want: want}, sha256.Sum256([]byte("pilot 1 " + report)), sent}
	at, _ := slices.BinarySearchFunc(d.drawn, s, func(a, b drawn) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	if at >= d.n {
		return nil
	}
	if sent.Findings == 0 { // an earlier pilot may have asked
		if s.sent, err = d.bare(report, want); err != nil {
			return err
		}
	}
	s.sent.Instructions += len(s.sent.Text)
	d.drawn = slices.Insert(d.drawn, at, s)
	d.drawn = d.drawn[:min(len(d.drawn), d.n)]
	return nil
}

// Hold sets the plan's tokens, cost and time by a pilot. Input tokens and cost go by the bytes that are sent, output
// tokens by the findings that are asked for. Fewer than two measured calls say nothing: the guesses stay.
func (p *Plan) Hold(pilot *Pilot, l *Pipeline) {
	p.Pilot = pilot
	o := l.labeling()
	if p.Calls == 0 || pilot.Measured < 2 {
		return
	}
	of := func(x func(llm.Request) int, total int64, y func(ledger.Called) float64) Guess {
		r := ratio{calls: float64(p.Calls), total: float64(total)}
		for i, c := range pilot.took {
			r.x, r.y = append(r.x, float64(x(pilot.sent[i]))), append(r.y, y(c))
		}
		return r.estimate()
	}
	sent := func(r llm.Request) int { return r.Instructions }
	p.Tokens.Input = of(sent, p.sentBytes, func(c ledger.Called) float64 { return float64(c.Input) }).whole()
	p.Tokens.Output = of(func(r llm.Request) int { return r.Findings }, p.askedFindings, func(c ledger.Called) float64 { return float64(c.Output) }).whole()
	cost := of(sent, p.sentBytes, func(c ledger.Called) float64 { return float64(c.CostPico) / 1e12 })
	busy := of(func(llm.Request) int { return 1 }, p.Calls, func(c ledger.Called) float64 { return c.Seconds }).all()
	atOnce := float64(min(int64(o.AtOnce()), p.Calls))
	calling := guess(func(i int) float64 { return busy[i] / atOnce })
	if o.RPM > 0 {
		calling.atLeast(60 * float64(p.Calls) / float64(o.RPM))
	}
	p.settle(o, cost, calling)
}

// settle sets the modes' cost and time: a pilot's calls are paid for at the price of sync, and batch mode costs a share of it.
func (p *Plan) settle(o *label.Options, cost, calling Guess) {
	sync := p.Modes["sync"].CostUSD.Expected
	for name, m := range p.Modes {
		share := 1.0
		if sync > 0 {
			share = m.CostUSD.Expected / sync
		}
		m.CostUSD = guess(func(i int) float64 { return share * cost.all()[i] }).figures(4)
		if name == "sync" {
			m.Seconds = guess(func(i int) float64 { return float64(p.Distinct-p.Calls) / rulesPerSecond[i] })
			m.Seconds.add(calling)
		}
		p.Modes[name] = m
	}
	m := p.Modes[cmp.Or(o.Mode, "sync")]
	p.CostUSD, p.Seconds = m.CostUSD, m.Seconds
	for i, usd := range p.CostUSD.all() {
		p.pico[i] = int64(math.Round(usd * 1e12))
	}
}

// figures keeps so many figures of the highest, rounding outwards.
func (g Guess) figures(n int) Guess {
	if g.High <= 0 {
		return g
	}
	times := math.Pow10(n - 1 - int(math.Floor(math.Log10(g.High))))
	return Guess{math.Floor(g.Low*times) / times, math.Round(g.Expected*times) / times, math.Ceil(g.High*times) / times}
}

func (g Guess) whole() Guess {
	return Guess{math.Floor(g.Low), math.Round(g.Expected), math.Ceil(g.High)}
}

// ratio estimates a sum of y over calls of which the sum of x is known, by calls of which both are (Cochran, Sampling
// Techniques, 3rd ed., section 6.3: the ratio estimator and its variance).
type ratio struct {
	x, y         []float64
	calls, total float64 // to come: their number and their sum of x
}

// estimate is the sum with bounds that hold in 95 of 100 drawings, by Student's t. What is to come varies too.
func (r ratio) estimate() Guess {
	n, sx, sy := float64(len(r.x)), 0.0, 0.0
	for i := range r.x {
		sx, sy = sx+r.x[i], sy+r.y[i]
	}
	if sx == 0 {
		return Guess{}
	}
	rest := 0.0
	for i := range r.x {
		e := r.y[i] - sy/sx*r.x[i]
		rest += e * e
	}
	variance, scale := rest/(n-1), r.total/(sx/n)
	spread := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(0.975) * math.Sqrt(variance*(scale*scale/n+r.calls))
	sum := sy / sx * r.total
	return Guess{max(0, sum-spread), sum, sum + spread}
}
