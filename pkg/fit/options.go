// Package fit trains models on a data set and runs them for evaluation.
//
// Train is one loop for every recipe: a loader prepares batches ahead, a compiled program gives loss and gradients, AdamW
// updates in place, and a checkpoint keeps everything that the next step depends on. All randomness is drawn from
// (seed, epoch, study), never from a shared stream, so the number of loader workers, a kill and a resume change nothing:
// the same options and data give the same weights, bit for bit, on the same instruction set. It knows nothing of Beam.
package fit

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The recipes.
const (
	Supervised = "supervised" // 3D ResNet-18 and a linear head, binary cross entropy on the labels
	Clip       = "clip"       // vision and text towers, InfoNCE, from a supervised model's vision weights
)

// Balanced is a value of Options.Sample.
const Balanced = "balanced"

// Strong is a value of Options.Augment.
const Strong = "strong"

// ParseValidate reads Options.Validate: a split by its name, or a share of the training patients as a percentage, at most half
// of them. The split train would judge what it has trained.
func ParseValidate(s string) (split string, share float64, err error) {
	percent, is := strings.CutSuffix(s, "%")
	if !is {
		if s == "train" {
			err = fmt.Errorf("%q: that is trained on: want another split, or a share of its patients, such as 10%%", s)
		}
		return s, 0, err
	}
	share, err = strconv.ParseFloat(strings.TrimSpace(percent), 64)
	if share /= 100; err != nil || !(share > 0 && share <= 0.5) || math.IsInf(share, 0) {
		return "", 0, fmt.Errorf("%q: want more than 0%%, at most 50%%", s)
	}
	return "", share, nil
}

// Options say how a model is trained. Zero means the default of the recipe.
type Options struct {
	Recipe     string      // supervised or clip
	Width      int         // channels of the vision tower's first stage; 16; for clip the initial model's
	Stem       int         // edge and stride of the first convolution, in voxels; 4; for clip the initial model's
	Epochs     int         // passes over the training studies; 10, clip 8
	Batch      int         // studies a step; 8, clip 24
	LR         float64     // highest learning rate; 0.002, clip 0.0005
	Seed       uint64      // of weights, order and augmentation; 0 is 1
	Sample     string      // Balanced: studies of rare findings have more turns, others fewer; "": each has one an epoch
	Augment    string      // Strong: volumes are also turned, scaled and made noisy; "": shifted and recalibrated a little
	Share      float64     // of the training patients, the first by a hash; 0 is 1: all
	Window     int         // studies that are mixed, of whole files in a random order; 0: all of them
	Accumulate int         // parts that a batch is taken in, for less memory; divides Batch; 0 is 1
	FrozenBN   bool        // clip with Init: the vision tower normalises by its running statistics and leaves them
	Objectives []Objective // whose weighted sum is the loss; nil: bce, for clip contrastive
	Validate   string      // what judges each epoch: a split of the data set, or a share of the training patients ("10%") that is then not trained on; the best epoch's weights are kept; "": the last's
	Patience   int         // with Validate: epochs in a row that are not the best, after which the training ends; 0: it goes on to the last
	Engine     string      // gorgonia or xla (NewEngine); "": gorgonia; results differ by rounding, and one goes on from the other's checkpoint
	DType      string      // bf16: of the products of convolutions and linear layers; "": f32
	Init       string      // clip: folder of the model whose vision tower it starts from; "": from random weights

	Vision    string   // file of weights under torchvision's names that the vision tower starts from; "": random ones, or Init's
	Partial   bool     // Vision may lack some, which then start at random
	Text      string   // clip: folder of Hugging Face's with the BERT that the text tower starts from; "": a small one, at random
	Trainable []string // globs of the parameters that are trained; nil: all

	Embedder *Embedder // clip: embeds reports in place of a text tower; nil: a text tower reads them

	Recompute  bool          // train in less memory and more time; changes no result
	Workers    int           // goroutines that prepare batches; GOMAXPROCS; changes no result
	Memory     int64         // bytes of prepared batches and of volumes that are read; 0: two batches; changes no result
	Checkpoint time.Duration // between checkpoints within an epoch; 30 s; negative: after every step; changes no result
}

func (o Options) defaults() (Options, error) {
	var errs []error
	if o.Recipe != Supervised && o.Recipe != Clip {
		errs = append(errs, fmt.Errorf("recipe %q: want %s or %s", o.Recipe, Supervised, Clip))
	}
	if slices.Min([]int{o.Width, o.Stem, o.Epochs, o.Batch, o.Workers}) < 0 || o.LR < 0 || o.LR > 1 {
		errs = append(errs, fmt.Errorf("width %d, stem %d, epochs %d, batch %d, workers %d, lr %v: none may be negative, nor lr above 1",
			o.Width, o.Stem, o.Epochs, o.Batch, o.Workers, o.LR))
	}
	if o.Sample != "" && (o.Sample != Balanced || o.Recipe == Clip) { // a study twice in a batch would be taken for two in CLIP
		errs = append(errs, fmt.Errorf("sample %q: want %s, only for recipe %s", o.Sample, Balanced, Supervised))
	}
	if o.Augment != "" && o.Augment != Strong {
		errs = append(errs, fmt.Errorf("augment %q: want %s", o.Augment, Strong))
	}
	if o.Share < 0 || o.Share > 1 || o.Window < 0 || o.Memory < 0 {
		errs = append(errs, fmt.Errorf("share %v, window %d, memory %d: none may be negative, nor share above 1", o.Share, o.Window, o.Memory))
	}
	errs = append(errs, CheckObjectives(o.Objectives, o.Recipe, o.Accumulate)...)
	if _, _, err := ParseValidate(o.Validate); err != nil {
		errs = append(errs, fmt.Errorf("validate %w", err))
	}
	if o.Patience < 0 || o.Patience > 0 && o.Validate == "" {
		errs = append(errs, fmt.Errorf("patience %d: 0 or more, and only with validate", o.Patience))
	}
	if o.FrozenBN && (o.Recipe != Clip || o.Init == "") {
		errs = append(errs, fmt.Errorf("frozen_bn: only for recipe %s with init, whose statistics it takes", Clip))
	}
	if o.Recipe != Clip && o.Init != "" {
		errs = append(errs, fmt.Errorf("init %q: only for recipe %s", o.Init, Clip))
	}
	if o.Vision != "" && o.Init != "" || o.Partial && o.Vision == "" {
		errs = append(errs, fmt.Errorf("vision %q, init %q, partial %v: one of vision and init, and partial only with vision", o.Vision, o.Init, o.Partial))
	}
	if o.Text != "" && o.Recipe != Clip {
		errs = append(errs, fmt.Errorf("text %q: only for recipe %s", o.Text, Clip))
	}
	if o.Embedder != nil && (o.Recipe != Clip || o.Text != "") {
		errs = append(errs, fmt.Errorf("embeddings: only for recipe %s, without text", Clip))
	}
	if o.Trainable != nil && len(o.Trainable) == 0 {
		errs = append(errs, errors.New("trainable: nothing would be trained"))
	}
	if bad := BadGlobs(o.Trainable); bad != nil {
		errs = append(errs, fmt.Errorf("trainable %q: want a parameter's name, in which * stands for any text", bad[0]))
	}
	clip := o.Recipe == Clip
	o.Epochs = cmp.Or(o.Epochs, pick(clip, 8, 10))
	o.Batch = cmp.Or(o.Batch, pick(clip, 24, 8))
	o.LR = cmp.Or(o.LR, pick(clip, 0.0005, 0.002))
	if o.Accumulate = cmp.Or(o.Accumulate, 1); o.Accumulate < 1 || o.Batch%o.Accumulate != 0 {
		errs = append(errs, fmt.Errorf("accumulate %d: want a divisor of batch, %d", o.Accumulate, o.Batch))
	}
	o.Seed, o.Share = cmp.Or(o.Seed, 1), cmp.Or(o.Share, 1)
	o.Workers = cmp.Or(o.Workers, runtime.GOMAXPROCS(0))
	o.Checkpoint = cmp.Or(o.Checkpoint, 30*time.Second)
	return o, errors.Join(errs...)
}

func pick[T any](yes bool, a, b T) T {
	if yes {
		return a
	}
	return b
}

// hyper are the numbers of a recipe that no option sets.
type hyper struct {
	Beta1, Beta2 float64 // of AdamW
	Eps          float64
	Decay        float64 // of weights, not of biases, norms and the temperature
	MaxNorm      float64 // gradients are scaled down to this norm
	Warmup       float64 // share of all steps in which the learning rate climbs
	Floor        float64 // of the learning rate, as a share of its peak
}
