package fit

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"silverbeam/pkg/volume"
)

var toyOptions = Options{Recipe: Supervised, Epochs: 6, Batch: 4, LR: 0.3, Workers: 1}

func mustTrain(t *testing.T, dir string, o Options) Result {
	t.Helper()
	res, err := train(t.Context(), fakeEngine{}, toy(22), nil, "t", dir, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func model(t *testing.T, dir string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, weightsFile))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// losses drops the seconds, the one thing that differs between equal trainings.
func losses(t *testing.T, dir string) []Record {
	t.Helper()
	all, err := ReadHistory(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		all[i].Seconds, all[i].CPU, all[i].Waited = 0, 0, 0
	}
	return all
}

func TestTrainLearns(t *testing.T) {
	dir := t.TempDir()
	var last Progress
	res, err := train(t.Context(), fakeEngine{}, toy(22), nil, "t", dir, toyOptions, func(p Progress) { last = p })
	if err != nil {
		t.Fatal(err)
	}
	h := losses(t, dir)
	if len(h) != 6*(22/4) || res.Steps != len(h) || last.Step != len(h) || last.Epoch != 6 || last.ETA != 0 {
		t.Fatalf("%d records, result %+v, progress %+v", len(h), res, last)
	}
	mean := func(h []Record) (sum float64) {
		for _, r := range h {
			sum += r.Loss / float64(len(h))
		}
		return sum
	}
	if first, last := mean(h[:5]), mean(h[25:]); last > 0.5*first || math.Abs(last-res.Loss) > 1e-12 {
		t.Fatalf("loss from %v to %v, in the result %v", first, last, res.Loss)
	}
	p, err := ReadProgress(dir)
	if err != nil || p.Step != len(h) {
		t.Fatalf("progress.json: %+v %v", p, err)
	}
	if _, err := os.Stat(filepath.Join(dir, checkpointFile)); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the checkpoint was left behind: %v", err)
	}
}

func TestSameAtAnyNumberOfWorkers(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	mustTrain(t, a, toyOptions)
	four := toyOptions
	four.Workers = 4
	mustTrain(t, b, four)
	if !slices.Equal(losses(t, a), losses(t, b)) || !bytes.Equal(model(t, a), model(t, b)) {
		t.Error("the number of loader workers changes the training")
	}
	seed := toyOptions
	seed.Seed = 2
	c := t.TempDir()
	mustTrain(t, c, seed)
	if slices.Equal(losses(t, a), losses(t, c)) {
		t.Error("the seed changes nothing")
	}
}

func TestStoppedTrainingGoesOn(t *testing.T) {
	whole := t.TempDir()
	mustTrain(t, whole, toyOptions)
	for _, stops := range [][]int{{1}, {5, 6}, {7, 13, 29}} {
		dir := t.TempDir()
		for _, at := range stops {
			ctx, stop := context.WithCancel(t.Context())
			_, err := train(ctx, fakeEngine{}, toy(22), nil, "t", dir, toyOptions, func(p Progress) {
				if p.Step == at {
					stop()
				}
			})
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("stopped at step %d: %v", at, err)
			}
		}
		mustTrain(t, dir, toyOptions)
		if !bytes.Equal(model(t, whole), model(t, dir)) || !slices.Equal(losses(t, whole), losses(t, dir)) {
			t.Errorf("stopped at %v: another model or history", stops)
		}
	}
}

// killed is the process that TestKilledTrainingGoesOn kills: this test binary, with these variables set.
const killedDir, killedPause = "FIT_TEST_DIR", "FIT_TEST_CHECKPOINT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedDir); dir != "" && os.Getenv(soakKill) != "" {
		soakUntilKilled(dir)
		return
	}
	if dir := os.Getenv(killedDir); dir != "" {
		o := toyOptions
		o.Checkpoint, _ = time.ParseDuration(os.Getenv(killedPause))
		slow := fakeEngine{slow: func() { time.Sleep(4 * time.Millisecond) }}
		if _, err := train(context.Background(), slow, toy(22), nil, "t", dir, o, nil); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

func TestKilledTrainingGoesOn(t *testing.T) {
	whole := t.TempDir()
	mustTrain(t, whole, toyOptions)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	kills, dir := 0, t.TempDir()
	for try := range 12 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), killedDir+"="+dir, killedPause+"="+[]string{"-1s", "7ms", "1h"}[try%3])
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(20+r.IntN(120)) * time.Millisecond)
		cmd.Process.Kill()
		if cmd.Wait() != nil {
			kills++
		}
	}
	res := mustTrain(t, dir, toyOptions)
	if !bytes.Equal(model(t, whole), model(t, dir)) || !slices.Equal(losses(t, whole), losses(t, dir)) {
		t.Fatalf("after %d kills: another model or history", kills)
	}
	if kills == 0 {
		t.Error("no process was killed in time")
	}
	t.Logf("%d kills, skipped at the end: %v", kills, res.Skipped)
}

func TestFinishedModelIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	first := mustTrain(t, dir, toyOptions)
	before := model(t, dir)
	again := toyOptions
	again.Workers, again.Checkpoint = 3, time.Hour // these change no result
	if res := mustTrain(t, dir, again); !res.Skipped || res.Digest != first.Digest {
		t.Errorf("trained again: %+v", res)
	}
	again.Epochs++
	if res := mustTrain(t, dir, again); res.Skipped || res.Digest == first.Digest {
		t.Errorf("other options, same model: %+v", res)
	}
	if res := mustTrain(t, dir, toyOptions); res.Skipped || !bytes.Equal(model(t, dir), before) {
		t.Errorf("back to the first options: %+v", res)
	}
	if err := os.WriteFile(filepath.Join(dir, weightsFile), before[:len(before)-1], 0o644); err != nil {
		t.Fatal(err)
	}
	if res := mustTrain(t, dir, toyOptions); res.Skipped || !bytes.Equal(model(t, dir), before) {
		t.Errorf("damaged weights were taken: %+v", res)
	}
}

// gpuEngine is a fakeEngine whose device is a GPU.
type gpuEngine struct{ fakeEngine }

func (gpuEngine) GPU() bool { return true }

// TestGPUSeconds: the history has the time with a GPU, of all processes of a training that had one.
func TestGPUSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, slow := t.TempDir(), fakeEngine{func() { time.Sleep(2 * time.Second) }}
		ctx, stop := context.WithCancel(t.Context())
		o := Options{Recipe: Supervised, Epochs: 5, Batch: 4, Workers: 1}
		if _, err := train(ctx, gpuEngine{slow}, toy(4), nil, "t", dir, o, func(p Progress) {
			if p.Step == 3 {
				stop()
			}
		}); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if _, err := train(t.Context(), slow, toy(4), nil, "t", dir, o, nil); err != nil {
			t.Fatal(err)
		}
		h, err := ReadHistory(dir)
		if err != nil || len(h) != 5 || h[0].GPU != 2 || h[2].GPU != 6 || h[4].GPU != 6 || h[4].Seconds != 10 {
			t.Errorf("%+v: %v, want 6 of 10 s with a GPU", h, err)
		}
	})
}

// TestDue: checkpoints are made after epochs and after a while, but take a fiftieth of the time at most.
func TestDue(t *testing.T) {
	j := &job{loader: &loader{order: order{studies: 40, batch: 4}}}
	for _, c := range []struct {
		step          int
		every, saving time.Duration
		since         time.Duration
		want          bool
	}{
		{7, 30 * time.Second, 0, 29 * time.Second, false}, {7, 30 * time.Second, 0, 30 * time.Second, true},
		{7, 30 * time.Second, time.Second, 49 * time.Second, false}, {7, 30 * time.Second, time.Second, 50 * time.Second, true},
		{20, 30 * time.Second, 0, 0, true}, {20, 30 * time.Second, 100 * time.Millisecond, 4 * time.Second, false},
		{20, 30 * time.Second, 100 * time.Millisecond, 5 * time.Second, true}, {7, -1, time.Second, 0, true},
	} {
		j.step, j.options.Checkpoint, j.saving = c.step, c.every, c.saving
		if got := j.due(c.since); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestUnreadableCheckpointIsNone(t *testing.T) {
	whole, dir := t.TempDir(), t.TempDir()
	mustTrain(t, whole, toyOptions)
	for name, b := range map[string][]byte{"empty": {}, "cut": model(t, whole)[:100], "a model, not a checkpoint": model(t, whole)} {
		if err := os.WriteFile(filepath.Join(dir, checkpointFile), b, 0o644); err != nil {
			t.Fatal(err)
		}
		os.Remove(filepath.Join(dir, configFile))
		mustTrain(t, dir, toyOptions)
		if !bytes.Equal(model(t, whole), model(t, dir)) {
			t.Errorf("%s: another model", name)
		}
	}
}

func TestSecondTrainerIsRefused(t *testing.T) {
	dir := t.TempDir()
	var second error
	_, err := train(t.Context(), fakeEngine{}, toy(22), nil, "t", dir, toyOptions, func(p Progress) {
		if p.Step == 1 {
			_, second = train(t.Context(), fakeEngine{}, toy(22), nil, "t", dir, toyOptions, nil)
		}
	})
	if err != nil || !errors.Is(second, ErrBusy) {
		t.Fatalf("first %v, second %v", err, second)
	}
}

func TestTrainRefuses(t *testing.T) {
	init := t.TempDir()
	mustTrain(t, init, toyOptions)
	other := toy(22)
	other.preset = volume.Preset{Name: "other", SpacingMM: other.preset.SpacingMM, Shape: other.preset.Shape, LoHU: -1000, HiHU: 100}
	for name, c := range map[string]struct {
		corpus *corpus
		o      Options
	}{
		"unknown recipe":           {toy(22), Options{Recipe: "jepa"}},
		"batch beyond the data":    {toy(3), toyOptions},
		"negative epochs":          {toy(22), Options{Recipe: Supervised, Epochs: -1}},
		"init without clip":        {toy(22), Options{Recipe: Supervised, Init: init}},
		"init of another preset":   {other, Options{Recipe: Clip, Batch: 4, Init: init}},
		"init of another width":    {toy(22), Options{Recipe: Clip, Batch: 4, Init: init, Width: 32}},
		"init that is not a model": {toy(22), Options{Recipe: Clip, Batch: 4, Init: t.TempDir()}},
	} {
		if _, err := train(t.Context(), fakeEngine{}, c.corpus, nil, "t", t.TempDir(), c.o, nil); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}

func TestDivergenceStops(t *testing.T) {
	o := toyOptions
	c := toy(22)
	step := 0
	bad := fakeEngine{slow: func() { step++ }}
	c.preset.HiHU = c.preset.LoHU // a window of no width: every value is NaN
	_, err := train(t.Context(), bad, c, nil, "t", t.TempDir(), o, nil)
	if err == nil || step != 1 || !strings.Contains(err.Error(), "x of the batch holds what is no number") {
		t.Fatalf("after %d steps: %v", step, err)
	}
}
