package evaluate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"silverbeam/pkg/fit"
	"silverbeam/pkg/metrics"
	"silverbeam/pkg/shard"
	"silverbeam/pkg/taxonomy"
	"silverbeam/schemas"
	"silverbeam/transforms/internal/batch"
	"silverbeam/transforms/internal/result"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

// Model scores findings by a model on one split, in the way of a step type: PCollection<Model> → PCollection<Model> of one result,
// eval/NAME.json. Its columns are the run's findings, a taxonomy by name or file.
func Model(s beam.Scope, typ, name string, o ZeroShotOptions, e Embeddings, findings string, run schemas.Run, in beam.PCollection) beam.PCollection {
	return beam.ParDo(s.Scope(name), &modelFn{typ, name, o, e, findings, run}, in)
}

// Embeddings are what embeds texts for a model that was trained against vectors; zero for others.
type Embeddings = batch.Embeddings

type modelFn struct {
	Type, Name string
	Options    ZeroShotOptions
	Embeddings Embeddings
	Findings   string
	Run        schemas.Run
}

func (f *modelFn) ProcessElement(ctx context.Context, m schemas.Model, emit func(schemas.Model)) error {
	out, err := f.evaluate(ctx, m)
	if err != nil {
		return batch.Stop(f.Run, fmt.Errorf("%s: %w", f.Name, err))
	}
	emit(out)
	return nil
}

// pool is the split that is evaluated.
type pool struct {
	result.Header
	tax      *taxonomy.Taxonomy      // the run's
	judged   []metrics.MappedFinding // the run's, or a protocol's
	prompts  []result.PromptSet
	factor   float64 // by which a score is multiplied to be a logit
	vectors  string  // digest of a file of texts' vectors; "" without one
	data     *shard.Dataset
	rows     []shard.Row
	patients []string
	y        [][]int8 // finding → row: 1, 0 or -1 for unknown
	sealed   result.Escrow
	chosen   bool // the split has chosen among the model's epochs
}

// header says what is to be judged, before any data is open.
func (f *modelFn) header(m schemas.Model) (p *pool, err error) {
	p = &pool{Header: result.Header{Step: f.Name, Type: f.Type, Model: m.Step, Split: cmp.Or(f.Options.Split, "valid"), Labels: "silver"}}
	if p.tax, err = taxonomy.Load(f.Findings); err != nil {
		return nil, err
	}
	p.judged, p.factor = f.Options.judged(p.tax.Names()), 1
	if p.prompts, err = f.Options.wording(p.tax); err != nil {
		return nil, err
	}
	p.Inputs, err = f.inputs(m, p)
	return p, err
}

// prepare opens the split that is judged; its data must be closed.
func (f *modelFn) prepare(m schemas.Model) (*pool, error) {
	p, err := f.header(m)
	if err != nil {
		return nil, err
	}
	if p.data, err = shard.Open(filepath.Join(f.Run.Dir, "dataset")); err != nil {
		return nil, err
	}
	if err := f.open(p); err != nil {
		return nil, errors.Join(err, p.data.Close())
	}
	c, err := fit.ReadConfig(filepath.Join(f.Run.Dir, m.Path))
	if err != nil {
		return nil, errors.Join(err, p.data.Close())
	}
	p.chosen = slices.Contains(c.Chosen, p.Split)
	p.sealed = result.Escrow{Type: f.Type, Model: m.Digest, Data: p.data.Manifest().Digest, Split: p.Split, Labels: digest(p.y),
		Method: strings.TrimSpace(f.Options.Protocol + " " + f.Options.Likeness)}
	return p, nil
}

// load reads the model, which must have been trained on volumes such as the split's.
func (f *modelFn) load(m schemas.Model, p *pool) (*fit.Model, error) {
	model, err := fit.LoadModel(filepath.Join(f.Run.Dir, m.Path), f.Options.Engine)
	if err == nil {
		err = model.Accepts(p.data)
	}
	if err == nil && f.Embeddings != (Embeddings{}) && model.Config.Embeddings != nil {
		var e *fit.Embedder
		if e, err = f.Embeddings.Embedder(f.Name, p.tax, f.Run); err == nil {
			err = model.Embed(e)
		}
	}
	return model, err
}

func (f *modelFn) evaluate(ctx context.Context, m schemas.Model) (out schemas.Model, err error) {
	p, err := f.header(m)
	if err != nil {
		return out, err
	}
	if m, ok := f.kept(p.Header); ok {
		return m, nil
	}
	if p, err = f.prepare(m); err != nil {
		return out, err
	}
	defer p.data.Close()
	model, err := f.load(m, p)
	if err != nil {
		return out, err
	}
	var r any
	if f.Type == ClassifierName {
		r, err = f.classifier(ctx, model, p)
	} else {
		r, err = f.zeroShot(ctx, model, p)
	}
	if err != nil {
		return out, err
	}
	return save(f.Run, f.Name, r)
}

// seal puts what is settled into escrow, before the judged split is scored, and says why its figures are no test, if so.
func (f *modelFn) seal(p *pool) (err error) {
	if p.Primary = f.Options.Primary; p.Primary {
		p.sealed.Primary = map[bool]string{true: "recall@10", false: "macro AUC"}[f.Type == RetrievalName]
	}
	var seen string
	if p.Escrow, seen, err = p.sealed.Seal(f.Run.Dir, f.Name, time.Now()); err != nil {
		return err
	}
	switch {
	case p.Tuned == p.Split:
		p.Exploratory = "thresholds and calibration were fitted on the split that is judged"
	case p.chosen:
		p.Exploratory = "the split that is judged has chosen among the model's epochs"
	case seen != "":
		p.Exploratory = fmt.Sprintf("the same scores were open before under other settings (escrow %.12s)", seen)
	}
	return nil
}

// digest is over labels.
func digest(y [][]int8) string {
	h := sha256.New()
	for _, column := range y {
		for _, v := range column {
			h.Write([]byte{byte(v)})
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// inputs digests all that decides the result.
func (f *modelFn) inputs(m schemas.Model, p *pool) (string, error) {
	manifest, err := shard.ReadManifest(filepath.Join(f.Run.Dir, "dataset"))
	if err != nil {
		return "", err
	}
	if p.vectors, err = f.Embeddings.FileDigest(); err != nil {
		return "", err
	}
	var files [3][]byte
	for i, path := range []string{f.Options.Truth, f.Options.Reviewed, f.Options.Groups} {
		if path == "" {
			continue
		}
		if files[i], err = os.ReadFile(path); err != nil {
			return "", err
		}
	}
	opts, err := json.Marshal(f.Options)
	if err != nil {
		return "", err
	}
	prompts, err := json.Marshal(p.prompts)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s %s %x %x %x %s %s %s%s", resultVersion, m.Digest, p.Split, manifest.Digest, sha256.Sum256(files[0]), sha256.Sum256(files[1]), sha256.Sum256(files[2]), opts,
		p.tax.Digest(), prompts, p.vectors))
	return fmt.Sprintf("%x", sum), nil
}

// resultVersion changes with the arithmetic or the shape of a result, so that an old one is not kept.
const resultVersion = 11

// kept finds the result of an earlier run on the same inputs.
func (f *modelFn) kept(h result.Header) (m schemas.Model, ok bool) {
	rel := filepath.Join("eval", f.Name+".json")
	p, err := os.ReadFile(filepath.Join(f.Run.Dir, rel))
	var old result.Header
	if err != nil || json.Unmarshal(p, &old) != nil || old.Inputs != h.Inputs {
		return m, false
	}
	return schemas.Model{Step: f.Name, Path: rel, Digest: fmt.Sprintf("%x", sha256.Sum256(p))}, true
}

// open reads the split's rows and what is known of them.
func (f *modelFn) open(p *pool) (err error) {
	if p.rows, err = p.data.Rows(p.Split); err != nil {
		return err
	}
	if len(p.rows) == 0 {
		return fmt.Errorf("the data set has no split %q", p.Split)
	}
	for _, r := range p.rows {
		p.patients = append(p.patients, r.Patient)
	}
	if f.Options.Truth == "" {
		own := silver(p.rows, len(p.tax.Findings))
		for _, m := range p.judged {
			p.y = append(p.y, own[p.tax.Index(m.Name)])
		}
		return nil
	}
	p.Labels = filepath.Base(f.Options.Truth)
	known, err := readTruth(f.Options.Truth, names(p.judged), false)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(p.rows, func(r shard.Row) bool { return known.knows(r.Study, r.Volume) }) {
		return fmt.Errorf("%w: %s: none of the studies of split %s is in it", ErrTruth, f.Options.Truth, p.Split)
	}
	for _, name := range names(p.judged) {
		y := make([]int8, len(p.rows))
		for i, r := range p.rows {
			y[i] = binary(known.state(name, r.Study, r.Volume))
		}
		p.y = append(p.y, y)
	}
	return nil
}

// silver are the data set's own labels: finding → row. What is uncertain is unknown.
func silver(rows []shard.Row, findings int) [][]int8 {
	y := make([][]int8, findings)
	for k := range y {
		y[k] = make([]int8, len(rows))
		for i, r := range rows {
			if s := r.Labels[k].State; s == taxonomy.Uncertain {
				y[k][i] = metrics.Missing
			} else if s == taxonomy.Present {
				y[k][i] = 1
			}
		}
	}
	return y
}

// reviewed puts what people say of studies or volumes at the rows of the split; nil where nobody was asked. Of a study that was
// reviewed, every volume counts, for as many rows as the study stands for.
func (f *modelFn) reviewed(p *pool) (*metrics.ReviewedRows, error) {
	path := f.Options.Reviewed
	if path == "" {
		return nil, nil
	}
	known, err := readReviewed(path, names(p.judged))
	if err != nil {
		return nil, err
	}
	out, found := &metrics.ReviewedRows{Truth: make([][]int8, len(p.judged)), Weight: make([]float64, len(p.rows))}, false
	for k, name := range names(p.judged) {
		y, n := make([]int8, len(p.rows)), 0
		for i, r := range p.rows {
			s, ok := known.state(name, r.Study, r.Volume)
			if y[i] = binary(s, ok); ok {
				out.Weight[i], n = known.weightOf(r.Study, r.Volume), n+1
			}
		}
		if n > 0 {
			out.Truth[k], found = y, true
		}
	}
	if !found {
		return nil, fmt.Errorf("%w: %s: nothing of split %s was reviewed in it", ErrTruth, path, p.Split)
	}
	return out, nil
}

func (f *modelFn) resampling() metrics.Resampling {
	return metrics.Resampling{N: or(f.Options.Bootstrap, 1000), Seed: f.Options.Seed}
}

func init() {
	beam.RegisterDoFn(reflect.TypeFor[modelFn]())
}
