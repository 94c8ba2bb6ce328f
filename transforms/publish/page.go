// Package publish shows a run to people.
//
// publish.Page takes every result of the run and writes page.html anew after each, so that a first page is there when the
// data set is and the last one has everything. It reads the run folder alone.
package publish

import (
	"context"
	"fmt"
	"reflect"
	"sync"

	"silverbeam/schemas"
	"silverbeam/transforms/internal/batch"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

// Name is the step's type.
const Name = "publish.Page"

// Options is the config block of a publish.Page step.
type Options struct {
	ReportText bool `yaml:"report_text"` // show reports in the gallery; the page is then marked as holding them
}

// Validate has nothing to refuse.
func (Options) Validate() error { return nil }

// Page renders the run's page after each result: PCollections of Shard or Model. A single one the end of the run renders.
func Page(s beam.Scope, name string, o Options, run schemas.Run, results []beam.PCollection) {
	if len(results) < 2 {
		return
	}
	s = s.Scope(name)
	var names []beam.PCollection
	for _, r := range results {
		if r.Type().Type() == shardType {
			names = append(names, beam.ParDo(s, shardStep, r))
		} else {
			names = append(names, beam.ParDo(s, modelStep, r))
		}
	}
	beam.ParDo0(s, &renderFn{name, o, run}, beam.Flatten(s, names...))
}

var shardType = reflect.TypeFor[schemas.Shard]()

func shardStep(s schemas.Shard) string { return s.Step }
func modelStep(m schemas.Model) string { return m.Step }

// rendering keeps two results that arrive together from writing the page together.
var rendering sync.Mutex

type renderFn struct {
	Name    string
	Options Options
	Run     schemas.Run
}

func (f *renderFn) ProcessElement(_ context.Context, _ string) error {
	rendering.Lock()
	defer rendering.Unlock()
	if err := Write(f.Run.Dir, f.Options.ReportText); err != nil {
		return batch.Stop(f.Run, fmt.Errorf("%s: %w", f.Name, err))
	}
	return nil
}

func init() {
	beam.RegisterFunction(shardStep)
	beam.RegisterFunction(modelStep)
	beam.RegisterDoFn(reflect.TypeFor[renderFn]())
}
