package fit

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/simd"
)

// soakEpoch is how many steps the soak's epochs have; there is a checkpoint after each.
const soakEpoch = 50

// soakSteps are SILVERBEAM_SOAK's, or enough to see that the test works.
func soakSteps() int {
	n, _ := strconv.Atoi(os.Getenv("SILVERBEAM_SOAK"))
	return cmp.Or(n, 3*soakEpoch)
}

func soak(ctx context.Context, dir string, steps int, told func(Progress)) error {
	o := Options{Recipe: Supervised, Width: 4, Batch: 4, Epochs: steps / soakEpoch, Validate: "valid"}
	all := toy(4*soakEpoch + 6)
	learn, valid := *all, *all
	learn.studies, valid.studies = all.studies[:4*soakEpoch], all.studies[4*soakEpoch:]
	_, err := train(ctx, engine.Gorgonia(), &learn, &valid, "t", dir, o, told)
	return err
}

// soakKill is the step after which TestMain's process kills itself, once TestSoak has set it.
const soakKill = "FIT_TEST_SOAK_KILL"

func soakUntilKilled(dir string) {
	at, err := strconv.Atoi(os.Getenv(soakKill))
	if err == nil {
		err = soak(context.Background(), dir, soakSteps(), func(p Progress) {
			if p.Step == at {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
		})
	}
	if err != nil {
		panic(err)
	}
}

// footprint is what a training may not gather: bytes in use, goroutines and open files.
type footprint struct {
	heap              int64
	goroutines, files int
}

func footprintNow(t *testing.T) footprint {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here")
	}
	return footprint{int64(m.HeapAlloc), runtime.NumGoroutine(), len(files)}
}

// A training of many steps (SILVERBEAM_SOAK) gathers no memory, goroutines or files, and one that is killed five times ends
// with the same weights, those of the best epoch, at one thread and at two.
func TestSoak(t *testing.T) {
	steps, dir := soakSteps(), t.TempDir()
	var first footprint
	at := 0
	err := soak(t.Context(), dir, steps, func(p Progress) {
		if at = p.Step; at != steps/5 && at%(steps/5) != 0 {
			return
		}
		now := footprintNow(t)
		t.Logf("step %d: %d KiB, %d goroutines, %d files, loss %.4f", at, now.heap>>10, now.goroutines, now.files, p.Loss)
		if first == (footprint{}) {
			first = now
		}
		if now.heap > first.heap*21/20+1<<20 || now.goroutines > first.goroutines+2 || now.files > first.files+2 {
			t.Errorf("step %d: %+v, of which %+v at a fifth of the steps", at, now, first)
		}
	})
	if err != nil || at != steps {
		t.Fatalf("%d of %d steps: %v", at, steps, err)
	}
	for threads := 1; threads <= 2; threads++ {
		other := t.TempDir()
		for kill := range 5 {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), killedDir+"="+other, soakKill+"="+strconv.Itoa((kill+1)*steps/6+kill), fmt.Sprintf("GOMAXPROCS=%d", threads))
			if out, err := cmd.CombinedOutput(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("kill %d: %v\n%s", kill, err, out)
			}
		}
		if err := soak(t.Context(), other, steps, nil); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(model(t, dir), model(t, other)) {
			t.Errorf("%d threads, five kills: other weights", threads)
		}
	}
}

// Every instruction set trains.
func TestEveryLevelTrains(t *testing.T) {
	have := simd.Level
	t.Cleanup(func() { simd.Level = have })
	for _, level := range []string{"go", "avx2", "avx512"} {
		if !simd.Set(level) {
			continue
		}
		dir := t.TempDir()
		if err := soak(t.Context(), dir, 2*soakEpoch, nil); err != nil {
			t.Fatal(err)
		}
		all := losses(t, dir)
		if first, last := all[0].Loss, mean(all[soakEpoch:]); last > 0.85*first {
			t.Errorf("%s: loss from %v to a mean of %v in the second epoch", level, first, last)
		}
	}
}

func mean(all []Record) (sum float64) {
	for _, r := range all {
		sum += r.Loss / float64(len(all))
	}
	return sum
}
