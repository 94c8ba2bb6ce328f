package ledger

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// ErrBusy says that another opener holds a ledger or a store: SQLite files serve one process.
var ErrBusy = errors.New("in use by another process")

// acquire takes the lock file beside a database for this process. It is let go when the process ends, however it ends.
// A second opener, in this process or another, gets ErrBusy with the holder's pid.
func acquire(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		held := make([]byte, 20)
		n, _ := f.ReadAt(held, 0)
		f.Close()
		return nil, fmt.Errorf("%s: %w (pid %s)", path, ErrBusy, strings.TrimSpace(string(held[:n])))
	}
	if err := f.Truncate(0); err != nil {
		f.Close()
		return nil, err
	}
	if _, err := f.WriteAt(fmt.Appendln(nil, os.Getpid()), 0); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
