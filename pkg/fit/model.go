package fit

import (
	"context"
	"fmt"
	"math"
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
	Raw    bool // a clip model's vectors are its projections as they are, not brought to length 1

	engine   engine.Engine
	weights  map[string]net.Tensor
	tokens   *net.WordPiece // nil without a text tower
	embedder *Embedder      // with Config.Embeddings; nil until Embed
	image    engine.Program // nil until the first use
	text     engine.Program
}

// LoadModel reads a finished model's folder, and checks its weights against config.json. It runs in F32 on an engine by name, as
// of NewEngine.
func LoadModel(dir, name string) (*Model, error) {
	e, err := NewEngine(name, "")
	if err != nil {
		return nil, err
	}
	return loadModel(e, dir)
}

func loadModel(e engine.Engine, dir string) (m *Model, err error) {
	m = &Model{engine: e}
	if m.Config, m.weights, err = loadWeights(dir); err != nil {
		return nil, err
	}
	if m.Config.Recipe == commandRecipe {
		return nil, fmt.Errorf("%s: made by %s: its net is not known here (recipe: supervised says that it is that of a supervised model)", dir, filepath.Base(m.Config.Command[0]))
	}
	if m.Config.Text != nil {
		m.tokens, err = net.LoadWordPiece(filepath.Join(dir, vocabFile))
		if n := m.Config.Text.Vocab; err == nil && m.tokens.Size() != n && (m.Config.TextFrom == nil || m.tokens.Size() > n) {
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

// Logits classifies volumes: a row of len(Config.Findings) a volume, before the sigmoid. Volumes are rows of a
// data set that the model Accepts; they are read one after the other. A clip model has no classifier: an error.
func (m *Model) Logits(ctx context.Context, volumes []shard.Row) ([][]float32, error) {
	if m.Config.Recipe != Supervised {
		return nil, fmt.Errorf("a %s model has no classifier", m.Config.Recipe)
	}
	return m.volumes(ctx, "logits", scans(volumes))
}

// Scale is by what a clip model multiplies cosines to make logits, as it has learned,
// a fixed one as it was.
func (m *Model) Scale() float64 {
	if w, ok := m.weights["logit_scale"]; ok {
		return math.Exp(float64(w.F32[0]))
	}
	for _, l := range m.Config.Objectives {
		if op, ok := l.op().(net.Contrastive); ok && op.Scale == "fixed" {
			return op.Start
		}
	}
	return 1
}

// EmbedVolumes gives a vector a volume: of length 1, unless Raw, in the space shared with texts for a clip model, the pooled features
// for a supervised one.
func (m *Model) EmbedVolumes(ctx context.Context, volumes []shard.Row) ([][]float32, error) {
	return m.volumes(ctx, pick(m.Config.Recipe == Clip, pick(m.Raw, "visual_projection", "image_embedding"), "pooled"), scans(volumes))
}

// EmbedReports embeds reports as queries, whole or each by its conclusion: there a radiologist names what matters in few words,
// while findings are for the most part denials in the wording of a house. A report without one (no last section, or one that
// says nothing) is embedded whole. A report comes as a passage's Report and Study.
func (m *Model) EmbedReports(ctx context.Context, reports []Passage, whole bool) ([][]float32, error) {
	queries := slices.Clone(reports)
	for i, q := range queries {
		text := q.Report
		if m.embedder != nil {
			text = m.embedder.sent(text)
		}
		queries[i].Text = pick(whole, text, conclusion(text))
	}
	return m.embed(ctx, queries)
}

// EmbedTexts gives a vector of length 1, unless Raw, a text, whose product with a volume's is their likeness. A text longer than
// Config.Tokens loses its middle. A supervised model has no text side: an error.
func (m *Model) EmbedTexts(ctx context.Context, texts []string) ([][]float32, error) {
	all := make([]Passage, len(texts))
	for i, t := range texts {
		all[i].Text = t
	}
	return m.embed(ctx, all)
}

func (m *Model) embed(ctx context.Context, all []Passage) ([][]float32, error) {
	if m.Config.Recipe != Clip {
		return nil, fmt.Errorf("a %s model has no text tower", m.Config.Recipe)
	}
	var fill func(in map[string]net.Tensor, row, i int) error
	var inputs []input
	if m.Config.Embeddings != nil {
		vectors, err := m.given(ctx, all)
		if err != nil {
			return nil, err
		}
		v := vectorView{width: m.Config.Embeddings.Width}
		inputs = v.inputs(evalTexts)
		fill = func(in map[string]net.Tensor, row, i int) error { return v.put(in, row, vectors[i]) }
	} else {
		v := textView{tokens: m.tokens, length: m.Config.Tokens}
		inputs = v.inputs(evalTexts)
		fill = func(in map[string]net.Tensor, row, i int) error {
			v.encode(in, row, all[i].Text)
			return nil
		}
	}
	if m.text == nil {
		g, err := net.TextEncoder(m.Config.clip())
		if err != nil {
			return nil, err
		}
		if m.text, err = m.compile(g, inputs); err != nil {
			return nil, err
		}
	}
	return each(ctx, m.text, pick(m.Raw, "text_projection", "text_embedding"), blank(inputs), evalTexts, len(all), fill)
}

func scans(rows []shard.Row) []scan {
	out := make([]scan, len(rows))
	for i, r := range rows {
		out[i] = r
	}
	return out
}

func (m *Model) volumes(ctx context.Context, output string, volumes []scan) ([][]float32, error) {
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
	n, hu := m.Config.Preset.Len(), v.borrow()
	return each(ctx, m.image, output, blank(v.inputs(evalVolumes)), evalVolumes, len(volumes), func(in map[string]net.Tensor, row, i int) error {
		if err := v.read(hu, volumes[i], [3]int{}); err != nil {
			return err
		}
		m.Config.Preset.Window(in["x"].F32[row*n:][:n], hu)
		return nil
	})
}

func (m *Model) imageGraph() (*net.Graph, error) {
	if m.Config.Recipe == Clip {
		return net.ImageEncoder(m.Config.clip())
	}
	return net.Supervised(m.Config.visual(), false, false)
}

// reload takes other weights of the same net.
func (m *Model) reload(weights map[string]net.Tensor) error {
	m.weights = weights
	for _, p := range []engine.Program{m.image, m.text} {
		if p != nil {
			if err := p.Load(weights); err != nil {
				return err
			}
		}
	}
	return nil
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
