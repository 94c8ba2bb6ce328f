package fit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
	"silverbeam/pkg/shard"
	"silverbeam/pkg/taxonomy"
)

// Result is what became of a training.
type Result struct {
	Digest  string  // hex SHA-256 of the weights' file
	Skipped bool    // the finished model was there already
	Steps   int     // that it took
	Loss    float64 // mean over the last epoch
	Seconds float64 // of training, over all its processes
}

// Train makes the model in dir from the split train of data, whose findings are t's, and blocks until it is done.
//
// A finished model of the same options, data and initial model is left as it is, and given at once. A training that was
// killed goes on from its checkpoint; one of other options starts anew. When ctx ends, a checkpoint is kept and ctx's
// error returned. ErrBusy: another process trains in dir. progress, if not nil, is called after every step.
func Train(ctx context.Context, data *shard.Dataset, t *taxonomy.Taxonomy, dir string, o Options, progress func(Progress)) (Result, error) {
	of := func(split string) (*corpus, error) { return newCorpus(data, t, split) }
	c, err := of("train")
	if err != nil {
		return Result{}, fmt.Errorf("fit: %w", err)
	}
	var e engine.Engine
	if o.Engine == "xla" {
		q := &queued{ctx: ctx, dtype: o.DType, told: func() { says(dir, waits) }}
		defer q.done()
		e = q
	} else if e, err = NewEngine(o.Engine, o.DType); err != nil {
		return Result{}, fmt.Errorf("fit: %w", err)
	}
	c, valid, err := c.hold(o, of)
	if err != nil {
		return Result{}, fmt.Errorf("fit: %w", err)
	}
	res, err := train(ctx, e, c, valid, t.Digest(), dir, o, progress)
	if err != nil {
		return res, fmt.Errorf("fit: %s: %w", o.Recipe, err)
	}
	return res, nil
}

// job is one training.
type job struct {
	dir        string
	options    Options
	config     *Config
	tokens     *net.WordPiece // nil without a text tower
	embeddings Embeddings     // with Embedder
	recipe     *recipe
	frozen     *Frozen // what the training is to leave as it is; nil: nothing
	loader     *loader
	program    engine.Program
	adam       *AdamW
	descent    *descent
	schedule   Cosine
	history    *history
	progress   func(Progress)
	validate   *validator // nil: nothing judges epochs
	best       best

	step     int       // steps done
	before   Record    // the last step of earlier processes
	began    time.Time // of this process
	warm     time.Time // its first step is done
	beganCPU float64
	gpu      bool          // that it uses
	waited   float64       // seconds of this process without a batch to take
	first    int           // steps done when it began
	saved    time.Time     // last checkpoint
	saving   time.Duration // that it took
	reported time.Time     // last progress.json
	last     Progress      // that was told
}

// train makes the model in dir, or finds it there. valid judges its epochs; nil: nothing does.
func train(ctx context.Context, e engine.Engine, c, valid *corpus, taxonomyDigest, dir string, o Options, progress func(Progress)) (Result, error) {
	o, err := o.defaults()
	if err != nil {
		return Result{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Result{}, err
	}
	unlock, err := lock(dir)
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	if o.Share < 1 {
		c = c.share(o.Share)
	}
	j := &job{dir: dir, options: o, progress: progress}
	var given []drawn
	if e := o.Embedder; e != nil {
		if j.embeddings = (Embeddings{Model: e.Model, Digest: e.Digest}); e.Digest == "" { // what it says of these texts decides
			if given, err = j.embed(ctx, c, valid); err != nil {
				return Result{}, err
			}
		}
	}
	start, err := j.describe(c, taxonomyDigest)
	if err != nil {
		return Result{}, err
	}
	if done, err := j.config.finished(dir); done || err != nil {
		return j.config.result(true), err
	}
	if o.Embedder != nil && given == nil {
		if given, err = j.embed(ctx, c, valid); err != nil {
			return Result{}, err
		}
	}
	if err := j.prepare(e, c, j.config.textView(j.tokens, given), start); err != nil {
		return Result{}, err
	}
	if valid != nil {
		j.validate = newValidator(&Model{Config: j.config, embedder: o.Embedder, engine: e, tokens: j.tokens}, valid, func() { j.last.Updated = time.Now().UTC(); j.last.write(dir) })
	}
	defer j.history.close()
	if err := j.run(ctx); err != nil {
		return Result{}, err
	}
	if err := j.finish(); err != nil {
		return Result{}, err
	}
	return j.config.result(false), nil
}

func (c *Config) result(skipped bool) Result {
	return Result{Digest: c.Weights, Skipped: skipped, Steps: cmp.Or(c.Taken, c.Steps), Loss: c.Loss, Seconds: c.Seconds}
}

// embed gives the vectors that may be drawn of the reports that are trained on, and has those of what validates ready.
func (j *job) embed(ctx context.Context, c, valid *corpus) (of []drawn, err error) {
	tell := func(done, all int) { says(j.dir, fmt.Sprintf("embeds reports: %d of %d texts", done, all)) }
	if of, j.embeddings, err = j.options.Embedder.corpus(ctx, c, tell); err == nil && valid != nil {
		_, _, err = j.options.Embedder.corpus(ctx, valid, tell)
	}
	return of, err
}

// prepare compiles the net for the batch, and goes to where an earlier process left off.
func (j *job) prepare(e engine.Engine, c *corpus, text view, start starts) (err error) {
	if j.recipe, err = newRecipe(j.config, text, start); err != nil {
		return err
	}
	first := j.recipe.weights(j.config.Seed)
	if j.frozen, err = frozen(j.recipe.graph, j.config.Trainable, first); err != nil {
		return err
	}
	if j.loader, err = newLoader(c, j.config, j.recipe.views, j.options); err != nil {
		return err
	}
	if j.program, err = j.recipe.compile(e, shapes(j.loader.inputs()), j.options); err != nil {
		return err
	}
	h := j.recipe.hyper
	j.adam = &AdamW{Beta1: h.Beta1, Beta2: h.Beta2, Eps: h.Eps, Decay: h.Decay}
	j.descent = newDescent(j.program, j.adam, j.recipe.rate, h.MaxNorm)
	j.descent.watcher, _ = j.program.(engine.Watcher)
	if j.descent.stepper != nil {
		j.loader.stage = j.descent.stage
	}
	j.schedule = Cosine{Peak: j.config.LR, Floor: h.Floor * j.config.LR, Warmup: int(h.Warmup * float64(j.config.Steps)), Steps: j.config.Steps}
	if j.step, j.best, err = resume(j.dir, j.config.Identity, first, j.program, j.adam); err != nil {
		return err
	}
	debug.FreeOSMemory() // what the first weights took goes back before a step takes its own
	j.gpu = onGPU(e)
	j.history, j.before, err = openHistory(j.dir, j.step, j.loader.order.steps())
	j.first, j.began, j.beganCPU, j.saved = j.step, time.Now(), processCPU(), time.Now()
	return err
}

// run takes the steps that are left. When ctx ends, it keeps a checkpoint and returns ctx's error.
func (j *job) run(ctx context.Context) error {
	if j.enough() {
		return nil
	}
	loading, stop := context.WithCancel(ctx)
	ready, done := j.loader.run(loading, j.step, j.config.Steps)
	defer func() {
		stop()
		for b := range ready { // whoever called may close the data set, so nothing may be reading it
			b.drop()
		}
	}()
	for {
		asked := time.Now()
		b, more := <-ready
		if !more {
			return ctx.Err()
		}
		j.waited += time.Since(asked).Seconds()
		err := j.take(ctx, b)
		done(b)
		if err != nil {
			return err
		}
		if err := j.keep(ctx.Err() != nil); err != nil {
			return err
		}
		if j.enough() {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// enough says that as many epochs as Patience has were not the best.
func (j *job) enough() bool {
	epochs := j.step / j.loader.order.steps()
	return j.options.Patience > 0 && j.best.epoch > 0 && epochs-j.best.epoch >= j.options.Patience
}

// judge takes the validation loss after the last step of an epoch, and keeps the weights if it is the lowest. A kill in
// between has the step taken again.
func (j *job) judge(ctx context.Context, r *Record) (err error) {
	if j.validate == nil || (r.Step+1)%j.loader.order.steps() != 0 {
		return nil
	}
	weights := j.program.Export()
	if r.Valid, err = j.validate.loss(ctx, weights); err != nil {
		return err
	}
	if bad(r.Valid) {
		return fmt.Errorf("step %d: the validation loss is %v: training diverged; %s", r.Step, r.Valid, advice)
	}
	if j.best.epoch == 0 || r.Valid < j.best.loss {
		j.best = best{r.Epoch + 1, r.Valid, weights}
	}
	return nil
}

// take is one step of training.
func (j *job) take(ctx context.Context, b *batch) error {
	if b.err != nil {
		return fmt.Errorf("step %d: %w", b.step, b.err)
	}
	r := Record{Step: b.step, Epoch: b.epoch, LR: j.schedule.At(b.step)}
	if err := j.descent.step(b, &r); err != nil {
		return err
	}
	if err := j.descent.watch(r, j.history); err != nil {
		return err
	}
	if err := j.judge(ctx, &r); err != nil {
		return err
	}
	j.step = b.step + 1
	r.Seconds, r.CPU, r.Waited = j.seconds(), j.cpu(), j.before.Waited+j.waited
	r.GPU = j.gpuSeconds()
	return j.tell(r)
}

// seconds is the time of training so far.
func (j *job) seconds() float64 { return j.before.Seconds + time.Since(j.began).Seconds() }

// gpuSeconds is that part of seconds in which the training had a GPU.
func (j *job) gpuSeconds() float64 {
	if j.gpu {
		return j.before.GPU + time.Since(j.began).Seconds()
	}
	return j.before.GPU
}

// cpu is the processor time of training so far, with whatever else the process did meanwhile.
func (j *job) cpu() float64 { return j.before.CPU + processCPU() - j.beganCPU }

// processCPU is what this process has used of all cores, in seconds.
func processCPU() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// pace is the seconds that a step takes: of the steps after the first, in which a device's program is compiled, once there are any.
func (j *job) pace() float64 {
	if n := j.step - j.first - 1; n > 0 {
		return time.Since(j.warm).Seconds() / float64(n)
	}
	return time.Since(j.began).Seconds()
}

// tell writes the history, and at most once a second progress.json.
func (j *job) tell(r Record) error {
	if err := j.history.add(r); err != nil {
		return err
	}
	if j.step == j.first+1 {
		j.warm = time.Now()
	}
	p := Progress{Recipe: j.config.Recipe, Epoch: r.Epoch + 1, Epochs: j.config.Epochs, Step: j.step, Steps: j.config.Steps,
		Loss: j.history.loss(), LR: r.LR, Seconds: r.Seconds, ETA: j.pace() * float64(j.config.Steps-j.step), Updated: time.Now().UTC(), Valid: r.Valid}
	if p.Valid == 0 {
		p.Valid = j.last.Valid
	}
	j.last = p
	if j.progress != nil {
		j.progress(p)
	}
	if time.Since(j.reported) < time.Second && j.step < j.config.Steps {
		return nil
	}
	j.reported = time.Now()
	return p.write(j.dir)
}

// keep makes a checkpoint when one is due, or now.
func (j *job) keep(now bool) error {
	start := time.Now()
	if !now && !j.due(start.Sub(j.saved)) || j.step == j.config.Steps {
		return nil
	}
	if err := saveCheckpoint(j.dir, j.config.Identity, j.step, j.program, j.adam, j.best); err != nil {
		return err
	}
	j.saved = time.Now()
	j.saving = j.saved.Sub(start)
	return nil
}

// due says that a checkpoint is: at the end of an epoch, or so long after the last. One waits for 50 times what the last took, so
// that beside a fast device they do not become the work.
func (j *job) due(since time.Duration) bool {
	if j.options.Checkpoint < 0 {
		return true
	}
	return since >= 50*j.saving && (j.step%j.loader.order.steps() == 0 || since >= j.options.Checkpoint)
}

// finish writes the model, its configuration last, and drops the checkpoint.
func (j *job) finish() error {
	meta := map[string]string{"format": "pt", "recipe": j.config.Recipe, "identity": j.config.Identity}
	weights := j.best.weights
	if weights == nil {
		weights = j.program.Export()
	}
	b, err := net.EncodeSafetensors(weights, meta)
	if err != nil {
		return err
	}
	if now, err := frozen(j.recipe.graph, j.config.Trainable, weights); err != nil || j.frozen != nil && *now != *j.frozen {
		return errors.Join(err, fmt.Errorf("%d parameters that were not to be trained have changed", j.frozen.Parameters))
	}
	j.config.Frozen = j.frozen
	if j.tokens != nil {
		if err := shard.WriteFile(filepath.Join(j.dir, vocabFile), j.tokens.Bytes()); err != nil {
			return err
		}
	}
	if err := shard.WriteFile(filepath.Join(j.dir, weightsFile), b); err != nil {
		return err
	}
	j.config.Weights, j.config.Loss, j.config.Seconds, j.config.CPU, j.config.GPU = hexDigest(b), j.history.loss(), j.seconds(), j.cpu(), j.gpuSeconds()
	j.config.Best, j.config.Valid = j.best.epoch, j.best.loss
	if j.step < j.config.Steps {
		j.config.Taken = j.step
	}
	if err := j.config.write(j.dir); err != nil {
		return err
	}
	os.Remove(filepath.Join(j.dir, checkpointFile)) // what is left is ignored
	return nil
}
