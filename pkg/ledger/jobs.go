package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

const jobsSchema = `
CREATE TABLE IF NOT EXISTS jobs (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, question BLOB NOT NULL, file TEXT NOT NULL, batch TEXT NOT NULL, past TEXT NOT NULL,
  lines INTEGER NOT NULL, bytes INTEGER NOT NULL, done INTEGER NOT NULL, state TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS lines (
  attempt INTEGER PRIMARY KEY, job INTEGER NOT NULL,
  question INTEGER NOT NULL,           -- which of the job's questions it asks
  saved INTEGER NOT NULL,              -- pico-dollars: the price without the batch tier less what was paid
  refusal TEXT NOT NULL                -- class and reason where the report has no answer, else ''
);
CREATE INDEX IF NOT EXISTS lines_job ON lines (job);`

// Job is one input file of a provider's batch interface. Each of its lines is an attempt of its own, with its row and
// reservation before the provider is asked to begin.
type Job struct {
	ID       int64
	Name     string   // of its file at the provider: run, number and digest
	Question []byte   // what its lines may ask: the client's, no text of a report
	File     string   // the provider's id of the file; "": not known to be there
	Batch    string   // the provider's id of the job; "": not known to have begun
	Past     []string // ids of jobs on this file that the provider failed before any line
	Lines    int64
	Bytes    int64
	Done     int64 // lines that the provider says it is through with
	State    string
}

// States of a job.
const (
	JobOpen = "open" // its lines are not settled
	JobRead = "read" // they are; the provider still has its files
	JobGone = "gone" // nothing is left of it at the provider
)

// Line is an attempt that is a line of a job.
type Line struct {
	Attempt  int64
	Intent   Intent // from the disk without Report, Findings and SavedPico
	Question int    // which of the job's questions it asks
	Outcome
	SavedPico int64  // what the batch tier saved
	Refusal   string // "class: reason" where the report has no answer and is not to be asked again; else ""
}

// NextJob is the number that the next job will have.
func (b *Book) NextJob() (id int64, err error) {
	err = b.d.db.QueryRow(`SELECT coalesce(max(id),0)+1 FROM jobs`).Scan(&id)
	return id, b.wrap(err)
}

// Fits says whether so much more could be reserved now under a cap, where 0 is none, and under that of the month: nil, or
// an ErrBudget.
func (b *Book) Fits(capPico, pico int64) error {
	total, err := Add(b.Committed(), pico)
	if err != nil || capPico > 0 && total > capPico {
		return fmt.Errorf("%w: spent and reserved %s USD, the next call may cost %s USD, the cap is %s USD", ErrBudget, short(b.Committed()), short(pico), short(capPico))
	}
	return b.month.Load().fits(pico)
}

// BeginJob reserves the worst case of all lines and writes job and lines. When it returns, they are on the disk. The job
// comes with its ID.
func (b *Book) BeginJob(ctx context.Context, j Job, lines []Line) error {
	last := b.lastID.Add(int64(len(lines)))
	total, ids, picos := Intent{}, make([]int64, len(lines)), make([]int64, len(lines))
	for i, l := range lines {
		ids[i], picos[i] = last-int64(len(lines)-1-i), l.Intent.ReservePico
		var err error
		if total.ReservePico, err = Add(total.ReservePico, l.Intent.ReservePico); err != nil {
			return fmt.Errorf("ledger: reservation of a job: %w", err)
		}
		total.CapPico = l.Intent.CapPico
	}
	now, err := b.month.Load().take(ctx, ids, picos)
	if err != nil {
		return err
	}
	err = b.reserve(ctx, total, op{run: func(tx *sql.Tx) error {
		if !b.d.shared { // there it is made with the tables
			if _, err := tx.Exec(byIdentity); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(`INSERT INTO jobs VALUES (?,?,?,?,?,?,?,?,?,?)`, j.ID, j.Name, j.Question, j.File, j.Batch, "", len(lines), j.Bytes, 0, JobOpen); err != nil {
			return err
		}
		for i, l := range lines {
			if err := apply(tx, begin(ids[i], l.Intent, now)); err != nil {
				return err
			}
			if _, err := tx.Exec(`INSERT INTO lines VALUES (?,?,?,0,'')`, ids[i], j.ID, l.Question); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		for _, id := range ids {
			b.month.Load().settle(id, new(int64))
		}
		return err
	}
	b.batched.Store(true)
	return nil
}

// SaveJob writes what is newly known of a job.
func (b *Book) SaveJob(j Job) error {
	return b.exec(`UPDATE jobs SET file=?, batch=?, past=?, done=?, state=? WHERE id=?`, j.File, j.Batch, strings.Join(j.Past, " "), j.Done, j.State, j.ID)
}

// Jobs gives the jobs of which something is left at the provider, or may be.
func (b *Book) Jobs() (jobs []Job, err error) {
	rows, err := b.d.db.Query(`SELECT id, name, question, file, batch, past, lines, bytes, done, state FROM jobs WHERE state<>? ORDER BY id`, JobGone)
	err = each(rows, err, func() error {
		var j Job
		var past string
		err := rows.Scan(&j.ID, &j.Name, &j.Question, &j.File, &j.Batch, &past, &j.Lines, &j.Bytes, &j.Done, &j.State)
		j.Past = strings.Fields(past)
		jobs = append(jobs, j)
		return err
	})
	return jobs, b.wrap(err)
}

// OpenLines gives the lines of a job that are not settled.
func (b *Book) OpenLines(job int64) (lines []Line, err error) {
	rows, err := b.d.db.Query(`SELECT id, batch, step, study, identity, model, price_id, reserved, question
		FROM attempts JOIN lines ON attempt=id WHERE job=? AND ended IS NULL`, job)
	err = each(rows, err, func() error {
		var l Line
		var identity []byte
		in := &l.Intent
		err := rows.Scan(&l.Attempt, &in.Batch, &in.Step, &in.Study, &identity, &in.Model, &in.PriceID, &in.ReservePico, &l.Question)
		copy(in.Identity[:], identity)
		lines = append(lines, l)
		return err
	})
	return lines, b.wrap(err)
}

// SettleLines writes what became of lines, all together.
func (b *Book) SettleLines(lines []Line) error {
	now := time.Now().UnixNano()
	err := b.d.do(func(tx *sql.Tx) error {
		for _, l := range lines {
			if err := b.settling(l.Attempt, l.Intent, l.Outcome, now).apply(tx); err != nil {
				return err
			}
			if _, err := tx.Exec(`UPDATE lines SET saved=?, refusal=? WHERE attempt=?`, l.SavedPico, l.Refusal, l.Attempt); err != nil {
				return err
			}
		}
		return nil
	})
	for _, l := range lines {
		if err == nil && l.Kind == Answered {
			b.d.learn(l.Intent.Findings)
		}
		b.closeOut(l.Attempt, l.Intent, l.Outcome, err)
	}
	return b.wrap(err)
}

// Declined tells of the lines about a report that gave no label: how many answers did not validate, and the refusal of
// the last line that had one, else "".
func (b *Book) Declined(id Identity) (invalid int, refusal string, err error) {
	if !b.batched.Load() {
		return 0, "", nil
	}
	rows, err := b.d.db.Query(`SELECT outcome, refusal FROM attempts JOIN lines ON attempt=id WHERE identity=? AND ended IS NOT NULL ORDER BY id`, id[:])
	err = each(rows, err, func() error {
		var outcome, why string
		err := rows.Scan(&outcome, &why)
		if outcome == Schema {
			invalid++
		}
		if why != "" {
			refusal = why
		}
		return err
	})
	return invalid, refusal, b.wrap(err)
}

func (b *Book) wrap(err error) error {
	if err != nil {
		return fmt.Errorf("ledger: %s: %w", b.d.path, err)
	}
	return nil
}

// Batches is how a run's jobs at a provider stand.
type Batches struct{ Jobs, Open, Lines, Done int64 }

// ReadBatches reads a ledger without holding it. A ledger without jobs is the zero value. Jobs never wait in a journal, and whoever
// watches a run asks often.
func ReadBatches(path string) (s Batches, err error) {
	d, err := openTables(path)
	if err != nil {
		return s, err
	}
	defer d.db.Close()
	err = d.db.QueryRow(`SELECT count(*), coalesce(sum(CASE state WHEN 'open' THEN 1 END),0), coalesce(sum(lines),0), coalesce(sum(CASE state WHEN 'open' THEN done ELSE lines END),0) FROM jobs`).
		Scan(&s.Jobs, &s.Open, &s.Lines, &s.Done)
	if missing(err) {
		err = nil
	}
	return s, err
}
