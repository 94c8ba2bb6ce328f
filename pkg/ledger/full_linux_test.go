package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"silverbeam/pkg/taxonomy"
)

// A disk that is full at any moment is the system's own error, and what was durable stays so.
func TestFullDisk(t *testing.T) {
	for kib := 8; kib <= 1448; kib += 120 {
		t.Run(fmt.Sprintf("%d KiB", kib), func(t *testing.T) {
			dir := t.TempDir()
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dk", kib)); err != nil {
				t.Skip("no small disk can be mounted here: ", err)
			}
			defer syscall.Unmount(dir, syscall.MNT_DETACH)
			path := filepath.Join(dir, "results.db")
			s, err := OpenStore(path)
			if kib > 1300 && err != nil {
				t.Fatal("there is room for a store and its journal: ", err)
			}
			kept := 0
			for ; err == nil && kept < 10_000; kept++ {
				err = s.Put(s.Identity(fmt.Sprint(kept)), Answer{Findings: make([]FindingID, 200), Labels: make([]taxonomy.Label, 200), CostPico: int64(kept)})
			}
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("after %d answers: %v", kept-1, err)
			}
			if s == nil {
				return
			}
			s.Close()
			if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=16m"); err != nil {
				t.Fatal(err)
			}
			if s, err = OpenStore(path); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for i := range kept - 1 {
				if a, err := s.Get(s.Identity(fmt.Sprint(i))); err != nil || len(a) != 1 || a[0].CostPico != int64(i) {
					t.Fatalf("answer %d of %d is gone: %v", i, kept-1, err)
				}
			}
			if err := s.Put(s.Identity("more"), Answer{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// A file that may only be read is named as such.
func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("no disk can be mounted here: ", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	path := filepath.Join(dir, "ledger.db")
	b, err := OpenBook(path)
	if err == nil {
		err = b.Close()
	}
	if err == nil {
		err = syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenBook(path); !errors.Is(err, syscall.EROFS) || os.IsNotExist(err) {
		t.Error(err)
	}
	if _, err := ReadCost(path); err != nil {
		t.Errorf("reading it: %v", err)
	}
}
