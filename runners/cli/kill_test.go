package cli

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"silverbeam/pkg/ledger"
	"silverbeam/pkg/shard"
	"silverbeam/runners/local"
	"silverbeam/schemas"
)

// killPipeline labels phantoms by a paid endpoint that fails at times, and makes shards and a table of them.
const killPipeline = `
name: kill
params: {latency: "20"}
rejects: {tolerance: 10%}
transforms:
  - {type: intake.Studies, config: {layout: ct-rate, root: data, batch_rows: 8}}
  - {type: label.Reports, config: {endpoint: "fake://rules?seed=7&p429=0.03&p500=0.02&pcut=0.02&pschema=0.02&latency_ms=${latency}", prices: prices.csv, in_flight: 4}}
  - {type: dataset.Shards, config: {preset: demo}}
  - {type: label.Table, input: label.Reports}
`

const killPrices = "price_id,model,effective_from,currency,input,cached,cache_write,output,batch_input,batch_output,batch_cached,threshold_tokens,input_over,output_over,source,checked_on\nfake,fake-rules,2026-01-01,USD,2,,,8,,,,,,,test,2026-01-01\n"

const inFlight = 4

// lab is a folder with sixty phantom studies, a pipeline for them and one run that nobody disturbed.
type lab struct {
	*testing.T
	dir  string
	base string        // the run that nobody disturbed
	took time.Duration // of that run
	want *schemas.Report
	paid int64 // pico-dollars that its answers cost
}

func newLab(t *testing.T) *lab {
	l := &lab{T: t, dir: t.TempDir(), base: "undisturbed"}
	l.write("kill.yaml", killPipeline)
	l.write("prices.csv", killPrices)
	l.succeed("phantom", "--studies", "60", "--size", "32", "--seed", "3", "--out", "data")
	// Three volumes that cannot be read, so that there are rejects to keep.
	volumes, _ := filepath.Glob(filepath.Join(l.dir, "data/dataset/train/*/*/*.nii.gz"))
	for i, text := range []string{"", "garbage", "\x1f\x8b"} {
		if err := os.WriteFile(volumes[11*i], []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	l.succeed(l.run("undisturbed")...)
	l.took = time.Since(began)
	l.want, l.paid = l.report("undisturbed"), l.attempts("undisturbed", 0)
	return l
}

func (l *lab) with(t *testing.T) *lab {
	sub := *l
	sub.T = t
	return &sub
}

func (l *lab) write(name, text string) {
	l.Helper()
	if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o644); err != nil {
		l.Fatal(err)
	}
}

// run is the command line of one run, with a run folder and a results store of its own.
func (l *lab) run(name string, more ...string) []string {
	return append([]string{"run", "kill.yaml", "--run", name, "--store", name + ".db"}, more...)
}

func (l *lab) command(args ...string) *exec.Cmd {
	c := exec.Command("silverbeam", args...)
	c.Dir = l.dir
	return c
}

// succeed runs a command to its end and gives its stdout.
func (l *lab) succeed(args ...string) string {
	l.Helper()
	return l.exits(0, args...)
}

func (l *lab) exits(want int, args ...string) string {
	l.Helper()
	c := l.command(args...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); c.ProcessState == nil || c.ProcessState.ExitCode() != want {
		l.Fatalf("%q: %v, want exit code %d\n%s", args, err, want, errs.String())
	}
	if lines := strings.Count(errs.String(), "\nsilverbeam: ") + strings.Count("\n"+errs.String()[:min(12, errs.Len())], "\nsilverbeam: "); lines > 1 {
		l.Errorf("%q: %d lines of error\n%s", args, lines, errs.String())
	}
	return out.String() + errs.String()
}

func (l *lab) report(name string) *schemas.Report {
	l.Helper()
	r, err := report(filepath.Join(l.dir, name))
	if err != nil {
		l.Fatal(err)
	}
	return r
}

// strike starts the run, waits for it to begin and then for a moment, and sends it a signal. It says whether the run was
// not through yet; the process is gone when it returns.
func (l *lab) strike(name string, after time.Duration, signal syscall.Signal, meanwhile func()) (hit bool, code int) {
	l.Helper()
	c := l.command(l.run(name)...)
	if err := c.Start(); err != nil {
		l.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = c.Wait() }()
	began := func() bool {
		s, err := local.Look(filepath.Join(l.dir, name))
		return err == nil && s.State == "running"
	}
	for !began() {
		select {
		case <-ended:
			return false, c.ProcessState.ExitCode()
		case <-time.After(2 * time.Millisecond):
		}
	}
	select {
	case <-ended:
	case <-time.After(after):
		if meanwhile != nil {
			meanwhile()
		}
		_ = c.Process.Signal(signal)
		<-ended
	}
	return l.report(name).Status != "done", c.ProcessState.ExitCode()
}

// whole checks what lies in a run folder that may have been left at any moment: a manifest names whole files only, and
// the verbs that look at a run have something to say.
func (l *lab) whole(name, state string) {
	l.Helper()
	d, err := shard.Open(filepath.Join(l.dir, name, "dataset"))
	if err == nil {
		err = d.Close()
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		l.Errorf("%s: %v", name, err)
	}
	var s local.State
	if err := json.Unmarshal([]byte(l.succeed("status", name, "--json")), &s); err != nil || s.State != state || s.Total != 60 || s.Done > s.Total {
		l.Errorf("status: %+v, %v; want %s", s, err, state)
	}
	l.succeed("status", name)
	var why []refusals
	refused := 0
	err = json.Unmarshal([]byte(l.succeed("why", name, "--json")), &why)
	for _, r := range why {
		refused += r.Count
	}
	if err != nil || state != "running" && refused != s.Rejects {
		l.Errorf("why: %+v, %v; status tells of %d rejects", why, err, s.Rejects)
	}
	var c ledger.Cost
	if err := json.Unmarshal([]byte(l.succeed("cost", name, "--json")), &c); err != nil || c.Calls > 60 || c.Reports > 60 {
		l.Errorf("cost: %+v, %v", c, err)
	}
}

// same compares a run that was struck a number of times, and then ended, with the undisturbed one.
func (l *lab) same(name string, strikes int) {
	l.Helper()
	got := l.report(name)
	if got.Digest != l.want.Digest || got.Digest == "" || got.Status != "done" || got.Exit != 0 {
		l.Errorf("%s: data set %s, %s, exit %d; undisturbed %s", name, got.Digest, got.Status, got.Exit, l.want.Digest)
	}
	for i, s := range got.Steps {
		if w := l.want.Steps[i]; s.In != s.Out+s.Rejects || s.In != w.In || s.Out != w.Out || s.Rejects != w.Rejects {
			l.Errorf("%s: %s: %d in, %d out, %d rejects; undisturbed %d, %d, %d", name, s.Name, s.In, s.Out, s.Rejects, w.In, w.Out, w.Rejects)
		}
	}
	for _, f := range []string{"rejects.jsonl", "dataset/manifest.json", "dataset/manifest.parquet", "dataset/labels.csv", "dataset/labels.parquet"} {
		a, err := os.ReadFile(filepath.Join(l.dir, name, f))
		b, _ := os.ReadFile(filepath.Join(l.dir, l.base, f))
		if err != nil || !bytes.Equal(a, b) || len(a) == 0 {
			l.Errorf("%s: %s is not that of the undisturbed run: %v", name, f, err)
		}
	}
	_ = filepath.WalkDir(filepath.Join(l.dir, name), func(path string, _ fs.DirEntry, _ error) error {
		if strings.Contains(path, ".tmp") {
			l.Errorf("%s is left", path)
		}
		return nil
	})
	if paid := l.attempts(name, strikes); paid != l.paid {
		l.Errorf("%s: answers cost %d, undisturbed %d", name, paid, l.paid)
	}
}

// attempts reads a ledger by its own tables and gives what answers cost. An answer to a finding is paid once: whatever was
// sent again was about findings without one, or was in flight when its process died, of which there are few; one more may
// have waited for its turn.
func (l *lab) attempts(name string, strikes int) (paid int64) {
	l.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(l.dir, name, "ledger.db")+"?mode=ro")
	if err != nil {
		l.Fatal(err)
	}
	defer db.Close()
	var reports, findings, cutOff, late int // findings that were answered, of 18 a report; 5 bytes each after a head of 25
	err = errors.Join(
		db.QueryRow(`SELECT count(DISTINCT identity), sum(CASE WHEN outcome = 'answered' THEN (length(labels) - 25) / 5 END), sum(outcome IS NULL), sum(CASE WHEN outcome = 'answered' THEN cost END) FROM attempts`).
			Scan(&reports, &findings, &cutOff, &paid),
		db.QueryRow(`SELECT count(*) FROM attempts b WHERE id > (SELECT max(id) FROM attempts a WHERE a.identity = b.identity AND a.outcome = 'answered')`).Scan(&late))
	if err != nil {
		l.Fatal(err)
	}
	if reports != 60 || findings != 60*18 || late != 0 || cutOff > (inFlight+1)*strikes {
		l.Errorf("%s: %d reports with %d findings answered, %d attempts after the last answer, %d that were cut off by %d ends", name, reports, findings, late, cutOff, strikes)
	}
	return paid
}

func TestRunsGoOn(t *testing.T) {
	l := newLab(t)
	t.Run("killed", func(t *testing.T) { l.with(t).killed() })
	t.Run("interrupted", func(t *testing.T) { l.with(t).interrupted() })
}

// killed: a run that is killed at any moment and started again gives what an undisturbed one gives, and pays for no
// answer twice. SILVERBEAM_KILLS sets how often; each time is another moment.
func (l *lab) killed() {
	kills := 2
	if n, err := strconv.Atoi(os.Getenv("SILVERBEAM_KILLS")); err == nil {
		kills = n
	}
	for n := 0; n < kills; {
		name := fmt.Sprint("killed", n)
		after := rand.N(l.took)
		hit, _ := l.strike(name, after, syscall.SIGKILL, nil)
		l.Logf("%s: after %v of %v, hit: %v", name, after.Round(time.Millisecond), l.took.Round(time.Millisecond), hit)
		remove := func() {
			os.RemoveAll(filepath.Join(l.dir, name))
			os.Remove(filepath.Join(l.dir, name+".db"))
		}
		if !hit {
			remove()
			continue
		}
		n++
		l.whole(name, "dead")
		strikes := 1
		if hit, _ := l.strike(name, rand.N(l.took), syscall.SIGKILL, nil); hit {
			strikes++
			l.whole(name, "dead")
		}
		l.succeed(l.run(name)...)
		l.same(name, strikes)
		if !l.Failed() {
			remove() // two hundred take 20 GB
		}
	}
}

// interrupted: a run that is told to end says so, keeps what it has and goes on later. While it runs it can be looked at,
// and nobody else gets its folder or its store.
func (l *lab) interrupted() {
	hit, code := l.strike("told", l.took/10, syscall.SIGTERM, func() {
		l.whole("told", "running")
		l.exits(codeTemporary, l.run("told")...)
		if out := l.exits(codeTemporary, "run", "kill.yaml", "--run", "other", "--store", "told.db"); !strings.Contains(out, "told.db: in use by another process") {
			l.Errorf("the store is shared: %s", out)
		}
	})
	if want := codeSignal + int(syscall.SIGTERM); !hit || code != want {
		l.Fatalf("exit code %d, want %d", code, want)
	}
	if r := l.report("told"); r.Status != "interrupted" || r.Exit != code || r.Ended == nil {
		l.Errorf("run.json: %s, exit %d, want interrupted, %d", r.Status, r.Exit, code)
	}
	l.whole("told", "interrupted")
	l.succeed(l.run("told")...)
	l.same("told", 0) // calls under way were waited for
}
