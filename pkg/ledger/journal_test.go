package ledger

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"silverbeam/pkg/taxonomy"
)

// dead copies what a process that dies now leaves of a ledger, with so much of its journal, and gives the copy's path.
func dead(t *testing.T, path string, journal []byte) string {
	to := filepath.Join(t.TempDir(), "ledger.db")
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		if err == nil {
			err = os.WriteFile(to+suffix, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(journalOf(to), journal, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

func pay(t *testing.T, b *Book, study string, pico int64) {
	in := Intent{Batch: "0", Step: "s", Study: study, Identity: Identity{1}, Report: Identity{2}, Findings: []FindingID{{3}}, Model: "m", ReservePico: 10 * pico}
	id, err := b.Begin(t.Context(), in)
	if err == nil {
		err = b.Settle(id, in, Outcome{Kind: Answered, CostPico: &pico, Usage: &Usage{Input: 5, Output: 6}, Labels: []taxonomy.Label{{State: taxonomy.Present, P: 0.5}}})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Wherever a process died, whoever opens or reads its ledger finds each entry that was whole, once.
func TestJournalOfTheDead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	b, err := OpenBook(path)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	pay(t, b, "A", 100)
	if err := b.SetCap(5); err != nil { // folds
		t.Fatal(err)
	}
	pay(t, b, "B", 1000)
	whole, err := os.ReadFile(journalOf(path))
	if err != nil {
		t.Fatal(err)
	}
	end := bytes.LastIndexFunc(whole, func(r rune) bool { return r != 0 }) + 1
	for cut := range end + 1 {
		copied := dead(t, path, whole[:cut])
		c, err := ReadCost(copied)
		if err != nil {
			t.Fatalf("cut at %d of %d: %v", cut, end, err)
		}
		if got := c.Spent + c.UnsettledMax; got != 100 && got != 100+10_000 && got != 1100 || cut == end && got != 1100 {
			t.Fatalf("cut at %d of %d: %d spent, %d unsettled", cut, end, c.Spent, c.UnsettledMax)
		}
		if _, err := os.Stat(journalOf(copied)); err == nil {
			t.Fatal("the journal is still there")
		}
	}
	for at := journalHead; at < end; at += 7 {
		bad := bytes.Clone(whole)
		bad[at] ^= 4
		if c, err := ReadCost(dead(t, path, bad)); err != nil || c.Spent == 1100 && c.Attempts != 2 {
			t.Fatalf("a flipped bit in byte %d: %v, %+v", at, err, c)
		}
	}

	again, err := OpenBook(dead(t, path, whole))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Paid(Identity{1}); err != nil || len(got) != 2 || got[1].Labels[0].P != 0.5 {
		t.Errorf("%+v, %v", got, err)
	}
	pay(t, again, "C", 7)
	if c, err := ReadCost(again.d.path); err != nil || c.Spent != 1107 {
		t.Errorf("%+v, %v", c, err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(journalOf(again.d.path)); err == nil {
		t.Error("a closed ledger has a journal")
	}

	if err := b.d.fold(); err != nil { // and it dies before the journal is empty
		t.Fatal(err)
	}
	if c, err := ReadCost(dead(t, path, whole)); err != nil || c.Spent != 1100 || c.Attempts != 2 {
		t.Errorf("folded twice: %+v, %v", c, err)
	}
}

// Of entries that cannot go into the tables together none does: the next attempt finds them as they were.
func TestReplayIsWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	b, err := OpenBook(path)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	j := &journal{epoch: 9}
	j.buf = binary.LittleEndian.AppendUint64([]byte(journalMagic), j.epoch)
	j.buf = j.append(j.buf, entry{insertSet, []any{[]byte{1}, []byte{2}}})
	j.buf = j.append(j.buf, entry{settleAttempt, []any{int64(1)}}) // too few arguments
	copied := dead(t, path, j.buf)
	for range 2 {
		if _, err := ReadCost(copied); err == nil {
			t.Fatal("an entry that does not fit went in")
		}
	}
	if err := os.Remove(journalOf(copied)); err != nil {
		t.Fatal(err)
	}
	d, err := openReader(copied)
	if err != nil {
		t.Fatal(err)
	}
	defer d.db.Close()
	var n int
	if err := d.db.QueryRow(`SELECT count(*) FROM sets`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d entries of two went in, %v", n, err)
	}
}

// An outcome outlives a process that is killed the moment Settle has returned.
func TestSettledOutlivesAKill(t *testing.T) {
	const calls = 40
	if path := os.Getenv("SILVERBEAM_SETTLED"); path != "" {
		b, err := OpenBook(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range calls {
			pay(t, b, fmt.Sprint("A", i), 100)
		}
		self, err := os.FindProcess(os.Getpid())
		t.Fatal(err, self.Kill())
	}
	path := filepath.Join(t.TempDir(), "ledger.db")
	child := exec.Command(os.Args[0], "-test.run=^TestSettledOutlivesAKill$")
	child.Env = append(os.Environ(), "SILVERBEAM_SETTLED="+path)
	if out, err := child.CombinedOutput(); err == nil || child.ProcessState.Exited() {
		t.Fatalf("it was not killed: %v %s", err, out)
	}
	if c, err := ReadCost(path); err != nil || c.Spent != calls*100 || c.Attempts != calls || c.UnsettledMax != 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

// Sync leaves nothing that a power cut could take, and says when it cannot. In a bubble no second passes, after which all
// would be in the tables.
func TestSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := OpenBook(filepath.Join(t.TempDir(), "ledger.db"))
		if err != nil {
			t.Fatal(err)
		}
		j := b.d.journal
		stands := func() (entries int, unsynced bool) {
			j.mu.Lock()
			defer j.mu.Unlock()
			return len(j.entries), j.unsynced
		}
		for range 3 {
			pay(t, b, "A", 100)
			if _, unsynced := stands(); !unsynced {
				t.Error("Settle has waited for the disk")
			}
			if err := b.Sync(); err != nil {
				t.Error(err)
			}
			if _, unsynced := stands(); unsynced {
				t.Error("Sync has not")
			}
		}
		pay(t, b, "B", 100)
		if err := j.f.Close(); err != nil {
			t.Fatal(err)
		}
		want, _ := stands()
		if err := b.Sync(); err == nil {
			t.Error("it is on no disk")
		}
		if _, err := b.Begin(t.Context(), Intent{Model: "m"}); err == nil {
			t.Error("an intent that is on no disk")
		}
		if n, unsynced := stands(); n != want || !unsynced {
			t.Errorf("%d entries of %d, unsynced %v", n, want, unsynced)
		}
		_ = b.Close()
	})
}

// A journal that is full goes into the tables, and entries longer than it do at once.
func TestFullJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	b, err := OpenBook(path)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, size := range []int{1, 100_000, 100_000, 100_000, 300_000, 1} {
		pay(t, b, string(bytes.Repeat([]byte{'x'}, size)), 3)
	}
	if c, err := ReadCost(path); err != nil || c.Spent != 18 || c.Attempts != 6 {
		t.Errorf("%+v, %v", c, err)
	}
}

// Whatever a journal holds, its entries are read as they were written or not at all.
func FuzzReadJournal(f *testing.F) {
	j := &journal{epoch: 7}
	j.buf = binary.LittleEndian.AppendUint64([]byte(journalMagic), j.epoch)
	for _, args := range [][]any{{int64(-1), "b", []byte{0}, nil}, {}} {
		j.buf = j.append(j.buf, entry{insertSet, args})
	}
	f.Add(j.buf)
	f.Add([]byte(journalMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		epoch, entries, err := readJournal(b)
		if err != nil || len(b) < journalHead {
			return
		}
		j := &journal{epoch: epoch}
		for _, l := range entries {
			j.buf = j.append(j.buf, l)
		}
		if again, all, err := readJournal(append(bytes.Clone(b[:journalHead]), j.buf...)); err != nil || again != epoch || !reflect.DeepEqual(all, entries) {
			t.Errorf("%v became %v, %v", entries, all, err)
		}
	})
}

// However many entries go into the tables together, the tables are the same.
func TestFoldedAtOnceOrOneByOne(t *testing.T) {
	label := []taxonomy.Label{{State: taxonomy.Present, P: 0.5}}
	var entries []entry
	tables := func(name string, atOnce int) (rows []string) {
		b, err := OpenBook(filepath.Join(t.TempDir(), "ledger.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if entries == nil {
			in := Intent{Batch: "0", Step: "s", Study: "A", Identity: Identity{1}, Report: Identity{2}, Findings: []FindingID{{3}}, Model: "m", PriceID: "p", ReservePico: 9}
			end := func(id int64, o Outcome) { entries = append(entries, b.settling(id, in, o, 100+id).entries...) }
			for id := int64(1); id <= 6; id++ {
				in.Study = string(rune('A' + id))
				entries = append(entries, begin(id, in, 10*id)...)
				if id == 3 {
					end(2, Outcome{Kind: Answered, CostPico: new(int64), Labels: label, Usage: &Usage{Input: 5, Output: 6, Cached: new(int64)}, Status: 200, RawUsage: []byte("{}"), RequestID: "r", ModelSeen: "m2", Print: "f"})
				}
			}
			end(4, Outcome{Kind: Unsent, CostPico: new(int64)})
			end(6, Outcome{Kind: Cut, Sent: time.Unix(0, 65)})
			end(6, Outcome{Kind: Failed, Status: 500}) // and again
			end(1, Outcome{Kind: Answered, Labels: label, Sent: time.Unix(0, 15)})
		}
		for part := range slices.Chunk(entries, atOnce) {
			if err := b.d.do(func(tx *sql.Tx) error { return apply(tx, joined(part)) }); err != nil {
				t.Fatal(name, err)
			}
		}
		for _, table := range []string{"attempts", "asked", "sets"} {
			all, err := b.d.db.Query(`SELECT * FROM ` + table)
			if err == nil {
				columns, _ := all.Columns()
				err = each(all, nil, func() error {
					row := make([]any, len(columns))
					to := make([]any, len(columns))
					for i := range row {
						to[i] = &row[i]
					}
					err := all.Scan(to...)
					rows = append(rows, fmt.Sprint(table, row))
					return err
				})
			}
			if err != nil {
				t.Fatal(name, err)
			}
		}
		return rows
	}
	want := tables("one by one", 1)
	for atOnce := 2; atOnce <= len(entries); atOnce++ {
		if got := tables(fmt.Sprint(atOnce), atOnce); !slices.Equal(got, want) {
			t.Errorf("%d at once:\n%q\none by one:\n%q", atOnce, got, want)
		}
	}
	if len(want) != 6+6+1 {
		t.Errorf("%q", want)
	}
}
