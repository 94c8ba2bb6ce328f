package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// lockName is the file in a run folder that the process at work on it holds.
const lockName = "run.lock"

// Hold holds a run folder for this process until let go; ErrBusy where another has it.
func Hold(dir string) (letGo func(), err error) {
	if letGo, err = lock(filepath.Join(dir, lockName)); err != nil {
		err = fmt.Errorf("%s: %w", dir, err)
	}
	return letGo, err
}

// lock holds a file for this process until unlock; the lock ends with the process, however that ends.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if errors.Is(err, syscall.EWOULDBLOCK) && try < 10 {
			time.Sleep(10 * time.Millisecond) // it may be one who only looks
			continue
		}
		var pid int
		fmt.Fscan(f, &pid)
		f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", lockName, err)
		}
		return nil, fmt.Errorf("%w (process %d)", ErrBusy, pid)
	}
	_ = f.Truncate(0)
	_, _ = f.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	return func() { f.Close() }, nil
}

// held says whether some process holds the file; where that cannot be found out, it believes so.
func held(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
}
