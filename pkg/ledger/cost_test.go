package ledger

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whoever makes a ledger may die before its tables are there.
func TestCostOfALedgerWithoutTables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	db, err := sql.Open("sqlite", dsn(path, "rwc", "journal_mode(WAL)"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Ping(); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadCost(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want one that is fs.ErrNotExist", err)
	}
	b, err := OpenBook(path)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if c, err := b.Cost(); err != nil || c.Calls != 0 || c.SpentUSD != "0.000000000000" || c.Batches == nil {
		t.Errorf("got %+v, %v", c, err)
	}
}

// A process that dies while it changes the file leaves its journal: a reader puts the file back first.
func TestCostAfterADeathInTheMiddle(t *testing.T) {
	path, dead := filepath.Join(t.TempDir(), "ledger.db"), filepath.Join(t.TempDir(), "ledger.db")
	b, err := OpenBook(path)
	if err == nil {
		err = errors.Join(b.AddCompute(Booking{"a", "s", 1, 2, 0}), b.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", dsn(path, "rw", "journal_mode(DELETE)", "cache_size(1)"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	for i := range 2000 {
		if _, err := tx.Exec(`INSERT INTO compute VALUES (?,?,1,1,0)`, i, strings.Repeat("s", 1000)); err != nil {
			t.Fatal(err)
		}
	}
	for _, end := range []string{"", "-journal"} {
		text, err := os.ReadFile(path + end)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dead+end, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := ReadCost(dead); err != nil || c.Compute.CPUSeconds != 2 {
		t.Errorf("got %+v, %v", c, err)
	}
}

// So may whoever makes a store: before its tables, or before its key. A reader finds nothing, and leaves it to be finished.
func TestStoreHalfMade(t *testing.T) {
	for _, schema := range []string{"", storeSchema} {
		path := filepath.Join(t.TempDir(), "results.db")
		db, err := openFile(path, schema)
		if err == nil {
			err = db.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ReadStore(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v, want one that is fs.ErrNotExist", err)
		}
		if _, err := os.Stat(path + ".key"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a reader made the key: %v", err)
		}
		s, err := OpenStore(path)
		if err == nil {
			err = errors.Join(s.Put(s.Identity("a"), Answer{}), s.Close())
		}
		if err != nil {
			t.Error(err)
		}
		if s, err = ReadStore(path); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
}

// What is remembered of a ledger at rest holds no longer than the rest.
func TestCostOfALedgerAtRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	for n := int64(1); n <= 3; n++ {
		b, err := OpenBook(path)
		if err != nil {
			t.Fatal(err)
		}
		try(t, b, intent("b", fmt.Sprint(n), byte(n)), Outcome{Kind: Schema, Usage: &Usage{}, CostPico: pico(10)})
		if c, err := ReadCost(path); err != nil || c.Spent != 10*n {
			t.Fatalf("open: %v, %v", c, err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			c, err := ReadCost(path)
			if err != nil || c.Spent != 10*n || len(c.Batches) != 1 {
				t.Fatalf("at rest: %v, %v", c, err)
			}
			c.Spent = 0
		}
	}
}
