// Package llm labels reports through any server that speaks OpenAI's chat completions.
//
// One report is one call, however often it must be repeated: prompt and answer schema come from the taxonomy alone, the
// answer is one letter a finding and is validated here. Equal reports share a call. Answers are stored by finding and never
// asked for again: a call asks for the findings that have none. Every attempt stands in the run's ledger before it is sent
// and after it came back. A report that cannot be answered is a Refusal; every other error stops the run. No error holds
// report, prompt, answer or key.
package llm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"silverbeam/pkg/ledger"
	"silverbeam/pkg/rules"
	"silverbeam/pkg/taxonomy"
)

// Version names what this package makes of a taxonomy and an answer; it is part of every answer's identity.
const Version = "llm/3"

// DefaultInFlight is how many calls are under way at once where nothing else is said.
const DefaultInFlight = 64

// Options say whom to ask and how hard.
type Options struct {
	Endpoint    string        // base URL, with or without its /v1; or fake://rules?seed=1&p429=0.05&...; or several, between commas or blanks, each with *WEIGHT
	Model       string        // as the server knows it; for fake:// by default fake-rules
	KeyEnv      string        // name of the environment variable that holds the key; "" sends none
	KeyCommand  string        // or the command that prints it, run again when the key is no longer good
	InFlight    int           // calls at once to all endpoints in this process; 0: DefaultInFlight
	RPM, TPM    int           // requests and tokens a minute, of each endpoint; 0: no limit of ours
	Timeout     time.Duration // of one attempt; 0: 60 s
	Deadline    time.Duration // of one report, from its first attempt on; 0: 10 min
	MaxCostPico int64         // of the whole run; 0: no cap
	Replay      bool          // answer from store and ledger only
	Prices      string        // price file; "": the built-in one
	Batch       bool          // ask through the provider's batch interface first: see Ahead
	Spool       string        // the folder for files on their way to it; "": the system's for temporary files
	Egress      string        // file that notes each request to another machine; "": none does
	Send        string        // of a report: one of Sends, or "": redacted unless the endpoint is this machine or a fake
	Canary      int           // calls between two askings of the canary texts; 0: 10000, after the first 2000, and none of a fake or of this machine; below 0: none

	capped  string // the policy file that MaxCostPico is of, or ""
	month   int64  // pico-dollars that all runs of the site may spend in a month; 0: no cap
	monthly string // the policy file that says so
}

// Client labels reports. It is safe for concurrent use. Book and store stay the caller's.
type Client struct {
	o       Options
	book    *ledger.Book
	store   *ledger.Store
	key     *secret
	ends    endpoints
	waiting chan struct{} // holds those who wait for their turn with a reservation
	redact  *redactor     // its sections; nil: reports are sent whole
	price   ledger.Price
	hours   hours // at a price by the hour
	asks    question
	prompts prompts
	batch   ledger.Price      // of the batch interface; where there is none, that of a call
	wire    http.RoundTripper // to real endpoints, below the egress log
	egress  *egress           // nil: nothing leaves this machine, or nobody wants to know
	meter   meter
	canary  canaries
	jitter  func(time.Duration) time.Duration // a random share of its argument

	few      int // of Ahead, and the next two: as the constants are, but for tests
	maxBytes int64
	settled  time.Duration

	embedding sync.Mutex   // of one who looks for vectors and asks for those that are missing
	embedded  atomic.Int64 // how many numbers a vector has; 0: none has been seen
	tooLong   sync.Once    // that a text is too long to embed is noted

	asked   atomic.Int64 // reports that were sent
	refused atomic.Int64 // of them, those that ended in a Refusal
	closed  sync.Once
	mu      sync.Mutex
	flights map[ledger.Identity]*flight
	broken  error    // the provider refused us, or an outcome could not be written: nothing more is sent
	notes   []string // what whoever keeps the run should know
}

// Open makes a client. It sends nothing. A model without a price is refused here, before anything is spent; models at
// loopback addresses and fake endpoints cost nothing unless the price file names them.
func Open(o Options, t *taxonomy.Taxonomy, book *ledger.Book, store *ledger.Store) (*Client, error) {
	return open(o, t, book, store, nil)
}

// open is Open with a transport of the test's own, if not nil.
func open(o Options, t *taxonomy.Taxonomy, book *ledger.Book, store *ledger.Store, rt http.RoundTripper) (*Client, error) {
	sites, err := o.resolve(t)
	if err != nil {
		return nil, err
	}
	s := sites[0]
	k, err := openKey(o)
	if err != nil {
		return nil, err
	}
	redact, err := o.redactor(s, t)
	if err != nil {
		return nil, err
	}
	c := &Client{o: o, key: k, book: book, store: store, redact: redact, asks: newQuestion(store, t, o.Model, s, redact), prompts: prompts{t: t, model: o.Model, made: map[string]*prompt{}},
		jitter: func(d time.Duration) time.Duration { return time.Duration(rand.Int64N(int64(d) + 1)) }, flights: map[ledger.Identity]*flight{},
		few: few, maxBytes: maxBytes, settled: settled}
	var digest string
	if c.price, c.batch, digest, err = o.price(s); err == nil {
		err = book.SetPrices(digest)
	}
	if err == nil && c.price.Hour > 0 {
		err = book.Together(c.price.ID)
	}
	if err == nil && o.month > 0 {
		err = book.CapMonth(store, o.month)
	}
	if err != nil {
		return nil, err
	}
	if rt == nil {
		rt = transport(o.InFlight)
	}
	c.wire = rt
	if o.Egress != "" && !s.local && s.fake == nil {
		if c.egress, err = openEgress(o.Egress, rt, store); err != nil {
			return nil, fmt.Errorf("llm: %w", err)
		}
		rt = c.egress
	}
	c.waiting = make(chan struct{}, max(1, o.InFlight/4))
	book.Beginners(cap(c.waiting))
	c.canary.start(o.Canary, s)
	c.ends = endpoints{most: o.InFlight, turn: make(chan struct{}, 1), freed: make(chan struct{}, 1)}
	for _, s := range sites {
		e := &endpoint{site: s, habits: newHabits(o.Model)}
		e.chat, e.embeddings = s.asks(o.Model)
		next := rt
		if s.fake != nil {
			if next, err = newFake(*s.fake, t); err != nil {
				return nil, err
			}
		}
		e.http = next
		c.ends.all = append(c.ends.all, e)
	}
	for _, e := range c.ends.all {
		e.gate = openGate(e.site.url, o.InFlight, o.RPM, o.TPM, c.ends.freed)
	}
	return c, nil
}

// resolve fills the defaults in and reads the endpoints.
func (o *Options) resolve(t *taxonomy.Taxonomy) (all []site, err error) {
	if all, err = parseSites(o.Endpoint); err != nil {
		return nil, err
	}
	switch {
	case o.Batch && len(all) > 1:
		return nil, fmt.Errorf("llm: mode batch asks one endpoint, and endpoint names %d: name one, or use mode sync", len(all))
	case o.Batch && all[0].azure:
		return nil, errors.New("llm: Azure's batch interface is not spoken: mode sync asks its deployments")
	}
	o.InFlight = cmp.Or(o.InFlight, DefaultInFlight)
	o.Timeout = cmp.Or(o.Timeout, 60*time.Second)
	o.Deadline = cmp.Or(o.Deadline, 10*time.Minute)
	if all[0].fake != nil {
		o.Model = cmp.Or(o.Model, "fake-rules")
		r, err := rules.New(t, rules.Options{})
		if err != nil {
			return nil, fmt.Errorf("llm: fake endpoint: %w", err)
		}
		all[0].kind = "fake://rules " + r.Version()
	}
	if o.Model == "" {
		return nil, errors.New("llm: no model is named")
	}
	return all, o.obey(all)
}

// price is what a token costs in a call and in a batch, and the digest of the price file that says so. Who asks for
// batches needs a price for them.
func (o Options) price(s site) (p, batch ledger.Price, digest string, err error) {
	prices, err := ledger.ReadPrices(o.Prices)
	if err != nil {
		return p, p, "", err
	}
	p, err = prices.Find(o.Model, time.Now())
	switch {
	case s.fake != nil && (err != nil || o.Prices == ""):
		p, err = ledger.Price{ID: "fake", Model: o.Model}, nil
	case s.local && err != nil:
		p, err = ledger.Price{ID: "local", Model: o.Model}, nil
	}
	batch, tier := p.Batch()
	if err == nil && !tier && o.Batch && (p.Input > 0 || p.Hour > 0) {
		err = fmt.Errorf("%w for model %q in batches: row %s has no batch_input and batch_output", ledger.ErrNoPrice, o.Model, p.ID)
	}
	return p, batch, prices.Digest, err
}

// Close gives up the connections. Closing twice is nothing.
func (c *Client) Close() error {
	var err error
	c.closed.Do(func() {
		for _, e := range c.ends.all {
			e.gate.close(c.ends.freed)
		}
		(&http.Client{Transport: c.wire}).CloseIdleConnections()
		if c.egress != nil {
			err = c.egress.file.Close()
		}
	})
	return err
}

// Name is a name of a report that tells nothing of it to one without the site's key.
func (c *Client) Name(report string) string {
	id := c.store.Identity("report", normalise(report))
	return fmt.Sprintf("report-%x", id[:6])
}

// Call is one report to label, and where its cost is booked.
type Call struct {
	Batch, Step, Study, Report string
	Findings                   []int // wanted, by their place in the taxonomy, ascending; nil: all
}

// Label answers the wanted findings of one report: labels in the taxonomy's order, Source "llm:MODEL", without evidence
// offsets; those of other findings are zero. Its error is a taxonomy.NotAssessable or a Refusal where the report is to
// blame; ErrBudget, ErrProvider, ErrTemporary, ErrReplay or the context's error where it is not.
func (c *Client) Label(ctx context.Context, call Call) ([]taxonomy.Label, error) {
	text, removed := strip(c.redact, call.Report)
	ctx = context.WithValue(ctx, removedKey{}, removed)
	want := call.Findings
	if want == nil {
		want = c.asks.all
	}
	in := c.intent(call, text)
	switch {
	case text == "":
		return nil, c.unasked(in, taxonomy.NotAssessable{Class: "empty", Reason: "the report holds no text"})
	case len(text) > maxReport:
		return nil, c.unasked(in, Refusal{"length", fmt.Sprintf("the report has %d bytes, more than %d", len(text), maxReport)})
	}
	a, err := c.answer(ctx, in, text, want)
	if err != nil {
		return nil, c.o.overCap(err)
	}
	labels := make([]taxonomy.Label, len(a.Labels))
	for _, i := range want {
		labels[i] = a.Labels[i]
		labels[i].Source = "llm:" + c.o.Model
	}
	return labels, nil
}

func (c *Client) intent(call Call, text string) ledger.Intent {
	return ledger.Intent{Batch: call.Batch, Step: call.Step, Study: call.Study, Identity: c.asks.about(c.store, text), Report: c.store.Identity("report", text),
		Model: c.o.Model, PriceID: c.price.ID, CapPico: c.o.MaxCostPico}
}

// unasked notes a report that leaves without a call of its own.
func (c *Client) unasked(in ledger.Intent, why error) error {
	if err := c.book.Spared(in, false, 0); err != nil {
		return err
	}
	return why
}

// question is what identifies answers beside the report: each finding by all that the model is told of it, the rest
// together. Where an answer came from matters only if a stand-in gave it: what a fake or loopback server says under a
// model's name is never taken for that model's answer.
type question struct {
	findings []ledger.FindingID
	all      []int // every place in findings
	rest     []string
}

func newQuestion(store *ledger.Store, t *taxonomy.Taxonomy, model string, s site, r *redactor) (q question) {
	q.rest = []string{instructions + askObject + askLine, model, "temperature=0 seed=0", Version, s.kind}
	if r != nil {
		q.rest = append(q.rest, r.redaction())
	}
	for i, f := range t.Findings {
		q.all = append(q.all, i)
		q.findings = append(q.findings, store.Finding(describe(f)))
	}
	return q
}

// pick puts together what answers say about the wanted findings, by their place in the taxonomy, and names those that
// have none. Of no answers there are no labels.
func (q question) pick(answers []ledger.Answer, want []int) (a ledger.Answer, missing []int) {
	if len(answers) == 0 {
		return a, want
	}
	labels, none, cost := ledger.Pick(answers, q.ids(want))
	a.CostPico = cost
	if len(none) == 0 && len(labels) == len(q.findings) {
		a.Labels = labels
		return a, nil
	}
	a.Labels = make([]taxonomy.Label, len(q.findings))
	for i, l := range labels {
		a.Labels[want[i]] = l
	}
	for _, i := range none {
		missing = append(missing, want[i])
	}
	return a, missing
}

func (q question) ids(findings []int) []ledger.FindingID {
	if len(findings) == len(q.findings) {
		return q.findings
	}
	ids := make([]ledger.FindingID, len(findings))
	for n, i := range findings {
		ids[n] = q.findings[i]
	}
	return ids
}

// about is the identity of a report's answers.
func (q question) about(store *ledger.Store, text string) ledger.Identity {
	return store.Identity(append([]string{text}, q.rest...)...)
}
