package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"silverbeam/pkg/ledger"
	"silverbeam/runners/local"
)

// Another process sees how fast a run goes, what it spends, refuses and waits for; of one that was killed it sees no pace.
func TestStatusOfARunThatGoesOn(t *testing.T) {
	l := &lab{T: t, dir: t.TempDir()}
	l.write("prices.csv", ledger.PriceHeader+"\nown,tiny,2026-01-01,USD,0.40,0.10,,1.60,,,,,,,me,2026-01-01\n")
	table := "id,report\n"
	for i := range 2000 {
		table += fmt.Sprintf("%d,Accession note %d. No pleural effusion.\n", i, i)
	}
	l.write("in.csv", table)
	c := l.command("label", "reports", "in.csv", "--endpoint", "fake://rules?latency_ms=50&pschema=0.2", "--model", "tiny", "--prices", "prices.csv", "--in-flight", "3",
		"--max-rejects", "90%", "--out", "out.csv", "--store", "s.db", "--run", "run")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Wait()
	defer c.Process.Kill()
	look := func() (s local.State) {
		if _, err := os.Stat(filepath.Join(l.dir, "run/graph.json")); err != nil {
			return s
		}
		if err := json.Unmarshal([]byte(l.succeed("status", "run", "--json")), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	var s local.State
	for try := 0; s.RowsPerSecond == 0 || s.SpentUSDPerHour == 0 || len(s.Limits) == 0; try++ {
		if try == 600 {
			t.Fatalf("nothing is seen of it: %+v", s)
		}
		time.Sleep(100 * time.Millisecond)
		s = look()
	}
	if s.State != "running" || s.Step != "label.Reports" || s.Total != 2000 || s.Done == 0 || s.ETASeconds <= 0 || s.SpentUSD <= 0 || s.Limits[0].Endpoint != "fake" || s.Limits[0].AtMost > 3 ||
		len(s.Steps) != 1 || s.Steps[0].Done != s.Done || s.Steps[0].RowsPerSecond != s.RowsPerSecond {
		t.Errorf("%+v", s)
	}
	if out := l.succeed("status", "run"); !strings.Contains(out, "at most 3 at once, to fake") || !strings.Contains(out, " an hour") || !strings.Contains(out, "label.Reports") {
		t.Error(out)
	}
	prom, err := os.ReadFile(filepath.Join(l.dir, "run/metrics.prom"))
	if err != nil || !strings.Contains(string(prom), `silverbeam_run_state{run="run",state="running"} 1`+"\n") || !strings.Contains(string(prom), fmt.Sprintf(`silverbeam_rows{run="run"} %d`, s.Total)) {
		t.Errorf("%s%v", prom, err)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	if s = look(); s.State != "dead" || s.RowsPerSecond != 0 || s.SpentUSDPerHour != 0 || len(s.Limits) != 0 || s.SpentUSD <= 0 {
		t.Errorf("of a dead one: %+v", s)
	}
}

// Large rates and sums are written as people write them.
func TestLineOfAFastRun(t *testing.T) {
	for _, c := range []struct {
		s    local.State
		want string
	}{
		{local.State{Step: "a", Done: 372267, Total: 1000000, RowsPerSecond: 6472.4, ETASeconds: 97, SpentUSD: 104.6498, SpentUSDPerHour: 65523}, "a 372,267 of 1,000,000 (37 %), 6,472/s, 1m37s left, $104.6498, $65,523 an hour"},
		{local.State{Step: "a", Done: 1, Total: 4, RowsPerSecond: 999.6, SpentUSDPerHour: 6552.04}, "a 1 of 4 (25 %), 1,000/s, $6,552 an hour"},
		{local.State{Step: "a", Done: 1, Total: 4, RowsPerSecond: 41.26, SpentUSDPerHour: 0.12345}, "a 1 of 4 (25 %), 41.3/s, $0.1235 an hour"},
	} {
		if got := describe(c.s); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	var b strings.Builder
	printLive(&b, &local.State{Total: 2000000, Steps: []local.StepState{{Step: "a", Done: 100000, Rejects: 99900, RowsPerSecond: 14321}}})
	if want := "  a                    100,000 of 2,000,000, 99,900 rejects (100 %), 14,321/s\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
