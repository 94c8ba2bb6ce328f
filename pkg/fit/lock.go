package fit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// ErrBusy is returned when another process trains in the same folder.
var ErrBusy = errors.New("another process is training here")

// lock keeps two trainers apart. The kernel drops it when its process ends, however that happens; an orphan that still
// runs keeps it, and so keeps the only right to write.
func lock(dir string) (unlock func() error, err error) {
	f, err := lockFile(dir)
	if err != nil {
		return nil, err
	}
	return f.Close, nil
}

// lockName is the file that is locked.
const lockName = "lock"

// lockFile is lock by the file that holds it: to close it gives it up, if no program that was started with it still runs.
func lockFile(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if err == syscall.EWOULDBLOCK {
			return nil, fmt.Errorf("%s: %w", dir, ErrBusy)
		}
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return f, nil
}
