package llm

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
	"time"

	"silverbeam/pkg/ledger"

	openai "github.com/sashabaranov/go-openai"
)

// Bounds of one input file (platform.openai.com/docs/guides/batch).
const (
	maxLines = 50_000
	maxBytes = 200_000_000
)

// part is an input file being made: lines that ask in the same way.
type part struct {
	h       habit
	lines   []ledger.Line
	asked   []asked
	place   map[*prompt]int // in asked
	reserve int64
	bytes   int64
	file    *os.File
	w       *bufio.Writer
	sum     hash.Hash
}

// batchLine is a line of an input file. go-openai's has no room for the fields that its request lacks.
type batchLine struct {
	ID     string               `json:"custom_id"`
	Method string               `json:"method"`
	URL    openai.BatchEndpoint `json:"url"`
	Body   json.RawMessage      `json:"body"`
}

// customID names a line by its report's identity, which tells nothing to one without the site key.
func customID(id ledger.Identity) string { return hex.EncodeToString(id[:16]) }

// round puts every report that has no answer into a part, and each full part into a job. What is left in parts when an
// error ends it was never begun.
func (a *ahead) round(ctx context.Context, calls iter.Seq2[Call, error]) error {
	defer a.discard()
	lines := 0
	for call, err := range calls {
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		added, err := a.add(ctx, call)
		if err != nil {
			return err
		}
		if added {
			lines++
		}
	}
	if a.later && lines <= a.few {
		return nil
	}
	return a.submit(ctx)
}

// add puts one report into a part, unless it has its answer or is on its way to one.
func (a *ahead) add(ctx context.Context, call Call) (added bool, err error) {
	text, _ := strip(a.redact, call.Report)
	if text == "" || len(text) > maxReport {
		return false, nil
	}
	in := a.intent(call, text)
	if key := [16]byte(in.Identity[:16]); a.seen[key] {
		return false, nil
	} else {
		a.seen[key] = true
	}
	want := call.Findings
	if want == nil {
		want = a.asks.all
	}
	k, err := a.look(&in, want)
	if err != nil || len(k.missing) == 0 || k.refusal != nil || k.asks > maxAsks {
		return false, err
	}
	p := a.prompts.of(k.missing)
	h := a.habits.get()
	if a.part != nil {
		h = a.part.h
	}
	body := user(in.Identity, text)
	line, err := a.line(h, p, in.Identity, body, k.asks)
	if err != nil {
		return false, err
	}
	in.PriceID = a.batch.ID
	if in.ReservePico, err = a.batch.Worst(a.meter.bound(p, h.mode, p.bytes[h.mode]+len(body), len(body)), p.maxTokens); err != nil {
		return false, fmt.Errorf("llm: %w", err)
	}
	if err := a.room(ctx, in.ReservePico, int64(len(line))); err != nil {
		return false, err
	}
	if a.part == nil {
		if a.part, err = a.newPart(h); err != nil {
			return false, err
		}
	}
	return true, a.part.write(in, p, line)
}

// line is a report's line of an input file.
func (a *ahead) line(h habit, p *prompt, id ledger.Identity, user string, ask int) ([]byte, error) {
	body, err := a.body(h, p, user, ask)
	if err != nil {
		return nil, err
	}
	line, err := json.Marshal(batchLine{customID(id), "POST", openai.BatchEndpointChatCompletions, body})
	return append(line, '\n'), err
}

// room sees to it that a line fits into the part and into the budget, by handing in what is there and waiting for it.
func (a *ahead) room(ctx context.Context, reserve, bytes int64) error {
	if q := a.part; q != nil && (len(q.lines) >= a.maxLines || q.bytes+bytes > a.maxBytes) {
		if err := a.submit(ctx); err != nil {
			return err
		}
	}
	for {
		waiting := reserve
		if a.part != nil {
			waiting += a.part.reserve
		}
		no := a.book.Fits(a.o.MaxCostPico, waiting)
		if !errors.Is(no, ErrBudget) {
			return no
		}
		if err := a.submit(ctx); err != nil {
			return err
		}
		jobs := len(a.jobs)
		if jobs == 0 {
			return a.o.overCap(no)
		}
		if err := a.wait(ctx, func() bool { return len(a.jobs) < jobs }); err != nil {
			return err
		}
	}
}

// spoolName is what a part's file is called while it has a name.
const spoolName = ".spool-*.jsonl"

// newPart opens a file for lines, mode 0600, whose name is gone at once where the system allows it: reports do not stay
// on the disk, whatever becomes of this process.
func (a *ahead) newPart(h habit) (*part, error) {
	f, err := os.CreateTemp(a.o.Spool, spoolName)
	if err != nil {
		return nil, fmt.Errorf("llm: batches: %w", err)
	}
	_ = os.Remove(f.Name()) // where it must wait for the end of writing, discard does it
	q := &part{h: h, place: map[*prompt]int{}, file: f, sum: sha256.New()}
	q.w = bufio.NewWriterSize(io.MultiWriter(f, q.sum), 1<<18)
	return q, nil
}

func (q *part) write(in ledger.Intent, p *prompt, line []byte) error {
	n, ok := q.place[p]
	if !ok {
		n = len(q.asked)
		q.place[p], q.asked = n, append(q.asked, asked{p.asked, p.maxTokens})
	}
	q.lines = append(q.lines, ledger.Line{Intent: in, Question: n})
	q.bytes += int64(len(line))
	q.reserve += in.ReservePico
	if _, err := q.w.Write(line); err != nil {
		return fmt.Errorf("llm: batches: %w", err)
	}
	return nil
}

// discard closes the part's file and leaves nothing of it.
func (a *ahead) discard() {
	if q := a.part; q != nil {
		a.part = nil
		_ = q.file.Close()
		_ = os.Remove(q.file.Name())
	}
}

// submit makes a job of the part, if there is one: in the book, then its file, then its beginning at the provider. While a job is held back
// by a token limit nothing is added.
func (a *ahead) submit(ctx context.Context) error {
	q := a.part
	if q == nil {
		return nil
	}
	defer a.discard()
	if err := a.wait(ctx, func() bool { return !a.held() }); err != nil {
		return err
	}
	if a.stopped != nil {
		return a.stopped
	}
	j, err := a.enter(ctx, q)
	if err != nil {
		return err
	}
	if err := a.deliver(ctx, j, q); err != nil {
		return errors.Join(hint(err), a.void(context.WithoutCancel(ctx), j))
	}
	a.later, j.sure = true, true
	return a.begin(ctx, j)
}

func (a *ahead) held() bool {
	for _, j := range a.jobs {
		if j.Batch == "" {
			return true
		}
	}
	return false
}

// enter writes a part's job into the book.
func (a *ahead) enter(ctx context.Context, q *part) (*job, error) {
	if err := q.w.Flush(); err != nil {
		return nil, fmt.Errorf("llm: batches: %w", err)
	}
	number, err := a.book.NextJob()
	if err != nil {
		return nil, err
	}
	question, err := json.Marshal(questions{q.h.mode, q.h.changes, a.asks.findings, q.asked})
	if err != nil {
		return nil, err
	}
	digest := a.store.Identity("part", string(q.sum.Sum(nil)))
	j := &job{Job: ledger.Job{ID: number, Name: fmt.Sprintf("silverbeam-%s-%d-%x.jsonl", a.run, number, digest[:6]),
		Question: question, Lines: int64(len(q.lines)), Bytes: q.bytes, State: ledger.JobOpen}}
	return j, a.book.BeginJob(ctx, j.Job, q.lines)
}

// deliver sends a job's file. A file that may have arrived is looked for before it is sent again.
func (a *ahead) deliver(ctx context.Context, j *job, q *part) error {
	deadline := time.Now().Add(a.o.Deadline)
	for failures := 1; j.File == ""; failures++ {
		f, err := a.upload(ctx, j.Name, q.file, q.bytes)
		var unsure uncertainError
		var later retryError
		switch {
		case err == nil:
			j.File = f.ID
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &unsure) || errors.As(err, &later):
			if err = a.pause(ctx, later.wait, failures, deadline, err); err == nil {
				j.File, err = a.uploaded(ctx, j)
			}
			if err != nil {
				return err
			}
		default:
			return err
		}
	}
	return a.book.SaveJob(j.Job)
}
