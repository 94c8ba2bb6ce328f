package fit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"silverbeam/pkg/net"
	"silverbeam/pkg/shard"
)

// commands are a data set, the weights that a program could make of it, and a place for the model.
type commands struct {
	*testing.T
	data    *shard.Dataset
	folder  string
	weights string // a file with a supervised model of width 8 and stem 4
	dir     string // of the model
}

func newCommands(t *testing.T) *commands {
	t.Helper()
	l := &commands{T: t, folder: t.TempDir(), dir: filepath.Join(t.TempDir(), "model")}
	l.data = stored(t, l.folder, shard.Raw, [3]int{8, 8, 8}, 3)
	g, err := net.Supervised(net.ResNet3D{Width: 8, Kernel: [3]int{4, 4, 4}, Classes: 2}, false, false)
	if err != nil {
		t.Fatal(err)
	}
	l.weights = filepath.Join(t.TempDir(), "w.safetensors")
	if err := net.SaveSafetensors(l.weights, g.Init(1), nil); err != nil {
		t.Fatal(err)
	}
	return l
}

// shell is a command that runs a script, in which W stands for the file with weights.
func (l *commands) shell(script string) Command {
	return Command{Args: []string{"sh", "-ec", strings.ReplaceAll(script, "W", l.weights)}, Recipe: Supervised, Width: 8}
}

func (l *commands) train(o Command) (Result, error) {
	return o.Train(l.Context(), l.data, l.folder, pair, l.dir)
}

func (l *commands) has(name string) bool {
	_, err := os.Stat(filepath.Join(l.dir, name))
	return err == nil
}

// TestCommand: a program is given the folders, what it leaves becomes the model, and it runs again only for something else.
func TestCommand(t *testing.T) {
	l := newCommands(t)
	script := filepath.Join(t.TempDir(), "train.sh")
	write := func(text string) {
		if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(`test -e "$SILVERBEAM_DATA/manifest.json"; test "$1" = "$SILVERBEAM_DATA"; test "$2" = "$SILVERBEAM_OUT"; test -z "$SILVERBEAM_INIT"
echo run >> ` + script + `.runs; cp ` + l.weights + ` "$2/model.safetensors"; echo '{"step":0,"loss":0.5}' > "$2/history.jsonl"; echo '{"step":1,"loss":0.25}' >> "$2/history.jsonl"; echo done`)
	o := Command{Args: []string{"sh", "-e", script, "{data}", "{out}"}, Files: []string{script}, Recipe: Supervised, Width: 8}
	runs := func() int {
		b, _ := os.ReadFile(script + ".runs")
		return strings.Count(string(b), "run")
	}
	res, err := l.train(o)
	if err != nil || res.Skipped || res.Steps != 2 || res.Loss != 0.25 || runs() != 1 {
		t.Fatalf("%+v, run %d times: %v", res, runs(), err)
	}
	if again, err := l.train(o); err != nil || !again.Skipped || again.Digest != res.Digest || runs() != 1 {
		t.Errorf("again: %+v, run %d times: %v", again, runs(), err)
	}
	if b, err := os.ReadFile(filepath.Join(l.dir, outputFile)); err != nil || string(b) != "done\n" {
		t.Errorf("printed %q: %v", b, err)
	}
	c, err := ReadConfig(l.dir)
	if err != nil || c.Recipe != Supervised || c.Width != 8 || c.Stem != 4 || len(c.Files["train.sh"]) != 64 || c.CPU <= 0 || c.Seconds <= 0 || c.GPU != 0 {
		t.Errorf("%+v: %v", c, err)
	}
	m, err := LoadModel(l.dir, "")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := l.data.Rows("train")
	if err != nil {
		t.Fatal(err)
	}
	if logits, err := m.Logits(t.Context(), rows); err != nil || len(logits) != len(rows) || len(logits[0]) != 2 {
		t.Errorf("%v: %v", logits, err)
	}
	write("# other\necho run >> " + script + ".runs; cp " + l.weights + " $2/model.safetensors")
	if res, err := l.train(o); err != nil || res.Skipped || runs() != 2 || l.has("history.jsonl") {
		t.Errorf("of another script: %+v, run %d times: %v", res, runs(), err)
	}
}

// TestCommandGoesOn: what a program has kept when it failed is there when it runs again; what it may not leave is refused.
func TestCommandGoesOn(t *testing.T) {
	l := newCommands(t)
	half := l.shell(`if test -e {out}/half; then cp W {out}/model.safetensors; else touch {out}/half; exit 3; fi`)
	if _, err := l.train(half); err == nil || !strings.Contains(err.Error(), "sh: exit status 3; what it printed is in "+filepath.Join(l.dir, outputFile)) || l.has(configFile) {
		t.Errorf("%v", err)
	}
	if res, err := l.train(half); err != nil || res.Skipped || !l.has("half") {
		t.Errorf("%+v: %v", res, err)
	}
	if _, err := l.train(l.shell("test ! -e {out}/half; true")); err == nil || !strings.Contains(err.Error(), "left no model.safetensors") || l.has("half") || l.has(weightsFile) {
		t.Errorf("%v", err)
	}
	other := l.shell("cp W {out}/model.safetensors")
	other.Width = 16
	for want, o := range map[string]Command{
		"model.safetensors: ":           l.shell("echo no tensors > {out}/model.safetensors"),
		"it lacks stem.0.weight [16 1 ": other,
		"no-such-program":               {Args: []string{"no-such-program"}},
		"no such file":                  {Args: []string{"true"}, Files: []string{"no-such-file"}},
		"init: ":                        {Args: []string{"true"}, Init: t.TempDir()},
	} {
		if _, err := l.train(o); err == nil || !strings.Contains(err.Error(), want) || l.has(configFile) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	own := l.shell("cp W {out}/model.safetensors")
	own.Recipe, own.Width = "", 0
	if _, err := l.train(own); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadModel(l.dir, ""); err == nil || !strings.Contains(err.Error(), "made by sh: its net is not known here") {
		t.Errorf("%v", err)
	}
}

// until waits for a file.
func (l *commands) until(name string) {
	l.Helper()
	for range 2000 {
		if l.has(name) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	l.Fatalf("no %s after 20 s", name)
}

// TestCommandIsStopped: a run that is ended asks its program to end, all of it, and waits.
func TestCommandIsStopped(t *testing.T) {
	l := newCommands(t)
	ctx, stop := context.WithCancel(t.Context())
	o := l.shell(`trap 'sleep 0.2; touch {out}/asked; exit 1' TERM; sh -c 'trap "" TERM; echo $$ > {out}/pid.new; mv {out}/pid.new {out}/pid; exec sleep 1000' & touch {out}/begun; wait`)
	ended := make(chan error, 1)
	go func() {
		_, err := o.Train(ctx, l.data, l.folder, pair, l.dir)
		ended <- err
	}()
	t.Cleanup(stop)
	l.until("begun")
	l.until("pid")
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) || !l.has("asked") || l.has(configFile) {
		t.Errorf("%v, asked %v", err, l.has("asked"))
	}
	if alive := l.alive(); alive != "" {
		t.Errorf("one of its processes lives on: %s", alive)
	}
	if seconds, _, _, ok := CommandSpent(l.dir); !ok || seconds <= 0 {
		t.Errorf("%v s are booked", seconds)
	}
}

// alive tells of the process whose number is in the file pid, if it still runs a second from now.
func (l *commands) alive() (state string) {
	b, err := os.ReadFile(filepath.Join(l.dir, "pid"))
	if err != nil {
		l.Fatal(err)
	}
	for range 100 {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(b)) + "/stat")
		if state = string(stat); err != nil || strings.Contains(state, ") Z ") {
			return ""
		}
		time.Sleep(10 * time.Millisecond)
	}
	return state
}

// TestCommandLeavesNoWorkers: what a program has started and left ends with it, and the model is there at once.
func TestCommandLeavesNoWorkers(t *testing.T) {
	l := newCommands(t)
	o := l.shell(`sh -c 'trap "" TERM HUP; echo $$ > {out}/pid.new; mv {out}/pid.new {out}/pid; exec sleep 1000' & while ! test -e {out}/pid; do sleep 0.01; done; cp W {out}/model.safetensors`)
	if _, err := l.train(o); err != nil {
		t.Fatal(err)
	}
	if alive := l.alive(); alive != "" {
		t.Errorf("a worker of its lives on: %s", alive)
	}
	if res, err := l.train(o); err != nil || !res.Skipped {
		t.Errorf("%+v: %v", res, err)
	}
}

// killedCommand is the environment variable by which this test's binary trains by a program until it is killed: folders of data
// set and model.
const killedCommand = "SILVERBEAM_KILLED_COMMAND"

// TestCommandDiesWithItsRun: where a run is killed its program does not live on, and the next has the folder for itself.
func TestCommandDiesWithItsRun(t *testing.T) {
	if dirs := os.Getenv(killedCommand); dirs != "" {
		folder, dir, _ := strings.Cut(dirs, "\n")
		data, err := shard.Open(folder)
		if err == nil {
			_, err = Command{Args: []string{"sh", "-c", `echo $$ > {out}/pid.new; mv {out}/pid.new {out}/pid; exec sleep 1000`}}.Train(t.Context(), data, folder, pair, dir)
		}
		t.Fatal(err)
	}
	if runtime.GOOS != "linux" {
		t.Skip("programs outlive their parents here")
	}
	l := newCommands(t)
	other := exec.Command(os.Args[0], "-test.run", "^TestCommandDiesWithItsRun$")
	other.Env = append(os.Environ(), killedCommand+"="+l.folder+"\n"+l.dir)
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Process.Kill(); other.Wait() })
	l.until("pid")
	b, err := os.ReadFile(filepath.Join(l.dir, "pid"))
	pid, bad := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || bad != nil || syscall.Kill(pid, 0) != nil {
		t.Fatalf("its program is %q: %v", b, err)
	}
	o := l.shell("cp W {out}/model.safetensors")
	if _, err := l.train(o); !errors.Is(err, ErrBusy) {
		t.Errorf("%v, want %v", err, ErrBusy)
	}
	other.Process.Kill()
	other.Wait()
	for range 1000 {
		if _, err = l.train(o); !errors.Is(err, ErrBusy) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Errorf("after the kill: %v", err)
	}
	if state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && !strings.Contains(string(state), ") Z ") {
		t.Errorf("its program lives on: %s", state)
	}
}
