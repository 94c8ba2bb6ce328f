package ledger

import (
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Forgetting keeps what a call was and cost, and makes all that leads to a study or its report anew at random: nobody can
// tell whose call it was. A store's answers go altogether.

// About gives the reports of a study that this ledger knows, by the HMACs of their texts.
func (b *Book) About(study string) ([]Identity, error) {
	return b.identities(`SELECT DISTINCT report FROM asked WHERE study=?`, study)
}

// Answers gives what answers about some reports, and about a study, are kept under. It is an error if a job's line
// about one of them is under way: its answer is yet to come.
func (b *Book) Answers(study string, reports []Identity) (all []Identity, err error) {
	all, err = b.identities(`SELECT DISTINCT identity FROM attempts WHERE study=? AND (outcome IS NULL OR outcome<>? OR labels IS NOT NULL)`, study, Answered)
	for _, r := range reports {
		more, merr := b.identities(`SELECT DISTINCT identity FROM asked JOIN attempts USING (batch, step, study) WHERE report=?`, r[:])
		all, err = append(all, more...), errors.Join(err, merr)
	}
	for _, id := range all {
		var open bool
		if err == nil {
			err = b.d.db.QueryRow(`SELECT EXISTS (SELECT 1 FROM attempts JOIN lines ON attempt=id WHERE identity=? AND ended IS NULL)`, id[:]).Scan(&open)
		}
		if open {
			return nil, b.wrap(errors.Join(ErrBusy, errors.New("a batch at the provider has a line about it: let the run take what that brings first")))
		}
	}
	return all, b.wrap(err)
}

// Answered gives what the latest labels of this ledger are kept under, of any study.
func (b *Book) Answered() ([]Identity, error) {
	return b.identities(`SELECT identity FROM attempts WHERE outcome=? AND labels IS NOT NULL ORDER BY id DESC LIMIT 1000`, Answered)
}

func (b *Book) identities(query string, args ...any) (all []Identity, err error) {
	rows, err := b.d.query(query, args...)
	ids, err := column[[]byte](rows, err)
	for _, id := range ids {
		all = append(all, Identity(id))
	}
	return all, b.wrap(err)
}

// Forget takes a study out of the ledger, and what a pilot asked about its reports. It gives the ids of the requests that
// were sent, as the provider named them, and how many rows have changed. When it returns, none of what it took is in the
// file any more.
func (b *Book) Forget(study string, reports []Identity) (requests []string, rows int, err error) {
	err = b.d.do(func(tx *sql.Tx) error {
		requests, rows = nil, 0
		fresh := map[string][]byte{}
		names := []string{study}
		for _, r := range reports { // what a pilot asks about is named by its text
			found, err := tx.Query(`SELECT DISTINCT study FROM asked WHERE batch='' AND report=?`, r[:])
			pilots, err := column[string](found, err)
			if err != nil {
				return err
			}
			names = append(names, pilots...)
		}
		for _, name := range names {
			ids, n, err := forget(tx, name, fresh)
			if requests, rows = append(requests, ids...), rows+n; err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && rows > 0 {
		err = b.d.scrub("attempts", "asked", "embedded")
	}
	return requests, rows, b.wrap(err)
}

// forget gives a study's rows another name, and other identities for its reports and questions. Each stays what it is to
// the sums: a call is counted once, and so is a report. fresh holds the new identities by the old ones.
func forget(tx *sql.Tx, study string, fresh map[string][]byte) (requests []string, rows int, err error) {
	found, err := tx.Query(`SELECT request_id FROM attempts WHERE study=? AND request_id<>'' ORDER BY id`, study)
	if requests, err = column[string](found, err); err != nil {
		return nil, 0, err
	}
	for name, table := range map[string]string{"identity": "attempts", "report": "asked"} {
		found, err := tx.Query(`SELECT DISTINCT `+name+` FROM `+table+` WHERE study=?`, study)
		all, err := column[[]byte](found, err)
		for _, id := range all {
			if fresh[string(id)] == nil {
				fresh[string(id)] = random(len(Identity{}))
			}
			if err == nil {
				_, err = tx.Exec(`UPDATE `+table+` SET `+name+`=? WHERE study=? AND `+name+`=?`, fresh[string(id)], study, id)
			}
		}
		if err != nil {
			return nil, 0, err
		}
	}
	if _, err = tx.Exec(`UPDATE lines SET refusal='' WHERE attempt IN (SELECT id FROM attempts WHERE study=?)`, study); err != nil {
		return nil, 0, err
	}
	if found, err = tx.Query(`SELECT id, coalesce(length(labels),0) FROM attempts WHERE study=?`, study); err != nil {
		return nil, 0, err
	}
	labels := map[int64]int{}
	err = each(found, err, func() error {
		var id int64
		var n int
		err := found.Scan(&id, &n)
		labels[id] = n
		return err
	})
	name := "forgotten-" + hex.EncodeToString(random(8))
	for id, n := range labels {
		var blank []byte
		if n > 0 {
			blank = make([]byte, n) // how many were asked for is a part of what a label costs
			blank[0] = version
		}
		if err == nil {
			_, err = tx.Exec(`UPDATE attempts SET study=?, request_id='', labels=? WHERE id=?`, name, blank, id)
		}
	}
	if err != nil {
		return nil, 0, err
	}
	r, err := tx.Exec(`UPDATE asked SET study=? WHERE study=?`, name, study)
	if err != nil {
		return nil, 0, err
	}
	asked, err := r.RowsAffected()
	if err == nil {
		r, err = tx.Exec(`DELETE FROM embedded WHERE study=?`, study)
	}
	if err != nil {
		return nil, 0, err
	}
	embedded, err := r.RowsAffected()
	return requests, len(labels) + int(asked+embedded), err
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// Has says how many answers the store keeps under some identities.
func (s *Store) Has(ids []Identity) (answers int, err error) {
	for _, id := range ids {
		a, gerr := s.Get(id)
		answers, err = answers+len(a), errors.Join(err, gerr)
	}
	return answers, err
}

// Forget removes the answers under some identities, and the vectors of some reports. When it returns, they are not in the file any more. Answers of the
// program's first months, which nothing reads and nobody can tell apart, go altogether.
func (s *Store) Forget(ids, reports []Identity) error {
	err := s.d.do(func(tx *sql.Tx) error {
		if _, err := tx.Exec(`DROP TABLE IF EXISTS answers`); err != nil {
			return err
		}
		for _, id := range ids {
			if _, err := tx.Exec(`DELETE FROM calls WHERE identity=?`, id[:]); err != nil {
				return err
			}
		}
		for _, r := range reports {
			if _, err := tx.Exec(`DELETE FROM vectors WHERE report=?`, r[:]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = s.d.scrub("calls", "vectors")
	}
	if err != nil {
		return fmt.Errorf("results store: %s: %w", s.d.path, err)
	}
	return nil
}

// scrub writes tables anew, without what was deleted from them: deleted rows stay in a database's free space.
func (d *database) scrub(tables ...string) error {
	if d.shared {
		_, err := d.db.Exec(`VACUUM FULL ` + tables[0])
		for _, t := range tables[1:] {
			if err == nil {
				_, err = d.db.Exec(`VACUUM FULL ` + t)
			}
		}
		return err
	}
	var busy, pages, moved int
	_, err := d.db.Exec(`VACUUM`)
	if err == nil {
		err = d.db.QueryRow(`PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &pages, &moved)
	}
	if err == nil && busy != 0 {
		err = fmt.Errorf("%w: someone reads it, and what was removed stands in its log until they have ended: the same command again", ErrBusy)
	}
	return full(err)
}

// Remove removes the ledger of a path: the file, or the schema of a Postgres that a Share has put it in. A ledger that
// someone holds is ErrBusy; one that has jobs whose files are still at a provider is ErrJobs. None is no error.
func Remove(path string) error {
	location, err := placed(path)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && !isPostgres(location) {
		return nil
	}
	b, err := OpenBook(path)
	if err != nil {
		return err
	}
	defer b.Close()
	if jobs, err := b.Jobs(); err != nil || len(jobs) > 0 {
		return b.wrap(errors.Join(err, ErrJobs))
	}
	if !b.d.shared {
		return os.Remove(path)
	}
	rows, err := b.d.db.Query(b.d.openers())
	openers, err := column[int64](rows, err)
	if err == nil && slices.ContainsFunc(openers, func(n int64) bool { return n != b.d.opener }) {
		err = ErrBusy
	}
	_, schema, perr := parsePostgres(location)
	if err = errors.Join(err, perr); err == nil && !strings.HasPrefix(schema, "run_") {
		err = fmt.Errorf("the schema %s is not one that a run has made", schema)
	}
	if err == nil {
		_, err = b.d.db.Exec(`DROP SCHEMA ` + schema + ` CASCADE`)
	}
	return b.wrap(err)
}

// ErrJobs says that a provider still has files of the run's batches.
var ErrJobs = errors.New("the provider still has files of its batches")
