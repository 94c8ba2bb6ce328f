package batch

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// The end of a run calls its steps off, waits for what they finish all the same, and then no longer.
func TestLife(t *testing.T) {
	for name, c := range map[string]struct {
		takes, wait, want time.Duration // the work after the end, the longest wait, how long the end took
		signal            bool
		begun             string
	}{
		"nothing under way":     {0, time.Minute, 0, false, "dir"},
		"a call under way":      {3 * time.Second, time.Minute, 3 * time.Second, false, "dir"},
		"one that never ends":   {time.Hour, 20 * time.Second, 20 * time.Second, false, "dir"},
		"the context went away": {3 * time.Second, time.Minute, 3 * time.Second, true, "dir"},
		"a worker's call":       {3 * time.Second, time.Minute, 3 * time.Second, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				run, stop := context.WithCancel(t.Context())
				defer stop()
				end := Begin(run, c.begun)
				ctx, leave := Enter(context.Background(), "dir")
				if ctx.Err() != nil {
					t.Fatal("over before it began")
				}
				go func() {
					<-ctx.Done()
					time.Sleep(c.takes)
					leave()
				}()
				if c.signal {
					stop()
				}
				began := time.Now()
				if end(c.wait); time.Since(began) != c.want {
					t.Errorf("the end took %v, want %v", time.Since(began), c.want)
				}
				if !errors.Is(ctx.Err(), context.Canceled) {
					t.Error("the step was not called off")
				}
				time.Sleep(c.takes)
				if ctx, leave := Enter(context.Background(), "dir"); ctx.Err() != nil {
					t.Error("what comes later, in a run of nobody's, is called off too")
				} else {
					leave()
				}
			})
		})
	}
}
