package batch

import (
	"sync"

	"silverbeam/schemas"
)

// stopped keeps the error that ended each run in this process: Beam carries errors as text, and the command's exit code
// depends on what they are.
var stopped sync.Map // run folder → error

// Stop notes the error that a DoFn returns, so that the runner can tell what kind it was. A nil error passes.
func Stop(run schemas.Run, err error) error {
	if err != nil {
		stopped.LoadOrStore(run.Dir, err)
	}
	return err
}

// Failing is the first error that has stopped a run's graph in this process; nil: none yet.
func Failing(dir string) error {
	if err, ok := stopped.Load(dir); ok {
		return err.(error)
	}
	return nil
}

// Cause is the first error that stopped a run's graph in this process, taken away; nil where none did.
func Cause(dir string) error {
	unwatch(dir)
	err, ok := stopped.LoadAndDelete(dir)
	if !ok {
		return nil
	}
	return err.(error)
}
