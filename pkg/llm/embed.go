package llm

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"silverbeam/pkg/ledger"
)

const (
	// embedVersion names what this file makes of a text; it is part of every vector's identity.
	embedVersion = "embedding/1"
	// embedTexts go into a request: text-embeddings-inference takes no more unless it is told to (OpenAI 2,048), and an
	// answer of so many vectors of 4,096 numbers is well below maxBody.
	embedTexts = 32
	// embedBytes are those of a request's texts: a third of the 300,000 tokens that OpenAI takes, were each byte a token. A
	// longer text goes alone.
	embedBytes = 100_000
)

// Passage is a text to embed.
type Passage struct {
	Text   string // of a report a part of what Sent gives of it, or all of that
	Report string // the whole report that it is of, so that it is forgotten with it; "": it is of none, as a prompt is
	Study  string // that has the report, likewise
}

// Sent is what may be sent of a report: normalised, and redacted where reports are. Parts are taken of this: alone, a sentence does
// not tell what section it stood in, nor whom the report is about.
func (c *Client) Sent(report string) string {
	text, _ := strip(c.redact, report)
	return text
}

// Embedding names all that decides a vector beside its text: vectors of two clients are the same model's where this is the same.
func (o Options) Embedding() []string {
	return []string{"embedding", o.Model, embedVersion, StandIn(o.Endpoint), o.Redaction()}
}

// Embed gives a vector for each passage, in their order and all of one length, as the model gives them: not normalised. It is nil
// for a text of which nothing is left to be sent, and for one that is longer than the model takes. Equal texts share one slice,
// which is not to be written to, and are asked once, whoever else of this process asks. What the store has is not asked for; what
// was asked is booked under the step, outside any batch, and kept even if others fail. Errors are those of Label that are not a
// report's, and one that says what was wrong with a text or an answer.
func (c *Client) Embed(ctx context.Context, step string, all []Passage) ([][]float32, error) {
	c.embedding.Lock() // a second asker finds in the store what the first has asked for
	defer c.embedding.Unlock()
	texts, of, err := c.embeddable(all)
	if err != nil {
		return nil, err
	}
	e := embedding{c: c, step: step}
	ids := make([]ledger.Identity, len(texts))
	for i, t := range texts {
		ids[i] = t.id
	}
	known, err := c.store.Vectors(ids)
	if err != nil {
		return nil, err
	}
	var missing []*embedText
	for _, t := range texts {
		switch t.vector = known[t.id]; {
		case t.vector == nil:
			missing = append(missing, t)
		case !e.agrees(len(t.vector)):
			return nil, fmt.Errorf("llm: the results store has vectors of %s of %d and of %d numbers: the model has changed under its name, and needs another store or name", plain(c.o.Model), c.embedded.Load(), len(t.vector))
		}
	}
	if len(missing) > 0 && c.o.Replay {
		return nil, ErrReplay
	}
	if err := e.askAll(ctx, missing); err != nil {
		return nil, c.o.overCap(err)
	}
	vectors := make([][]float32, len(all))
	for i, t := range of {
		if t != nil {
			vectors[i] = t.vector
		}
	}
	return vectors, nil
}

// embedText is a text as it is sent.
type embedText struct {
	text    string
	removed Removed
	id      ledger.Identity
	report  ledger.Identity
	study   string // "": of several, or of none
	vector  []float32
}

// embeddable gives the different texts of passages, in their order, and each passage's own: nil where nothing is left of it.
// It notes in the book whose they are.
func (c *Client) embeddable(all []Passage) (texts, of []*embedText, err error) {
	if c.o.section() != "" {
		return nil, nil, fmt.Errorf("llm: a text to embed has no sections: send %s is of labels alone (redacted or whole)", c.o.Send)
	}
	decides := c.o.Embedding()
	type stripped struct {
		text    string
		removed Removed
		report  ledger.Identity // of it, were it a report
	}
	seen := map[string]stripped{} // to redact is nearly all of the work, and a text may be its report
	sent := func(s string) stripped {
		if _, ok := seen[s]; !ok {
			text, removed := strip(c.redact, s)
			seen[s] = stripped{text, removed, c.store.Identity("report", text)}
		}
		return seen[s]
	}
	byText, reports := map[string]*embedText{}, map[string][]ledger.Identity{}
	of = make([]*embedText, len(all))
	for i, p := range all {
		s := sent(cmp.Or(p.Report, p.Text))
		report := s.report
		switch {
		case p.Report == "":
		case !strings.Contains(s.text, p.Text):
			return nil, nil, errors.New("llm: a text to embed is no part of what may be sent of its report")
		case p.Text != s.text: // what was removed counts with the whole
			s = stripped{text: p.Text}
		}
		if s.text == "" {
			continue
		}
		t := byText[s.text]
		if t == nil {
			t = &embedText{text: s.text, removed: s.removed, id: c.store.Identity(append([]string{s.text}, decides...)...), study: p.Study}
			byText[s.text] = t
			texts = append(texts, t)
		}
		if of[i] = t; t.study != p.Study {
			t.study = ""
		}
		if p.Report == "" {
			continue
		}
		if t.report == (ledger.Identity{}) {
			t.report = report
		}
		if p.Study != "" && !slices.Contains(reports[p.Study], report) {
			reports[p.Study] = append(reports[p.Study], report)
		}
	}
	if len(reports) > 0 {
		err = c.book.Embedded(reports)
	}
	return texts, of, err
}

// embedding is one call of Embed.
type embedding struct {
	c    *Client
	step string
}

// agrees says whether a vector is as long as the client's others.
func (e *embedding) agrees(length int) bool {
	return e.c.embedded.CompareAndSwap(0, int64(length)) || e.c.embedded.Load() == int64(length)
}

// askAll asks for all vectors that are missing, in requests of many texts, several at once. The first error ends it.
func (e *embedding) askAll(ctx context.Context, missing []*embedText) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	turns := make(chan struct{}, e.c.o.InFlight)
	var wg sync.WaitGroup
	for len(missing) > 0 {
		if turns <- struct{}{}; ctx.Err() != nil {
			break
		}
		n, size := 1, len(missing[0].text)
		for ; n < min(len(missing), embedTexts) && size+len(missing[n].text) <= embedBytes; n++ {
			size += len(missing[n].text)
		}
		texts := missing[:n]
		missing = missing[n:]
		wg.Go(func() {
			if err := e.ask(ctx, texts); err != nil {
				cancel(err)
			}
			<-turns
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// ask asks for the vectors of some texts, and keeps them. Where a request is refused that holds several, each half is asked
// for: it may be too much for the endpoint, or one text of it may be.
func (e *embedding) ask(ctx context.Context, texts []*embedText) error {
	vectors, err := e.request(ctx, texts)
	if err = errors.Join(err, e.c.book.Sync()); err == nil {
		kept := make([]ledger.Vector, len(texts))
		for i, t := range texts {
			t.vector = vectors[i]
			kept[i] = ledger.Vector{Identity: t.id, Report: t.report, Values: t.vector}
		}
		return e.c.store.PutVectors(kept)
	}
	var no Refusal
	switch n := len(texts); {
	case !errors.As(err, &no):
		return err
	case n > 1 && (no.Class == "length" || no.Class == "bad-request"):
		if err := e.ask(ctx, texts[:n/2]); err != nil {
			return err
		}
		return e.ask(ctx, texts[n/2:])
	case no.Class == "length":
		e.c.tooLong.Do(func() {
			e.c.note("embeddings: a text of %d bytes%s is longer than %s takes and has none, and perhaps others", len(texts[0].text), ofStudy(texts), plain(e.c.o.Model))
		})
		return nil
	default:
		return fmt.Errorf("llm: embedding %d texts%s: %w", n, ofStudy(texts), no)
	}
}

// studyOf is the study that a request's texts are of; "": of several, or of none.
func studyOf(texts []*embedText) string {
	study := texts[0].study
	if slices.ContainsFunc(texts, func(t *embedText) bool { return t.study != study }) {
		return ""
	}
	return study
}

// ofStudy says so behind a text.
func ofStudy(texts []*embedText) string {
	if study := studyOf(texts); study != "" {
		return " of study " + study
	}
	return ""
}

// request sends some texts until it has their vectors, or a reason to give up.
func (e *embedding) request(ctx context.Context, texts []*embedText) (vectors [][]float32, err error) {
	c, removed, names := e.c, Removed{}, []string{"embedding request"}
	in := ledger.Intent{Step: e.step, Study: studyOf(texts), Model: c.o.Model, PriceID: c.price.ID, CapPico: c.o.MaxCostPico}
	input, bytes := make([]string, len(texts)), 0
	for i, t := range texts {
		input[i] = t.text
		bytes += len(t.text)
		removed.Add(t.removed)
		names = append(names, string(t.id[:]))
	}
	in.Identity = c.store.Identity(names...)
	body, err := json.Marshal(map[string]any{"model": c.o.Model, "input": input, "encoding_format": "float"})
	if err != nil {
		return nil, fmt.Errorf("llm: %w", err)
	}
	ctx = context.WithValue(ctx, removedKey{}, removed)
	err = c.retry(ctx, 0, func(_ int, failed []*endpoint, deadline *time.Time) (at *endpoint, v verdict, err error) {
		at, v, vectors, err = e.attempt(ctx, in, body, bytes, len(texts), failed, deadline)
		return at, v, err
	})
	return vectors, err
}

// attempt books the intent, waits for its turn, sends, books the outcome, as Client.attempt does.
func (e *embedding) attempt(ctx context.Context, in ledger.Intent, body []byte, bytes, texts int, failed []*endpoint, deadline *time.Time) (at *endpoint, v verdict, vectors [][]float32, err error) {
	c := e.c
	id, err := c.reserve(ctx, &in, int64(bytes)+overhead, 0) // a token is at least a byte, and a text has one before and one after it
	if err != nil {
		return nil, v, nil, err
	}
	at, leave, err := c.ends.enter(ctx, c.meter.expect(bytes), *deadline, failed)
	<-c.waiting
	if err != nil {
		return at, v, nil, errors.Join(err, c.book.Settle(id, in, unsent))
	}
	var x *exchange
	defer func() { leave(x) }()
	if deadline.IsZero() {
		*deadline = time.Now().Add(c.o.Deadline)
	}
	key, err := c.key.get(ctx)
	if err = errors.Join(c.halted(), c.halt(err)); err != nil {
		return at, v, nil, errors.Join(err, c.book.Settle(id, in, unsent))
	}
	sent := time.Now()
	at.gate.hours.begin()
	x = &exchange{of: at.embeddings, request: body, key: key, at: at}
	x.send(context.WithoutCancel(ctx), c.o.Timeout)
	share, alone := at.gate.hours.end()
	v, err = c.judgeBy(ctx, x, at.habits.get(), func(_ replyParts, v *verdict) { vectors = e.judgeVectors(x, texts, v) })
	if c.price.Hour > 0 && err == nil {
		v.outcome.CostPico, err = c.hours.book(c.price, share, in.ReservePico, v.outcome.Kind == ledger.Unsent, alone)
	}
	c.heard(at, v.outcome)
	v.outcome.Sent = sent
	if no := c.book.Settle(id, in, v.outcome); no != nil {
		c.end(no)
		err = errors.Join(err, no)
	}
	if err == nil && v.next == stop {
		err = c.halt(c.leaveOut(at, v.err))
	}
	return at, v, vectors, err
}

// judgeVectors reads an answer with status 2xx to so many texts.
func (e *embedding) judgeVectors(x *exchange, texts int, v *verdict) [][]float32 {
	var r struct {
		Model string `json:"model"`
		Data  []struct {
			Index     int             `json:"index"`
			Embedding json.RawMessage `json:"embedding"`
		} `json:"data"`
	}
	err := decode(&r)(bytes.NewReader(x.body))
	v.outcome.ModelSeen, v.outcome.Kind = plain(r.Model), ledger.Schema
	no := func(format string, args ...any) [][]float32 {
		v.next, v.err = again, Refusal{"schema", fmt.Sprintf(format, args...)}
		return nil
	}
	switch {
	case err != nil:
		return no("the answer is no list of vectors")
	case len(r.Data) != texts:
		return no("the answer has %d vectors for %d texts", len(r.Data), texts)
	}
	vectors, length := make([][]float32, texts), 0
	for _, d := range r.Data {
		if d.Index < 0 || d.Index >= texts || vectors[d.Index] != nil {
			return no("the answer's indices are not 0 to %d, each once", texts-1)
		}
		var values []float32 // of one that is too large, and of a word, there is an error
		if json.Unmarshal(d.Embedding, &values) != nil || bytes.Contains(d.Embedding, []byte("null")) {
			return no("a vector is not one of finite numbers")
		}
		if !slices.ContainsFunc(values, func(x float32) bool { return x != 0 }) {
			return no("a vector is all zeros")
		}
		if length = cmp.Or(length, len(values)); len(values) != length {
			return no("the answer has vectors of %d and of %d numbers", length, len(values))
		}
		vectors[d.Index] = values
	}
	if !e.agrees(length) {
		return no("the answer has vectors of %d numbers, where others have %d", length, e.c.embedded.Load())
	}
	v.outcome.Kind = ledger.Answered
	return vectors
}
