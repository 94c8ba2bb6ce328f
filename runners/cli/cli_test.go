package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"silverbeam/pipelines"
	"silverbeam/pkg/llm"
	"silverbeam/transforms/intake"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"silverbeam": func() { os.Exit(Main()) }})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_STATE_HOME", e.WorkDir+"/state") // the results store
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits CODE COMMAND... runs a command that must end with that exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if neg || err != nil || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	got := 0
	var failed *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &failed) {
		got = failed.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func TestCodes(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("label.Reports: %w", err) }
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"nothing":                 {nil, 0},
		"an exit of its own":      {wrap(&Exit{1, errors.New("x"), ""}), 1},
		"problems":                {pipelines.Problems{{}}, 2},
		"bad input":               {wrap(intake.ErrInput), 3},
		"unreadable input":        {fmt.Errorf("%w: %w", intake.ErrInput, fs.ErrPermission), 3},
		"budget":                  {wrap(llm.ErrBudget), 4},
		"replay":                  {wrap(llm.ErrReplay), 4},
		"provider":                {wrap(llm.ErrProvider), 5},
		"temporary":               {wrap(llm.ErrTemporary), 75},
		"full disk":               {wrap(&fs.PathError{Op: "write", Path: "a", Err: syscall.ENOSPC}), 75},
		"full disk under input":   {fmt.Errorf("%w: %w", intake.ErrInput, syscall.ENOSPC), 75},
		"a disk that fails":       {wrap(&fs.PathError{Op: "read", Path: "a", Err: syscall.EIO}), 75},
		"unwritable folder":       {wrap(&fs.PathError{Op: "mkdir", Path: "a", Err: syscall.EACCES}), 2},
		"interrupt":               {errors.Join(interrupted{syscall.SIGINT}, context.Canceled), 130},
		"termination":             {errors.Join(interrupted{syscall.SIGTERM}, wrap(context.Canceled)), 143},
		"a fault of ours or none": {errors.New("x"), 2},
	} {
		t.Run(name, func(t *testing.T) {
			if got := code(c.err); got != c.want {
				t.Errorf("exit code %d, want %d", got, c.want)
			}
		})
	}
}

func TestTellIsOneLineAndTheNext(t *testing.T) {
	var b bytes.Buffer
	tell(&b, fmt.Errorf("label.Reports: %w: price\n  file", llm.ErrBudget))
	if lines := strings.Split(strings.TrimSpace(b.String()), "\n"); len(lines) != 2 || !strings.HasPrefix(lines[0], "silverbeam: label.Reports: ") || !strings.HasPrefix(lines[1], "next: ") {
		t.Errorf("got %q", b.String())
	}
}

// Every verb says in one line what it is for, shows how it is called, and explains each option.
func TestHelp(t *testing.T) {
	root := Root()
	var look func(c *cobra.Command)
	look = func(c *cobra.Command) {
		if c.Short == "" || !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s: short %q, example %q", c.CommandPath(), c.Short, c.Example)
		}
		var b bytes.Buffer
		writeHelp(&b, c)
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			kind, text := pflag.UnquoteUsage(f)
			if text == "" || kind != strings.ToUpper(kind) || !strings.Contains(b.String(), "--"+f.Name) {
				t.Errorf("%s: --%s %s: %q", c.CommandPath(), f.Name, kind, text)
			}
		})
		for _, v := range c.Commands() {
			look(v)
		}
	}
	look(root)
}

func TestTellOfAPanicNamesThePlace(t *testing.T) {
	var b bytes.Buffer
	tell(&b, errors.New("the runner failed: panic: index out of range [5] goroutine 874 [running]: runtime/debug.Stack() runtime/debug/stack.go:26 +0x5e "+
		"github.com/x/sdks/v2@v2.77.0/go/pkg/beam/core/exec/util.go:58 +0x97 silverbeam/transforms/evaluate.silver(...) silverbeam/transforms/evaluate/model.go:175 silverbeam/pkg/fit/model.go:9"))
	if want := "silverbeam: the runner failed: panic: index out of range [5] (transforms/evaluate/model.go:175)\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567", 100000: "100,000"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestJSONLines(t *testing.T) {
	var b bytes.Buffer
	if err := csvToJSONL(&b, strings.NewReader("id,\"A \"\"x\"\"\",B\n<1>,1,\n\"2,\",-1,0.25\n")); err != nil {
		t.Fatal(err)
	}
	want := "{\"id\":\"<1>\",\"A \\\"x\\\"\":1,\"B\":null}\n{\"id\":\"2,\",\"A \\\"x\\\"\":-1,\"B\":0.25}\n"
	if b.String() != want {
		t.Errorf("got %s want %s", b.String(), want)
	}
}
