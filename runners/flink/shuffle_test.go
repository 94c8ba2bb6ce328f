package flink

import (
	"strings"
	"testing"

	"silverbeam/schemas"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

func read(b schemas.Batch) schemas.Batch {
	b.Studies = []schemas.Study{{ID: "s"}}
	return b
}

func keyed(b schemas.Batch) (string, schemas.Batch) { return b.Split, b }

func init() {
	beam.RegisterFunction(read)
	beam.RegisterFunction(keyed)
}

// What would stand still on Flink is refused by the name of its step, before anything is started; descriptors pass.
func TestShufflesThatStandStill(t *testing.T) {
	descriptors := []schemas.Batch{{ID: "a"}, {ID: "b"}, {ID: "c"}}
	for name, c := range map[string]struct {
		limit int64
		after func(s beam.Scope, read beam.PCollection)
		says  string
	}{
		"descriptors":                {subtaskBytes, func(beam.Scope, beam.PCollection) {}, ""},
		"too many descriptors":       {100, func(beam.Scope, beam.PCollection) {}, "step intake.Studies sends 0 MB of descriptors from one subtask"},
		"rows through a reshuffle":   {subtaskBytes, func(s beam.Scope, in beam.PCollection) { beam.Reshuffle(s.Scope("my.Step"), in) }, "step my.Step passes studies through a shuffle"},
		"rows through a grouping":    {subtaskBytes, func(s beam.Scope, in beam.PCollection) { beam.GroupByKey(s.Scope("my.Step"), beam.ParDo(s, keyed, in)) }, "step my.Step passes studies through a shuffle"},
		"rows, deep in a step's own": {subtaskBytes, func(s beam.Scope, in beam.PCollection) { beam.Reshuffle(s.Scope("my.Step").Scope("inner"), in) }, "step my.Step passes"},
		"rows that nothing gathers":  {subtaskBytes, func(s beam.Scope, in beam.PCollection) { beam.ParDo(s.Scope("my.Step"), read, in) }, ""},
	} {
		p, s := beam.NewPipelineWithRoot()
		source := s.Scope("intake.Studies")
		c.after(s, beam.ParDo(source, read, beam.Reshuffle(source, beam.CreateList(source, descriptors))))
		if err := checkShuffles(p, c.limit); c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v", name, err)
		}
		if c.limit == subtaskBytes && c.says != "" { // so does a run, whatever cluster it would have had
			if err := Execute(t.Context(), p, name, Options{JobEndpoint: "127.0.0.1:1"}); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: run: %v", name, err)
			}
		}
	}
}
