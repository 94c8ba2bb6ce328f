package ledger

import (
	"database/sql"
	"errors"
	"io/fs"
	"path/filepath"
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
