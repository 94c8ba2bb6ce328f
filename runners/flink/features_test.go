package flink

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/runners/prism"
)

// What the graphs of this program use of Beam, each in a pipeline of its own: what Prism gives, Flink gives.
var features = map[string]struct {
	elements int
	of       func(beam.Scope) beam.PCollection
}{
	"create, reshuffle and a step": {1000, func(s beam.Scope) beam.PCollection {
		return beam.ParDo(s, twice, beam.Reshuffle(s, beam.CreateList(s, numbers(1000))))
	}},
	"two outputs and their union": {100, func(s beam.Scope) beam.PCollection {
		even, odd := beam.ParDo2(s, &parity{Of: 2}, beam.CreateList(s, numbers(100)))
		return beam.Flatten(s, beam.ParDo(s, twice, even), odd)
	}},
	"what is combined": {1, func(s beam.Scope) beam.PCollection {
		return beam.Combine(s, &joined{}, beam.Reshuffle(s, beam.CreateList(s, numbers(200))))
	}},
	"nothing, combined": {0, func(s beam.Scope) beam.PCollection {
		_, none := beam.ParDo2(s, &parity{Of: 1}, beam.CreateList(s, numbers(10)))
		return beam.Combine(s, &joined{}, none)
	}},
	"all under one key": {3, func(s beam.Scope) beam.PCollection {
		return beam.ParDo(s, inThrees, beam.GroupByKey(s, beam.AddFixedKey(s, beam.ParDo(s, twice, beam.CreateList(s, numbers(3))))))
	}},
	"pieces of work, searched apart and combined": {1, func(s beam.Scope) beam.PCollection {
		pieces := beam.ParDo(s, inThrees, beam.GroupByKey(s, beam.AddFixedKey(s, beam.CreateList(s, numbers(12)))))
		return beam.Combine(s, &joined{}, beam.ParDo(s, twice, beam.Reshuffle(s, pieces)))
	}},
	"what a step readies, and counts": {20, func(s beam.Scope) beam.PCollection {
		return beam.ParDo(s.Scope("outer").Scope("inner"), &readied{Suffix: "!"}, beam.CreateList(s, numbers(20)))
	}},
	"a coder of one's own": {50, func(s beam.Scope) beam.PCollection {
		return beam.ParDo(s, text, beam.Reshuffle(s, beam.ParDo(s, pack, beam.CreateList(s, numbers(50)))))
	}},
}

func numbers(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("%04d", i))
	}
	return all
}

func twice(s string) string { return s + s }

// inThrees emits as many texts as are grouped, each of which names three of them in order.
func inThrees(_ int, all func(*string) bool, emit func(string)) {
	var sorted []string
	for s := ""; all(&s); {
		sorted = append(sorted, s)
	}
	slices.Sort(sorted)
	for i := range sorted {
		emit(sorted[i] + sorted[(i+1)%len(sorted)] + sorted[(i+2)%len(sorted)])
	}
}

// readied is a step with options, which has something to make ready and a counter.
type readied struct {
	Suffix string

	ready string
	seen  beam.Counter
}

func (r *readied) Setup(context.Context) error {
	r.ready, r.seen = "ready"+r.Suffix, beam.NewCounter("readied", "seen")
	return nil
}

func (r *readied) ProcessElement(ctx context.Context, s string, emit func(string)) error {
	r.seen.Inc(ctx, 1)
	emit(s + r.ready)
	return nil
}

func text(p packed) string { return strings.Join(p.words, "+") }

func pack(s string) packed { return packed{[]string{s[:2], s[2:]}} }

// packed has a field that no coder of Beam's sees.
type packed struct{ words []string }

func encodePacked(p packed) []byte { return []byte(strings.Join(p.words, "\x00")) }

func decodePacked(b []byte) packed { return packed{strings.Split(string(b), "\x00")} }

// parity emits numbers that Of divides first, others second.
type parity struct{ Of int }

func (p *parity) ProcessElement(s string, yes, no func(string)) {
	n := 0
	_, _ = fmt.Sscan(strings.TrimLeft(s, "0"), &n)
	if n%p.Of == 0 {
		yes(s)
		return
	}
	no(s)
}

// joined makes one text of all, in order.
type joined struct{}

func (*joined) CreateAccumulator() []string { return nil }

func (*joined) AddInput(a []string, s string) []string { return append(a, s) }

func (*joined) MergeAccumulators(a, b []string) []string { return append(a, b...) }

func (*joined) ExtractOutput(a []string) string {
	slices.Sort(a)
	return fmt.Sprint(len(a), " ", strings.Join(a, ","))
}

// failing refuses one element.
type failing struct{ At string }

func (f *failing) ProcessElement(s string, emit func(string)) error {
	if s == f.At {
		return errors.New("the element " + s + " is one too many")
	}
	emit(s)
	return nil
}

// collect keeps what comes, by run. Steps work in this process on either runner; a batch that is repeated replaces nothing,
// so what comes is a set.
type collect struct{ Run string }

var collected sync.Map // run and element

func (c *collect) ProcessElement(s string) { collected.Store([2]string{c.Run, s}, true) }

func collectedBy(run string) (all []string) {
	collected.Range(func(k, _ any) bool {
		if k := k.([2]string); k[0] == run {
			all = append(all, k[1])
		}
		return true
	})
	slices.Sort(all)
	return all
}

func init() {
	beam.RegisterFunction(twice)
	beam.RegisterFunction(text)
	beam.RegisterFunction(pack)
	beam.RegisterDoFn(reflect.TypeFor[parity]())
	beam.RegisterDoFn(reflect.TypeFor[failing]())
	beam.RegisterDoFn(reflect.TypeFor[collect]())
	beam.RegisterFunction(inThrees)
	beam.RegisterDoFn(reflect.TypeFor[readied]())
	beam.RegisterType(reflect.TypeFor[joined]())
	beam.RegisterCoder(reflect.TypeFor[packed](), encodePacked, decodePacked)
}

func TestFeaturesOnFlink(t *testing.T) {
	if os.Getenv("SILVERBEAM_FLINK") == "" || testing.Short() {
		t.Skip("of make test-flink alone")
	}
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	beam.Init()
	ready, ended := make(chan bool), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { ended <- Stay(ctx, 2, "", func(s string) { t.Log(s) }, func(Cluster) { close(ready) }) }()
	select {
	case err := <-ended:
		t.Fatal(err)
	case <-ready:
	}
	defer func() { cancel(); <-ended }()
	build := func(run string, of func(beam.Scope) beam.PCollection) *beam.Pipeline {
		p, s := beam.NewPipelineWithRoot()
		beam.ParDo0(s, &collect{run}, of(s))
		return p
	}
	onFlink := func(run string, of func(beam.Scope) beam.PCollection) error {
		return Execute(t.Context(), build(run, of), run, Options{Dir: t.TempDir(), Say: func(string) {}})
	}
	for name, f := range features {
		t.Run(name, func(t *testing.T) {
			if _, err := beam.Run(t.Context(), "prism", build("prism: "+name, f.of)); err != nil {
				t.Fatal(err)
			}
			if err := onFlink("flink: "+name, f.of); err != nil {
				t.Fatal(err)
			}
			want, got := collectedBy("prism: "+name), collectedBy("flink: "+name)
			if len(want) != f.elements || !slices.Equal(got, want) {
				t.Errorf("%d elements, Prism gives %d\n%.200q\n%.200q", len(got), len(want), got, want)
			}
		})
	}
	t.Run("a step that fails", func(t *testing.T) {
		of := func(s beam.Scope) beam.PCollection {
			return beam.ParDo(s, &failing{At: "0007"}, beam.CreateList(s, numbers(10)))
		}
		if _, err := beam.Run(t.Context(), "prism", build("prism fails", of)); err == nil || !strings.Contains(err.Error(), "0007 is one too many") {
			t.Errorf("Prism: %v", err)
		}
		if err := onFlink("flink fails", of); err == nil || strings.Contains(err.Error(), "Plan") || !strings.Contains(err.Error(), "0007 is one too many") {
			t.Errorf("Flink: %v", err)
		}
	})
}
