package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// On a Flink cluster of its own (a JobManager and two TaskManagers) a pipeline gives what it gives here, to the byte: labels,
// table, data set, rejects, money. No socket of the cluster is open to other machines. A TaskManager that is killed costs
// nothing but time; without its JobManager or job server the run says that the same command goes on, and it does, by itself
// where it may wait.
func TestOnFlink(t *testing.T) {
	if os.Getenv("SILVERBEAM_FLINK") == "" {
		t.Skip("SILVERBEAM_FLINK is not set (make test-flink): needs Java 17 and 160 MB from Maven Central")
	}
	t.Setenv("XDG_STATE_HOME", t.TempDir()) // no cluster stands
	l := newLab(t)
	t.Run("cluster", func(t *testing.T) {
		l := l.with(t)
		c := l.command(l.run("cluster", "--runner", "flink")...)
		var out strings.Builder
		c.Stderr = &out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { defer close(ended); _ = c.Wait() }()
		sockets := map[string]bool{}
		for running := true; running; {
			select {
			case <-ended:
				running = false
			case <-time.After(200 * time.Millisecond):
				listening(c.Process.Pid, sockets)
			}
		}
		if c.ProcessState.ExitCode() != 0 {
			t.Fatalf("%v\n%s", c.ProcessState, out.String())
		}
		if len(sockets) < 8 {
			t.Errorf("only %d sockets were seen: %v", len(sockets), sockets)
		}
		for s := range sockets {
			if ip, _, _ := strings.Cut(s, ":"); ip != loopback4 && ip != loopback6 && ip != loopback4in6 {
				t.Errorf("a socket listens on %s", s)
			}
		}
		l.same("cluster", 0)
		if more := l.succeed(l.run("cluster", "--runner", "flink")...); !strings.Contains(more, "60 done before") {
			t.Errorf("again: %s", more)
		}
	})
	if testing.Short() {
		return
	}
	slow := "latency=300" // so that there is time to kill
	l.succeed(l.run("slow", "--set", slow)...)
	l.base, l.want, l.paid = "slow", l.report("slow"), l.attempts("slow", 0)
	for _, victim := range []string{"TaskManagerRunner", "StandaloneSessionClusterEntrypoint", "FlinkJobServerDriver|Launcher"} {
		t.Run(victim, func(t *testing.T) { l.with(t).onFlinkWithout(victim, slow) })
	}
}

// A cluster that stays takes one run after the other, is told of, and leaves no process behind: told to end, or killed.
func TestOnFlinkThatStays(t *testing.T) {
	if os.Getenv("SILVERBEAM_FLINK") == "" || testing.Short() {
		t.Skip("of make test-flink alone")
	}
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	l := newLab(t)
	silverbeam := func(args ...string) string {
		out, err := l.command(args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	silverbeam("flink", "up")
	defer silverbeam("flink", "down")
	for _, name := range []string{"stays-1", "stays-2"} {
		if out := silverbeam(l.run(name, "--runner", "flink", "--flink-option", "object_reuse=true")...); !strings.Contains(out, "the cluster that stays") {
			t.Errorf("%s", out)
		}
		l.same(name, 0)
	}
	var c struct {
		PID          int
		Version      string
		TaskManagers int `json:"task_managers"`
		Free         int `json:"free_slots"`
	}
	if err := json.Unmarshal([]byte(silverbeam("flink", "status", "--json")), &c); err != nil || c.TaskManagers != 2 || c.Free != 2 || !strings.HasPrefix(c.Version, "1.19") {
		t.Errorf("%+v, %v", c, err)
	}
	java := children(c.PID)
	if len(java) != 4 {
		t.Errorf("%d processes", len(java))
	}
	if err := syscall.Kill(c.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for _, p := range java {
		for n := 0; syscall.Kill(p, 0) == nil; n++ {
			if state, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p)); n > 100 || strings.Contains(string(state), ") Z ") {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p)); err == nil && !strings.Contains(string(state), ") Z ") {
			t.Errorf("process %d outlives the cluster", p)
		}
	}
	if out, err := l.command("flink", "status").CombinedOutput(); err == nil || !strings.Contains(string(out), "no cluster stands") {
		t.Errorf("%v: %s", err, out)
	}
	cache, err := os.UserCacheDir()
	fetched, gerr := filepath.Glob(filepath.Join(cache, "silverbeam/flink-*/flink-runtime-1.19.3.jar"))
	list, rerr := os.ReadFile("../flink/jars.txt")
	if err != nil || gerr != nil || rerr != nil || len(fetched) == 0 {
		t.Fatal(err, gerr, rerr, fetched)
	}
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(filepath.Dir(fetched[0]), filepath.Base(r.URL.Path)))
	}))
	defer mirror.Close()
	l.write("jars.txt", strings.Replace(string(list), "https://repo1.maven.org/maven2", mirror.URL, 1))
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	// Where the dead one's socket lies, of the jars that a site's own list names.
	if out := silverbeam("flink", "up", "--slots", "3", "--flink-jars", "jars.txt"); !strings.Contains(out, "jars, 162 MB, once, from "+mirror.URL) {
		t.Error(out)
	}
	if out := silverbeam("flink", "status"); !strings.Contains(out, "4 of 4 slots free") {
		t.Error(out)
	}
}

// The demo, made small, gives on Flink what it gives here: data set, trained weights, and every figure of every evaluation.
func TestOnFlinkDemo(t *testing.T) {
	if os.Getenv("SILVERBEAM_FLINK") == "" || testing.Short() {
		t.Skip("of make test-flink alone")
	}
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	l := &lab{T: t, dir: t.TempDir()}
	l.write("demo.yaml", strings.ReplaceAll(smallDemo(t), "batch: 8", "batch: 4"))
	l.succeed("phantom", "--studies", "24", "--size", "32", "--seed", "4", "--out", "data")
	l.succeed("run", "demo.yaml", "--set", "data=data", "--run", "here")
	l.succeed("run", "demo.yaml", "--set", "data=data", "--run", "flink", "--runner", "flink")
	if got, want := l.report("flink").Digest, l.report("here").Digest; got != want || got == "" {
		t.Errorf("data set %s, here %s", got, want)
	}
	files, err := filepath.Glob(filepath.Join(l.dir, "here/eval/*.json"))
	weights, werr := filepath.Glob(filepath.Join(l.dir, "here/models/*/model.safetensors"))
	if err != nil || werr != nil || len(files) < 4 || len(weights) != 2 {
		t.Fatalf("here: %q, %q: %v, %v", files, weights, err, werr)
	}
	for _, f := range append(files, weights...) {
		rel, _ := filepath.Rel(filepath.Join(l.dir, "here"), f)
		want, err := os.ReadFile(f)
		got, gerr := os.ReadFile(filepath.Join(l.dir, "flink", rel))
		if err != nil || gerr != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what it is here: %v, %v", rel, err, gerr)
		}
	}
}

// Addresses as /proc/net writes them.
const loopback4, loopback6, loopback4in6 = "0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"

// listening adds the addresses on which a process and its children listen.
func listening(pid int, into map[string]bool) {
	inodes := map[string]bool{}
	for _, p := range append(children(pid), pid) {
		fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p))
		for _, f := range fds {
			if link, err := os.Readlink(f); err == nil && strings.HasPrefix(link, "socket:[") {
				inodes[strings.Trim(link[len("socket:"):], "[]")] = true
			}
		}
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, _ := os.ReadFile(table)
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" && inodes[f[9]] {
				into[f[1]] = true
			}
		}
	}
}

func children(pid int) (all []int) {
	out, _ := exec.Command("pgrep", "-P", fmt.Sprint(pid)).Output()
	for _, f := range strings.Fields(string(out)) {
		if n, err := strconv.Atoi(f); err == nil {
			all = append(all, n)
		}
	}
	return all
}

// onFlinkWithout kills one of a run's Java processes while reports are being asked about.
func (l *lab) onFlinkWithout(victim, set string) {
	name := strings.ToLower(victim[:5])
	args := l.run(name, "--runner", "flink", "--set", set)
	if strings.HasPrefix(victim, "Standalone") {
		args = append(args, "--wait", "3m") // starts a cluster anew by itself
	}
	c := l.command(args...)
	var out strings.Builder
	c.Stderr = &out
	if err := c.Start(); err != nil {
		l.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = c.Wait() }()
	store := filepath.Join(l.dir, name, "ledger.db-wal")
	for asked := false; !asked; {
		select {
		case <-ended:
			l.Fatalf("it ended before a report was asked about: %v\n%s", c.ProcessState, out.String())
		case <-time.After(100 * time.Millisecond):
			info, err := os.Stat(store)
			asked = err == nil && info.Size() > 60_000
		}
	}
	killed := 0
	for _, p := range children(c.Process.Pid) {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p))
		for _, v := range strings.Split(victim, "|") {
			if killed == 0 && strings.Contains(string(line), v) {
				killed = p
			}
		}
	}
	if killed == 0 || syscall.Kill(killed, syscall.SIGKILL) != nil {
		l.Fatalf("no %s to kill", victim)
	}
	<-ended
	if victim != "FlinkJobServerDriver|Launcher" {
		if c.ProcessState.ExitCode() != 0 {
			l.Fatalf("%v\n%s", c.ProcessState, out.String())
		}
	} else {
		if c.ProcessState.ExitCode() != codeTemporary {
			l.Fatalf("%v, want %d\n%s", c.ProcessState, codeTemporary, out.String())
		}
		l.succeed(args...)
	}
	l.same(name, 0)
}
