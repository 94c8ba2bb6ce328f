package ledger

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
)

// An answer's findings are named where it is stored, and stand once for all answers to the same ones: their ids would be
// three quarters of its row.
const setsSchema = `
CREATE TABLE IF NOT EXISTS sets (name BLOB PRIMARY KEY, findings BLOB NOT NULL) WITHOUT ROWID;`

const mostSets = 10_000 // that are kept in memory

// sets are those that are known to be on the disk.
type sets struct {
	mu    sync.Mutex
	known map[FindingID][]FindingID
	last  FindingID
}

// name names findings in their order.
func (s *sets) name(findings []FindingID) (name FindingID, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Equal(s.known[s.last], findings) { // as nearly always
		return s.last, s.known != nil
	}
	h := sha256.New()
	for _, f := range findings {
		h.Write(f[:])
	}
	name = FindingID(h.Sum(nil))
	_, known = s.known[name]
	return name, known
}

func (s *sets) learn(name FindingID, findings []FindingID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= mostSets {
		s.known = map[FindingID][]FindingID{}
	}
	s.known[name], s.last = slices.Clone(findings), name
}

// learn notes that a set is on the disk.
func (d *database) learn(findings []FindingID) {
	if name, known := d.sets.name(findings); !known {
		d.sets.learn(name, findings)
	}
}

// encode is an answer as it is stored, and the entry that writes its set unless that is known to be there. Whoever calls it
// learns the set once that is on the disk.
func (d *database) encode(a Answer) (labels any, set []entry) {
	name, known := d.sets.name(a.Findings)
	if !known {
		b := make([]byte, 0, len(a.Findings)*len(name))
		for _, f := range a.Findings {
			b = append(b, f[:]...)
		}
		set = []entry{{insertSet, []any{name[:], b}}}
	}
	return encodeAnswer(a, name), set
}

// set gives the findings of a set.
func (d *database) set(name FindingID) ([]FindingID, error) {
	d.sets.mu.Lock()
	findings, ok := d.sets.known[name]
	d.sets.mu.Unlock()
	if ok {
		return findings, nil
	}
	if err := d.fold(); err != nil {
		return nil, err
	}
	var b []byte
	if err := d.db.QueryRow(`SELECT findings FROM sets WHERE name=?`, name[:]).Scan(&b); err != nil {
		return nil, fmt.Errorf("%w: a set of findings: %w", errLabels, err)
	}
	for ; len(b) >= len(name); b = b[len(name):] {
		findings = append(findings, FindingID(b))
	}
	d.sets.learn(name, findings)
	return findings, nil
}
