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
