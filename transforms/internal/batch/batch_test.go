package batch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"silverbeam/pkg/shard"
	"silverbeam/schemas"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/runners/prism"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/testing/passert"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/testing/ptest"
)

func TestMain(m *testing.M) { ptest.Main(m) }

// upper writes reports in capitals, refuses those that say so and breaks as told.
type upper struct {
	Suffix string
	AtOnce int
}

var inside, most atomic.Int64

func (u *upper) Open(context.Context, schemas.Run) (int, error) { return u.AtOnce, nil }

func (u *upper) Study(_ context.Context, s *schemas.Study) error {
	n := inside.Add(1)
	defer inside.Add(-1)
	for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
	}
	switch s.Report {
	case "yield":
		runtime.Gosched()
	case "refuse":
		return schemas.Refusal{Class: "told", Reason: "it said so"}
	case "break":
		return errors.New("the world is bad")
	case "panic":
		panic("the code is bad")
	}
	s.Report = strings.ToUpper(s.Report) + u.Suffix
	return nil
}

type unregistered struct{ upper }

// lines writes a line for each study.
type lines struct{}

func (lines) Open(context.Context, schemas.Run) error { return nil }

func (lines) Write(_ context.Context, path string, b *schemas.Batch) (schemas.Shard, schemas.Passage, error) {
	var w bytes.Buffer
	for _, s := range b.Studies {
		fmt.Fprintln(&w, s.ID, s.Report)
	}
	n := len(b.Studies)
	return schemas.Shard{Rows: n}, schemas.Passage{Unit: "studies", In: n, Out: n}, shard.WriteFile(path, w.Bytes())
}

// fill reads a test's batch: its studies are spelled in Range.Path.
func fill(b schemas.Batch, emit func(schemas.Batch)) {
	for i, r := range strings.Split(b.Range.Path, ",") {
		b.Studies = append(b.Studies, schemas.Study{ID: fmt.Sprint("s", i), Report: r})
	}
	emit(b)
}

func texts(b schemas.Batch) string {
	var out []string
	for _, s := range b.Studies {
		out = append(out, s.ID+"="+s.Report)
	}
	for _, r := range b.Rejects {
		out = append(out, r.Step+"!"+r.Study+":"+r.Class)
	}
	for _, p := range b.Trail {
		out = append(out, fmt.Sprintf("%s %d=%d+%d", p.Step, p.In, p.Out, p.Rejects))
	}
	return strings.Join(out, " ")
}

func file(s schemas.Shard) string { return s.Step + " " + s.File }

func init() {
	beam.RegisterType(reflect.TypeFor[upper]())
	beam.RegisterType(reflect.TypeFor[lines]())
	beam.RegisterFunction(fill)
	beam.RegisterFunction(texts)
	beam.RegisterFunction(file)
}

func batchOf(reports ...string) schemas.Batch {
	b := schemas.Batch{ID: strings.Repeat("0123456789abcdef", 4)}
	b.Range.Path = strings.Join(reports, ",")
	return b
}

func run(t *testing.T, b schemas.Batch, build func(s beam.Scope, in beam.PCollection) error) error {
	t.Helper()
	p, s := beam.NewPipelineWithRoot()
	if err := build(s, beam.ParDo(s, fill, beam.CreateList(s, []schemas.Batch{b}))); err != nil {
		return err
	}
	_, err := beam.Run(t.Context(), "prism", p)
	return err
}

// Reports and labels of a batch that has passed are let go, though the runner holds on to the element.
func TestLetsGo(t *testing.T) {
	st, in := &upper{}, schemas.Batch{Studies: []schemas.Study{{ID: "a", Report: "x"}, {ID: "b", Report: "refuse"}}}
	f := &eachFn{Name: "up"}
	var err error
	if f.l, err = lift(t.Context(), "up", st, schemas.Run{}); err != nil {
		t.Fatal(err)
	}
	var out schemas.Batch
	err = errors.Join(f.ProcessElement(t.Context(), in, nil), f.FinishBundle(t.Context(), func(b schemas.Batch) {
		if out = b; len(b.Studies) != 1 || b.Studies[0].Report != "X" {
			t.Errorf("%v", b.Studies)
		}
	}))
	if all := out.Studies[:cap(out.Studies)]; err != nil || len(all) != 2 || slices.ContainsFunc(all, func(s schemas.Study) bool { return s.ID != "" || s.Report != "" }) {
		t.Errorf("%v, %v", all, err)
	}
	if in.Studies[0].Report != "x" {
		t.Error("what another consumer may hold is gone")
	}
}

func TestEach(t *testing.T) {
	cases := []struct {
		name    string
		reports []string
		want    string
	}{
		{"order is kept", []string{"a", "b", "c"}, "s0=A s1=B s2=C up 3=3+0"},
		{"a refusal leaves, its neighbours stay", []string{"a", "refuse", "c"}, "s0=A s2=C up!s1:told up 3=2+1"},
		{"all leave", []string{"refuse"}, "up!s0:told up 1=0+1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := run(t, batchOf(c.reports...), func(s beam.Scope, in beam.PCollection) error {
				out, err := Each(s, "up", &upper{}, schemas.Run{}, in)
				if err == nil {
					passert.Equals(s, beam.ParDo(s, texts, out), c.want)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestTwoReadersOfOneBatchDoNotSeeEachOther(t *testing.T) {
	err := run(t, batchOf("a", "b"), func(s beam.Scope, in beam.PCollection) error {
		one, err := Each(s, "one", &upper{Suffix: "1"}, schemas.Run{}, in)
		if err != nil {
			return err
		}
		two, err := Each(s, "two", &upper{Suffix: "2"}, schemas.Run{}, one)
		if err != nil {
			return err
		}
		other, err := Each(s, "other", &upper{Suffix: "3"}, schemas.Run{}, one)
		if err != nil {
			return err
		}
		passert.Equals(s, beam.ParDo(s, texts, two), "s0=A12 s1=B12 one 2=2+0 two 2=2+0")
		passert.Equals(s, beam.ParDo(s, texts, other), "s0=A13 s1=B13 one 2=2+0 other 2=2+0")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestABrokenWorldStopsTheRunByName(t *testing.T) {
	for report, want := range map[string]string{"break": "up: study s1: the world is bad", "panic": "up: study s1: panic: the code is bad"} {
		dir := t.TempDir()
		err := run(t, batchOf("a", report), func(s beam.Scope, in beam.PCollection) error {
			_, err := Each(s, "up", &upper{}, schemas.Run{Dir: dir}, in)
			return err
		})
		cause := Cause(dir)
		if err == nil || cause == nil || !strings.HasPrefix(cause.Error(), want) {
			t.Errorf("%s: error %v, cause %v; want %q", report, err != nil, cause, want)
		}
	}
}

// What stops a worker in a process of its own is known by what it is where the run is waited for.
func TestErrorsOfOtherProcesses(t *testing.T) {
	dir := t.TempDir()
	_ = Stop(schemas.Run{Dir: dir}, fmt.Errorf("up: study s1: %w", ErrRejects))
	stopped.Delete(dir) // which another process does not have
	if err := Failing(dir); !errors.Is(err, ErrRejects) || errors.Is(err, os.ErrPermission) || err.Error() != "up: study s1: too many rejects" {
		t.Errorf("%v", err)
	}
	if err := Cause(dir); !errors.Is(err, ErrRejects) {
		t.Errorf("%v", err)
	}
	_ = Stop(schemas.Run{Dir: dir}, fmt.Errorf("up: %w", context.Canceled)) // it was told to end
	if err := Failing(dir); err != nil {
		t.Errorf("%v", err)
	}
}

func TestAnUnregisteredStepFailsWhileBuilding(t *testing.T) {
	err := run(t, batchOf("a"), func(s beam.Scope, in beam.PCollection) error {
		_, err := Each(s, "up", &unregistered{}, schemas.Run{}, in)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "up: batch.unregistered is not registered") {
		t.Fatalf("error %v", err)
	}
}

func TestCallsWaitTogetherUpToTheirLimit(t *testing.T) {
	most.Store(0)
	b := batchOf(strings.Split(strings.Repeat("a,", 63)+"a", ",")...)
	if err := run(t, b, func(s beam.Scope, in beam.PCollection) error {
		_, err := Each(s, "up", &upper{AtOnce: 8}, schemas.Run{}, in)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if m := most.Load(); m > 8 {
		t.Fatalf("%d studies at once, limit 8", m)
	}
}

func TestStepsThatComputeShareTheCores(t *testing.T) {
	most.Store(0)
	l := &lifted{name: "up", step: &upper{}}
	var wg sync.WaitGroup
	for k := range 4 {
		studies := make([]schemas.Study, 2000)
		for i := range studies {
			studies[i].Report = "yield"
		}
		if k == 0 {
			studies[1000].Report = "panic"
		}
		wg.Go(func() {
			if _, _, err := l.each(t.Context(), studies); (err != nil) != (k == 0) {
				t.Errorf("batch %d: %v", k, err)
			}
		})
	}
	wg.Wait()
	if m := most.Load(); m > int64(cap(cores)) || len(cores) > 0 {
		t.Fatalf("%d studies at once, %d cores of %d still held", m, len(cores), cap(cores))
	}
}

func TestAFullBatchIsNeverShuffled(t *testing.T) {
	err := run(t, batchOf("a"), func(s beam.Scope, in beam.PCollection) error {
		beam.ParDo(s, texts, beam.Reshuffle(s, in))
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "with 1 studies in it: only descriptors may be") {
		t.Fatalf("error %v", err)
	}
}

func TestWriteLeavesAFileAndASummary(t *testing.T) {
	dir, o := t.TempDir(), Output{Step: "sink", Dir: "dataset", Ext: "txt", Config: "c0ffee00c0ffee00"}
	b := batchOf("a", "refuse", "c")
	if _, ok := o.Done(dir, b); ok {
		t.Fatal("done before it began")
	}
	for range 2 { // the second time the file is there
		err := run(t, b, func(s beam.Scope, in beam.PCollection) error {
			out, err := Each(s, "up", &upper{}, schemas.Run{Dir: dir}, in)
			if err != nil {
				return err
			}
			none := beam.CreateList(s, []schemas.Shard{{Step: "elsewhere"}})
			sh, err := Write(s, o, &lines{}, schemas.Run{Dir: dir}, out, none)
			if err == nil {
				passert.Equals(s, beam.ParDo(s, file, sh), "sink dataset/0123456789abcdef-c0ffee00.txt")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(filepath.Join(dir, o.File(b)))
	if want := "s0 A\ns2 C\n"; err != nil || string(got) != want {
		t.Fatalf("file %q, error %v; want %q", got, err, want)
	}
	s, ok := o.Done(dir, b)
	if !ok || len(s.Rejects) != 1 || len(s.Trail) != 2 || s.Trail[1].In != 2 {
		t.Fatalf("summary %+v", s)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*", "*.tmp")); len(left) > 0 {
		t.Fatalf("left behind: %v", left)
	}
}

// A batch is worked on while the one before is taken on, whatever becomes of that: all come out in order, and of a chain that
// fails nothing is worked on any more.
func TestOneBatchAhead(t *testing.T) {
	f := &eachFn{Name: "up"}
	var err error
	if f.l, err = lift(t.Context(), "up", &upper{}, schemas.Run{}); err != nil {
		t.Fatal(err)
	}
	var out []string
	emit := func(b schemas.Batch) { out = append(out, b.ID+texts(b)) }
	feed := func(id, report string) error {
		b := schemas.Batch{ID: id, Studies: []schemas.Study{{ID: "s", Report: report}}, Rows: []string{"s"}}
		err := f.ProcessElement(t.Context(), b, emit)
		b.Studies[0], b.Rows[0] = schemas.Study{}, "" // as who has emitted it does
		return err
	}
	for i := range 3 {
		if err := feed(fmt.Sprint(i), "x"); err != nil || len(out) != i || len(places) != 1 {
			t.Fatalf("%v, %q, %d places taken", err, out, len(places))
		}
	}
	if err := f.FinishBundle(t.Context(), emit); err != nil || strings.Join(out, ",") != "0s=X up 1=1+0,1s=X up 1=1+0,2s=X up 1=1+0" || len(places) != 0 {
		t.Fatalf("%v, %q", err, out)
	}

	for range cap(places) {
		places <- struct{}{}
	}
	if err := feed("3", "x"); err != nil || len(out) != 4 || f.ahead != nil {
		t.Errorf("without a place: %v, %q", err, out)
	}
	for range cap(places) {
		<-places
	}

	if err := errors.Join(feed("4", "break"), feed("5", "x")); err == nil || f.ahead != nil || len(places) != 0 {
		t.Errorf("%v, ahead %v, %d places taken", err, f.ahead, len(places))
	}
	_ = feed("6", "x")
	func() {
		defer func() { _ = recover() }()
		emit = func(schemas.Batch) { panic("a later step") }
		_ = feed("7", "x")
	}()
	if f.ahead != nil || len(places) != 0 || len(out) != 4 {
		t.Errorf("after a panic: ahead %v, %d places taken, %q", f.ahead, len(places), out)
	}
}

// Of the studies that took a worker much longer than the others, only those count that took it so long.
func TestWork(t *testing.T) {
	for name, c := range map[string]struct {
		took []time.Duration
		want time.Duration
	}{
		"even":                    {slices.Repeat([]time.Duration{time.Millisecond}, 30), 30 * time.Millisecond},
		"one interrupted":         {append(slices.Repeat([]time.Duration{20 * time.Microsecond}, 30), 10*time.Millisecond), 31 * 20 * time.Microsecond},
		"long ones":               {slices.Repeat([]time.Duration{time.Second}, 30), 30 * time.Second},
		"a long one at the start": {append([]time.Duration{time.Second}, slices.Repeat([]time.Duration{time.Millisecond}, 30)...), 1030 * time.Millisecond},
		"none":                    {},
	} {
		var w work
		for _, d := range c.took {
			w.add(d)
		}
		if got := w.total(); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// Pieces whose thread's clock nobody reads are given what those that were measured took of their time.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Clock
		c.cpu.Store(30)
		c.wall.Store(100)
		for n := 1; n <= 3*measuredEach; n++ {
			stop, wall := c.Start(), c.wall.Load()
			time.Sleep(10 * time.Second)
			measured := n <= measuredEach || n%measuredEach == 0
			if spent := stop(); measured == (spent == 3*time.Second) || measured != (c.wall.Load() == wall+int64(10*time.Second)) {
				t.Errorf("piece %d: %v, %v measured", n, spent, time.Duration(c.wall.Load()-wall))
			}
			c.cpu.Store(30)
			c.wall.Store(100)
		}
	})
}

// A batch's seconds are those of the work on it, however long it then waits to be taken on.
func TestSecondsOfABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := lift(t.Context(), "up", &upper{}, schemas.Run{})
		if err != nil {
			t.Fatal(err)
		}
		p := l.begin(t.Context(), schemas.Batch{Studies: []schemas.Study{{ID: "s", Report: "x"}}})
		time.Sleep(time.Hour)
		if b, err := p.end(t.Context(), l); err != nil || len(b.Trail) != 1 || b.Trail[0].Seconds != 0 {
			t.Errorf("%v, %v", b.Trail, err)
		}
	})
}
