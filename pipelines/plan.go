package pipelines

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"time"

	"silverbeam/pkg/ledger"
	"silverbeam/pkg/llm"
	"silverbeam/schemas"
	"silverbeam/transforms/intake"
	"silverbeam/transforms/label"
)

// Plan is what a run would do and cost, found without a call: the object of `silverbeam plan --json`.
type Plan struct {
	Pipeline string     `json:"pipeline"`
	Steps    []PlanStep `json:"steps"`
	Batches  int        `json:"batches"`
	Rows     int64      `json:"rows"`
	Distinct int64      `json:"distinct_reports"` // of different text, in batches that are not done
	Calls    int64      `json:"calls"`            // answers in the results store need none
	Tokens   struct {
		Input  Guess `json:"input"`
		Output Guess `json:"output"`
	} `json:"tokens"`
	CostUSD  Guess             `json:"cost_usd"`
	Seconds  Guess             `json:"seconds"` // of labelling
	Training []Training        `json:"training"`
	Modes    map[string]Mode   `json:"modes"` // what the calls would cost and take in each mode; batch only where it has a price
	Shuffle  int64             `json:"shuffle_bytes"`
	Skipped  []Skip            `json:"skipped"`
	Notes    []string          `json:"notes,omitempty"` // what could be had for less
	Host     string            `json:"host"`            // that reports would be sent to; "": none leaves this machine
	Policies []string          `json:"policies"`        // files that permit it; null: no policy holds here
	Removed  llm.Removed       `json:"removed"`         // from the reports that would be sent, by kind; null without calls
	Month    *ledger.Month     `json:"month,omitempty"` // nil: the site's policy caps no month
	Basis    map[string]string `json:"basis"`           // digests and settings that the plan rests on; `run --plan` refuses if one has changed
	Pilot    *Pilot            `json:"pilot,omitempty"` // nil: the figures are guesses

	pico          [3]int64
	sentBytes     int64 // of the calls, as is the next
	askedFindings int64
}

// PlanStep is one resolved step, defaults left as zeros.
type PlanStep struct {
	Name    string  `json:"name"`
	Type    string  `json:"type"`
	Input   string  `json:"input"` // "" for a source
	Gives   Kind    `json:"gives"`
	Options Options `json:"options"`
}

// Mode is a way of asking a model.
type Mode struct {
	CostUSD Guess `json:"cost_usd"`
	Seconds Guess `json:"seconds"`
}

// Skip is what a run would not do again.
type Skip struct {
	Batches int    `json:"batches"`
	Studies int    `json:"studies"`
	Why     string `json:"why"`
}

// Guess is an estimate with its bounds.
type Guess struct {
	Low      float64 `json:"low"`
	Expected float64 `json:"expected"`
	High     float64 `json:"high"`
}

// Measures behind the estimates: low, expected, high. A token of English clinical text is 4 to 5 bytes in the encodings
// of current models (1,836 characters came to about 430 tokens over CT-RATE's reports). An answer is one letter a finding:
// 2 tokens as a line, 5 as JSON; at most it is what each call sends as its bound. What a model thinks at low effort is a
// guess. A call takes 1 to 10 seconds, a batch what its provider likes, in a day at most. The rules do some thousand reports a second.
var (
	bytesPerToken    = [3]float64{5.5, 4.3, 3}
	tokensPerFinding = [2]float64{2, 5}
	thinking         = [2]float64{0, 300}
	secondsPerCall   = [3]float64{1, 3, 10}
	rulesPerSecond   = [3]float64{20_000, 8_000, 2_000}
	batchSeconds     = Guess{600, 7200, 24 * 3600}
)

// cacheable is how many tokens a stable prefix must have at least to be cached (OpenAI's guide "Prompt caching", and the
// least of Anthropic's and Google's figures).
const cacheable = 1024

// Plan reads every report once, to count the different ones and their bytes. Trainings are left to Trainings: a run that plans
// its money need not measure them.
func (g *Graph) Plan(run schemas.Run) (*Plan, error) {
	p := &Plan{Pipeline: g.Pipeline.File, Batches: len(g.Batches), Skipped: []Skip{}, Training: []Training{}}
	p.addSteps(g.Pipeline)
	todo := p.addSkipped(g, run.Dir)
	o := g.Pipeline.labeling()
	if o != nil {
		if err := p.labels(g, todo, o, run); err != nil {
			return nil, err
		}
	}
	var err error
	p.Basis, err = g.Basis(run)
	return p, err
}

func (p *Plan) addSteps(l *Pipeline) {
	for _, s := range l.Steps {
		ps := PlanStep{Name: s.Name, Type: s.Type, Gives: Find(Catalog, s.Type).Gives, Options: s.Options}
		if s.Input >= 0 {
			ps.Input = l.Steps[s.Input].Name
		}
		p.Steps = append(p.Steps, ps)
	}
}

// addSkipped counts the batches that every sink has finished, and gives the others.
func (p *Plan) addSkipped(g *Graph, dir string) (todo []schemas.Batch) {
	skip := Skip{Why: "every step that writes has finished them in " + dir}
	todo = g.todo(dir)
	for _, b := range g.Batches {
		p.Rows += int64(studies(b))
		p.Shuffle += shuffleBytes + int64(len(b.Scans))*scanBytes
	}
	skip.Batches, skip.Studies = len(g.Batches)-len(todo), int(p.Rows)
	for _, b := range todo {
		skip.Studies -= studies(b)
	}
	if skip.Batches > 0 {
		p.Skipped = append(p.Skipped, skip)
	}
	return todo
}

// todo is the batches that some sink has not finished.
func (g *Graph) todo(dir string) []schemas.Batch {
	return slices.DeleteFunc(slices.Clone(g.Batches), func(b schemas.Batch) bool {
		return len(g.Sinks) > 0 && !slices.ContainsFunc(g.Sinks, func(o intake.Output) bool { _, ok := o.Done(dir, b); return !ok })
	})
}

// Prism keeps what passes the one shuffle in memory, a descriptor for each batch: measured, about 2.1 KB beside its scans.
const shuffleBytes, scanBytes = 2100, 300

func studies(b schemas.Batch) int {
	switch {
	case b.Scans != nil:
		return len(b.Scans)
	case b.Take > 0:
		return b.Take
	}
	return int(b.Range.Rows)
}

// labeling gives the options of the step that labels, or nil.
func (p *Pipeline) labeling() *label.Options {
	for _, s := range p.Steps {
		if o, ok := s.Options.(*label.Options); ok {
			return o
		}
	}
	return nil
}

// labels foretells the step that labels.
func (p *Plan) labels(g *Graph, todo []schemas.Batch, o *label.Options, run schemas.Run) error {
	f, c, err := g.count(todo, o, run, nil)
	if err != nil {
		return err
	}
	if o.Calls() {
		p.Removed = c.removed
		p.Host, p.Policies = o.Client(run).Destination()
		if p.Month, err = llm.Month(run.Store); err != nil {
			return err
		}
	}
	p.Distinct, p.Calls = int64(len(c.seen)), c.calls
	p.sentBytes, p.askedFindings = int64(c.sum.Instructions)+c.bytes, int64(c.sum.Findings)
	if c.spared > 0 {
		p.Skipped = append(p.Skipped, Skip{Studies: c.spared, Why: "the results store has the answers"})
	}
	return p.price(o, f, c)
}

// count counts the reports of some batches and what would be sent of them. d, if not nil, draws from those that a model
// is to be asked about.
func (g *Graph) count(todo []schemas.Batch, o *label.Options, run schemas.Run, d *draw) (f llm.Forecast, c counter, err error) {
	t, err := o.Taxonomy()
	if err != nil {
		return f, c, err
	}
	if o.Calls() {
		store, err := ledger.ReadStore(run.Store)
		switch {
		case err == nil:
			defer store.Close()
		case !errors.Is(err, fs.ErrNotExist):
			return f, c, err
		}
		if f, err = llm.Foresee(o.Client(run), t, store); err != nil {
			return f, c, err
		}
	}
	if d != nil {
		bare, err := llm.Foresee(o.Client(run), t, nil)
		if err != nil {
			return f, c, err
		}
		d.bare = bare.Call
	}
	wants, err := o.Wants(t)
	if err != nil {
		return f, c, err
	}
	c = counter{seen: map[[16]byte]bool{}, sent: map[[16]byte]bool{}, removed: llm.Removed{}, wants: wants, call: f.Call, draw: d}
	return f, c, c.read(g, todo)
}

// Calls says whether a step of the pipeline may call a model.
func (p *Pipeline) Calls() bool { o := p.labeling(); return o != nil && o.Calls() }

// counter counts different reports and those that would be sent.
type counter struct {
	wants func(report string) []int
	call  func(report string, want []int) (llm.Request, error)
	draw  *draw

	seen    map[[16]byte]bool // by the head of a SHA-256: the store answers it
	sent    map[[16]byte]bool // by what is sent of it
	removed llm.Removed
	calls   int64
	bytes   int64       // of the reports that would be sent
	sum     llm.Request // of the calls
	spared  int         // studies that the store answers
	buf     []byte
}

func (c *counter) read(g *Graph, batches []schemas.Batch) error {
	for b, err := range g.reading(batches) {
		if err != nil {
			return err
		}
		for _, s := range b.Studies {
			if err := c.count(s.Report); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *counter) count(report string) error {
	key := c.digest(report)
	stored, known := c.seen[key]
	var want []int
	if !known {
		want = c.wants(report)
	}
	if len(want) > 0 {
		r, err := c.call(report, want)
		if err != nil {
			return err
		}
		if err := c.draw.offer(report, want, r); err != nil {
			return err
		}
		sent := key
		if r.Text != report {
			sent = c.digest(r.Text)
		}
		if stored = r.Findings == 0 && r.Text != ""; r.Findings > 0 && !c.sent[sent] {
			c.sent[sent] = true
			c.removed.Add(r.Removed)
			c.calls, c.bytes = c.calls+1, c.bytes+int64(len(r.Text))
			c.sum = llm.Request{Findings: c.sum.Findings + r.Findings, Instructions: c.sum.Instructions + r.Instructions, Schema: c.sum.Schema + r.Schema, MaxOutput: c.sum.MaxOutput + r.MaxOutput}
		}
	}
	if stored {
		c.spared++
	}
	c.seen[key] = stored
	return nil
}

// digest is the head of a text's SHA-256.
func (c *counter) digest(text string) [16]byte {
	c.buf = append(c.buf[:0], text...)
	sum := sha256.Sum256(c.buf)
	return [16]byte(sum[:16])
}

// price turns reports into tokens, money and time.
func (p *Plan) price(o *label.Options, f llm.Forecast, c counter) error {
	free := float64(p.Distinct - c.calls)
	p.Seconds = guess(func(i int) float64 { return free / rulesPerSecond[i] })
	if c.calls == 0 {
		return nil
	}
	calls := float64(c.calls)
	p.Tokens.Input = guess(func(i int) float64 {
		bytes := float64(c.sum.Instructions) + float64(c.bytes)
		if i == 2 {
			bytes += float64(c.sum.Schema)
		}
		return math.Ceil(bytes / bytesPerToken[i])
	})
	p.Tokens.Output = guess(func(i int) float64 {
		if i == 2 {
			return float64(c.sum.MaxOutput)
		}
		tokens := 2 * calls
		if f.Thinks {
			tokens += thinking[i] * calls
		}
		return math.Ceil(tokens + tokensPerFinding[i]*float64(c.sum.Findings))
	})
	calling := guess(func(i int) float64 { return calls / float64(o.AtOnce()) * secondsPerCall[i] })
	if o.RPM > 0 {
		calling.atLeast(60 * calls / float64(o.RPM))
	}
	return p.modes(o, f, c, calling)
}

// modes prices both ways of asking, and takes the one that is set.
func (p *Plan) modes(o *label.Options, f llm.Forecast, c counter, calling Guess) error {
	ways := map[string]struct {
		price ledger.Price
		takes Guess
	}{"sync": {f.Price, calling}}
	if f.Price.BatchInput > 0 || o.Mode == label.Batch {
		ways[label.Batch] = struct {
			price ledger.Price
			takes Guess
		}{f.Batch, batchSeconds}
	}
	p.Modes = map[string]Mode{}
	for name, way := range ways {
		pico, err := p.cost(way.price, c)
		if way.price.Hour > 0 {
			pico, err = hourly(way.price, way.takes)
		}
		if err != nil {
			return err
		}
		m := Mode{guess(func(i int) float64 { return float64(pico[i]) / 1e12 }), p.Seconds}
		m.Seconds.add(way.takes)
		if p.Modes[name] = m; name == cmp.Or(o.Mode, "sync") {
			p.pico = pico
		}
	}
	m := p.Modes[cmp.Or(o.Mode, "sync")]
	p.CostUSD, p.Seconds = m.CostUSD, m.Seconds
	if m := p.Month; m != nil && p.CostUSD.High > float64(m.Cap-m.Committed)/1e12 {
		p.Notes = append(p.Notes, "the calls may cost more than is left of the site's month: then the run ends with exit code 4, and goes on next month")
	}
	if n := float64(c.sum.Instructions) / float64(c.calls) / bytesPerToken[1]; n < cacheable && f.Price.Cached < f.Price.Input {
		p.Notes = append(p.Notes, fmt.Sprintf("the instructions are some %.0f tokens a call: vendors cache from %d on, so none is likely to be had at the price of cached ones", n, cacheable))
	}
	return nil
}

// hourly is what a server of one's own costs while it is asked.
func hourly(price ledger.Price, takes Guess) (pico [3]int64, err error) {
	for i, s := range takes.all() {
		if pico[i], err = price.Over(time.Duration(s * float64(time.Second))); err != nil {
			return pico, err
		}
	}
	return pico, nil
}

// cost is the price of so many calls of mean length: at best the server keeps the instructions in its cache, expected and
// at worst it keeps nothing.
func (p *Plan) cost(price ledger.Price, c counter) (pico [3]int64, err error) {
	calls := c.calls
	in, out := p.Tokens.Input.all(), p.Tokens.Output.all()
	for i := range pico {
		u := ledger.Usage{Input: int64(in[i]) / calls, Output: int64(out[i]) / calls}
		if i > 0 {
			u.Input, u.Output = u.Input+1, u.Output+1
		}
		switch i {
		case 0:
			cached := int64(float64(c.sum.Instructions) / float64(calls) / bytesPerToken[0])
			u.Cached = &cached
			pico[i], err = price.Cost(u)
		case 1:
			pico[i], err = price.Cost(u)
		case 2:
			pico[i], err = price.Worst(u.Input, u.Output)
		}
		if err == nil {
			pico[i], err = ledger.Mul(pico[i], calls)
		}
		if err != nil {
			return pico, err
		}
	}
	return pico, nil
}

// Pico is the estimate in pico-dollars: low, expected, high.
func (p *Plan) Pico() (low, expected, high int64) { return p.pico[0], p.pico[1], p.pico[2] }

func guess(f func(int) float64) Guess { return Guess{f(0), f(1), f(2)} }

func (g Guess) all() [3]float64 { return [3]float64{g.Low, g.Expected, g.High} }

func (g *Guess) add(o Guess) {
	*g = Guess{g.Low + o.Low, g.Expected + o.Expected, g.High + o.High}
}

func (g *Guess) atLeast(x float64) {
	*g = Guess{max(g.Low, x), max(g.Expected, x), max(g.High, x)}
}

// Basis is what a plan of a run rests on, by name. It reads no report.
func (g *Graph) Basis(run schemas.Run) (map[string]string, error) {
	h := sha256.New()
	for _, b := range g.Batches {
		fmt.Fprintln(h, b.ID)
	}
	basis := map[string]string{"input": fmt.Sprintf("%x", h.Sum(nil)), "pipeline": g.Pipeline.Digest, "cap": fmt.Sprint(run.MaxCostPico)}
	o := g.Pipeline.labeling()
	if o == nil {
		return basis, nil
	}
	id, err := o.Identity()
	basis["prompt"], basis["model"], basis["endpoint"] = id, o.Model, o.Endpoint
	if err != nil || !o.Calls() {
		return basis, err
	}
	if basis["policy"], err = llm.PolicyDigest(); err != nil {
		return nil, err
	}
	t, err := o.Taxonomy()
	if err != nil {
		return nil, err
	}
	f, err := llm.Foresee(o.Client(run), t, nil)
	basis["prices"] = f.PriceFile
	return basis, err
}

// Changed names what a plan rested on and is no longer so, in order.
func Changed(then, now map[string]string) (names []string) {
	for _, k := range []string{"pipeline", "prompt", "model", "prices", "input", "endpoint", "cap", "policy"} {
		if then[k] != now[k] {
			names = append(names, k)
		}
	}
	return names
}
