package xla

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// visibleGPUs is the environment variable of the GPUs that CUDA shows a process.
const visibleGPUs = "CUDA_VISIBLE_DEVICES"

// ErrInUse says that another process has the GPU.
var ErrInUse = errors.New("engine xla: the GPU is in use")

// lease is a claim to the GPU whose memory the plugin takes: a lock on a file, which ends with the process that holds it,
// however that ends.
type lease struct {
	mu       sync.Mutex
	held     *os.File
	reserved bool // for another program
}

// ours is this process's, kept until it ends as the memory is.
var ours lease

// leaseFile is one for each GPU of the machine as a process names it first, by number or UUID, the same for all processes, whatever
// temporary folders they have. (A GPU that one process knows by number and another by UUID has two.)
func leaseFile(env func(string) string) string {
	first, _, _ := strings.Cut(env(visibleGPUs), ",")
	name := strings.Map(func(r rune) rune {
		if r == '-' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' {
			return r
		}
		return '_'
	}, cmp.Or(first, "0"))
	return "/tmp/silverbeam-gpu-" + name + ".lock"
}

// shared says that a plugin's device may serve several processes: that of a plugin for CPUs.
func shared(library string) bool { return strings.Contains(filepath.Base(library), "cpu") }

// take takes the lease, if no other process has it; else ErrInUse.
func (l *lease) take(path string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held != nil {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o666)
	if err == nil {
		_ = f.Chmod(0o666) // for other users, whatever umask says; refused where it is another's
	} else if errors.Is(err, fs.ErrPermission) { // a lock needs no more than to read it
		f, err = os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	}
	if err != nil {
		return fmt.Errorf("engine xla: %w", err)
	}
	if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if err != syscall.EWOULDBLOCK {
			return fmt.Errorf("engine xla: %s: %w", path, err)
		}
		var by [20]byte
		n, _ := f.ReadAt(by[:], 0)
		return fmt.Errorf("%w by process %s; CUDA_VISIBLE_DEVICES names another", ErrInUse, cmp.Or(strings.TrimSpace(string(by[:n])), "of another user"))
	}
	if f.Truncate(0) == nil { // who holds it is said for people alone
		_, _ = f.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	}
	l.held = f
	return nil
}

// busy has one training of this process use the device at a time.
var busy = make(chan struct{}, 1)

// Acquire waits until no other training uses the device, in this process or in another, and keeps them off until leave. told,
// not nil, is called each second meanwhile. ErrPlugin where there is no plugin.
func Acquire(ctx context.Context, told func()) (leave func(), err error) {
	library, err := plugged(os.Getenv)
	if err != nil {
		return nil, err
	}
	return ours.acquire(ctx, library, leaseFile(os.Getenv), told)
}

// Reserve is Acquire for another program that uses the GPU: it needs no plugin, and lets other processes have the GPU after leave.
// held is the lock: a program that has it too keeps the GPU should this process die before it. ErrInUse where engine xla of this
// process has the GPU's memory.
func Reserve(ctx context.Context, told func()) (held *os.File, leave func(), err error) {
	free, err := ours.acquire(ctx, "", leaseFile(os.Getenv), told)
	if err != nil {
		return nil, nil, err
	}
	connected.Lock()
	defer connected.Unlock()
	if connected.c != nil && connected.c.platform != "cpu" {
		free()
		return nil, nil, fmt.Errorf("%w by this process, whose engine xla has its memory to the end of the run: the next one does what is left", ErrInUse)
	}
	ours.mu.Lock()
	defer ours.mu.Unlock()
	ours.reserved = true
	return ours.held, func() {
		ours.give(true)
		free()
	}, nil
}

// give gives the lease back: what is reserved for another program, or what is not.
func (l *lease) give(reserved bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held != nil && l.reserved == reserved {
		l.held.Close()
		l.held, l.reserved = nil, false
	}
}

// connects is take for the plugin of this process, which may not have what another program uses.
func (l *lease) connects(path string) error {
	l.mu.Lock()
	reserved := l.reserved
	l.mu.Unlock()
	if reserved {
		return fmt.Errorf("%w by a program of this run", ErrInUse)
	}
	return l.take(path)
}

func (l *lease) acquire(ctx context.Context, library, path string, told func()) (leave func(), err error) {
	wait := func() error {
		if told != nil {
			told()
		}
		select {
		case <-time.After(time.Second):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for mine := false; !mine; {
		select {
		case busy <- struct{}{}:
			mine = true
		default:
			if err := wait(); err != nil {
				return nil, err
			}
		}
	}
	leave = sync.OnceFunc(func() { <-busy })
	for !shared(library) {
		err := l.take(path)
		if err == nil {
			break
		}
		if errors.Is(err, ErrInUse) {
			err = wait()
		}
		if err != nil {
			leave()
			return nil, err
		}
	}
	return leave, nil
}
