package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// victims are what a run on Flink may lose, each by what its command line holds; "" is the command itself.
var victims = []string{"TaskManagerRunner", "--provision_endpoint", "StandaloneSessionClusterEntrypoint", "Launcher", ""}

// Whatever is killed while a run on Flink asks a paid server, at any moment, and a worker also while it is being sent to: the run
// goes on by itself or by the same command, and labels, table and bill are those of a run here that nobody disturbed. Ledger
// and store are on a Postgres. SILVERBEAM_KILLS says how often; the n-th time is always the same moment.
func TestOnFlinkThroughKills(t *testing.T) {
	if os.Getenv("SILVERBEAM_FLINK") == "" || testing.Short() {
		t.Skip("of make test-flink alone")
	}
	const reports, inFlight = 240, 8
	p, v, postgres := newProgram(t), newVendor(t), startPostgres(t)
	p.bin = "silverbeam" // a copy: a worker is started by the path of the program itself
	v.vary, v.each = true, 150*time.Millisecond
	v.asks(p, reports, inFlight)
	run := func(name, more string) string {
		return fmt.Sprintf("run label-reports --set in=reports.csv --set labelers=llm --set endpoint=%s --set model=vendor-1 --set prices=prices.csv --set in_flight=%d --set batch_rows=4 --run %s --store %s?schema=%s %s",
			v.URL, inFlight, name, postgres, name, more)
	}
	p.run(0, run("here", ""))
	if requests, pico := v.bill(); requests != reports || p.cost("here").Spent != pico {
		t.Fatalf("undisturbed: %d requests, a bill of %d, %+v", requests, pico, p.cost("here"))
	}
	t.Run("workers that TaskManagers start", func(t *testing.T) {
		p := p
		p.T = t
		self, err := exec.LookPath("silverbeam")
		if err != nil {
			t.Fatal(err)
		}
		p.run(0, run("started", "--runner flink --workers "+self))
		p.sameTable("started", "here")
	})
	workers := p.serveWorkers()
	for n := range cmp.Or(atoi(os.Getenv("SILVERBEAM_KILLS")), len(victims)) {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			p, name, victim, r := p, fmt.Sprint("run", n), victims[n%len(victims)], rand.New(rand.NewPCG(uint64(n), 9))
			p.T = t
			before, paid := v.bill()
			after, sent := 1+r.IntN(reports*3/4), n/len(victims)%2 == 1
			command := run(name, "--runner flink --wait 5m --workers "+workers)
			code, said := p.killOne(command, victim, sent, func() bool { now, _ := v.bill(); return now >= before+after })
			if victim == "" {
				p.run(0, command)
			} else if code != 0 {
				t.Fatalf("exit code %d\n%s", code, said)
			}
			now, bill := v.bill()
			c := p.cost(name)
			t.Logf("%q killed after %d of %d requests: %d repeated, %d unsettled", victim, after, reports, now-before-reports, c.UnsettledMax)
			open := inFlight // of one worker; without the rest all end
			if n%len(victims) > 1 {
				open *= 2
			}
			if repeated := now - before - reports; repeated < 0 || repeated > open {
				t.Errorf("%d calls were repeated, of %d in flight", repeated, open)
			}
			if c.Calls < reports || c.Attempts < int64(now-before) || c.Spent > bill-paid || c.Spent+c.UnsettledMax < bill-paid {
				t.Errorf("billed %d for %d requests: %+v", bill-paid, now-before, c)
			}
			p.sameTable(name, "here")
		})
	}
}

// killOne runs a command and, when it is time, kills the victim among its processes and this test's; a worker is held for a
// second before, with what is sent to it piling up, if sent says so.
func (p program) killOne(command, victim string, sent bool, due func() bool) (code int, said string) {
	c := p.command(command)
	var out strings.Builder
	c.Stderr = &out
	if err := c.Start(); err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = c.Process.Kill() })
	ended := make(chan struct{})
	go func() { defer close(ended); _ = c.Wait() }()
	for !due() {
		select {
		case <-ended:
			p.Fatalf("before the kill: %v\n%s", c.ProcessState, out.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
	pid := c.Process.Pid
	if victim != "" {
		if pid = find(victim, append(descendants(pid), descendants(os.Getpid())...)); pid == 0 {
			p.Fatalf("no %s to kill", victim)
		}
	}
	if sent {
		_ = syscall.Kill(pid, syscall.SIGSTOP)
		time.Sleep(time.Second)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		p.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Minute):
		_ = c.Process.Kill()
		<-ended
		p.Fatalf("it hangs without %q\n%s", victim, out.String())
	}
	return c.ProcessState.ExitCode(), out.String()
}

func find(victim string, pids []int) int {
	for _, pid := range pids {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if strings.Contains(string(line), victim) {
			return pid
		}
	}
	return 0
}

func descendants(pid int) (all []int) {
	for _, c := range children(pid) {
		all = append(append(all, c), descendants(c)...)
	}
	return all
}

// serveWorkers starts `flink worker`, which ends with the test, and gives its address.
func (p program) serveWorkers() string {
	c := p.command("flink worker --listen 127.0.0.1:0")
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = c.Process.Signal(syscall.SIGTERM); _ = c.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		p.Fatal(err)
	}
	return strings.TrimSpace(address)
}

// sameTable compares what two runs made of their reports, byte for byte; no manifest names what is not there.
func (p program) sameTable(name, other string) {
	p.Helper()
	for _, f := range []string{"labels.csv", "labels.parquet"} {
		a, err := os.ReadFile(p.path(name + "/dataset/" + f))
		b, _ := os.ReadFile(p.path(other + "/dataset/" + f))
		if err != nil || !bytes.Equal(a, b) || len(a) == 0 {
			p.Errorf("%s of %s is not that of %s: %v", f, name, other, err)
		}
	}
	_ = filepath.WalkDir(p.path(name), func(path string, d fs.DirEntry, _ error) error {
		if text, err := os.ReadFile(path); err == nil && strings.Contains(path, "manifest") && bytes.Contains(text, []byte(".tmp")) {
			p.Errorf("%s names a temporary file", path)
		}
		return nil
	})
}

// startPostgres gives the URL of a Postgres that ends with the test.
func startPostgres(t *testing.T) string {
	script, err := filepath.Abs("../../pkg/ledger/testdata/postgres.sh")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "silverbeam-postgres-*") // where another user may go
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = exec.Command("sh", script, "stop", dir).Run() })
	out, err := exec.Command("sh", script, "start", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	_, url, _ := strings.Cut(strings.TrimSpace(string(out)), "=")
	return url
}
