package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"silverbeam/pkg/fit"
	"silverbeam/pkg/shard"
	"silverbeam/schemas"
)

// ErrWeights says that a folder that was given does not hold a finished model, ErrStart that what was given to start from does not
// fit.
var (
	ErrWeights = errors.New("no finished model")
	ErrStart   = errors.New("no weights to start from")
)

// modelFiles are what a model is, without the history of its training; config.json last, as in training.
var modelFiles = []string{"model.safetensors", "vocab.txt", "config.json"}

// Ready looks at the weights that are given, if there are any.
func (o Options) Ready([]string) error {
	if o.Weights == "" {
		if err := fit.CheckPretrained(o.Fit()); err != nil {
			return fmt.Errorf("%w: %w", ErrStart, err)
		}
		return nil
	}
	_, err := given(o.Weights)
	return err
}

// given reads a finished model's folder.
func given(dir string) (*fit.Model, error) {
	m, err := fit.LoadModel(dir, "")
	if err != nil {
		return nil, fmt.Errorf("weights: %s: %w: %w", dir, ErrWeights, err)
	}
	return m, nil
}

// take copies the given model into the run. The data set that it learned from, where it still lies beside its run's models,
// must share no patient and no scan with what this run may evaluate on.
func (t trainer) take() (m schemas.Model, err error) {
	from := t.Options.Weights
	model, err := given(from)
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
