package fit

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
	"silverbeam/pkg/shard"
)

// Evaluation runs in batches of these sizes, the last filled up with zeros: one compiled program, and the same numbers
// for a study whatever its neighbours are.
const (
	evalVolumes = 4
	evalTexts   = 16
)

// Model is a trained model for evaluation. It is not safe for concurrent use.
type Model struct {
	Config *Config

	engine  engine.Engine
	weights map[string]net.Tensor
	tokens  *net.WordPiece // nil without a text tower
	image   engine.Program // nil until the first use
	text    engine.Program
}

// LoadModel reads a finished model's folder, and checks its weights against config.json.
func LoadModel(dir string) (*Model, error) { return loadModel(engine.Gorgonia(), dir) }

func loadModel(e engine.Engine, dir string) (m *Model, err error) {
	m = &Model{engine: e}
	if m.Config, m.weights, err = loadWeights(dir); err != nil {
		return nil, err
	}
	if m.Config.Text != nil {
		m.tokens, err = net.LoadWordPiece(filepath.Join(dir, vocabFile))
		if err == nil && m.tokens.Size() != m.Config.Text.Vocab {
			err = fmt.Errorf("%s: %d tokens, %s says %d", filepath.Join(dir, vocabFile), m.tokens.Size(), configFile, m.Config.Text.Vocab)
		}
	}
	return m, err
}

// Accepts says whether a data set's volumes are what the model was trained on: made with the same preset.
func (m *Model) Accepts(d *shard.Dataset) error {
	if have := d.Preset().Digest(); have != m.Config.PresetDigest {
		return fmt.Errorf("fit: the model was trained on volumes of preset %s (%.12s), the data set has %s (%.12s)",
			m.Config.Preset.Name, m.Config.PresetDigest, d.Preset().Name, have)
	}
	return nil
}

// Logits classifies volumes: a row of len(Config.Findings) a volume, before the sigmoid. Volumes are HU in z, y, x of
// the model's preset, as shard.Row has them. A clip model has no classifier: an error.
func (m *Model) Logits(ctx context.Context, volumes [][]int16) ([][]float32, error) {
	if m.Config.Recipe != Supervised {
		return nil, fmt.Errorf("a %s model has no classifier", m.Config.Recipe)
	}
	return m.volumes(ctx, "logits", volumes)
}

// EmbedVolumes gives a vector a volume: of length 1 in the space shared with texts for a clip model, the pooled features
// for a supervised one.
func (m *Model) EmbedVolumes(ctx context.Context, volumes [][]int16) ([][]float32, error) {
	return m.volumes(ctx, pick(m.Config.Recipe == Clip, "image_embedding", "pooled"), volumes)
}

// EmbedTexts gives a vector of length 1 a text, whose product with a volume's is their likeness. A text longer than
// Config.Tokens loses its middle. A supervised model has no text tower: an error.
func (m *Model) EmbedTexts(ctx context.Context, texts []string) ([][]float32, error) {
	return m.texts(ctx, "text_embedding", texts)
}

// Adapted is the model with its text side's batch normalisation on the statistics of these texts instead of the training
// split's (adaptive batch normalisation: Li et al. 2016, arXiv 1603.04779). Reports of another hospital differ from the
// training's as a whole in wording; what they have in common says nothing about any one of them. It takes no labels and
// at least two texts.
func (m *Model) Adapted(ctx context.Context, texts []string) (*Model, error) {
	pooled, err := m.texts(ctx, "text_pooled", texts)
	if err != nil {
		return nil, err
	}
	if len(pooled) < 2 {
		return nil, fmt.Errorf("%d texts: a normalisation needs two", len(pooled))
	}
	mean, variance := moments(pooled)
	weights := maps.Clone(m.weights)
	weights["text_norm.running_mean"] = net.Tensor{Shape: []int{len(mean)}, F32: mean}
	weights["text_norm.running_var"] = net.Tensor{Shape: []int{len(mean)}, F32: variance}
	return &Model{Config: m.Config, engine: m.engine, weights: weights, tokens: m.tokens}, nil
}

// moments are each column's mean and unbiased variance.
func moments(rows [][]float32) (mean, variance []float32) {
	for c := range rows[0] {
		sum, squares, n := 0.0, 0.0, float64(len(rows))
		for _, r := range rows {
			sum += float64(r[c])
		}
		for _, r := range rows {
			squares += (float64(r[c]) - sum/n) * (float64(r[c]) - sum/n)
		}
		mean, variance = append(mean, float32(sum/n)), append(variance, float32(squares/(n-1)))
	}
	return mean, variance
}

// texts runs the text tower.
func (m *Model) texts(ctx context.Context, output string, texts []string) ([][]float32, error) {
	if m.tokens == nil {
		return nil, fmt.Errorf("a %s model has no text tower", m.Config.Recipe)
	}
	v := textView{tokens: m.tokens, length: m.Config.Tokens}
	if m.text == nil {
		g, err := net.TextEncoder(m.Config.clip())
		if err != nil {
			return nil, err
		}
		if m.text, err = m.compile(g, v.inputs(evalTexts)); err != nil {
			return nil, err
		}
	}
	return each(ctx, m.text, output, blank(v.inputs(evalTexts)), evalTexts, len(texts), func(in map[string]net.Tensor, row, i int) error {
		v.encode(in, row, texts[i])
		return nil
	})
}

func (m *Model) volumes(ctx context.Context, output string, volumes [][]int16) ([][]float32, error) {
	v := newImageView(m.Config.Preset, augment{})
	if m.image == nil {
		g, err := m.imageGraph()
		if err != nil {
			return nil, err
		}
		if m.image, err = m.compile(g, v.inputs(evalVolumes)); err != nil {
			return nil, err
		}
	}
	n := m.Config.Preset.Len()
	return each(ctx, m.image, output, blank(v.inputs(evalVolumes)), evalVolumes, len(volumes), func(in map[string]net.Tensor, row, i int) error {
		if len(volumes[i]) != n {
			return fmt.Errorf("volume %d has %d voxels, preset %s %d", i, len(volumes[i]), m.Config.Preset.Name, n)
		}
		m.Config.Preset.Window(in["x"].F32[row*n:][:n], volumes[i])
		return nil
	})
}

func (m *Model) imageGraph() (*net.Graph, error) {
	if m.Config.Recipe == Clip {
		return net.ImageEncoder(m.Config.clip())
	}
	return net.Supervised(m.Config.visual(), false, false)
}

func (m *Model) compile(g *net.Graph, in []input) (engine.Program, error) {
	p, err := m.engine.Compile(g, shapes(in), false)
	if err == nil {
		err = p.Load(m.weights)
	}
	return p, err
}

// each runs n items in batches of size and copies out the rows of one output, in order.
func each(ctx context.Context, p engine.Program, output string, in map[string]net.Tensor, size, n int, fill func(in map[string]net.Tensor, row, i int) error) ([][]float32, error) {
	rows := make([][]float32, 0, n)
	for from := 0; from < n; from += size {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		here := min(size, n-from)
		for row := range here {
			if err := fill(in, row, from+row); err != nil {
				return nil, err
			}
		}
		out, err := p.Run(in)
		if err != nil {
			return nil, err
		}
		t := out[output]
		width := len(t.F32) / size
		for row := range here {
			rows = append(rows, slices.Clone(t.F32[row*width:][:width]))
		}
	}
	return rows, nil
}
