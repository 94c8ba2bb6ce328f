package fit

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"silverbeam/pkg/net"
)

// The text tower: small enough that some hundred studies train it. Its vocabulary is the one that is learned.
var (
	textTower  = net.Bert{Layers: 2, Hidden: 128, Heads: 4, Intermediate: 512}
	textLength = 192 // tokens; longer reports lose their middle. A report of the phantom has some 150
)

const (
	vocabulary = 2048 // tokens at most, learned from the training split's reports
	rarest     = 3    // times that the reports must hold a token
	commonDim  = 128  // of the space that both towers project into

	defaultWidth, defaultStem = 16, 4
)

// starts are weights that do not start at random, by the names that they have where they come from; nil: none.
type starts struct{ init, vision, text map[string]net.Tensor }

// describe fills in the configuration, with the identity that it gives, and returns the weights to start from.
func (j *job) describe(c *corpus, taxonomy string) (start starts, err error) {
	o := j.options
	if o.Batch > len(c.studies) {
		return start, fmt.Errorf("batch %d: there are %d studies to train on", o.Batch, len(c.studies))
	}
	j.config = &Config{Method: method, Recipe: o.Recipe, Width: cmp.Or(o.Width, defaultWidth), Stem: cmp.Or(o.Stem, defaultStem),
		Preset: c.preset, PresetDigest: c.preset.Digest(), Findings: c.findings, Taxonomy: taxonomy, Dataset: c.digest,
		Sample: o.Sample, Augment: o.Augment, Share: pick(o.Share < 1, o.Share, 0), Window: o.Window, Accumulate: pick(o.Accumulate > 1, o.Accumulate, 0), FrozenBN: o.FrozenBN, DType: pick(o.DType == "bf16", o.DType, ""),
		Trainable: o.Trainable, Objectives: o.Objectives, Validate: o.Validate, Patience: o.Patience, Epochs: o.Epochs, Batch: o.Batch, LR: o.LR, Seed: o.Seed, Studies: len(c.studies), Steps: o.Epochs * (len(c.studies) / o.Batch)}
	if split, _, _ := ParseValidate(o.Validate); split != "" {
		j.config.Chosen = []string{split}
	}
	if o.Init != "" {
		if start.init, err = j.startFrom(o.Init); err != nil {
			return start, fmt.Errorf("init: %w", err)
		}
	}
	if o.Vision != "" {
		if j.config.VisionFrom, start.vision, err = visionFrom(o.Vision, j.config.visual(), o.Partial); err != nil {
			return start, fmt.Errorf("vision: %w", err)
		}
	}
	switch {
	case o.Text != "":
		j.config.Text, j.tokens, j.config.TextFrom, start.text, err = textFrom(o.Text)
		if err != nil {
			return start, fmt.Errorf("text: %w", err)
		}
		j.config.Tokens, j.config.Dim = min(textLength, j.config.Text.MaxPositions), commonDim
	case o.Embedder != nil:
		j.config.Embeddings, j.config.Dim = &j.embeddings, commonDim
	case o.Recipe == Clip:
		j.tokens = net.LearnWordPiece(c.reports(), vocabulary).Used(c.reports(), rarest)
		text := textTower
		text.Vocab, text.MaxPositions = max(text.Vocab, j.tokens.Size()), textLength
		j.config.Text, j.config.Tokens, j.config.Dim = &text, textLength, commonDim
	}
	j.config.identify()
	return start, nil
}

// startFrom takes the shape of the vision tower from an initial model, and gives its weights.
func (j *job) startFrom(dir string) (map[string]net.Tensor, error) {
	old, weights, err := loadWeights(dir)
	if err != nil {
		return nil, err
	}
	c, o := j.config, j.options
	if old.Recipe == commandRecipe {
		return nil, fmt.Errorf("%s was made by %s: its net is not known here", dir, filepath.Base(old.Command[0]))
	}
	if old.PresetDigest != c.PresetDigest {
		return nil, fmt.Errorf("%s was trained on volumes of preset %s (%.12s), the data set has %s (%.12s)",
			dir, old.Preset.Name, old.PresetDigest, c.Preset.Name, c.PresetDigest)
	}
	if o.Width != 0 && o.Width != old.Width || o.Stem != 0 && o.Stem != old.Stem {
		return nil, fmt.Errorf("%s has width %d and stem %d, the options say %d and %d", dir, old.Width, old.Stem, o.Width, o.Stem)
	}
	c.Width, c.Stem, c.Init = old.Width, old.Stem, old.Weights
	for _, split := range old.Chosen {
		if !slices.Contains(c.Chosen, split) {
			c.Chosen = append(c.Chosen, split)
		}
	}
	return weights, nil
}

// loadWeights reads a finished model's configuration and weights, and checks one against the other.
func loadWeights(dir string) (*Config, map[string]net.Tensor, error) {
	c, err := ReadConfig(dir)
	if err != nil {
		return nil, nil, err
	}
	path := filepath.Join(dir, weightsFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	if d := hexDigest(b); d != c.Weights {
		return nil, nil, fmt.Errorf("%s: digest %.12s, %s says %.12s", path, d, configFile, c.Weights)
	}
	weights, _, err := net.DecodeSafetensors(b)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, weights, nil
}
