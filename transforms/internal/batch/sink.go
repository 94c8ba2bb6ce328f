package batch

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"silverbeam/pkg/bucket"
	"silverbeam/pkg/shard"
	"silverbeam/schemas"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

// Sink is what a step writes that makes a file of every batch.
type Sink interface {
	Open(ctx context.Context, run schemas.Run) error
	// Write makes the file at path whole or not at all; it may keep what is through in path's spool meanwhile. What it refuses it adds to b.Rejects; the passage counts what
	// went in and came out, in the sink's own unit. A batch without rows makes no file: the shard's File is then "".
	Write(ctx context.Context, path string, b *schemas.Batch) (schemas.Shard, schemas.Passage, error)
}

// Output says where a sink's files go, so that intake can tell whether a batch is done.
type Output struct {
	Step   string // the sink's name
	Dir    string // below the run folder
	Ext    string
	Config string // digest of all that decides the file beside the batch's rows
	Store  string // URL of the place in a bucket where the files go too; "": nowhere. Then what is there is done
}

// File is the batch's file, relative to the run folder.
func (o Output) File(b schemas.Batch) string {
	return filepath.Join(o.Dir, b.Split, b.ID[:16]+"-"+o.Config[:8]+"."+o.Ext)
}

// Summary is what is kept of a batch beside its file.
type Summary struct {
	Shard   schemas.Shard     `json:"shard"`
	Trail   []schemas.Passage `json:"trail"`
	Rejects []schemas.Reject  `json:"rejects"`
	Labels  *Counts           `json:"labels,omitempty"`
}

// summary ends the name of a batch's summary, after that of its file.
const summary = ".summary.json"

// Done reads the batch's summary, if the sink finished it.
func (o Output) Done(dir string, b schemas.Batch) (s Summary, ok bool) {
	p, err := os.ReadFile(filepath.Join(dir, o.File(b)) + summary)
	if err != nil || json.Unmarshal(p, &s) != nil {
		return s, false
	}
	if s.Shard.File != "" && o.Store == "" {
		_, err = os.Stat(filepath.Join(dir, s.Shard.File))
	}
	s.Shard.Index = b.Index // the same rows may since have moved
	return s, err == nil
}

// Write runs a sink on every batch: PCollection<Batch> → PCollection<Shard>. done holds the shards of all sinks that
// intake found finished; the sink's own are taken from it.
func Write(s beam.Scope, o Output, st Sink, run schemas.Run, in, done beam.PCollection) (beam.PCollection, error) {
	t, opts, err := freeze(o.Step, st)
	if err != nil {
		return beam.PCollection{}, err
	}
	s = s.Scope(o.Step)
	out, err := beam.TryParDo(s, &sinkFn{Output: o, Type: t, Step: opts, Run: run}, in)
	if err != nil {
		return beam.PCollection{}, fmt.Errorf("%s: %w", o.Step, err)
	}
	return beam.Flatten(s, out[0], beam.ParDo(s, &ownFn{o.Step}, done)), nil
}

type sinkFn struct {
	Output Output
	Type   beam.EncodedType
	Step   []byte
	Run    schemas.Run

	sink  Sink
	clock Clock
}

func (f *sinkFn) Setup(ctx context.Context) (err error) {
	if f.sink, err = thaw[Sink](f.Output.Step, f.Type, f.Step); err != nil {
		return err
	}
	if err = f.sink.Open(ctx, f.Run); err != nil {
		return Stop(f.Run, fmt.Errorf("%s: %w", f.Output.Step, err))
	}
	return nil
}

func (f *sinkFn) ProcessElement(ctx context.Context, b schemas.Batch, emit func(schemas.Shard)) error {
	ctx, leave := Enter(ctx, f.Run.Dir)
	defer leave()
	sh, err := f.write(ctx, b)
	if err != nil {
		return Stop(f.Run, fmt.Errorf("%s: batch %s: %w", f.Output.Step, b.ID[:16], err))
	}
	emit(sh)
	return nil
}

// write makes the batch's file and, last, its summary.
func (f *sinkFn) write(ctx context.Context, b schemas.Batch) (schemas.Shard, error) {
	if s, ok := f.Output.Done(f.Run.Dir, b); ok { // another sink was the one to miss this batch
		return s.Shard, nil
	}
	start, stop := time.Now(), f.clock.Start()
	b.Rejects = slices.Clip(b.Rejects)
	path := filepath.Join(f.Run.Dir, f.Output.File(b))
	sh, p, err := f.sink.Write(context.WithValue(ctx, batchKey{}, b.ID), path, &b)
	if p.CPUSeconds += stop().Seconds(); err != nil {
		return sh, err
	}
	sh.Step, sh.Batch, sh.Index, sh.Split = f.Output.Step, b.ID, b.Index, b.Split
	if p.Step, p.Seconds = f.Output.Step, time.Since(start).Seconds(); sh.Rows > 0 {
		sh.File = f.Output.File(b)
	}
	if sh, err = f.Output.store(ctx, f.Run.Dir, sh); err != nil {
		return sh, err
	}
	sum, err := json.Marshal(Summary{sh, append(slices.Clip(b.Trail), p), b.Rejects, count(b.Studies)})
	if err == nil {
		err = shard.WriteFile(path+summary, sum)
	}
	if err == nil && f.Output.Store != "" {
		err = bucket.Put(ctx, f.Output.url(f.Output.File(b)+summary), path+summary)
	}
	if err == nil {
		_ = os.Remove(path + shard.SpoolSuffix)
	}
	return sh, err
}

// ownFn keeps the shards of one step.
type ownFn struct{ Step string }

func (f *ownFn) ProcessElement(_ context.Context, s schemas.Shard, emit func(schemas.Shard)) {
	if s.Step == f.Step {
		emit(s)
	}
}

func init() {
	beam.RegisterDoFn(reflect.TypeFor[sinkFn]())
	beam.RegisterDoFn(reflect.TypeFor[ownFn]())
}
