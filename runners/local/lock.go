package local

import (
	"fmt"
	"os"
	"syscall"
)

// lock holds a file for this process until unlock; the lock ends with the process, however that ends.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		var pid int
		fmt.Fscan(f, &pid)
		f.Close()
		return nil, fmt.Errorf("%w (process %d)", ErrBusy, pid)
	}
	_ = f.Truncate(0)
	fmt.Fprintln(f, os.Getpid())
	return func() { f.Close() }, nil
}
