package batch

import (
	"context"
	"sync"
	"time"
)

// lives are the runs at work in this process. Beam's contexts do not end with a run, so steps and sinks take this one too.
var lives sync.Map // run folder → *life

type life struct {
	ctx  context.Context
	mu   sync.Mutex
	busy int
	idle chan struct{} // closed and renewed whenever busy falls to 0
}

// Begin lets the steps and sinks of a run work in this process until ctx is done or end is called. end waits for what is
// under way, such as calls that are paid for, but not longer than it is told to. Without a dir it is of all runs that have not
// begun here, as a worker's have not.
func Begin(ctx context.Context, dir string) (end func(wait time.Duration)) {
	if dir != "" {
		Cause(dir) // of an earlier run that was not waited for
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &life{ctx: ctx, idle: make(chan struct{})}
	lives.Store(dir, l)
	return func(wait time.Duration) {
		cancel()
		l.rest(wait)
		lives.CompareAndDelete(dir, l)
	}
}

func (l *life) rest(wait time.Duration) {
	l.mu.Lock()
	busy, idle := l.busy, l.idle
	l.mu.Unlock()
	if busy == 0 {
		return
	}
	select {
	case <-idle:
	case <-time.After(wait):
	}
}

func (l *life) add(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy += n; l.busy == 0 {
		close(l.idle)
		l.idle = make(chan struct{})
	}
}

// Enter gives the context for work on one element, which also ends with the run; leave must be called after it.
func Enter(ctx context.Context, dir string) (_ context.Context, leave func()) {
	v, ok := lives.Load(dir)
	if !ok {
		v, ok = lives.Load("")
	}
	if !ok {
		return ctx, func() {}
	}
	l := v.(*life)
	l.add(1)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(l.ctx, cancel)
	return ctx, func() {
		stop()
		cancel()
		l.add(-1)
	}
}
