package fit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"silverbeam/pkg/engine/xla"
	"silverbeam/pkg/net"
	"silverbeam/pkg/shard"
	"silverbeam/pkg/taxonomy"
)

// Command is a training by another program: it reads the data set's folder and leaves model.safetensors, and if it likes a
// history.jsonl, in the model's.
type Command struct {
	Args   []string // the program and its arguments, in which {data}, {out} and {init} stand for folders
	Files  []string // whose content decides what it makes, beside Args, the data set and the initial model
	Init   string   // folder of the model that {init} stands for; "": none
	Recipe string   // Supervised: what it leaves are weights of this program's own net of that recipe, Width and Stem; "": of a net of its own
	Width  int      // 16
	Stem   int      // 4
	GPU    bool     // no other training uses the GPU meanwhile
}

// Files of a model folder whose training is a Command.
const (
	commandFile = "command.json" // what is under way, so that another one does not find its files
	outputFile  = "output.log"   // of the program: it may hold what the program prints of reports
)

// grace is how long a program has to end that is asked to: less than a run waits for its steps.
const grace = 15 * time.Second

// underWay is command.json.
type underWay struct {
	Identity string  `json:"identity"`
	Seconds  float64 `json:"seconds"` // of the programs that have ended, however, as are the others
	CPU      float64 `json:"cpu_seconds"`
	GPU      float64 `json:"gpu_seconds,omitempty"`
}

func readUnderWay(dir string) (u underWay, err error) {
	b, err := os.ReadFile(filepath.Join(dir, commandFile))
	if err == nil {
		err = json.Unmarshal(b, &u)
	}
	return u, err
}

func (u underWay) write(dir string) error {
	b, err := json.Marshal(u)
	if err != nil {
		return err
	}
	return shard.WriteFile(filepath.Join(dir, commandFile), append(b, '\n'))
}

// CommandSpent is what the programs of a model's folder have taken so far, but for one that was killed with its run; ok is false
// where no Command works there.
func CommandSpent(dir string) (seconds, cpu, gpu float64, ok bool) {
	u, err := readUnderWay(dir)
	return u.Seconds, u.CPU, u.GPU, err == nil
}

// Train runs the program on the data set in folder data, as Train does with a net of this program's: a finished model of the
// same command, files and data is given at once; what was ended is run again in the folder as it left it; another command
// finds it empty. ErrBusy: a program still works there.
func (o Command) Train(ctx context.Context, data *shard.Dataset, folder string, t *taxonomy.Taxonomy, dir string) (Result, error) {
	c, err := o.config(data, t)
	if err != nil {
		return Result{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Result{}, err
	}
	held, err := lockFile(dir)
	if err != nil {
		return Result{}, err
	}
	defer held.Close()
	if done, err := c.finished(dir); done || err != nil {
		return c.result(true), err
	}
	if err := clearOthers(dir, c.Identity); err != nil {
		return Result{}, err
	}
	hold := []*os.File{held}
	if o.GPU {
		gpu, leave, err := xla.Reserve(ctx, func() { says(dir, waits) })
		if err != nil {
			return Result{}, err
		}
		defer leave()
		hold = append(hold, gpu)
	}
	if err := o.run(ctx, c, folder, dir, hold); err != nil {
		return Result{}, err
	}
	if err := o.take(c, dir); err != nil {
		return Result{}, err
	}
	return c.result(false), c.write(dir)
}

// config says what the model will be, with the identity that it gives.
func (o Command) config(data *shard.Dataset, t *taxonomy.Taxonomy) (*Config, error) {
	c := &Config{Method: method, Recipe: cmp.Or(o.Recipe, commandRecipe), Preset: data.Preset(), PresetDigest: data.Preset().Digest(), Findings: data.Findings(),
		Taxonomy: t.Digest(), Dataset: data.Manifest().Digest, Command: o.Args, Files: map[string]string{}}
	if o.Recipe != "" {
		c.Width, c.Stem = cmp.Or(o.Width, defaultWidth), cmp.Or(o.Stem, defaultStem)
	}
	for _, file := range o.Files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		c.Files[filepath.Base(file)] = hexDigest(b)
	}
	if o.Init != "" {
		old, err := ReadConfig(o.Init)
		if err != nil {
			return nil, fmt.Errorf("init: %w", err)
		}
		c.Init, c.Chosen = old.Weights, old.Chosen
	}
	c.identify()
	return c, nil
}

// commandRecipe is of models whose net is not this program's.
const commandRecipe = "command"

// clearOthers empties a model's folder of what another command left there, and notes whose it is.
func clearOthers(dir, identity string) error {
	if u, err := readUnderWay(dir); err == nil && u.Identity == identity {
		return nil
	}
	if err := os.Remove(filepath.Join(dir, commandFile)); err != nil && !errors.Is(err, fs.ErrNotExist) { // first: half a folder is nobody's
		return err
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.Name() == lockName {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, f.Name())); err != nil {
			return err
		}
	}
	return underWay{Identity: identity}.write(dir)
}

// run runs the program to its end, and ends what it has started and left. It holds the locks of the folder and of the GPU too, so
// that it keeps out others should this process die before it; where the system can, it dies with this process.
func (o Command) run(ctx context.Context, c *Config, folder, dir string, hold []*os.File) error {
	out, err := os.OpenFile(filepath.Join(dir, outputFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	places := map[string]string{"data": folder, "out": dir, "init": o.Init}
	var args, env []string
	for name, path := range places {
		if path == "" {
			continue
		}
		if places[name], err = filepath.Abs(path); err != nil {
			return err
		}
		env = append(env, "SILVERBEAM_"+strings.ToUpper(name)+"="+places[name])
	}
	for _, a := range o.Args {
		args = append(args, strings.NewReplacer("{data}", places["data"], "{out}", places["out"], "{init}", places["init"]).Replace(a))
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles, cmd.SysProcAttr, cmd.WaitDelay = append(os.Environ(), env...), out, out, hold, bound(), grace
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	spent, err := readUnderWay(dir)
	if err != nil {
		return err
	}
	began, ended := time.Now(), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // a program ends with the thread that started it
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			err = cmd.Wait()
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // workers of its own that have not ended with it
		}
		ended <- err
	}()
	p := Progress{Recipe: c.Recipe}
	for {
		p.Seconds, p.Updated = spent.Seconds+time.Since(began).Seconds(), time.Now().UTC()
		p.Says = fmt.Sprintf("%s has run for %v", filepath.Base(args[0]), time.Since(began).Round(time.Second))
		_ = p.write(dir) // for people alone
		select {
		case err := <-ended:
			took := time.Since(began).Seconds()
			spent.Seconds += took
			if s := cmd.ProcessState; s != nil {
				spent.CPU += (s.UserTime() + s.SystemTime()).Seconds()
			}
			if o.GPU {
				spent.GPU += took
			}
			c.Seconds, c.CPU, c.GPU = spent.Seconds, spent.CPU, spent.GPU
			kept := spent.write(dir)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				return fmt.Errorf("%s: %w; what it printed is in %s", filepath.Base(args[0]), err, out.Name())
			}
			return kept
		case <-time.After(time.Second):
		}
	}
}

// take checks what the program has left.
func (o Command) take(c *Config, dir string) error {
	path := filepath.Join(dir, weightsFile)
	all, digest, err := tensorsOf(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s ended and left no %s in the folder that {out} and SILVERBEAM_OUT name", filepath.Base(o.Args[0]), weightsFile)
	}
	if err != nil {
		return err
	}
	if o.Recipe == Supervised {
		g, err := net.Supervised(c.visual(), false, false)
		if err != nil {
			return err
		}
		if p, _ := match(g.Params, all, ""); len(p.Missing) > 0 {
			return fmt.Errorf("%s: it lacks %s of a supervised model of width %d and stem %d", path, some(p.Missing), c.Width, c.Stem)
		}
	}
	c.Weights = digest
	if h, err := ReadHistory(dir); err == nil && len(h) > 0 {
		c.Loss, c.Steps = h[len(h)-1].Loss, h[len(h)-1].Step+1
	}
	return nil
}
