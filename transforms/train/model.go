// Package train fits models to a run's data set.
//
// train.Model takes the manifest, or the model of an earlier step, and gives a model: a folder with safetensors weights,
// their configuration, the history of the loss and a checkpoint. A finished model whose options and data have not
// changed is given again at once; a killed training goes on from its checkpoint to the same weights. A model that another
// run has finished is taken as it is.
package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"silverbeam/pkg/fit"
	"silverbeam/pkg/shard"
	"silverbeam/pkg/taxonomy"
	"silverbeam/schemas"
	"silverbeam/transforms/internal/batch"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

// Name is the step's type.
const Name = "train.Model"

// Recipes are the recipes that train.Model knows.
var Recipes = []string{"supervised", "clip"}

// Options is the config block of a train.Model step.
type Options struct {
	Recipe string  `yaml:"recipe"` // supervised or clip; needed, but for weights
	Width  int     `yaml:"width"`  // channels of the first stage; default 16, and the initial model's for clip
	Stem   int     `yaml:"stem"`   // stride and size of the first convolution: 2 or 4 voxels; default 4, and the initial model's for clip
	Epochs int     `yaml:"epochs"` // passes over the training studies; default 10, for clip 8
	Batch  int     `yaml:"batch"`  // studies a step; default 8, for clip 24
	LR     float64 `yaml:"lr"`     // the schedule's highest learning rate; default 0.002, for clip 0.0005
	Seed   uint64  `yaml:"seed"`   // of weights, order and augmentation; default 1
	Init   string  `yaml:"init"`   // clip: the step whose vision encoder it starts from

	Sample     string  `yaml:"sample"`     // balanced: studies of rare findings have more turns in an epoch, others fewer; default: each has one
	Augment    string  `yaml:"augment"`    // strong: volumes are also turned, scaled and made noisy; default: shifted and recalibrated a little
	Share      float64 `yaml:"share"`      // of the training patients, the first by a hash, so that a share holds all smaller ones; default 1
	Window     int     `yaml:"window"`     // studies that are mixed, of whole files in a random order: for data far away; default: all
	Validation string  `yaml:"validate"`   // what judges each epoch, so that the best one's weights are kept: a split of the data set, or a share of the training patients, such as 10%, that is then not trained on; default: nothing, and the last epoch's are
	Patience   int     `yaml:"patience"`   // with validate: epochs in a row that are not the best, after which the training ends; default: none does
	Accumulate int     `yaml:"accumulate"` // parts that a batch is taken in, a divisor of batch: memory for a part, gradients of all; default 1
	Recompute  bool    `yaml:"recompute"`  // train in less memory and more time; changes no result
	FrozenBN   bool    `yaml:"frozen_bn"`  // clip with init: the vision tower normalises by its running statistics and leaves them

	MemoryMB int `yaml:"memory_mb"` // of prepared batches and of volumes that are read; default: two batches; changes no result

	Engine string `yaml:"engine"` // gorgonia, on the CPU, or xla, by a PJRT plugin on a GPU; default gorgonia
	DType  string `yaml:"dtype"`  // f32, or bf16: the products of convolutions and linear layers; default f32

	Weights string `yaml:"weights"` // a finished model's folder, taken as it is instead of training; alone
}

// Validate names every setting that cannot work.
func (o Options) Validate() error {
	var errs []error
	bad := func(field string, value any, bound string) {
		errs = append(errs, schemas.FieldError{Field: field, Value: value, Bound: bound})
	}
	if o.Weights != "" {
		if o != (Options{Weights: o.Weights}) {
			bad("weights", o.Weights, "no other option with it: nothing is trained")
		}
		return errors.Join(errs...)
	}
	if !slices.Contains(Recipes, o.Recipe) {
		bad("recipe", o.Recipe, "one of "+strings.Join(Recipes, ", "))
	}
	if o.Width != 0 && (o.Width < 8 || o.Width > 128 || o.Width%8 != 0) {
		bad("width", o.Width, "a multiple of 8 from 8 to 128")
	}
	if o.Stem != 0 && o.Stem != 2 && o.Stem != 4 {
		bad("stem", o.Stem, "2 or 4")
	}
	if o.Epochs < 0 || o.Epochs > 1000 {
		bad("epochs", o.Epochs, "1 to 1000")
	}
	if o.Batch < 0 || o.Batch > 4096 {
		bad("batch", o.Batch, "1 to 4096")
	}
	if o.LR < 0 || o.LR > 1 {
		bad("lr", o.LR, "more than 0, at most 1")
	}
	if o.Sample != "" && o.Sample != fit.Balanced {
		bad("sample", o.Sample, "one of "+fit.Balanced)
	}
	if o.Augment != "" && o.Augment != fit.Strong {
		bad("augment", o.Augment, "one of "+fit.Strong)
	}
	if o.Sample != "" && o.Recipe == fit.Clip {
		bad("sample", o.Sample, "only for recipe supervised: the same study twice in a batch would be taken for two")
	}
	if o.Share < 0 || o.Share > 1 {
		bad("share", o.Share, "more than 0, at most 1")
	}
	if _, _, err := fit.ParseValidate(o.Validation); err != nil {
		bad("validate", o.Validation, "a split other than train, or more than 0% and at most 50%")
	}
	if o.Patience < 0 || o.Patience > 0 && o.Validation == "" {
		bad("patience", o.Patience, "0 (no early stop) or more, and only with validate")
	}
	if o.Window < 0 {
		bad("window", o.Window, "0 (all studies) or more")
	}
	batch := cmp.Or(o.Batch, map[string]int{fit.Supervised: 8, fit.Clip: 24}[o.Recipe])
	if o.Accumulate < 0 || o.Accumulate > 1 && batch%o.Accumulate != 0 {
		bad("accumulate", o.Accumulate, "a divisor of batch")
	}
	if o.FrozenBN && o.Init == "" {
		bad("frozen_bn", o.FrozenBN, "only with init, whose statistics it takes")
	}
	if o.MemoryMB < 0 {
		bad("memory_mb", o.MemoryMB, "0 (two batches) or more")
	}
	if !slices.Contains([]string{"", "gorgonia", "xla"}, o.Engine) {
		bad("engine", o.Engine, "one of gorgonia, xla")
	}
	if !slices.Contains([]string{"", "f32", "bf16"}, o.DType) {
		bad("dtype", o.DType, "one of f32, bf16")
	}
	if o.Recipe != "clip" && o.Init != "" {
		bad("init", o.Init, "only for recipe clip")
	}
	return errors.Join(errs...)
}

// Model trains on the data set of the run: PCollection<Shard> of the manifest, or PCollection<Model> → PCollection<Model>.
func Model(s beam.Scope, name string, o Options, findings string, run schemas.Run, in beam.PCollection) beam.PCollection {
	t := trainer{Name: name, Options: o, Findings: findings, Run: run}
	s = s.Scope(name)
	if in.Type().Type() == shardType {
		return beam.ParDo(s, &onShards{t}, in)
	}
	return beam.ParDo(s, &onModel{t}, in)
}

// shardType is the element that the first training of a chain takes.
var shardType = reflect.TypeFor[schemas.Shard]()

type trainer struct {
	Name     string
	Options  Options
	Findings string // the taxonomy, by name or file
	Run      schemas.Run
}

// train makes the model's folder and names it.
func (t trainer) train(ctx context.Context) (m schemas.Model, err error) {
	if t.Options.Weights != "" {
		return t.take()
	}
	tax, err := taxonomy.Load(t.Findings)
	if err != nil {
		return m, err
	}
	data, err := shard.Open(filepath.Join(t.Run.Dir, "dataset"))
	if err != nil {
		return m, err
	}
	defer data.Close()
	fo := t.Options.Fit()
	if t.Options.Init != "" {
		fo.Init = filepath.Join(t.Run.Dir, "models", t.Options.Init)
	}
	rel := filepath.Join("models", t.Name)
	res, err := fit.Train(ctx, data, tax, filepath.Join(t.Run.Dir, rel), fo, nil)
	if err != nil {
		return m, err
	}
	return schemas.Model{Step: t.Name, Path: rel, Digest: res.Digest}, nil
}

// Fit is what pkg/fit takes of the options; Init is a step's name yet.
func (o Options) Fit() fit.Options {
	return fit.Options{Recipe: o.Recipe, Width: o.Width, Stem: o.Stem, Epochs: o.Epochs, Batch: o.Batch, LR: o.LR, Seed: o.Seed,
		Sample: o.Sample, Augment: o.Augment, Share: o.Share, Window: o.Window, Memory: int64(o.MemoryMB) << 20,
		Validate: o.Validation, Patience: o.Patience, Accumulate: o.Accumulate, Recompute: o.Recompute, FrozenBN: o.FrozenBN, Engine: o.Engine, DType: o.DType, Init: o.Init}
}

// Spent is the time that a step's model has taken so far, over all runs; zero before its first step.
func Spent(dir, step string) (seconds, cpuSeconds float64) {
	all, err := fit.ReadHistory(filepath.Join(dir, "models", step))
	if err != nil || len(all) == 0 {
		return 0, 0
	}
	last := all[len(all)-1]
	return last.Seconds, last.CPU
}

type onShards struct{ T trainer }

func (f *onShards) ProcessElement(ctx context.Context, _ schemas.Shard, emit func(schemas.Model)) error {
	return f.T.emit(ctx, emit)
}

type onModel struct{ T trainer }

func (f *onModel) ProcessElement(ctx context.Context, _ schemas.Model, emit func(schemas.Model)) error {
	return f.T.emit(ctx, emit)
}

func (t trainer) emit(ctx context.Context, emit func(schemas.Model)) error {
	m, err := t.train(ctx)
	if err != nil {
		return batch.Stop(t.Run, fmt.Errorf("%s: %w", t.Name, err))
	}
	emit(m)
	return nil
}

func init() {
	beam.RegisterDoFn(reflect.TypeFor[onShards]())
	beam.RegisterDoFn(reflect.TypeFor[onModel]())
}
