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

	Vision     string           `yaml:"vision"`     // a .safetensors file with weights under torchvision's names that the vision encoder starts from; default: random ones, or init's
	Partial    bool             `yaml:"partial"`    // vision may lack some of the encoder's weights, which then start at random
	Text       string           `yaml:"text"`       // clip: a folder of Hugging Face's with the BERT that the text encoder starts from: config.json, vocab.txt, model.safetensors; default: a small one, at random
	Embeddings batch.Embeddings `yaml:"embeddings"` // clip: what embeds reports in place of a text encoder: a file of vectors, or an endpoint; beside weights that were trained so: what embeds texts in evaluation; default: nothing does
	Trainable  []string         `yaml:"trainable"`  // the parameters that are trained, by name, in which * stands for any text; the others stay as they are; default: all are

	Sample     string      `yaml:"sample"`     // balanced: studies of rare findings have more turns in an epoch, others fewer; default: each has one
	Augment    string      `yaml:"augment"`    // strong: volumes are also turned, scaled and made noisy; default: shifted and recalibrated a little
	Share      float64     `yaml:"share"`      // of the training patients, the first by a hash, so that a share holds all smaller ones; default 1
	Window     int         `yaml:"window"`     // studies that are mixed, of whole files in a random order: for data far away; default: all
	Objectives []Objective `yaml:"objectives"` // losses whose weighted sum trains the model; default bce, for clip contrastive

	Validation string `yaml:"validate"`   // what judges each epoch, so that the best one's weights are kept: a split of the data set, or a share of the training patients, such as 10%, that is then not trained on; default: nothing, and the last epoch's are
	Patience   int    `yaml:"patience"`   // with validate: epochs in a row that are not the best, after which the training ends; default: none does
	Accumulate int    `yaml:"accumulate"` // parts that a batch is taken in, a divisor of batch: memory for a part, gradients of all; default 1
	Recompute  bool   `yaml:"recompute"`  // train in less memory and more time; changes no result
	FrozenBN   bool   `yaml:"frozen_bn"`  // clip with init: the vision tower normalises by its running statistics and leaves them

	MemoryMB int `yaml:"memory_mb"` // of prepared batches and of volumes that are read; default: two batches; changes no result

	Engine string `yaml:"engine"` // gorgonia, on the CPU, or xla, by a PJRT plugin on a GPU; default gorgonia
	DType  string `yaml:"dtype"`  // f32, or bf16: the products of convolutions and linear layers; default f32

	Weights string `yaml:"weights"` // a finished model's folder, taken as it is instead of training; alone
}

// Objective is one of the losses whose weighted sum trains a model.
type Objective struct {
	Loss   string  `yaml:"loss"`   // bce, contrastive (clip), supcon
	Weight float64 `yaml:"weight"` // in the sum; 1

	Missing   string  `yaml:"missing"`    // of bce: what labels that are not known count as: mask (left out), zero, one; mask
	PosWeight float64 `yaml:"pos_weight"` // of bce: factor on the loss of findings that are present; 1

	Form        string  `yaml:"form"`         // of contrastive: softmax (over the batch), sigmoid (each pair on its own); softmax
	Likeness    string  `yaml:"likeness"`     // of contrastive: cosine, or dot, the product of projections as they are; cosine
	Scale       string  `yaml:"scale"`        // of contrastive, the factor on likenesses: learned, fixed, none; learned
	Start       float64 `yaml:"start"`        // the factor, or the learned one at first; 1/0.07, of the sigmoid form 10
	MaxScale    float64 `yaml:"max_scale"`    // of a learned factor; 100
	Targets     string  `yaml:"targets"`      // of contrastive, the reports that a volume is meant for: identity (its own), class (all of studies with the same findings), self (by their likeness), labels (by their findings'); identity
	TargetScale float64 `yaml:"target_scale"` // of targets self and labels: factor on likenesses in their softmax; 1
	Volumes     float64 `yaml:"volumes"`      // of contrastive: weight of volumes' side; with reports 0 too: a half each
	Reports     float64 `yaml:"reports"`      // of contrastive: weight of reports' side

	Temperature float64 `yaml:"temperature"` // of supcon: of volumes with the same findings, of others in the batch; 0.1
}

// Validate names every setting that cannot work.
func (o Options) Validate() error {
	var errs []error
	bad := func(field string, value any, bound string) {
		errs = append(errs, schemas.FieldError{Field: field, Value: value, Bound: bound})
	}
	if o.Weights != "" {
		if !reflect.DeepEqual(o, Options{Weights: o.Weights, Embeddings: o.Embeddings}) {
			bad("weights", o.Weights, "no option but embeddings with it: nothing is trained")
		}
		return errors.Join(append(errs, o.Embeddings.Validate()...)...)
	}
	if !slices.Contains(Recipes, o.Recipe) {
		bad("recipe", o.Recipe, "one of "+strings.Join(Recipes, ", "))
	}
	if o.Vision != "" && o.Init != "" {
		bad("vision", o.Vision, "not with init, which gives the vision encoder")
	}
	if o.Partial && o.Vision == "" {
		bad("partial", o.Partial, "only with vision")
	}
	if o.Text != "" && o.Recipe != fit.Clip {
		bad("text", o.Text, "only for recipe clip")
	}
	switch {
	case !o.Embeds():
	case o.Recipe != fit.Clip:
		bad("embeddings", "{...}", "only for recipe clip")
	case o.Text != "":
		bad("embeddings", "{...}", "not with text: one of them reads reports")
	}
	errs = append(errs, o.Embeddings.Validate()...)
	if o.Trainable != nil && len(o.Trainable) == 0 {
		bad("trainable", "[]", "at least one parameter, or no such key")
	}
	for _, glob := range fit.BadGlobs(o.Trainable) {
		bad("trainable", glob, "a parameter's name, in which * stands for any text")
	}
	checkTower(o.Width, o.Stem, bad)
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
	for _, err := range fit.CheckObjectives(objectives(o.Objectives), o.Recipe, o.Accumulate) {
		if e, ok := errors.AsType[fit.ObjectiveError](err); ok {
			bad(strings.TrimSuffix("objectives."+e.Field, "."), e.Value, e.Bound)
		}
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
	if size := cmp.Or(o.Batch, map[string]int{fit.Supervised: 8, fit.Clip: 24}[o.Recipe]); o.Accumulate < 0 || o.Accumulate > 1 && size%o.Accumulate != 0 {
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

// checkTower names what is wrong with a vision encoder's sizes; 0 is the default.
func checkTower(width, stem int, bad func(field string, value any, bound string)) {
	if width != 0 && (width < 8 || width > 128 || width%8 != 0) {
		bad("width", width, "a multiple of 8 from 8 to 128")
	}
	if stem != 0 && stem != 2 && stem != 4 {
		bad("stem", stem, "2 or 4")
	}
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
	if t.Options.Embeds() {
		if fo.Embedder, err = t.Options.Embeddings.Embedder(t.Name, tax, t.Run); err != nil {
			return m, err
		}
	}
	rel := filepath.Join("models", t.Name)
	res, err := fit.Train(ctx, data, tax, filepath.Join(t.Run.Dir, rel), fo, nil)
	if err != nil {
		return m, err
	}
	return schemas.Model{Step: t.Name, Path: rel, Digest: res.Digest}, nil
}

func objectives(all []Objective) (out []fit.Objective) {
	for _, o := range all {
		out = append(out, fit.Objective(o))
	}
	return out
}

// Fit is what pkg/fit takes of the options; Init is a step's name yet.
func (o Options) Fit() fit.Options {
	return fit.Options{Recipe: o.Recipe, Width: o.Width, Stem: o.Stem, Epochs: o.Epochs, Batch: o.Batch, LR: o.LR, Seed: o.Seed,
		Sample: o.Sample, Augment: o.Augment, Share: o.Share, Window: o.Window, Memory: int64(o.MemoryMB) << 20,
		Objectives: objectives(o.Objectives), Validate: o.Validation, Patience: o.Patience, Accumulate: o.Accumulate, Recompute: o.Recompute, FrozenBN: o.FrozenBN, Engine: o.Engine, DType: o.DType, Init: o.Init,
		Vision: o.Vision, Partial: o.Partial, Text: o.Text, Trainable: o.Trainable}
}

// Trains says whether a step of a type trains a model.
func Trains(stepType string) bool { return stepType == Name || stepType == CommandName }

// Spent is the time that a step's model has taken so far, over all runs, its processors' and that in which it had a GPU; zero
// before its first step.
func Spent(dir, step string) (seconds, cpuSeconds, gpuSeconds float64) {
	dir = filepath.Join(dir, "models", step)
	all, err := fit.ReadHistory(dir)
	if seconds, cpu, gpu, ok := fit.CommandSpent(dir); ok { // whose history is its own
		return seconds, cpu, gpu
	}
	if err != nil || len(all) == 0 {
		return 0, 0, 0
	}
	last := all[len(all)-1]
	return last.Seconds, last.CPU, last.GPU
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
	return emitted(ctx, t.Run, t.Name, t.train, emit)
}

// emitted has a step of a run train a model, which ends with the run, and emits it.
func emitted(ctx context.Context, run schemas.Run, step string, train func(context.Context) (schemas.Model, error), emit func(schemas.Model)) error {
	ctx, leave := batch.Enter(ctx, run.Dir)
	defer leave()
	m, err := train(ctx)
	if err != nil {
		return batch.Stop(run, fmt.Errorf("%s: %w", step, err))
	}
	emit(m)
	return nil
}

func init() {
	beam.RegisterDoFn(reflect.TypeFor[onShards]())
	beam.RegisterDoFn(reflect.TypeFor[onModel]())
}
