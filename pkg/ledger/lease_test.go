package ledger

import (
	"fmt"
	"os"
	"testing"
)

// Whoever has closed a ledger has nothing in flight any more, at once: what he left is settled by the next.
func TestPostgresLeaseEndsWithClose(t *testing.T) {
	server := os.Getenv("SILVERBEAM_POSTGRES")
	if server == "" {
		t.Skip("SILVERBEAM_POSTGRES names no server (make test-postgres)")
	}
	place := fmt.Sprintf("%s?schema=lease_%d", server, os.Getpid())
	watcher, err := OpenBook(place)
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Close()
	for range 50 {
		b, err := OpenBook(place)
		if err != nil {
			t.Fatal(err)
		}
		opener := b.d.opener
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		var alive bool
		if err := watcher.d.db.QueryRow(`SELECT ` + watcher.d.alive(fmt.Sprint(opener))).Scan(&alive); err != nil || alive {
			t.Fatalf("opener %d is alive after its close: %v", opener, err)
		}
	}
}
