package llm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"silverbeam/pkg/ledger"

	openai "github.com/sashabaranov/go-openai"
)

const (
	maxRounds = 6                // of new jobs for what earlier ones left open; the rest is asked in calls
	few       = 25               // reports left open that are not worth a job
	smallest  = 100              // lines: a job is not made smaller for a provider's token limit
	settled   = 15 * time.Second // a request that was cut off has ended at the provider by then
	shortPoll = 50 * time.Millisecond
	longPoll  = time.Minute
	longHold  = 10 * time.Minute // before a job of the smallest size is tried again under a token limit
)

// Ahead asks through the provider's batch interface for what Label would have to call for, and returns once Label finds
// the answers in the store. What is left open then (a few reports, or what all rounds could not get) Label asks in calls;
// what was declined Label refuses. calls is read once a round, its errors are returned; nil only takes what jobs of an
// earlier process bring.
//
// Nothing is asked twice: a line is in the book before its job begins, a job has a file of its own, and before it is begun
// again the provider's list is searched for a job on that file. When ctx ends, jobs run on at the provider; the next call
// of Ahead on the same book takes what they bring.
func (c *Client) Ahead(ctx context.Context, calls iter.Seq2[Call, error]) error {
	a := &ahead{remote: remote{c, c.ends.all[0]}, maxLines: maxLines}
	a.tidy()
	under, err := a.resume(ctx)
	if err == nil && calls == nil && !under {
		return nil
	}
	for round := 0; err == nil && calls != nil && !c.o.Replay && round < maxRounds; round++ {
		a.open = 0
		if err = a.round(ctx, calls); err == nil || errors.Is(err, ErrBudget) || err == a.stopped { // what is under way is paid for
			err = cmp.Or(a.wait(ctx, func() bool { return len(a.jobs) == 0 }), err)
		}
		if clear(a.seen); a.open == 0 {
			break
		}
	}
	if err == nil {
		err = a.wait(ctx, func() bool { return len(a.jobs) == 0 })
	}
	if err == nil {
		err = a.sweep(ctx)
	}
	if n := len(a.jobs); n > 0 && ctx.Err() != nil {
		err = fmt.Errorf("llm: %d jobs go on at %s, and the same command takes what they bring: %w", n, a.site.host, err)
	}
	return err
}

// tidy removes files that an earlier process of the run had no time to remove.
func (a *ahead) tidy() {
	if a.o.Spool == "" {
		return // others use the system's folder
	}
	left, _ := filepath.Glob(filepath.Join(a.o.Spool, spoolName))
	for _, name := range left {
		_ = os.Remove(name)
	}
}

// ahead is the work on batches of one call of Ahead.
type ahead struct {
	remote
	run      string
	jobs     []*job // under way
	part     *part
	maxLines int
	seen     map[[16]byte]bool // reports in jobs under way or asked in this round, by the head of their identity
	later    bool              // this book has had jobs
	open     int               // lines of this round's jobs that are to be asked again
	stopped  error             // what a job met that ends the run, once the others are read
}

// job is one that is under way.
type job struct {
	ledger.Job
	sure bool // no request to begin it can be on its way
	next time.Time
	poll time.Duration
	hold time.Duration // last time that a token limit held it back
}

// resume takes up the jobs of an earlier process, if there are any.
func (a *ahead) resume(ctx context.Context) (any bool, err error) {
	a.seen = map[[16]byte]bool{}
	a.run = a.book.Run()
	number, err := a.book.NextJob()
	if err != nil {
		return false, err
	}
	a.later = number > 1
	jobs, err := a.book.Jobs()
	for _, j := range jobs {
		if err == nil && j.State == ledger.JobRead {
			err = a.forget(ctx, &job{Job: j})
		} else if err == nil {
			err = a.takeUp(ctx, &job{Job: j})
		}
	}
	return len(jobs) > 0, err
}

// takeUp goes on with an open job where its maker stopped: nobody knows which of its last requests arrived.
func (a *ahead) takeUp(ctx context.Context, j *job) error {
	lines, err := a.book.OpenLines(j.ID)
	if err != nil {
		return err
	}
	if j.File == "" {
		if j.File, err = a.uploaded(ctx, j); err != nil {
			return err
		}
	}
	if j.File == "" { // its text is gone; nothing can have begun on it
		return a.void(ctx, j)
	}
	if err := a.begin(ctx, j); err != nil {
		return err
	}
	for _, l := range lines {
		a.seen[[16]byte(l.Intent.Identity[:16])] = true
	}
	return nil
}

// uploaded looks for a job's file at the provider: "" if it is not there.
func (a *ahead) uploaded(ctx context.Context, j *job) (id string, err error) {
	err = a.files(ctx, func(f openai.File) bool {
		if f.FileName == j.Name && (f.Bytes == 0 || int64(f.Bytes) == j.Bytes) {
			id = f.ID
		}
		return id != ""
	})
	return id, err
}

// begin has the provider work on a job's file, once: before every request its list of jobs is searched for one on this
// file, and after a request of unknown outcome only when that must have ended.
func (a *ahead) begin(ctx context.Context, j *job) error {
	deadline := time.Now().Add(a.o.Deadline)
	for failures := 1; j.Batch == ""; failures++ {
		id, err := a.begun(ctx, j)
		if err == nil && id == "" && !j.sure {
			if err = sleep(ctx, a.settled); err == nil {
				id, err = a.begun(ctx, j)
			}
		}
		if err != nil {
			return err
		}
		if id == "" {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			b, err := a.create(context.WithoutCancel(ctx), j.File, map[string]any{"silverbeam": j.Name})
			var unsure uncertainError
			var later retryError
			switch {
			case errors.As(err, &unsure) || errors.As(err, &later):
				j.sure = j.sure && !errors.As(err, &unsure)
				if err := a.pause(ctx, later.wait, failures, deadline, err); err != nil {
					return err
				}
				continue
			case err != nil:
				return errors.Join(hint(err), a.void(ctx, j))
			}
			id = b.ID
		}
		j.Batch, j.sure = id, true
	}
	j.next, j.poll = time.Now().Add(shortPoll), shortPoll
	if err := a.book.SaveJob(j.Job); err != nil {
		return err
	}
	for _, other := range a.jobs {
		if other == j {
			return nil
		}
	}
	a.jobs = append(a.jobs, j)
	return nil
}

// begun looks for a job on j's file in the provider's list, other than those known to have failed.
func (a *ahead) begun(ctx context.Context, j *job) (id string, err error) {
	past := " " + strings.Join(j.Past, " ") + " "
	err = a.batches(ctx, func(b openai.Batch) bool {
		if b.InputFileID == j.File && !strings.Contains(past, " "+b.ID+" ") {
			id = b.ID
		}
		return id != ""
	})
	return id, err
}

// hint says of an endpoint without batches what else there is.
func hint(err error) error {
	if errors.Is(err, errGone) {
		return fmt.Errorf("%w: %w: has the endpoint a batch interface? If not, use mode sync", ErrProvider, err)
	}
	return err
}

// wait looks after the jobs until enough is done.
func (a *ahead) wait(ctx context.Context, enough func() bool) error {
	for !enough() {
		next := time.Now().Add(longPoll)
		for _, j := range append([]*job(nil), a.jobs...) {
			if !time.Now().Before(j.next) {
				if err := a.see(ctx, j); err != nil {
					return err
				}
			}
			if j.next.Before(next) {
				next = j.next
			}
		}
		if enough() {
			break
		}
		if err := sleep(ctx, time.Until(next)); err != nil {
			return err
		}
	}
	if len(a.jobs) == 0 && a.stopped != nil {
		return a.stopped
	}
	return nil
}

// see asks how a job stands and does what follows. Questions come ever more rarely.
func (a *ahead) see(ctx context.Context, j *job) error {
	if j.Batch == "" { // held back by a token limit
		return a.begin(ctx, j)
	}
	b, err := a.retrieve(ctx, j.Batch)
	if errors.Is(err, errGone) && a.site.fake != nil { // a fake one's jobs end with its process
		return a.void(ctx, j)
	}
	if errors.Is(err, errGone) {
		return fmt.Errorf("%w: batch %s: %w: is the key another project's?", ErrProvider, plain(j.Batch), err)
	}
	if err != nil {
		return err
	}
	j.poll = min(longPoll, j.poll*3/2)
	j.next = time.Now().Add(j.poll)
	switch b.Status {
	case "completed", "expired", "cancelled":
		return a.read(ctx, j, b)
	case "failed":
		return a.failed(ctx, j, b)
	}
	if n := int64(b.RequestCounts.Completed + b.RequestCounts.Failed); n != j.Done {
		j.Done = n
		return a.book.SaveJob(j.Job)
	}
	return nil
}

// failed follows a job that the provider did not begin on. Too many tokens waiting: it comes later, or smaller if it
// waits for nothing but itself. All else is no matter of waiting.
func (a *ahead) failed(ctx context.Context, j *job, b openai.Batch) error {
	code := ""
	if b.Errors != nil && len(b.Errors.Data) > 0 {
		code = plain(b.Errors.Data[0].Code)
	}
	if code != "token_limit_exceeded" {
		a.stop(fmt.Errorf("%w: %s: batch %s failed: %s", ErrProvider, a.site.host, plain(b.ID), code))
		return a.void(ctx, j)
	}
	alone := true
	for _, other := range a.jobs {
		alone = alone && (other == j || other.Batch == "")
	}
	if alone && j.Lines > smallest {
		a.maxLines = max(smallest, int(j.Lines/2))
		return a.void(ctx, j)
	}
	j.Past, j.Batch, j.sure = append(j.Past, j.Batch), "", true
	j.hold = min(longHold, max(2*j.hold, j.poll))
	j.next = time.Now().Add(j.hold)
	return a.book.SaveJob(j.Job)
}

func (a *ahead) stop(err error) {
	if a.stopped == nil {
		a.stopped = err
	}
}

// void gives a job up that never began: its lines cost nothing and are asked again.
func (a *ahead) void(ctx context.Context, j *job) error {
	lines, err := a.book.OpenLines(j.ID)
	for i := range lines {
		lines[i].Outcome = ledger.Outcome{Kind: ledger.Unsent, CostPico: new(int64)}
	}
	if err == nil {
		err = a.book.SettleLines(lines)
	}
	a.open += len(lines)
	if err != nil {
		return err
	}
	return a.close(ctx, j, j.File)
}

// close ends a job whose lines are settled, here and at the provider.
func (a *ahead) close(ctx context.Context, j *job, files ...string) error {
	j.State, j.Done = ledger.JobRead, j.Lines
	if err := a.book.SaveJob(j.Job); err != nil {
		return err
	}
	for i, other := range a.jobs {
		if other == j {
			a.jobs = append(a.jobs[:i:i], a.jobs[i+1:]...)
			break
		}
	}
	return a.clear(ctx, j, files...)
}

// clear removes a job's files at the provider.
func (a *ahead) clear(ctx context.Context, j *job, files ...string) error {
	for _, f := range files {
		if f == "" {
			continue
		}
		if err := a.remove(ctx, f); err != nil {
			return err
		}
	}
	j.State = ledger.JobGone
	return a.book.SaveJob(j.Job)
}

// forget clears a job whose maker did not get to it.
func (a *ahead) forget(ctx context.Context, j *job) error {
	files := []string{j.File}
	if j.Batch != "" {
		b, err := a.retrieve(ctx, j.Batch)
		if err != nil && !errors.Is(err, errGone) {
			return err
		}
		files = append(files, value(b.OutputFileID), value(b.ErrorFileID))
	}
	return a.clear(ctx, j, files...)
}

// sweep removes this run's input files at the provider that no job knows of: uploads that were cut off and arrived.
func (a *ahead) sweep(ctx context.Context) error {
	if number, err := a.book.NextJob(); err != nil || number == 1 {
		return err
	}
	var stray []string
	err := a.files(ctx, func(f openai.File) bool {
		if strings.HasPrefix(f.FileName, "silverbeam-"+a.run+"-") {
			stray = append(stray, f.ID)
		}
		return false
	})
	for _, f := range stray {
		if err == nil {
			err = a.remove(ctx, f)
		}
	}
	return err
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// questions are what a job's lines ask, and how: all that is needed to read their answers.
type questions struct {
	Mode     mode               `json:"mode"`
	Changes  int                `json:"changes"`
	Findings []ledger.FindingID `json:"findings"` // of the taxonomy, by their place
	Asked    []asked            `json:"asked"`
}

// asked is what a line may ask.
type asked struct {
	Places    []int `json:"places"`
	MaxTokens int64 `json:"max_tokens"`
}

func (q questions) prompt(i int) *prompt {
	p := &prompt{asked: q.Asked[i].Places, maxTokens: q.Asked[i].MaxTokens}
	for _, place := range p.asked {
		p.keys = append(p.keys, key(place))
	}
	return p
}

// read takes what a finished job brought: answers into book and store, refusals into the book. A line without either is
// to be asked again. It may be done any number of times.
func (a *ahead) read(ctx context.Context, j *job, b openai.Batch) error {
	var q questions
	if err := json.Unmarshal(j.Question, &q); err != nil {
		return fmt.Errorf("llm: job %d of the ledger cannot be read: %w", j.ID, err)
	}
	open, err := a.book.OpenLines(j.ID)
	if err != nil {
		return err
	}
	r := reader{ahead: a, j: j, q: q, lines: make(map[string]ledger.Line, len(open))}
	for _, l := range open {
		r.lines[customID(l.Intent.Identity)] = l
	}
	for _, file := range []string{value(b.OutputFileID), value(b.ErrorFileID)} {
		if file == "" {
			continue
		}
		if err := a.lines(ctx, file, func(line []byte) error { return r.line(ctx, line) }); err != nil {
			return hint(err)
		}
	}
	if err := r.rest(b.Status); err != nil {
		return err
	}
	if b.Status == "cancelled" {
		a.stop(fmt.Errorf("%w: %s: batch %s was cancelled there", ErrTemporary, a.site.host, plain(b.ID)))
	}
	return a.close(ctx, j, j.File, value(b.OutputFileID), value(b.ErrorFileID))
}
