package ledger

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/url"
	"os"
	"strings"
	"time"
)

const budgetSchema = `
CREATE TABLE IF NOT EXISTS budget (one INTEGER PRIMARY KEY, committed NUMERIC NOT NULL); -- one row: what is spent and what is reserved
CREATE INDEX IF NOT EXISTS attempts_open ON attempts (id) WHERE ended IS NULL;
INSERT INTO budget VALUES (1,0) ON CONFLICT DO NOTHING;`

// Share puts the ledger of a path into the Postgres of a postgres: URL, in a schema of its own, and notes that in a file
// beside the path. Where that is noted already, the note holds. Any other location of a store leaves the ledger a file.
func Share(path, store string) error {
	if _, err := os.Stat(noteOf(path)); err == nil || !isPostgres(store) {
		return nil
	}
	if _, err := os.Stat(path); err == nil {
		return fmt.Errorf("ledger: %s is a file already: name another run folder to keep the ledger in Postgres, or a store that is a file", path)
	}
	if _, _, err := parsePostgres(store); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	name := make([]byte, 8)
	rand.Read(name)
	u, err := url.Parse(store)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	q := u.Query()
	q.Set("schema", "run_"+hex.EncodeToString(name))
	u.RawQuery = q.Encode()
	if err := writeOnce(noteOf(path), u.String()+"\n"); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return nil
}

func noteOf(path string) string { return path + ".url" }

// placed says where the database of a path is kept: the path itself, unless a note beside it says otherwise.
func placed(path string) (location string, err error) {
	if isPostgres(path) {
		return path, nil
	}
	b, err := os.ReadFile(noteOf(path))
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil
	}
	location = strings.TrimSpace(string(b))
	if err == nil && !isPostgres(location) {
		err = fmt.Errorf("%s does not hold a postgres: URL", noteOf(path))
	}
	return location, err
}

func openSharedBook(location string) (*Book, error) {
	d, err := openPostgres(location, bookSchema+jobsSchema+budgetSchema+byIdentity, sharedCommitEvery)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if err := d.add("embedded", embeddedSchema); err != nil {
		return nil, errors.Join(fmt.Errorf("ledger: %w", err), d.close())
	}
	b := &Book{d: d, settled: make(chan struct{}), paid: true, index: func() error { return nil }} // which is made with the tables
	b.batched.Store(true)
	b.first = d.opener << 32
	b.lastID.Store(b.first)
	return b, b.name()
}

func (b *Book) sharedCommitted() int64 {
	var n int64
	if err := b.d.db.QueryRow(`SELECT least(committed, 9223372036854775807) FROM budget`).Scan(&n); err != nil {
		return math.MaxInt64
	}
	return n
}

var errNoRoom = errors.New("no room in the budget")

// reserveShared is reserve in the database: reservation and intent are one transaction, so that the budget holds over all
// processes and a dead one leaves no reservation without its row.
func (b *Book) reserveShared(ctx context.Context, in Intent, write op) error {
	for {
		b.mu.Lock()
		settled := b.settled
		b.mu.Unlock()
		err := b.d.do(func(tx *sql.Tx) error {
			most := in.CapPico
			if most == 0 {
				most = math.MaxInt64
			}
			r, err := tx.Exec(`UPDATE budget SET committed=committed+? WHERE committed+?<=?`, in.ReservePico, in.ReservePico, most)
			if err != nil {
				return err
			}
			if n, err := r.RowsAffected(); err != nil || n == 0 {
				return errors.Join(err, errNoRoom)
			}
			return write.apply(tx)
		})
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, errNoRoom):
			return fmt.Errorf("ledger: %w", err)
		case in.CapPico == 0:
			return fmt.Errorf("ledger: reservation of %d: %w", in.ReservePico, ErrOverflow)
		}
		if err := b.hopeless(in); err != nil {
			return err
		}
		select {
		case <-settled: // by this process
		case <-time.After(200 * time.Millisecond): // by another
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// hopeless is ErrBudget if a call will find no room whatever the calls in flight turn out to cost. In flight is an attempt
// whose opener lives.
func (b *Book) hopeless(in Intent) error {
	var spent, reserved, live int64
	err := b.d.db.QueryRow(`SELECT coalesce(sum(cost),0), coalesce(sum(CASE WHEN cost IS NULL THEN reserved END),0),
		coalesce(sum(CASE WHEN ended IS NULL AND `+b.d.alive("(id>>32)")+` THEN reserved END),0)
		FROM attempts`).Scan(&spent, &reserved, &live)
	if err != nil {
		return fmt.Errorf("ledger: %s: %w", b.d.path, err)
	}
	if total, err := sum(spent, reserved-live, in.ReservePico); err == nil && total <= in.CapPico {
		return nil
	}
	return in.overBudget(spent, reserved-live)
}
