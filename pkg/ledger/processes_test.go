package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// One budget over several processes, of which one is killed again and again: what the provider bills never passes the cap,
// the ledger bounds it, and it goes on when the cap is raised.
func TestBudgetOverProcesses(t *testing.T) {
	if os.Getenv("SILVERBEAM_SPEND") != "" {
		spend(t)
		return
	}
	place := newSchema(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "ledger.db")
	if err := Share(path, place); err != nil {
		t.Fatal(err)
	}
	defer dropSchema(t, path)
	start := func(limit int64) *exec.Cmd {
		c := exec.Command(os.Args[0], "-test.run=^TestBudgetOverProcesses$", "-test.v")
		c.Env = append(os.Environ(), "SILVERBEAM_SPEND="+dir, fmt.Sprint("SILVERBEAM_LIMIT=", limit))
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	var before int64
	for _, limit := range []int64{400_000, 800_000} {
		steady := []*exec.Cmd{start(limit), start(limit)}
		for range 6 {
			c := start(limit)
			for range 200 { // until it is at work, or finds no room
				if _, billed := billed(t, dir, c.Process.Pid); billed {
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
			time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
			_ = c.Process.Kill()
			_ = c.Wait()
		}
		for _, c := range steady {
			if err := c.Wait(); err != nil {
				t.Error(err)
			}
		}
		bill, _ := billed(t, dir, 0)
		c := costOf(t, path)
		t.Logf("cap %d: billed %d, the ledger says %d and at most %d more, in %d attempts", limit, bill, c.Spent, c.UnsettledMax, c.Attempts)
		if bill > limit || c.Spent+c.UnsettledMax > limit || bill < c.Spent || bill > c.Spent+c.UnsettledMax {
			t.Error("the bill is outside of the ledger or the cap")
		}
		if c.Spent+c.UnsettledMax <= limit-1000 || bill <= before {
			t.Error("it stopped before the cap")
		}
		b, err := OpenBook(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := b.Committed(); n != c.Spent+c.UnsettledMax {
			t.Errorf("the budget's row says %d", n)
		}
		b.Close()
		if before = bill; limit == 800_000 && c.UnsettledMax == 0 {
			t.Error("no kill has hit a call")
		}
	}
}

func costOf(t *testing.T, path string) *Cost {
	c, err := ReadCost(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// spend makes calls of 100 to 500 pico-dollars, reserved at 1000, until the budget is reached.
func spend(t *testing.T) {
	dir := os.Getenv("SILVERBEAM_SPEND")
	limit, _ := strconv.ParseInt(os.Getenv("SILVERBEAM_LIMIT"), 10, 64)
	b, err := OpenBook(filepath.Join(dir, "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	spendUntil(t, b, 16, limit, ErrBudget)
}

// spendUntil makes calls under a cap (0: none), and puts them on the provider's bill in SILVERBEAM_SPEND, until one fails so.
func spendUntil(t *testing.T, b *Book, workers int, capPico int64, end error) {
	bill, err := os.OpenFile(filepath.Join(os.Getenv("SILVERBEAM_SPEND"), "bill"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer bill.Close()
	var n atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				in := intent("b", fmt.Sprint(os.Getpid(), " ", n.Add(1)), 1)
				in.CapPico = capPico
				id, err := b.Begin(context.Background(), in)
				if errors.Is(err, end) {
					return
				}
				cost := 100 + rand.Int64N(401)
				if err == nil {
					_, err = fmt.Fprintln(bill, os.Getpid(), cost)
				}
				time.Sleep(20 * time.Millisecond) // the answer is on its way, most of the time
				if err == nil {
					err = b.Settle(id, in, Outcome{Kind: Answered, CostPico: &cost})
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// billed sums the provider's bill, and says whether a process is on it.
func billed(t *testing.T, dir string, pid int) (total int64, known bool) {
	text, err := os.ReadFile(filepath.Join(dir, "bill"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(text)) {
		var who int
		var cost int64
		if n, _ := fmt.Sscanf(l, "%d %d\n", &who, &cost); n == 2 {
			total += cost
			known = known || who == pid
		}
	}
	return total, known
}
