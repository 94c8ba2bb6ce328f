package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"silverbeam/pkg/taxonomy"
)

// Identity names what a model is asked about: see Store.Identity.
type Identity [32]byte

// Intent is what is written before an attempt is sent.
type Intent struct {
	Batch, Step, Study string
	Identity           Identity    // of report, model and all else that decides an answer, but for the findings
	Report             Identity    // of the normalised text alone; zero: of a text that is no report of the run
	Findings           []FindingID // asked for
	SavedPico          int64       // what the store's answers to the report's other findings had cost
	Model, PriceID     string
	ReservePico        int64 // worst case
	CapPico            int64 // of the whole run; 0: no cap
}

// Kinds of outcome.
const (
	Answered = "answered" // labels
	Schema   = "schema"   // an answer that does not validate
	Refused  = "refused"  // the model or its filter declined, or the answer was cut short by its length
	Failed   = "error"    // an HTTP status that is no answer
	Cut      = "cut"      // no whole answer came back
	Unsent   = "unsent"   // no connection, or a job that did not begin: nothing was worked on
	Expired  = "expired"  // a line that the provider did not get to in time
)

// Outcome is what is written before an answer is used.
type Outcome struct {
	Kind      string
	Sent      time.Time // zero: as it was begun
	Status    int       // HTTP; 0: none came
	RequestID string    // and the next two: as the server sent them, plain characters only
	ModelSeen string
	Print     string // system_fingerprint
	Usage     *Usage // nil: the server did not say
	RawUsage  []byte
	CostPico  *int64           // nil: unknown, so the reservation stands
	Labels    []taxonomy.Label // of Answered, one for each finding that Settle is given; kept as codes
}

// Begin reserves the worst case and writes the intent. When it returns, both are on the disk. Where the cap leaves no
// room it waits for calls in flight to settle for less, and returns ErrBudget once that cannot help.
func (b *Book) Begin(ctx context.Context, in Intent) (attempt int64, err error) {
	attempt = b.lastID.Add(1)
	at, err := b.month.Load().take(ctx, []int64{attempt}, []int64{in.ReservePico})
	if err != nil {
		return 0, err
	}
	if err = b.reserve(ctx, in, op{entries: begin(attempt, in, at)}); err != nil {
		b.month.Load().settle(attempt, new(int64))
		return attempt, err
	}
	b.d.underWay.Add(1)
	return attempt, nil
}

// begin is how an intent is written.
func begin(attempt int64, in Intent, now int64) []entry {
	entries := []entry{{insertAttempt, []any{attempt, in.Batch, in.Step, in.Study, in.Identity[:], in.Model, in.PriceID, now, in.ReservePico}}}
	if in.Report != (Identity{}) {
		entries = append(entries, entry{insertAsked, []any{in.Batch, in.Step, in.Study, in.Report[:], "call", in.SavedPico}})
	}
	return entries
}

// Settle writes what became of an attempt and, where its cost is known, gives back what it did not need. The intent's
// findings are now those that have labels. When it returns, the row outlives this process, whatever ends it; whoever uses
// the answer waits for Sync before.
func (b *Book) Settle(attempt int64, in Intent, o Outcome) error {
	defer b.d.underWay.Add(-1)
	if !b.month.Load().began(attempt, o.Sent) {
		o.Sent = time.Time{}
	}
	err := b.d.keep(b.settling(attempt, in, o, time.Now().UnixNano()))
	if err != nil {
		err = fmt.Errorf("ledger: %w", err)
	}
	if err == nil && o.Kind == Answered {
		b.d.learn(in.Findings)
	}
	b.closeOut(attempt, in, o, err)
	return err
}

// settling is how an outcome is written.
func (b *Book) settling(attempt int64, in Intent, o Outcome, now int64) op {
	var labels, sent, input, output any // nil: NULL
	var entries []entry
	if o.Kind == Answered && len(o.Labels) > 0 { // of texts that were embedded there are none
		labels, entries = b.d.encode(Answer{Findings: in.Findings, Labels: o.Labels})
	}
	if !o.Sent.IsZero() {
		sent = o.Sent.UnixNano()
	}
	var u Usage
	if o.Usage != nil {
		u = *o.Usage
		input, output = u.Input, u.Output
	}
	w := op{entries: append(entries, entry{settleAttempt, []any{sent, now, o.Kind, int64(o.Status), o.RequestID, o.ModelSeen, o.Print, string(o.RawUsage),
		input, orNull(u.Cached), orNull(u.CacheWrite), output, orNull(u.Reasoning), orNull(o.CostPico), labels, attempt}})}
	if b.d.shared && o.CostPico != nil {
		w.run = func(tx *sql.Tx) error {
			_, err := tx.Exec(`UPDATE budget SET committed=committed+?-?`, *o.CostPico, in.ReservePico)
			return err
		}
	}
	return w
}

func orNull(n *int64) any {
	if n == nil {
		return nil
	}
	return *n
}

// closeOut gives back what an attempt did not need; all stays reserved where its outcome could not be written.
func (b *Book) closeOut(attempt int64, in Intent, o Outcome, failed error) {
	if failed == nil {
		b.month.Load().settle(attempt, o.CostPico)
	}
	if failed != nil || o.CostPico == nil {
		b.release(in.ReservePico, 0, in.ReservePico)
		return
	}
	b.release(in.ReservePico, *o.CostPico, 0)
}

// Paid gives the answers about one report that this run has paid for and that may not have reached the store: the process
// may have died between the two.
func (b *Book) Paid(id Identity) ([]Answer, error) {
	if !b.paid {
		return nil, nil
	}
	if err := b.index(); err != nil {
		return nil, err
	}
	rows, err := b.d.db.Query(`SELECT labels, coalesce(cost,0), model FROM attempts WHERE identity=? AND outcome=? ORDER BY id`, id[:], Answered)
	var found []answerRow
	err = each(rows, err, func() error {
		var r answerRow
		err := rows.Scan(&r.labels, &r.CostPico, &r.Model)
		found = append(found, r)
		return err
	})
	var answers []Answer
	if err == nil {
		answers, err = b.d.decode(found)
	}
	if err != nil {
		return nil, fmt.Errorf("ledger: %s: %w", b.d.path, err)
	}
	return answers, nil
}

// answerRow is an answer that is not decoded yet.
type answerRow struct {
	Answer
	labels  []byte
	asked   []byte // of a store's, and the next: its set of findings in any order, and when it was put
	created int64
}

// decode reads answers with no connection held: a set of findings may need one.
func (d *database) decode(rows []answerRow) (all []Answer, err error) {
	for _, r := range rows {
		if err = r.decode(r.labels, d.set); err != nil {
			return nil, err
		}
		all = append(all, r.Answer)
	}
	return all, nil
}

// Spared notes a report that was answered without a call of its own: by what another run has put into the store, or by
// sharing the answer of an equal report of this run. savedPico is what the answer had cost. Of equal reports in the store
// the first counts as stored and the others as shared.
func (b *Book) Spared(in Intent, fromStore bool, savedPico int64) error {
	l := entry{insertAsked, []any{in.Batch, in.Step, in.Study, in.Report[:], "dedupe", savedPico}}
	if fromStore {
		l = entry{insertStored, []any{in.Batch, in.Step, in.Study, in.Report[:], in.Report[:], in.Step, savedPico}}
	}
	return b.wrap(b.d.keep(op{entries: []entry{l}})) // after a power cut it is found in the store again
}

// Sync waits until all that Settle has written before is on the disk.
func (b *Book) Sync() error { return b.wrap(b.d.sync()) }

// Beginners says that no more than n will wait in Begin at once: a commit need not wait for another.
func (b *Book) Beginners(n int) {
	if c := b.d.crowd.Load(); c == 0 || int32(n) < c {
		b.d.crowd.Store(int32(n))
	}
}
