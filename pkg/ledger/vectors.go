package ledger

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

const vectorsSchema = `
CREATE TABLE IF NOT EXISTS vectors (
  identity BLOB PRIMARY KEY, -- of text, model and all else that decides a vector
  report BLOB,               -- HMAC of the report that the text is of, as in a ledger's asked and embedded; NULL: of none
  vector BLOB NOT NULL       -- float32, little endian
);
CREATE INDEX IF NOT EXISTS vectors_report ON vectors (report) WHERE report IS NOT NULL;`

// Vector is what a model makes of a text.
type Vector struct {
	Identity Identity
	Report   Identity // that the text is of; zero: of none
	Values   []float32
}

const embeddedSchema = `
CREATE TABLE IF NOT EXISTS embedded (study TEXT NOT NULL, report BLOB NOT NULL, PRIMARY KEY (study, report)) WITHOUT ROWID;`

// add makes a table in a Postgres schema that was made before there was such a one.
func (d *database) add(table, ddl string) error {
	var made bool // as with the other tables
	if err := d.db.QueryRow(`SELECT to_regclass(?) IS NOT NULL`, table).Scan(&made); made || err != nil {
		return err
	}
	return d.do(func(tx *sql.Tx) error {
		_, err := tx.Exec(`SELECT pg_advisory_xact_lock(?, 0)`, d.class)
		if err == nil {
			_, err = tx.Exec(toPostgres.Replace(ddl))
		}
		return err
	})
}

// manyVectors are looked up by one statement.
const manyVectors = 256

// Vectors finds what the store keeps under some identities; one that has none is not in the map.
func (s *Store) Vectors(ids []Identity) (map[Identity][]float32, error) {
	found := make(map[Identity][]float32, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), manyVectors)
		args := make([]any, n)
		for i := range args {
			args[i] = ids[i][:]
		}
		rows, err := s.d.db.Query(`SELECT identity, vector FROM vectors WHERE identity IN (?`+strings.Repeat(",?", n-1)+`)`, args...)
		err = each(rows, err, func() error {
			var id, b []byte
			if err := rows.Scan(&id, &b); err != nil {
				return err
			}
			if len(b)%4 != 0 {
				return errors.New("a stored vector is damaged")
			}
			v := make([]float32, len(b)/4)
			for i := range v {
				v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
			}
			found[Identity(id)] = v
			return nil
		})
		if err != nil && !missing(err) {
			return nil, fmt.Errorf("results store: %s: %w", s.d.path, err)
		}
		ids = ids[n:]
	}
	return found, nil
}

// PutVectors keeps vectors, each unless there is one already. When it returns, they are on the disk.
func (s *Store) PutVectors(all []Vector) error {
	// In one order, so that processes that put the same ones do not wait for each other.
	all = slices.SortedFunc(slices.Values(all), func(a, b Vector) int { return bytes.Compare(a.Identity[:], b.Identity[:]) })
	err := s.d.do(func(tx *sql.Tx) error {
		for _, v := range all {
			var report any
			if v.Report != (Identity{}) {
				report = v.Report[:]
			}
			b := make([]byte, 0, 4*len(v.Values))
			for _, x := range v.Values {
				b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
			}
			if _, err := tx.Exec(`INSERT OR IGNORE INTO vectors VALUES (?,?,?)`, v.Identity[:], report, b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("results store: %w", err)
	}
	return nil
}

// HasVectors says how many vectors the store keeps of some reports.
func (s *Store) HasVectors(reports []Identity) (vectors int, err error) {
	for _, r := range reports {
		var n int
		err := s.d.db.QueryRow(`SELECT count(*) FROM vectors WHERE report=?`, r[:]).Scan(&n)
		if err != nil && !missing(err) {
			return 0, fmt.Errorf("results store: %s: %w", s.d.path, err)
		}
		vectors += n
	}
	return vectors, nil
}

// Embedded notes which reports of which studies were embedded, whole or in part, so that who forgets a study finds their
// vectors. It counts for nothing.
func (b *Book) Embedded(reports map[string][]Identity) error {
	return b.wrap(b.d.do(func(tx *sql.Tx) error {
		for _, study := range slices.Sorted(maps.Keys(reports)) { // in one order, as vectors are put
			for _, r := range reports[study] {
				if _, err := tx.Exec(`INSERT OR IGNORE INTO embedded VALUES (?,?)`, study, r[:]); err != nil {
					return err
				}
			}
		}
		return nil
	}))
}

// EmbeddedOfAny gives some reports of which vectors were made, of any study.
func (b *Book) EmbeddedOfAny() ([]Identity, error) {
	return b.identities(`SELECT DISTINCT report FROM embedded LIMIT 1000`)
}

// EmbeddedOf gives the reports of a study of which vectors were made, by the HMACs of their texts.
func (b *Book) EmbeddedOf(study string) ([]Identity, error) {
	return b.identities(`SELECT report FROM embedded WHERE study=? ORDER BY report`, study)
}
