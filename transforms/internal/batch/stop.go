package batch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"silverbeam/pkg/shard"
	"silverbeam/schemas"
)

// stopped keeps the error that ended each run in this process: Beam carries errors as text, and the command's exit code
// depends on what they are.
var stopped sync.Map // run folder → error

// Stop notes the error that a DoFn returns, so that the runner can tell what kind it was. A nil error passes, and so does that of
// work that was called off: it says nothing of the run, which a cluster may take up again. A worker in a process of its own
// leaves the text in the run folder.
func Stop(run schemas.Run, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	stopped.LoadOrStore(run.Dir, err)
	if _, here := lives.Load(run.Dir); !here && run.Dir != "" {
		_ = os.MkdirAll(filepath.Dir(toldPath(run.Dir)), 0o755)
		_ = shard.WriteFile(toldPath(run.Dir), []byte(err.Error()))
	}
	return err
}

func toldPath(dir string) string { return filepath.Join(dir, "progress", "stopped") }

// told is the error of another process. It is whatever its text says.
type told string

func (t told) Error() string { return string(t) }

// Is finds the errors of which t tells by their own text, which wrapping keeps.
func (t told) Is(target error) bool { return strings.Contains(string(t), target.Error()) }

// Failing is the first error that has stopped a run's graph; nil: none yet.
func Failing(dir string) error {
	if err, ok := stopped.Load(dir); ok {
		return err.(error)
	}
	if text, err := os.ReadFile(toldPath(dir)); err == nil {
		return told(text)
	}
	return nil
}

// Cause is the first error that stopped a run's graph, taken away; nil where none did.
func Cause(dir string) error {
	unwatch(dir)
	err := Failing(dir)
	stopped.Delete(dir)
	_ = os.Remove(toldPath(dir))
	return err
}
