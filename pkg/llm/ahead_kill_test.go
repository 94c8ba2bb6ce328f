package llm

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"silverbeam/pkg/ledger"
	"silverbeam/pkg/taxonomy"
)

const aheadReports = 300

// aheadChild asks for the reports through the batches of the endpoint that its parent names, and is killed while it does.
func aheadChild() bool {
	dir, endpoint := os.Getenv("SILVERBEAM_AHEAD_DIR"), os.Getenv("SILVERBEAM_AHEAD_ENDPOINT")
	if dir == "" {
		return false
	}
	err := func() error {
		book, err := ledger.OpenBook(filepath.Join(dir, "ledger.db"))
		if err != nil {
			return err
		}
		store, err := ledger.OpenStore(filepath.Join(dir, "results.db"))
		if err != nil {
			return err
		}
		tax, err := taxonomy.Load("ctrate-18")
		if err != nil {
			return err
		}
		c, err := Open(Options{Endpoint: endpoint, Model: "gpt-4.1-mini", Batch: true, Spool: dir}, tax, book, store)
		if err != nil {
			return err
		}
		c.few, c.settled, c.maxBytes = 0, 400*time.Millisecond, 64*8500
		if err := c.Ahead(context.Background(), callsOf(aheadReports, 1)); err != nil {
			return err
		}
		return cmp.Or(c.Close(), store.Close(), book.Close())
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
	return true
}

// A process is killed with SIGKILL at any instant while a provider loses every third answer to a create or an upload, and
// lines fail, expire or do not validate. In the end each report has its labels or was declined, no line with an answer was
// asked again, and the books are the provider's bill. SILVERBEAM_KILLS sets how many kills, four times as many as here.
func TestAheadKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	want, kills, runs, lines := cmp.Or(atoi(os.Getenv("SILVERBEAM_KILLS"))/4, 4), 0, 0, int64(0)
	rng := rand.New(rand.NewPCG(11, 5))
	for ; kills < want; runs++ {
		dir := t.TempDir()
		s := newBatchServer(newPrompt(ctRate(t), nil, "").keys)
		s.lineFaults, s.cutUploads, s.cutJobs, s.seen = true, 3, 3, make(chan struct{}, 1<<16)
		server := httptest.NewServer(s)
		for ended := false; !ended; {
			cmd := exec.Command(os.Args[0], "-test.run=^$")
			cmd.Env = append(os.Environ(), "SILVERBEAM_AHEAD_DIR="+dir, "SILVERBEAM_AHEAD_ENDPOINT="+server.URL)
			cmd.Stderr = os.Stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			over := make(chan error, 1)
			go func() { over <- cmd.Wait() }()
			after := 1 + rng.IntN(25)
			if kills >= want {
				after = 1 << 30
			}
			for ; after > 0 && !ended; after-- {
				select {
				case <-s.seen:
				case err := <-over:
					if ended = true; err != nil {
						t.Fatal("the child failed: ", err)
					}
				}
			}
			if !ended {
				time.Sleep(time.Duration(rng.IntN(20_000)) * time.Microsecond)
				cmd.Process.Kill()
				if err := <-over; err == nil {
					ended = true // it was done before the signal came
				} else {
					kills++
				}
			}
		}
		b := aheadAt(t, dir, Options{}, server.URL)
		s.seen = nil
		refused := labelled(t, b, aheadReports, 1)
		s.settledUp(t, b)
		if s.calls > 0 || refused+len(s.answered) != aheadReports {
			t.Errorf("%d calls, %d refused, %d answered", s.calls, refused, len(s.answered))
		}
		lines += s.bill.requests
		b.shut(t)
		server.Close()
	}
	t.Logf("%d kills in %d runs of %d reports: 0 labels lost or doubled, 0 answers asked for again, %d lines billed, each booked", kills, runs, aheadReports, lines)
}
