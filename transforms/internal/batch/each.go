package batch

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"silverbeam/schemas"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/core/runtime"
)

// Each runs a step on the studies of every batch: PCollection<Batch> → PCollection<Batch>. What the step refuses
// travels on in Batch.Rejects. A step whose type is not registered with beam.RegisterType is an error here.
func Each(s beam.Scope, name string, st Step, run schemas.Run, in beam.PCollection) (beam.PCollection, error) {
	t, opts, err := freeze(name, st)
	if err != nil {
		return beam.PCollection{}, err
	}
	out, err := beam.TryParDo(s.Scope(name), &eachFn{Name: name, Type: t, Step: opts, Run: run}, in)
	if err != nil {
		return beam.PCollection{}, fmt.Errorf("%s: %w", name, err)
	}
	return out[0], nil
}

// eachFn is the one DoFn behind every step on studies.
type eachFn struct {
	Name string
	Type beam.EncodedType // the step's registered struct
	Step []byte           // its exported fields, as JSON
	Run  schemas.Run

	l *lifted
}

func (f *eachFn) Setup(ctx context.Context) error {
	st, err := thaw[Step](f.Name, f.Type, f.Step)
	if err != nil {
		return err
	}
	f.l, err = lift(ctx, f.Name, st, f.Run)
	return Stop(f.Run, err)
}

func (f *eachFn) ProcessElement(ctx context.Context, b schemas.Batch, emit func(schemas.Batch)) error {
	ctx, leave := Enter(ctx, f.Run.Dir)
	defer leave()
	b, err := f.l.batch(ctx, b)
	if err == nil {
		emit(b)
		clear(b.Studies[:cap(b.Studies)]) // the runner keeps a step's last element until its next one, of each bundle that it has had at once
	}
	return Stop(f.Run, err)
}

// freeze turns a step into what travels.
func freeze(name string, st any) (beam.EncodedType, []byte, error) {
	t := reflect.TypeOf(st).Elem()
	if k, ok := runtime.TypeKey(t); !ok {
		return beam.EncodedType{}, nil, fmt.Errorf("%s: %v has no name to travel by", name, t)
	} else if _, ok := runtime.LookupType(k); !ok {
		return beam.EncodedType{}, nil, fmt.Errorf("%s: %v is not registered in init", name, t)
	}
	opts, err := json.Marshal(st)
	if err != nil {
		return beam.EncodedType{}, nil, fmt.Errorf("%s: options: %w", name, err)
	}
	return beam.EncodedType{T: t}, opts, nil
}

// thaw makes a step of what travelled.
func thaw[S any](name string, t beam.EncodedType, opts []byte) (S, error) {
	st, ok := reflect.New(t.T).Interface().(S)
	if !ok {
		return st, fmt.Errorf("%s: %v is not a %v", name, t.T, reflect.TypeFor[S]())
	}
	if err := json.Unmarshal(opts, st); err != nil {
		return st, fmt.Errorf("%s: options: %w", name, err)
	}
	return st, nil
}

func init() {
	beam.RegisterDoFn(reflect.TypeFor[eachFn]())
}
