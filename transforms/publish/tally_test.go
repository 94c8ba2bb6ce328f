package publish

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"silverbeam/pkg/ledger"
	"silverbeam/schemas"
	"silverbeam/transforms/internal/batch"
)

// Two sinks finish three batches in turn: a counter that is kept comes to the same as a new one, and reads no summary of a
// finished batch again.
func TestCounterReadsEachBatchOnce(t *testing.T) {
	dir := t.TempDir()
	sinks := []batch.Output{{Step: "table", Dir: "table", Config: strings.Repeat("a", 64), Ext: "part"}, {Step: "dataset", Dir: "dataset", Config: strings.Repeat("b", 64), Ext: "arrow"}}
	var batches []schemas.Batch
	for i := range 3 {
		batches = append(batches, schemas.Batch{Index: i, ID: strings.Repeat(fmt.Sprint(i), 64), Split: []string{"train", "test", "train"}[i], Take: 10 + i})
	}
	if err := WriteIndex(dir, batches, sinks, []string{"a", "b"}); err != nil {
		t.Fatal(err)
	}
	kept := NewCounter(dir)
	for n, at := range [][2]int{{0, 1}, {1, 1}, {1, 0}, {0, 0}, {2, 0}, {0, 2}, {1, 2}, {2, 2}} { // sink and batch; sink 2, of which there are two, has nothing new
		if at[0] < len(sinks) {
			i := at[1]
			s := batch.Summary{
				Trail:   []schemas.Passage{{Step: "intake", Unit: "studies", In: 10 + i, Out: 9 + i, Rejects: 1}, {Step: sinks[at[0]].Step, Unit: "studies", In: 9 + i, Out: 9 + i}},
				Rejects: []schemas.Reject{{Step: "intake", Study: fmt.Sprint("s", i)}},
				Labels:  &batch.Counts{Studies: 9 + i, States: [][4]int{{i}, {1}}, Together: [][]int{{1, i}, {i, 1}}},
			}
			p, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, sinks[at[0]].File(batches[i])) + ".summary.json"
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, p, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := kept.Count()
		if err != nil {
			t.Fatal(err)
		}
		want, err := Count(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range []*Tally{got, want} { // by when a batch was finished, and by the input
			slices.SortFunc(x.Rejects, func(a, b schemas.Reject) int { return strings.Compare(a.Study, b.Study) })
			slices.SortFunc(x.Bookings, func(a, b ledger.Booking) int { return strings.Compare(a.Batch+a.Step, b.Batch+b.Step) })
			slices.SortFunc(x.Steps, func(a, b schemas.Passage) int { return strings.Compare(a.Step, b.Step) })
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("after %d summaries %+v, wants %+v", n+1, got, want)
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, "table", "train")); err != nil {
		t.Fatal(err)
	}
	if got, err := kept.Count(); err != nil || got.Done != got.Total() || len(got.Rejects) != 3 {
		t.Errorf("%+v, %v: a finished batch was read again", got, err)
	}
}
