package flink

import (
	"fmt"
	"reflect"
	"slices"

	"silverbeam/schemas"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/core/graph"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/core/typex"
)

// subtaskBytes is what one subtask may send through a shuffle. Beam's runner for Flink batch jobs stands still for ever once a
// bundle, which is all that a subtask does for a stage, has sent 100 messages of some 4 MB (seen with Beam 2.62).
const subtaskBytes = 300_000_000

// checkShuffles refuses a graph that would stand still on Flink, by the step at fault: one that shuffles batches which hold
// their studies, or one whose descriptors, which one subtask makes, come to more than limit bytes. A source's element is a descriptor;
// those of a later step hold rows.
func checkShuffles(p *beam.Pipeline, limit int64) error {
	edges, _, err := p.Build()
	if err != nil {
		return err
	}
	maker := map[*graph.Node]*graph.MultiEdge{}
	for _, e := range edges {
		for _, out := range e.Output {
			maker[out.To] = e
		}
	}
	for _, e := range edges {
		if e.Op != graph.Reshuffle && e.Op != graph.CoGBK {
			continue
		}
		for _, in := range e.Input {
			bytes, listed := created(maker[in.From])
			if !listed && holds(in.From.Type()) {
				return fmt.Errorf("step %s passes studies through a shuffle: beyond some 400 MB of one subtask Flink would stand still; shuffle descriptors of batches, and read their rows after it", stepOf(e.Scope()))
			}
			if bytes > limit {
				return fmt.Errorf("step %s sends %d MB of descriptors from one subtask, and Flink would stand still: %d MB is the most; make fewer batches of more rows (batch_rows)", stepOf(e.Scope()), bytes/1e6, limit/1e6)
			}
		}
	}
	return nil
}

// created gives the encoded bytes of a beam.Create's elements, all of which its one subtask emits; false: the edge is none.
func created(e *graph.MultiEdge) (bytes int64, ok bool) {
	if e == nil || e.DoFn == nil || e.DoFn.Recv == nil {
		return 0, false
	}
	fn := reflect.Indirect(reflect.ValueOf(e.DoFn.Recv))
	if fn.Type().PkgPath() != reflect.TypeFor[beam.Scope]().PkgPath() || fn.Type().Name() != "createFn" {
		return 0, false
	}
	values, ok := fn.FieldByName("Values").Interface().([][]byte)
	for _, v := range values {
		bytes += int64(len(v))
	}
	return bytes, ok
}

// holds says whether an element of the type is a batch, or a pair or list with one.
func holds(t typex.FullType) bool {
	batch := reflect.TypeFor[schemas.Batch]()
	return t.Type() == batch || t.Type().Kind() == reflect.Slice && t.Type().Elem() == batch || slices.ContainsFunc(t.Components(), holds)
}

// stepOf is the outermost scope below the graph's own: the name of a step of the pipeline.
func stepOf(s *graph.Scope) (name string) {
	for ; s != nil && s.Parent != nil; s = s.Parent {
		name = s.Label
	}
	return name
}
