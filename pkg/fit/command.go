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

// grace is how long a program has to end that is asked to.
const grace = 20 * time.Second

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
	if o.GPU {
		leave, err := xla.Reserve(ctx, func() { waits(dir) })
		if err != nil {
			return Result{}, err
		}
		defer leave()
	}
	if err := o.run(ctx, c, folder, dir, held); err != nil {
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
	var under struct{ Identity string }
	path := filepath.Join(dir, commandFile)
	if b, err := os.ReadFile(path); err == nil && json.Unmarshal(b, &under) == nil && under.Identity == identity {
		return nil
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
	under.Identity = identity
	b, err := json.Marshal(under)
	if err != nil {
		return err
	}
	return shard.WriteFile(path, append(b, '\n'))
}

// run runs the program to its end. It holds the folder's lock too, so that it keeps out others should this process die before
// it; where the system can, it dies with this process.
func (o Command) run(ctx context.Context, c *Config, folder, dir string, held *os.File) error {
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
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles, cmd.SysProcAttr, cmd.WaitDelay = append(os.Environ(), env...), out, out, []*os.File{held}, bound(), grace
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	before, _ := ReadProgress(dir)
	began, ended := time.Now(), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // a program ends with the thread that started it
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			err = cmd.Wait()
		}
		ended <- err
	}()
	p := Progress{Recipe: c.Recipe}
	for {
		p.Seconds, p.Updated = before.Seconds+time.Since(began).Seconds(), time.Now().UTC()
		p.Says = fmt.Sprintf("%s has run for %v", filepath.Base(args[0]), time.Since(began).Round(time.Second))
		if err := p.write(dir); err != nil {
			return err
		}
		select {
		case err := <-ended:
			if ctx.Err() != nil {
				if cmd.Process != nil { // what of its group has not ended with it
					_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
				}
				return ctx.Err()
			}
			if err != nil {
				return fmt.Errorf("%s: %w; what it printed is in %s", filepath.Base(args[0]), err, out.Name())
			}
			c.Seconds = p.Seconds
			c.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
			if o.GPU {
				c.GPU = c.Seconds
			}
			return nil
		case <-time.After(time.Second):
		}
	}
}

// take checks what the program has left.
func (o Command) take(c *Config, dir string) error {
	path := filepath.Join(dir, weightsFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s ended and left no %s in the folder that {out} and SILVERBEAM_OUT name", filepath.Base(o.Args[0]), weightsFile)
	}
	if err != nil {
		return err
	}
	all, _, err := net.DecodeSafetensors(b)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
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
	c.Weights = hexDigest(b)
	if h, err := ReadHistory(dir); err == nil && len(h) > 0 {
		c.Loss, c.Steps = h[len(h)-1].Loss, h[len(h)-1].Step+1
	}
	return nil
}
