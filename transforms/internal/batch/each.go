package batch

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"

	"silverbeam/schemas"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	beamtypes "github.com/apache/beam/sdks/v2/go/pkg/beam/core/runtime"
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

// eachFn is the one DoFn behind every step on studies. A batch is worked on while the bundle's steps before read the next
// one and those after take the last one.
type eachFn struct {
	Name string
	Type beam.EncodedType // the step's registered struct
	Step []byte           // its exported fields, as JSON
	Run  schemas.Run

	l     *lifted
	ahead *passing // nil: none
}

func (f *eachFn) Setup(ctx context.Context) error {
	st, err := thaw[Step](f.Name, f.Type, f.Step)
	if err != nil {
		return err
	}
	f.l, err = lift(ctx, f.Name, st, f.Run)
	return Stop(f.Run, err)
}

// places bound the batches of this process that are ahead: without one, a batch is worked on alone.
var places = make(chan struct{}, runtime.GOMAXPROCS(0))

func (f *eachFn) ProcessElement(ctx context.Context, b schemas.Batch, emit func(schemas.Batch)) error {
	now, last := f.l.begin(ctx, b), f.ahead
	if last == nil {
		select {
		case places <- struct{}{}:
		default:
			return f.hand(ctx, now, emit)
		}
	}
	f.ahead = now
	return f.hand(ctx, last, emit)
}

func (f *eachFn) FinishBundle(ctx context.Context, emit func(schemas.Batch)) error {
	last := f.ahead
	if f.ahead = nil; last != nil {
		defer func() { <-places }()
	}
	return f.hand(ctx, last, emit)
}

// hand waits for a batch and emits it. When it fails, nothing is worked on any more.
func (f *eachFn) hand(ctx context.Context, p *passing, emit func(schemas.Batch)) error {
	handed := false
	defer func() { // also where emit panics, as it does when a later step fails
		if !handed && f.ahead != nil {
			f.ahead.cancel()
			<-f.ahead.done
			f.ahead = nil
			<-places
		}
	}()
	if p != nil {
		b, err := p.end(ctx, f.l)
		if err != nil {
			return Stop(f.Run, err)
		}
		emit(b)
		clear(b.Studies[:cap(b.Studies)]) // the runner keeps a step's last element until its next one, of each bundle that it has had at once
	}
	handed = true
	return nil
}

// freeze turns a step into what travels.
func freeze(name string, st any) (beam.EncodedType, []byte, error) {
	t := reflect.TypeOf(st).Elem()
	if k, ok := beamtypes.TypeKey(t); !ok {
		return beam.EncodedType{}, nil, fmt.Errorf("%s: %v has no name to travel by", name, t)
	} else if _, ok := beamtypes.LookupType(k); !ok {
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
