package llm

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"silverbeam/pkg/ledger"
)

const killPassages, killKills = 1600, 6

// embedChild embeds passages against the endpoint that its parent names, and is killed while it does.
func embedChild() bool {
	dir, endpoint := os.Getenv("SILVERBEAM_EMBED_DIR"), os.Getenv("SILVERBEAM_EMBED_ENDPOINT")
	if dir == "" {
		return false
	}
	c, closed := openChild(dir, Options{Endpoint: endpoint, Model: "emb-1", Prices: filepath.Join(dir, "prices.csv"), InFlight: killInFlight})
	all, err := c.Embed(context.Background(), "fit", passages(killPassages, 1))
	must(err)
	if len(all) != killPassages {
		os.Exit(1)
	}
	closed()
	os.Exit(0)
	return true
}

// A process is killed with SIGKILL while it embeds, again and again. In the end each text has its vector, at most what was in
// flight was asked again, and the ledger bounds what the server bills.
func TestEmbedKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir, seen := t.TempDir(), make(chan struct{}, 1<<16)
	s := &embedder{says: func(int, []string) (int, string, string) {
		seen <- struct{}{}
		return 0, "", ""
	}}
	server := httptest.NewServer(s)
	defer server.Close()
	prices, err := os.ReadFile(embPrice(t))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "prices.csv"), prices, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for kill := range killKills + 1 {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), "SILVERBEAM_EMBED_DIR="+dir, "SILVERBEAM_EMBED_ENDPOINT="+server.URL)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if kill < killKills {
			for range 3 + kill {
				<-seen
			}
			cmd.Process.Kill()
		}
		if err := cmd.Wait(); err != nil && kill == killKills {
			t.Fatal(err)
		}
	}
	server.Close() // and what a killed one had asked is over
	const needed = killPassages / embedTexts
	if n := len(s.requests); n > needed+killKills*killInFlight {
		t.Errorf("%d requests, where %d were needed", n, needed)
	}
	c, err := ledger.ReadCost(filepath.Join(dir, "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	if bill := s.tokens * embPico; c.Spent > bill || c.Spent+c.UnsettledMax < bill || c.UnsettledMax == 0 {
		t.Errorf("spent %d, at most %d more; the server's bill is %d", c.Spent, c.UnsettledMax, bill)
	}
	if n := len(s.times()); n != killPassages {
		t.Errorf("%d texts were asked", n)
	}
}
