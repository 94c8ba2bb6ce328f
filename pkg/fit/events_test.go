package fit

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Records are TensorBoard's own, byte for byte.
func TestEventsAreTensorBoards(t *testing.T) {
	want, err := os.ReadFile("testdata/events.tfevents")
	if err != nil {
		t.Fatal(err)
	}
	got := eventsHead()
	for _, r := range []Record{{Step: 1, Seconds: 0.5, Loss: 0.75, GradNorm: 12.5, LR: 1e-3}, {Step: 300, Seconds: 1e6, Loss: 1e-9, GradNorm: 3.25}} {
		got = append(got, r.event()...)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

// A training that goes on has one event a step, in order.
func TestEventsGoOn(t *testing.T) {
	dir := t.TempDir()
	var want []byte
	for _, steps := range [][]int{{0, 1, 2, 3}, {2, 3, 4}} {
		h, _, err := openHistory(dir, steps[0], 5)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			if err := h.add(Record{Step: s, Loss: float64(s)}); err != nil {
				t.Fatal(err)
			}
		}
		h.close()
	}
	want = eventsHead()
	for s := range 5 {
		want = append(want, Record{Step: s, Loss: float64(s)}.event()...)
	}
	if got, err := os.ReadFile(filepath.Join(dir, eventsFile)); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of events, want %d: %v", len(got), len(want), err)
	}
}

// A gradient that stays far above what it was stops a training, and says what to do; one that comes back does not.
func TestWildGradientsStop(t *testing.T) {
	h := &history{span: 5}
	calm := func(n int) {
		for i := range n {
			if err := h.watch(Record{Step: i, GradNorm: 1 + float64(i%3)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	calm(60)
	for range wildSteps - 1 {
		if err := h.watch(Record{GradNorm: 1e5}); err != nil {
			t.Fatal(err)
		}
	}
	calm(1)
	var err error
	for i := 0; i < wildSteps && err == nil; i++ {
		err = h.watch(Record{Step: 90 + i, GradNorm: 1e5, LR: 0.5})
	}
	if err == nil || err.Error() != "step 109: the gradient's norm, 1e+05, has been over 1000 times its median of 2 for 20 steps, at learning rate 0.5: training diverges; a lower lr, or a longer warm-up, holds it" {
		t.Error(err)
	}
}
