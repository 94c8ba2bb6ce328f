package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clock is a test's own time.
type clock struct{ atomic.Int64 }

func (c *clock) now() time.Time { return time.Unix(0, c.Load()) }

func (c *clock) set(at string) {
	t, err := time.Parse(time.DateTime, at)
	if err != nil {
		panic(err)
	}
	c.Store(t.UnixNano())
}

// newRun opens the ledger of a new run whose calls are under the cap of a store's month.
func newRun(t *testing.T, s *Store, pico int64, c *clock) (*Book, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	err := Share(path, s.location)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dropSchema(t, path) })
	return again(t, s, path, pico, c), path
}

// again opens the ledger of a run that goes on.
func again(t *testing.T, s *Store, path string, pico int64, c *clock) *Book {
	t.Helper()
	b, err := OpenBook(path)
	if err == nil {
		err = b.capMonth(s, pico, c.now)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// monthOf reads what a store has of a month.
func monthOf(t *testing.T, s *Store, name string) (committed, held int64) {
	t.Helper()
	err := s.d.db.QueryRow(`SELECT coalesce(max(committed),0), (SELECT coalesce(sum(granted),0) FROM holds WHERE month=?) FROM months WHERE month=?`, name, name).Scan(&committed, &held)
	if err != nil {
		t.Fatal(err)
	}
	return committed, held
}

// call makes a call that is reserved at 1000, and says what it was billed, or that there is no room.
func call(t *testing.T, b *Book, study string, cost int64) (paid int64, full bool) {
	in := intent("b", study, 1)
	id, err := b.Begin(context.Background(), in)
	if errors.Is(err, ErrMonth) && errors.Is(err, ErrBudget) {
		return 0, true
	}
	if err == nil {
		err = b.Settle(id, in, Outcome{Kind: Answered, CostPico: &cost})
	}
	if err != nil {
		t.Error(err)
	}
	return cost, err != nil
}

func openStore(t *testing.T, place string) *Store {
	t.Helper()
	s, err := OpenStore(place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// Two runs spend a month's money together: not a pico-dollar above the cap, all of it but for less than a call, and what
// each gives back at its end leaves what the two ledgers say. A higher cap lets them go on; a new month has its own.
func TestStoreMonthOfTwoRuns(t *testing.T) {
	onBoth(t, func(t *testing.T, place string) {
		var c clock
		c.set("2026-11-30 23:59:00")
		s := openStore(t, place)
		var paths [2]string
		spend := func(pico int64, at string) (billed int64) {
			var books [2]*Book
			for i := range books {
				if paths[i] == "" {
					books[i], paths[i] = newRun(t, s, pico, &c)
				} else {
					books[i] = again(t, s, paths[i], pico, &c)
				}
			}
			var total atomic.Int64
			var wg sync.WaitGroup
			for i := range 16 {
				wg.Go(func() {
					for n := 0; ; n++ {
						paid, full := call(t, books[i%2], fmt.Sprint(at, i, n), 100+rand.Int64N(401))
						if total.Add(paid); full {
							return
						}
					}
				})
			}
			wg.Wait()
			if committed, _ := monthOf(t, s, at[:7]); committed > pico {
				t.Errorf("%d are committed of %d", committed, pico)
			}
			for _, b := range books {
				if err := b.Close(); err != nil {
					t.Error(err)
				}
			}
			return total.Load()
		}
		first := spend(200_000, "2026-11")
		committed, held := monthOf(t, s, "2026-11")
		if committed != first || held != 0 || first <= 200_000-16*1000 {
			t.Errorf("billed %d; the month says %d, %d of it held", first, committed, held)
		}
		more := spend(300_000, "2026-11")
		if committed, held := monthOf(t, s, "2026-11"); committed != first+more || held != 0 || committed <= 284_000 || committed > 300_000 {
			t.Errorf("billed %d and %d; the month says %d, %d of it held", first, more, committed, held)
		}
		c.set("2026-12-01 00:00:00")
		december := spend(100_000, "2026-12")
		if committed, held := monthOf(t, s, "2026-12"); committed != december || held != 0 || committed <= 84_000 {
			t.Errorf("billed %d in December; the month says %d, %d of it held", december, committed, held)
		}
		if committed, _ := monthOf(t, s, "2026-11"); committed != first+more {
			t.Errorf("November says %d now", committed)
		}
		if sum := costOf(t, paths[0]).Spent + costOf(t, paths[1]).Spent; sum != first+more+december {
			t.Errorf("the ledgers say %d", sum)
		}
	})
}

// A call is of the month that it began in; midnight in the midst of a run takes and gives back in the right one.
func TestStoreMonthTurns(t *testing.T) {
	var c clock
	c.set("2026-11-30 23:59:59")
	s := openStore(t, filepath.Join(t.TempDir(), "results.db"))
	b, _ := newRun(t, s, 10_000, &c)
	in := intent("b", "over midnight", 1)
	id, err := b.Begin(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	c.set("2026-12-01 00:00:00")
	call(t, b, "in December", 300)
	if err := b.Settle(id, in, Outcome{Kind: Answered, CostPico: pico(700), Sent: c.now()}); err != nil {
		t.Fatal(err)
	}
	for n := range 12 {
		if _, full := call(t, b, fmt.Sprint("then", n), 900); full != (n >= 10) {
			t.Errorf("call %d: full %v", n, full)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	november, _ := monthOf(t, s, "2026-11")
	if december, held := monthOf(t, s, "2026-12"); november != 700 || december != 9300 || held != 0 {
		t.Errorf("November %d, December %d, held %d", november, december, held)
	}
}

// Money is taken by the block: a thousand calls need some hundred statements on the month, not a thousand.
func TestMonthIsTakenInBlocks(t *testing.T) {
	var c clock
	c.set("2026-11-05 12:00:00")
	s := openStore(t, filepath.Join(t.TempDir(), "results.db"))
	b, _ := newRun(t, s, 10_000_000, &c)
	defer b.Close()
	steps, last := 0, int64(-1)
	for n := range 1000 {
		call(t, b, fmt.Sprint(n), 1000)
		if committed, _ := monthOf(t, s, "2026-11"); committed != last {
			steps, last = steps+1, committed
		}
	}
	if steps > 12 || last < 1_000_000 || last > 1_100_000 { // a tenth of the cap, in hundredths
		t.Errorf("%d statements for %d", steps, last)
	}
}

// Lines of a job settle after the process that took money for them has ended, in the month that they began in.
func TestStoreMonthOfJobs(t *testing.T) {
	onBoth(t, func(t *testing.T, place string) {
		var c clock
		c.set("2026-11-20 12:00:00")
		s := openStore(t, place)
		b, path := newRun(t, s, 100_000, &c)
		lines := []Line{{Intent: intent("b", "s1", 1)}, {Intent: intent("b", "s2", 2)}, {Intent: intent("b", "s3", 3)}}
		if err := b.BeginJob(context.Background(), Job{ID: 1, Question: []byte("q"), State: JobOpen}, lines); err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if committed, held := monthOf(t, s, "2026-11"); committed != 3000 || held != 3000 {
			t.Errorf("under way: %d, held %d", committed, held)
		}
		c.set("2026-12-02 12:00:00")
		b = again(t, s, path, 100_000, &c)
		call(t, b, "s4", 10)
		lines, err := b.OpenLines(1)
		if err != nil || len(lines) != 3 {
			t.Fatal(len(lines), err)
		}
		for i := range lines {
			lines[i].Outcome = Outcome{Kind: Answered, CostPico: pico(200)}
		}
		if err := errors.Join(b.SettleLines(lines), b.Close()); err != nil {
			t.Fatal(err)
		}
		november, held := monthOf(t, s, "2026-11")
		if december, held2 := monthOf(t, s, "2026-12"); november != 600 || december != 10 || held+held2 != 0 {
			t.Errorf("November %d, December %d, held %d and %d", november, december, held, held2)
		}
	})
}

func TestFitsAMonth(t *testing.T) {
	var c clock
	c.set("2026-11-20 12:00:00")
	s := openStore(t, filepath.Join(t.TempDir(), "results.db"))
	b, _ := newRun(t, s, 10_000, &c)
	defer b.Close()
	if err := errors.Join(b.Fits(0, 9_000), b.Fits(0, 10_000)); err != nil {
		t.Error(err)
	}
	if err := b.Fits(0, 10_001); !errors.Is(err, ErrMonth) || !errors.Is(err, ErrBudget) {
		t.Error(err)
	}
	if err := b.Fits(500, 501); errors.Is(err, ErrMonth) || !errors.Is(err, ErrBudget) {
		t.Error(err)
	}
}

// Runs spend one month's money in processes of their own, which are killed at random instants: the bill never passes the
// cap. When each run has gone on once more, the month says what their ledgers say, and all of it can be spent. In Postgres
// they are at work together, on a file one after another.
func TestStoreMonthOverProcesses(t *testing.T) {
	if os.Getenv("SILVERBEAM_MONTH") != "" {
		spendMonth(t)
		return
	}
	onBoth(t, func(t *testing.T, place string) {
		const pico = 400_000
		dir := t.TempDir()
		s := openStore(t, place)
		var c clock
		c.Store(time.Now().UnixNano())
		const runs = 3
		var paths []string
		for range runs {
			b, path := newRun(t, s, pico, &c)
			b.Close()
			paths = append(paths, path)
		}
		if !isPostgres(place) {
			s.Close()
		}
		start := func(path string) *exec.Cmd {
			cmd := exec.Command(os.Args[0], "-test.run=^TestStoreMonthOverProcesses$")
			cmd.Env = append(os.Environ(), "SILVERBEAM_MONTH="+path, "SILVERBEAM_STORE="+place, "SILVERBEAM_SPEND="+dir, fmt.Sprint("SILVERBEAM_LIMIT=", pico))
			cmd.Stderr = os.Stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			return cmd
		}
		kill := func(cmd *exec.Cmd) {
			for range 400 { // until it is at work, or finds no room
				if _, billed := billed(t, dir, cmd.Process.Pid); billed || cmd.ProcessState != nil {
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
			time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		for round := range 4 {
			var all []*exec.Cmd
			for i := range runs {
				cmd := start(paths[(round+i)%runs])
				if all = append(all, cmd); !isPostgres(place) {
					kill(cmd)
				}
			}
			for _, cmd := range all {
				if isPostgres(place) {
					kill(cmd)
				}
			}
			if bill, _ := billed(t, dir, 0); bill > pico {
				t.Fatalf("billed %d of %d", bill, pico)
			}
		}
		for _, path := range paths { // each goes on, to the end
			if err := start(path).Wait(); err != nil {
				t.Error(err)
			}
		}
		if !isPostgres(place) {
			s = openStore(t, place)
		}
		var spent, unsettled int64
		for _, path := range paths {
			cost := costOf(t, path)
			spent, unsettled = spent+cost.Spent, unsettled+cost.UnsettledMax
		}
		bill, _ := billed(t, dir, 0)
		committed, held := monthOf(t, s, time.Now().UTC().Format("2006-01"))
		t.Logf("billed %d; the ledgers say %d and at most %d more; the month %d, held %d", bill, spent, unsettled, committed, held)
		if bill > pico || committed > pico || bill < spent || bill > spent+unsettled {
			t.Error("the bill is outside of the ledgers or the cap")
		}
		if unsettled == 0 {
			t.Error("no kill has hit a call")
		}
		if committed != spent+unsettled || held != 0 || committed <= pico-16*1000 {
			t.Error("the month and the ledgers differ, or it stopped before the cap")
		}
	})
}

// spendMonth makes calls of 100 to 500 pico-dollars, reserved at 1000, until the month has no room.
func spendMonth(t *testing.T) {
	limit, _ := strconv.ParseInt(os.Getenv("SILVERBEAM_LIMIT"), 10, 64)
	s, err := OpenStore(os.Getenv("SILVERBEAM_STORE"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b, err := OpenBook(os.Getenv("SILVERBEAM_MONTH"))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.CapMonth(s, limit); err != nil {
		t.Fatal(err)
	}
	spendUntil(t, b, 8, 0, ErrMonth)
}
