package ledger

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrBusy says that another opener holds a ledger or a store: SQLite files serve one process.
var ErrBusy = errors.New("in use by another process")

const lockAgain = 50 * time.Millisecond

// acquire takes the lock file beside a database for this process, which is to own it. It is let go when the process ends,
// however it ends. A second opener, in this process or another, gets ErrBusy with the owner's pid, after wait: a reader that folds a dead
// process's journal holds it for a moment.
func acquire(path string, wait time.Duration) (*os.File, error) {
	f, err := hold(path, wait)
	if err != nil {
		return nil, err
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// owned says that the process that a lock file names as its owner is alive.
func owned(path string) bool {
	b, err := os.ReadFile(path + ".lock")
	if err != nil {
		return false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid <= 0 {
		return false
	}
	err = syscall.Kill(pid, 0)
	return err == nil || err == syscall.EPERM
}

// hold takes the lock file as it is.
func hold(path string, wait time.Duration) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	for ; err != nil && wait > 0; wait -= lockAgain {
		time.Sleep(lockAgain)
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		held := make([]byte, 20)
		n, _ := f.ReadAt(held, 0)
		f.Close()
		return nil, fmt.Errorf("%s: %w (pid %s)", path, ErrBusy, strings.TrimSpace(string(held[:n])))
	}
	return f, nil
}
