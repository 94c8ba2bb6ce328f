package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// victims are what a run on Flink may lose, each by what its command line holds; "" is the command itself.
var victims = []string{"TaskManagerRunner", "--provision_endpoint", "StandaloneSessionClusterEntrypoint", "Launcher", ""}

// flinkPipeline labels studies by a paid server, and makes shards and a table of them.
const flinkPipeline = `
name: flink
params: {endpoint: "", data: volumes.csv, root: data, out: ""}
transforms:
  - {type: intake.Studies, config: {layout: table, path: "${data}", root: "${root}", columns: {patient: patient, volume: volume}, batch_rows: 4}}
  - {type: label.Reports, config: {labelers: [llm], endpoint: "${endpoint}", model: vendor-1, prices: prices.csv, in_flight: 8}}
  - {type: dataset.Shards, config: {preset: demo, out: "${out}"}}
  - {type: label.Table, input: label.Reports}
`

const flinkInFlight = 8

// onFlink writes flinkPipeline and so many studies for it, of twelve volumes in all, and gives the command line of a run.
func (v *vendor) onFlink(p program, studies int, store string) func(name, more string) string {
	v.vary = true
	v.asks(p, studies, flinkInFlight)
	p.write("flink.yaml", flinkPipeline)
	p.run(0, "phantom --studies 12 --size 32 --seed 3 --out data")
	volumes, err := filepath.Glob(p.path("data/dataset/*/*/*/*.nii.gz"))
	reports, rerr := os.ReadFile(p.path("reports.csv"))
	if err != nil || rerr != nil || len(volumes) < 12 {
		p.Fatal(err, rerr, len(volumes))
	}
	var table strings.Builder
	for i, line := range slices.Collect(strings.Lines(string(reports))) {
		more := "patient,volume"
		if i > 0 {
			volume, _ := filepath.Rel(p.path("data"), volumes[i%12])
			more = fmt.Sprintf("p%d,%s", i%12, volume)
		}
		fmt.Fprintf(&table, "%s,%s\n", strings.TrimSpace(line), more)
	}
	p.write("volumes.csv", table.String())
	return func(name, more string) string {
		return fmt.Sprintf("run flink.yaml --set endpoint=%s --run %s --store %s?schema=%s %s", v.URL, name, store, name, more)
	}
}

// Whatever is killed while a run on Flink asks a paid server, at any moment, and a worker also while it is being sent to: the run
// goes on by itself or by the same command, and data set, labels and bill are those of a run here that nobody disturbed. Ledger
// and store are on a Postgres. SILVERBEAM_KILLS says how often, also with -short; the n-th time is always the same moment.
func TestOnFlinkThroughKills(t *testing.T) {
	if os.Getenv("SILVERBEAM_FLINK") == "" || os.Getenv("SILVERBEAM_KILLS") == "" && testing.Short() {
		t.Skip("of make test-flink alone")
	}
	const reports = 240
	p, v, postgres := newProgram(t), newVendor(t), newPostgres(t)
	p.bin = "silverbeam" // a copy: a worker is started by the path of the program itself
	v.each = 150 * time.Millisecond
	run := v.onFlink(p, reports, postgres.url)
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
		p.sameData("started", "here")
	})
	workers := p.serveWorkers()
	for n := range cmp.Or(atoi(os.Getenv("SILVERBEAM_KILLS")), len(victims)) {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			p, name, victim, r := p, fmt.Sprint("run", n), victims[n%len(victims)], rand.New(rand.NewPCG(uint64(n), 9))
			p.T = t
			v.restart()
			after, sent := 1+r.IntN(reports*3/4), n/len(victims)%2 == 1
			command := run(name, "--runner flink --wait 5m --workers "+workers)
			code, said := p.killOne(command, victim, sent, func() bool { now, _ := v.bill(); return now >= after })
			if victim == "" {
				p.run(0, command)
			} else if code != 0 {
				t.Fatalf("exit code %d\n%s", code, said)
			}
			open := 2 * flinkInFlight // of both workers
			switch n % len(victims) {
			case 0: // a worker without its TaskManager ends its calls before itself
				open = 0
			case 1: // and so does the other one
				open = flinkInFlight
			}
			t.Logf("%q killed after %d of %d requests", victim, after, reports)
			p.sameData(name, "here")
			p.settled(name, v, reports, open)
		})
	}
}

// restart forgets what the server has been asked and has billed.
func (v *vendor) restart() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.requests, v.pico, v.asked = 0, 0, map[int]int{}
}

// settled compares a run's ledger with the bill: what is repeated was in flight, at most so many, and the ledger names each, whose
// price it bounds.
func (p program) settled(name string, v *vendor, reports, inFlight int) {
	p.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	attempts, open := map[string]int{}, map[string]int{}
	db := p.ledger(name)
	defer db.Close()
	rows, err := db.Query(`SELECT study, count(*), count(*) - count(cost) FROM attempts GROUP BY study`)
	if err != nil {
		p.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var study string
		var all, unsettled int
		if err := rows.Scan(&study, &all, &unsettled); err != nil {
			p.Fatal(err)
		}
		attempts[study], open[study] = all, unsettled
	}
	if err := rows.Err(); err != nil {
		p.Fatal(err)
	}
	for i := range reports {
		if id := fmt.Sprint("r", i); v.asked[i] < 1 || attempts[id] < v.asked[i] || open[id] < v.asked[i]-1 {
			p.Errorf("%s: the server was asked %d times about %s, the ledger has %d attempts, %d of them unsettled", name, v.asked[i], id, attempts[id], open[id])
		}
	}
	repeated, c := v.requests-reports, p.cost(name)
	if repeated < 0 || repeated > inFlight {
		p.Errorf("%s: %d calls were repeated, of %d in flight", name, repeated, inFlight)
	}
	if c.Spent > v.pico || c.Spent+c.UnsettledMax < v.pico {
		p.Errorf("%s: billed %d for %d requests: %+v", name, v.pico, v.requests, c)
	}
	p.Logf("%d repeated, billed %d, spent %d, unsettled at most %d", repeated, v.pico, c.Spent, c.UnsettledMax)
}

// killOne runs a command and, when it is time, kills the victim among its processes and this test's; a worker is held for a
// second before, with what is sent to it piling up, if sent says so.
func (p program) killOne(command, victim string, sent bool, due func() bool) (code int, said string) {
	return p.disturb(command, due, func(pid int) {
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
	})
}

// disturb runs a command, does what is to be done to its process when it is time, and waits for its end.
func (p program) disturb(command string, due func() bool, do func(pid int)) (code int, said string) {
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
			p.Fatalf("before its time: %v\n%s", c.ProcessState, out.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
	do(c.Process.Pid)
	select {
	case <-ended:
	case <-time.After(10 * time.Minute):
		_ = c.Process.Kill()
		<-ended
		p.Fatalf("it hangs\n%s", out.String())
	}
	return c.ProcessState.ExitCode(), out.String()
}

// find gives the process whose command line holds the victim, the busiest of several; 0: none.
func find(victim string, pids []int) (found int) {
	most := -1
	for _, pid := range pids {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		_, after, _ := strings.Cut(string(stat), ") ")
		f := strings.Fields(after)
		if !strings.Contains(string(line), victim) || len(f) < 13 {
			continue
		}
		if ticks := atoi(f[11]) + atoi(f[12]); ticks > most { // proc(5): utime and stime
			most, found = ticks, pid
		}
	}
	return found
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

// sameData compares what two runs made of their studies, by the digests that they tell and byte for byte; no manifest names a
// temporary file.
func (p program) sameData(name, other string) {
	p.Helper()
	got, err := report(p.path(name))
	want, werr := report(p.path(other))
	if err != nil || werr != nil {
		p.Fatal(err, werr)
	}
	if got.Status != "done" || got.Digest != want.Digest || len(got.Digest) < 64 {
		p.Errorf("%s is %s with data set %q, that of %s is %q", name, got.Status, got.Digest, other, want.Digest)
	}
	for _, f := range []string{"labels.csv", "labels.parquet", "manifest.json", "manifest.parquet"} {
		a, err := os.ReadFile(p.path(name + "/dataset/" + f))
		b, _ := os.ReadFile(p.path(other + "/dataset/" + f))
		if err != nil || !bytes.Equal(a, b) || len(a) == 0 {
			p.Errorf("%s of %s is not that of %s: %v", f, name, other, err)
		}
		if bytes.Contains(a, []byte(".tmp")) {
			p.Errorf("%s of %s names a temporary file", f, name)
		}
	}
	p.run(0, "dataset verify "+name+"/dataset")
}

// postgresServer is a Postgres in a folder of its own.
type postgresServer struct{ script, dir, url string }

// newPostgres starts one that ends with the test.
func newPostgres(t *testing.T) (s postgresServer) {
	t.Helper()
	var err error
	if s.script, err = filepath.Abs("../../pkg/ledger/testdata/postgres.sh"); err == nil {
		s.dir, err = os.MkdirTemp("", "silverbeam-postgres-*") // where another user may go
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = exec.Command("sh", s.script, "stop", s.dir).Run() })
	_, s.url, _ = strings.Cut(strings.TrimSpace(s.do(t, "start")), "=")
	return s
}

// do has the script start, kill or again start the server, and gives what it prints.
func (s postgresServer) do(t *testing.T, what string) string {
	t.Helper()
	out, err := exec.Command("sh", s.script, what, s.dir).Output()
	if err != nil {
		t.Fatal(what, err)
	}
	return string(out)
}

// A run on Flink whose Postgres and S3 server are both killed in its middle waits for them, and goes on: each report is
// labelled once, and data set, labels and bill are those of a run here that nobody disturbed.
func TestOnFlinkServersComeBack(t *testing.T) {
	if os.Getenv("SILVERBEAM_FLINK") == "" || testing.Short() {
		t.Skip("of make test-flink alone")
	}
	const reports = 160
	g := newGateway(t, t.TempDir())
	b, p, v, postgres := g.open(t), newProgram(t), newVendor(t), newPostgres(t)
	v.each = 200 * time.Millisecond
	run := v.onFlink(p, reports, postgres.url)
	g.upload(t, b, p.path("data"), "in")
	p.run(0, run("here", fmt.Sprintf("--set root=%s --set out=%s", g.url("in"), g.url("here"))))
	v.restart()
	killed := make(chan error, 1)
	code, said := p.disturb(run("away", fmt.Sprintf("--set root=%s --set out=%s --runner flink --wait 5m", g.url("in"), g.url("away"))),
		func() bool { n, _ := v.bill(); return n >= reports/3 }, func(int) {
			g.kill()
			postgres.do(t, "kill")
			go func() {
				time.Sleep(12 * time.Second) // once in vain
				g.start(t)
				killed <- exec.Command("sh", postgres.script, "again", postgres.dir).Run()
			}()
		})
	if err := <-killed; err != nil {
		t.Fatal("Postgres does not start again:", err)
	}
	if code != 0 || !strings.Contains(said, "the run goes on in 5s") {
		t.Fatalf("exit code %d\n%s", code, said)
	}
	p.sameData("away", "here")
	p.settled("away", v, reports, flinkInFlight)
	p.run(0, "dataset verify "+g.url("away"))
}
