package llm

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"

	"silverbeam/pkg/ledger"
)

// reader takes the answers of one job.
type reader struct {
	*ahead
	j     *job
	q     questions
	lines map[string]ledger.Line // those without an outcome yet, by custom_id
	ready []ledger.Line
}

// batchAnswer is a line of an output or error file.
type batchAnswer struct {
	ID       string `json:"custom_id"`
	Response *struct {
		Status    int             `json:"status_code"`
		RequestID string          `json:"request_id"`
		Body      json.RawMessage `json:"body"`
	} `json:"response"`
	Error *struct {
		Code string `json:"code"`
	} `json:"error"`
}

const settleAtOnce = 500

// line takes one answer. A line that was not asked, or has its outcome, is passed over: files may be read again.
func (r *reader) line(ctx context.Context, text []byte) error {
	var a batchAnswer
	if json.Unmarshal(text, &a) != nil {
		return nil
	}
	l, ok := r.lines[a.ID]
	if !ok {
		return nil
	}
	delete(r.lines, a.ID)
	if a.Response == nil || a.Response.Status == 0 {
		l.Outcome = ledger.Outcome{Kind: ledger.Expired, CostPico: new(int64)}
		r.open++
	} else if err := r.take(ctx, &l, a); err != nil {
		return err
	}
	if r.ready = append(r.ready, l); len(r.ready) < settleAtOnce {
		return nil
	}
	return r.settle()
}

// take judges an answer as that of a call, and prices it as what it is.
func (r *reader) take(ctx context.Context, l *ledger.Line, a batchAnswer) error {
	x := &exchange{at: r.endpoint, left: true, whole: true, status: a.Response.Status, body: a.Response.Body,
		header: http.Header{"X-Request-Id": {a.Response.RequestID}}}
	v, err := r.judge(ctx, x, r.q.prompt(l.Question), habit{mode: r.q.Mode, changes: r.q.Changes})
	if err != nil {
		return err
	}
	l.Outcome, l.Intent.Findings = v.outcome, nil
	for _, place := range v.good {
		l.Intent.Findings = append(l.Intent.Findings, r.q.Findings[place])
	}
	if u := v.outcome.Usage; u != nil {
		whole := *v.outcome.CostPico
		cost, err := r.batch.Cost(*u)
		if err != nil {
			return err
		}
		l.CostPico, l.SavedPico = &cost, whole-cost
	}
	switch v.next {
	case done:
	case leave:
		l.Refusal = v.err.Error()
	case stop:
		r.stop(v.err)
	default:
		r.open++
	}
	return nil
}

// settle writes outcomes into the book, then answers into the store.
func (r *reader) settle() error {
	if err := r.book.SettleLines(r.ready); err != nil {
		return err
	}
	errs := make(chan error, len(r.ready))
	var wg sync.WaitGroup
	for _, l := range r.ready {
		if l.Kind == ledger.Answered {
			wg.Go(func() {
				errs <- r.store.Put(l.Intent.Identity, ledger.Answer{Findings: l.Intent.Findings, Labels: l.Labels, Model: l.Intent.Model, CostPico: known(l.CostPico), Run: r.book.Run()})
			})
		}
	}
	wg.Wait()
	close(errs)
	r.ready = r.ready[:0]
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// rest settles the lines that no file names. Of a job that ended early they cost nothing; of one that is said to be
// complete nobody knows.
func (r *reader) rest(status string) error {
	for _, l := range r.lines {
		l.Outcome = ledger.Outcome{Kind: ledger.Expired, CostPico: new(int64)}
		if status == "completed" {
			l.Outcome = ledger.Outcome{Kind: ledger.Cut}
		}
		r.ready = append(r.ready, l)
		r.open++
	}
	return r.settle()
}
