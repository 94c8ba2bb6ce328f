package xla

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// holder is the environment variable by which this test's binary holds a lease until it is killed.
const holder = "SILVERBEAM_HOLDS"

func TestMain(m *testing.M) {
	if path := os.Getenv(holder); path != "" {
		fmt.Println(ours.take(path))
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	os.Exit(m.Run())
}

// A GPU that another process has is refused with that process's number, and free once it has ended, however.
func TestLeaseBetweenProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gpu.lock")
	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), holder+"="+path)
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Process.Kill(); other.Wait() })
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "<nil>\n" {
		t.Fatalf("the other has it: %s", line)
	}
	var l lease
	for range 2 {
		if err := l.take(path); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("by process %d;", other.Process.Pid)) {
			t.Fatalf("%v, want that process %d has it", err, other.Process.Pid)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := l.acquire(ended, "gpu.so", path, nil); !errors.Is(err, context.Canceled) || len(busy) != 0 {
		t.Fatalf("%v, %d hold the device", err, len(busy))
	}
	if leave, err := l.acquire(ended, "cpu.so", path, nil); err != nil {
		t.Fatal("a plugin for CPUs waits too")
	} else {
		leave()
	}
	other.Process.Kill()
	other.Wait()
	leave, err := l.acquire(t.Context(), "gpu.so", path, func() { t.Error("waits for one that has ended") })
	if err != nil {
		t.Fatal(err)
	}
	leave()
	if err := l.take(path); err != nil {
		t.Errorf("taken, and taken again: %v", err)
	}
}

// Trainings of one process use the device one after the other, and tell each second that they wait.
func TestLeaseWithinAProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lease
		path, told := filepath.Join(t.TempDir(), "gpu.lock"), 0
		leave, err := l.acquire(t.Context(), "gpu.so", path, nil)
		if err != nil {
			t.Fatal(err)
		}
		took := make(chan time.Time, 1)
		begun := time.Now()
		go func() {
			second, err := l.acquire(t.Context(), "gpu.so", path, func() { told++ })
			if err != nil {
				t.Error(err)
				return
			}
			took <- time.Now()
			second()
			second() // once is enough
		}()
		time.Sleep(10*time.Second + time.Millisecond)
		leave()
		if at := <-took; at.Sub(begun) != 11*time.Second || told != 11 {
			t.Errorf("took it after %v, told %d times", at.Sub(begun), told)
		}
		synctest.Wait()
		if len(busy) != 0 {
			t.Error("it is still in use")
		}
	})
}

// While another program has the GPU by this process, the plugin may not take it; afterwards the lease is free for other processes.
func TestReserved(t *testing.T) {
	if connected.c != nil {
		t.Skip("the plugin of these tests has the device")
	}
	t.Cleanup(func() { ours.give(true); ours.give(false) })
	t.Setenv(visibleGPUs, "test-"+filepath.Base(t.TempDir()))
	path := leaseFile(os.Getenv)
	t.Cleanup(func() { os.Remove(path) })
	held, leave, err := Reserve(t.Context(), nil)
	if err != nil || held == nil || len(busy) != 1 {
		t.Fatal(held, err)
	}
	if err := ours.connects(path); !errors.Is(err, ErrInUse) {
		t.Errorf("%v, want that a program has the GPU", err)
	}
	ours.give(false) // nor is it given away where the plugin fails
	var other lease
	if err := other.take(path); !errors.Is(err, ErrInUse) {
		t.Errorf("%v: another has it too", err)
	}
	leave()
	if err := other.take(path); err != nil || len(busy) != 0 {
		t.Errorf("%v, %d use it", err, len(busy))
	}
	if err := ours.connects(path); !errors.Is(err, ErrInUse) {
		t.Errorf("%v, want that another process has the GPU", err)
	}
	other.give(false)
	if err := ours.connects(path); err != nil {
		t.Error(err)
	}
	if ours.give(false); other.take(path) != nil {
		t.Error("a plugin that has failed keeps the GPU")
	}
	link := path + ".link"
	if err := os.Symlink(filepath.Join(t.TempDir(), "victim"), link); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(link) })
	if err := new(lease).take(link); err == nil {
		t.Error("a link was followed")
	}
}

// This process shows the plugin the GPU that its lease is of, and no other.
func TestOneGPU(t *testing.T) {
	for was, want := range map[string]string{"2,3": "2", "GPU-1": "GPU-1", "": ""} {
		t.Setenv(visibleGPUs, was)
		if oneGPU(); os.Getenv(visibleGPUs) != want {
			t.Errorf("%q became %q, want %q", was, os.Getenv(visibleGPUs), want)
		}
	}
	os.Unsetenv(visibleGPUs)
	if oneGPU(); os.Getenv(visibleGPUs) != "0" {
		t.Errorf("none became %q", os.Getenv(visibleGPUs))
	}
}

// A GPU has one file, by what a process can name first.
func TestLeaseFile(t *testing.T) {
	for visible, want := range map[string]string{"": "0", "0": "0", "3,4": "3", "GPU-5d1a/x,1": "GPU-5d1a_x", "MIG-../..": "MIG-_____"} {
		if got := leaseFile(environment(map[string]string{"CUDA_VISIBLE_DEVICES": visible})); got != "/tmp/silverbeam-gpu-"+want+".lock" {
			t.Errorf("CUDA_VISIBLE_DEVICES=%q: %s", visible, got)
		}
	}
}
