// Package dataset makes training data of labelled studies.
//
// dataset.Shards reads every volume once, brings it to a preset's grid and writes one Arrow file a batch: a row for each
// reconstruction, with its study's report and labels. After the last batch a manifest names the files; readers see only
// what it names. A volume that cannot be read leaves as a reject while its siblings stay.
package dataset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"silverbeam/pkg/bucket"
	"silverbeam/pkg/shard"
	"silverbeam/pkg/volume"
	"silverbeam/schemas"
	"silverbeam/transforms/internal/batch"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

// Name is the step's type.
const Name = "dataset.Shards"

// HUSources say how stored values become HU.
var HUSources = []string{"header", "metadata", "already-hu"}

// Storages say how the tensors are kept.
var Storages = []string{shard.Raw, shard.Compressed}

// resample is a value of Options.Tilted.
const resample = "resample"

// Options is the config block of a dataset.Shards step.
type Options struct {
	Preset   string `yaml:"preset"`    // how a training tensor is made; default demo
	HUSource string `yaml:"hu_source"` // header (default: the file's own slope and intercept), metadata (what CT-RATE's tables say, for its first version) or already-hu
	Tilted   string `yaml:"tilted"`    // resample: DICOM of a tilted gantry is sheared back onto a grid; default: it is refused
	Storage  string `yaml:"storage"`   // raw (default: fastest to read) or compressed (about 0.4 of the bytes)
	License  string `yaml:"license"`   // of the source, an SPDX id or a URL, for croissant.json; default: not known
	Out      string `yaml:"out"`       // s3://BUCKET/KEY where the data set goes, with a copy in the run folder; default the run folder alone
}

// Validate names every setting that cannot work.
func (o Options) Validate() error {
	var errs []error
	if !slices.Contains(volume.PresetNames(), o.withDefaults().Preset) {
		errs = append(errs, schemas.FieldError{Field: "preset", Value: o.Preset, Bound: "one of " + strings.Join(volume.PresetNames(), ", ")})
	}
	if !slices.Contains(HUSources, o.withDefaults().HUSource) {
		errs = append(errs, schemas.FieldError{Field: "hu_source", Value: o.HUSource, Bound: "one of " + strings.Join(HUSources, ", ")})
	}
	if o.Tilted != "" && o.Tilted != resample {
		errs = append(errs, schemas.FieldError{Field: "tilted", Value: o.Tilted, Bound: "one of " + resample})
	}
	if !slices.Contains(Storages, o.withDefaults().Storage) {
		errs = append(errs, schemas.FieldError{Field: "storage", Value: o.Storage, Bound: "one of " + strings.Join(Storages, ", ")})
	}
	if err := bucket.Check(o.Out); err != nil || o.Out != "" && !bucket.Is(o.Out) {
		bound := "s3://BUCKET/KEY"
		if err != nil {
			bound = err.Error()
		}
		errs = append(errs, schemas.FieldError{Field: "out", Value: bucket.Name(o.Out), Bound: bound})
	}
	return errors.Join(errs...)
}

func (o Options) withDefaults() Options {
	if o.Preset == "" {
		o.Preset = "demo"
	}
	if o.HUSource == "" {
		o.HUSource = "header"
	}
	if o.Storage == "" {
		o.Storage = shard.Raw
	}
	return o
}

// Identity is the digest of all that decides a shard beside the studies in it.
func (o Options) Identity() (string, error) {
	o = o.withDefaults()
	p, err := volume.PresetByName(o.Preset)
	parts := []string{p.Digest(), o.HUSource, shard.Schema, o.Storage}
	if o.Tilted != "" {
		parts = append(parts, "tilted "+o.Tilted)
	}
	return strings.Join(parts, " "), err
}

// Output is where the step's files go. config is the digest of the chain down to the step.
func Output(name, config string, o Options) batch.Output {
	return batch.Output{Step: name, Dir: "dataset", Ext: "arrow", Config: config, Store: o.Out}
}

// Shards writes every batch's shard, then the manifest: PCollection<Batch> → PCollection<Shard>, whose one element is
// the manifest. findings are the taxonomy's names, in order; labels: it also writes the table of labels, as no other step does.
func Shards(s beam.Scope, out batch.Output, o Options, findings []string, labels bool, run schemas.Run, in, done beam.PCollection) (beam.PCollection, error) {
	o = o.withDefaults()
	sh, err := batch.Write(s, out, &shards{Name: out.Step, Options: o, Findings: findings}, run, in, done)
	if err != nil {
		return beam.PCollection{}, err
	}
	s = s.Scope(out.Step)
	return beam.ParDo(s, &commitFn{Name: out.Step, Options: o, Findings: findings, Labels: labels, Run: run}, batch.Gather(s, sh)), nil
}

func init() { beam.RegisterType(reflect.TypeFor[shards]()) }

type shards struct {
	Name     string
	Options  Options
	Findings []string

	preset volume.Preset
	dir    string // the run folder
}

func (w *shards) Open(_ context.Context, run schemas.Run) (err error) {
	w.dir = run.Dir
	w.preset, err = volume.PresetByName(w.Options.Preset)
	return err
}

// world are errors that say nothing of the volume: the disk or the network in front of it, or too little memory or too
// few files of ours.
var world = []error{syscall.EIO, syscall.ESTALE, syscall.ETIMEDOUT, syscall.ENOTCONN, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, errCopy,
	syscall.ENOSPC, syscall.EDQUOT}

// job is one row to make: a reconstruction of a study.
type job struct {
	study  *schemas.Study
	volume schemas.Volume
	spool  *shard.Spool
	copy   *copied // of a volume in a bucket
}

// done is what became of a job.
type done struct {
	job
	shard.Kept
	cpu time.Duration
	err error // of the world
}

// making are the shards that this process makes at a time, of all batches that the runner hands it: two, since one that ends
// and waits for the disk leaves the cores to the other.
var making = make(chan struct{}, 2)

// reading are the volumes that are in flight at a time, of all shards: what a kill may cost.
var reading = make(chan struct{}, runtime.GOMAXPROCS(0))

// clock is that of the volumes.
var clock batch.Clock

// Write makes the batch's shard. A few volumes are read ahead of the one that is written, so that a few are in memory.
func (w *shards) Write(ctx context.Context, path string, b *schemas.Batch) (schemas.Shard, schemas.Passage, error) {
	p := schemas.Passage{Unit: "volumes"}
	select {
	case making <- struct{}{}:
		defer func() { <-making }()
	case <-ctx.Done():
		return schemas.Shard{}, p, ctx.Err()
	}
	spool := shard.OpenSpool(path)
	defer spool.Close()
	var jobs []job
	for i := range b.Studies {
		for _, v := range b.Studies[i].Volumes {
			jobs = append(jobs, job{study: &b.Studies[i], volume: v, spool: spool})
		}
	}
	defer fetch(ctx, filepath.Dir(path), jobs)()
	var at *schemas.Study
	rows := func(yield func(shard.Row, error) bool) {
		for d := range batch.Ordered(runtime.GOMAXPROCS(0), jobs, w.row) {
			if ctx.Err() != nil {
				yield(shard.Row{}, ctx.Err())
				return
			}
			if at != d.study {
				at = d.study
				batch.Tick(w.dir, w.Name)
			}
			p.In++
			p.CPUSeconds += d.cpu.Seconds()
			if d.err != nil {
				yield(shard.Row{}, fmt.Errorf("volume %s: %w", d.volume.ID, d.err))
				return
			}
			if d.Reason != "" {
				p.Rejects++
				b.Rejects = append(b.Rejects, schemas.Reject{Step: w.Name, Study: d.volume.ID, Class: "volume", Reason: d.Reason, Batch: b.ID})
				continue
			}
			p.Out++
			if !yield(shard.Row{Patient: d.study.Patient, Study: d.study.ID, Volume: d.volume.ID, Report: d.study.Report, Labels: d.study.Labels, HU: d.HU, Scan: d.Scan}, nil) {
				return
			}
		}
	}
	f, err := shard.Write(path, shard.Spec{Preset: w.preset, Findings: w.Findings, Split: b.Split, HUSource: w.Options.HUSource, Storage: w.Options.Storage}, rows)
	if err != nil {
		return schemas.Shard{}, p, err
	}
	entry, err := json.Marshal(f)
	return schemas.Shard{Rows: f.Rows, Digest: f.Digest, Entry: string(entry)}, p, err
}

// row takes what an earlier attempt has kept of a reconstruction, or reads it and keeps that.
func (w *shards) row(j job) (d done) {
	d.job = j
	if j.spool.Has(j.volume.ID) {
		d.Kept, d.err = j.spool.Take(j.volume.ID)
		return d
	}
	reading <- struct{}{}
	defer func() { <-reading }()
	stop := clock.Start()
	defer func() { d.cpu = stop() }()
	var err error
	d.Kept, err = w.read(j)
	if slices.ContainsFunc(world, func(e error) bool { return errors.Is(err, e) }) {
		d.err = err
		return d
	}
	if err != nil {
		d.Kept = shard.Kept{Reason: strings.Join(strings.Fields(err.Error()), " ")}
	}
	j.spool.Put(j.volume.ID, d.Kept)
	return d
}

// read brings one reconstruction to the preset's grid.
func (w *shards) read(j job) (k shard.Kept, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the reader failed on it: %v", r)
		}
	}()
	if w.Options.HUSource == "metadata" && j.volume.Metadata == (volume.Metadata{}) {
		return k, errors.New("hu_source metadata: its table has no row for it with RescaleSlope, RescaleIntercept, XYSpacing, ZSpacing and ImageOrientationPatient")
	}
	path, done, err := j.file()
	defer done()
	defer func() { err = j.named(err) }()
	if err != nil {
		return k, err
	}
	v, err := volume.OpenScan(path, volume.Options{HU: volume.HUSource{Kind: w.Options.HUSource, Metadata: j.volume.Metadata}, Series: j.volume.Series, Shear: w.Options.Tilted == resample}, "")
	if err != nil {
		return k, err
	}
	defer v.Close()
	v.Seen = new(volume.Histogram)
	if k.HU, err = w.preset.Tensor(v); err != nil {
		return k, err
	}
	k.Scan = shard.Scan{Shape: v.Shape, SpacingMM: v.SpacingMM, HU: v.Seen.Bins()}
	if err = v.Seen.Plausible(); err == nil {
		err = w.preset.Chest(k.HU, k.Scan.ExtentMM())
	}
	return k, err
}
