package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"silverbeam/pkg/fit"
	"silverbeam/pkg/llm"
	"silverbeam/pkg/shard"
	"silverbeam/pkg/table"
	"silverbeam/pkg/taxonomy"
	"silverbeam/schemas"
	"silverbeam/transforms/internal/batch"
)

// ErrWeights says that a folder that was given does not hold a finished model, ErrStart that what was given to start from does not
// fit, ErrEmbeddings that what embeds texts does not.
var (
	ErrWeights    = errors.New("no finished model")
	ErrStart      = errors.New("no weights to start from")
	ErrEmbeddings = errors.New("embeddings")
)

// modelFiles are what a model is, without the history of its training; config.json last, as in training.
var modelFiles = []string{"model.safetensors", "vocab.txt", "config.json"}

// Embeds says whether reports are embedded elsewhere.
func (o Options) Embeds() bool { return o.Embeddings != (batch.Embeddings{}) }

// Suits says whether reports may be embedded where the options say, and at a known price.
func (o Options) Suits(t *taxonomy.Taxonomy) error {
	if o.Embeddings.Endpoint == "" {
		return nil
	}
	_, _, err := o.Embedding(t)
	return err
}

// Embedding is what is known of the calls to embeddings' endpoint before the first one, and the host that they leave this machine
// for; "": none do.
func (o Options) Embedding(t *taxonomy.Taxonomy) (f llm.Forecast, host string, err error) {
	c := o.Embeddings.Client(schemas.Run{})
	host, _ = c.Destination()
	f, err = llm.Foresee(c, t, nil)
	return f, host, err
}

// Ready looks at the weights or vectors that are given, if there are any.
func (o Options) Ready([]string) error {
	if o.Embeddings.File != "" {
		if _, err := table.Vectors(o.Embeddings.File, "text", "embedding"); err != nil {
			return fmt.Errorf("%w: %w", ErrEmbeddings, err)
		}
	}
	if o.Weights != "" {
		_, err := o.given()
		return err
	}
	if err := fit.CheckPretrained(o.Fit()); err != nil {
		return fmt.Errorf("%w: %w", ErrStart, err)
	}
	return nil
}

// given reads a finished model's folder, whose texts the options' embeddings can embed, if it needs any.
func (o Options) given() (*fit.Model, error) {
	m, err := fit.LoadModel(o.Weights, "")
	if err != nil {
		return nil, fmt.Errorf("weights: %s: %w: %w", o.Weights, ErrWeights, err)
	}
	if err := o.Embeddings.Suit(m); err != nil {
		return nil, fmt.Errorf("weights: %s: %w: %w", o.Weights, ErrEmbeddings, err)
	}
	return m, nil
}

// take copies the given model into the run. The data set that it learned from, where it still lies beside its run's models,
// must share no patient and no scan with what this run may evaluate on.
func (t trainer) take() (m schemas.Model, err error) {
	from := t.Options.Weights
	model, err := t.Options.given()
	if err != nil {
		return m, err
	}
	here, err := shard.ReadManifest(filepath.Join(t.Run.Dir, "dataset"))
	if err != nil {
		return m, err
	}
	learned, err := shard.ReadManifest(filepath.Join(from, "..", "..", "dataset"))
	if err == nil && learned.Digest == model.Config.Dataset {
		if err := here.LearnedFrom(learned); err != nil {
			return m, fmt.Errorf("weights: %s: %w", from, err)
		}
	}
	rel := filepath.Join("models", t.Name)
	if err := os.MkdirAll(filepath.Join(t.Run.Dir, rel), 0o755); err != nil {
		return m, err
	}
	for _, name := range modelFiles {
		b, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) && name == "vocab.txt" { // without a text tower
			continue
		}
		if err == nil {
			err = shard.WriteFile(filepath.Join(t.Run.Dir, rel, name), b)
		}
		if err != nil {
			return m, fmt.Errorf("weights: %w", err)
		}
	}
	return schemas.Model{Step: t.Name, Path: rel, Digest: model.Config.Weights}, nil
}
