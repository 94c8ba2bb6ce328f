package fit

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
	"silverbeam/pkg/volume"
)

// small is a preset whose volumes train a net in a moment.
var small = volume.Preset{Name: "small", SpacingMM: [3]float64{24, 12, 12}, Shape: [3]int{16, 24, 24}, LoHU: -1000, HiHU: 200}

// hfFolder is a BERT as Hugging Face's libraries save one with a head; change, not nil, may change its configuration.
func hfFolder(t *testing.T, change func(config map[string]any)) string {
	t.Helper()
	dir := t.TempDir()
	vocab := "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nlungs\nare\nclear\neffusion\n##s\nno\n.\n"
	o := net.Bert{Layers: 2, Hidden: 16, Heads: 2, Intermediate: 24, Vocab: 20, MaxPositions: 12}
	g, err := net.BertEncoder(o)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]net.Tensor{"bert.pooler.dense.bias": {Shape: []int{16}, F32: make([]float32, 16)}}
	for name, v := range g.Init(7) {
		all["bert."+name] = v
	}
	if err := net.SaveSafetensors(filepath.Join(dir, "model.safetensors"), all, nil); err != nil {
		t.Fatal(err)
	}
	config := map[string]any{"model_type": "bert", "num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24, "vocab_size": 20,
		"max_position_embeddings": 12, "hidden_act": "gelu", "layer_norm_eps": 1e-12}
	if change != nil {
		change(config)
	}
	b, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"config.json": string(b), "vocab.txt": vocab} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// alike says whether two tensors are the same bits.
func alike(a, b net.Tensor) bool { return slices.Equal(a.Shape, b.Shape) && slices.Equal(a.F32, b.F32) }

// TestTextFrom: a clip training starts its text tower from a folder of Hugging Face's, with its vocabulary, and leaves what is
// not to be trained as it is, to the bit.
func TestTextFrom(t *testing.T) {
	c, from := phantoms(t, small, 6), hfFolder(t, nil)
	given, _, err := net.LoadSafetensors(filepath.Join(from, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, globs := range [][]string{nil, {"visual.*", "*_projection.*", "*_norm.*", "logit_scale", "text.encoder.layer.1.*"}} {
		dir := t.TempDir()
		o := Options{Recipe: Clip, Width: 8, Stem: 4, Epochs: 2, Batch: 3, LR: 1e-3, Text: from, Trainable: globs}
		if _, err := train(t.Context(), engine.Gorgonia(), c, nil, "t", dir, o, nil); err != nil {
			t.Fatal(err)
		}
		cfg, weights, err := loadWeights(dir)
		if err != nil {
			t.Fatal(err)
		}
		kept, moved := 0, 0
		for name, v := range weights {
			if of, ok := strings.CutPrefix(name, "text."); ok {
				if alike(v, given["bert."+of]) {
					kept++
				} else if moved++; globs != nil && !strings.HasPrefix(of, "encoder.layer.1.") {
					t.Errorf("%s has moved", name)
				}
			}
		}
		const all, layer = 5 + 2*16, 16 // embeddings and two layers
		if globs == nil && (moved < all-3 || cfg.Frozen != nil) || globs != nil && (kept < all-layer || moved < layer-2 || cfg.Frozen == nil || cfg.Frozen.Parameters != all-layer) {
			t.Errorf("trainable %q: %d of the text tower's parameters moved and %d were kept; %+v", globs, moved, kept, cfg.Frozen)
		}
		if p := cfg.TextFrom; p == nil || p.Matched != all || p.Missing != nil || p.Unused != nil || cfg.Tokens != 12 {
			t.Errorf("%+v, texts of %d tokens", p, cfg.Tokens)
		}
		m, err := LoadModel(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		if v, err := m.EmbedTexts(t.Context(), []string{"The lungs are clear."}); err != nil || len(v) != 1 || m.tokens.Size() != 13 {
			t.Errorf("%v: %v, a vocabulary of %d", v, err, m.tokens.Size())
		}
	}
}

// TestVisionFrom: a vision tower starts from a file under torchvision's names; what the file lacks is named, and refused unless
// partial.
func TestVisionFrom(t *testing.T) {
	c, dir := phantoms(t, small, 4), t.TempDir()
	g, err := net.Supervised(net.ResNet3D{Width: 8, Kernel: [3]int{4, 4, 4}, Classes: 400}, false, false) // as of Kinetics: the classifier is another
	if err != nil {
		t.Fatal(err)
	}
	given := g.Init(9)
	save := func(name string, all map[string]net.Tensor) string {
		path := filepath.Join(dir, name+".safetensors")
		if err := net.SaveSafetensors(path, all, nil); err != nil {
			t.Fatal(err)
		}
		return path
	}
	stemless := maps.Clone(given)
	delete(stemless, "layer1.0.conv1.0.weight")
	stemless["stem.0.weight"] = net.Tensor{Shape: []int{8, 3, 3, 7, 7}, F32: make([]float32, 8*3*3*7*7)}
	stemless["other"] = net.Tensor{Shape: []int{1}, F32: []float32{1}}
	o := Options{Recipe: Supervised, Width: 8, Stem: 4, Epochs: 1, Batch: 2, Trainable: []string{"fc.*"}}
	for _, one := range []struct {
		file    string
		partial bool
		missing []string
		unused  []string
		fails   string
	}{
		{save("whole", given), false, []string{"fc.weight [18 64] (the file's is [400 64])", "fc.bias [18] (the file's is [400])"}, nil, ""},
		{save("lacking", stemless), false, nil, nil, "1 do not, and the vision tower lacks stem.0.weight [8 1 4 4 4] (the file's is [8 3 3 7 7]), layer1.0.conv1.0.weight [8 8 3 3 3]; partial: true"},
		{save("lacking", stemless), true, []string{"stem.0.weight [8 1 4 4 4] (the file's is [8 3 3 7 7])", "layer1.0.conv1.0.weight [8 8 3 3 3]", "fc.weight [18 64] (the file's is [400 64])", "fc.bias [18] (the file's is [400])"}, []string{"other"}, ""},
		{save("none", map[string]net.Tensor{"other": stemless["other"]}), true, nil, nil, "none of its tensors is one of torchvision's r3d_18 in this width and stem; it has other"},
		{filepath.Join(dir, "no.safetensors"), false, nil, nil, "no such file"},
	} {
		into := t.TempDir()
		o.Vision, o.Partial = one.file, one.partial
		_, err := train(t.Context(), engine.Gorgonia(), c, nil, "t", into, o, nil)
		if one.fails != "" {
			if err == nil || !strings.Contains(err.Error(), one.fails) || !strings.HasPrefix(err.Error(), "vision: ") {
				t.Errorf("%s: %v, want %q", one.file, err, one.fails)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		cfg, weights, err := loadWeights(into)
		if err != nil {
			t.Fatal(err)
		}
		if p := cfg.VisionFrom; !slices.Equal(p.Missing, one.missing) || !slices.Equal(p.Unused, one.unused) {
			t.Errorf("%s: %+v", one.file, p)
		}
		for _, p := range g.Params { // frozen, all but the classifier
			if !p.Buffer && !strings.HasPrefix(p.Name, "fc.") && !slices.ContainsFunc(one.missing, func(s string) bool { return strings.HasPrefix(s, p.Name+" ") }) && !alike(weights[p.Name], given[p.Name]) {
				t.Errorf("%s: %s is not the file's", one.file, p.Name)
			}
		}
	}
}

// TestPretrainedRefused: what cannot be a start is refused with a reason.
func TestPretrainedRefused(t *testing.T) {
	c := phantoms(t, small, 4)
	with := func(file, text string) string {
		dir := hfFolder(t, nil)
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	config := func(key string, v any) string {
		return hfFolder(t, func(c map[string]any) { c[key] = v })
	}
	for want, o := range map[string]Options{
		"no config.json: want a folder of Hugging Face's":            {Recipe: Clip, Text: t.TempDir()},
		"config.json: hidden_act \"relu\"":                           {Recipe: Clip, Text: config("hidden_act", "relu")},
		"config.json: num_hidden_layers 0":                           {Recipe: Clip, Text: config("num_hidden_layers", 0)},
		"it lacks encoder.layer.2.attention.self.query.weight":       {Recipe: Clip, Text: config("num_hidden_layers", 3)},
		"vocab.txt: 13 tokens, config.json says 5":                   {Recipe: Clip, Text: config("vocab_size", 5)},
		"do_lower_case is false":                                     {Recipe: Clip, Text: with("tokenizer_config.json", `{"do_lower_case": false}`)},
		"tokenizer_config.json: unexpected end":                      {Recipe: Clip, Text: with("tokenizer_config.json", "")},
		"model.safetensors: ":                                        {Recipe: Clip, Text: with("model.safetensors", "no tensors")},
		"only for recipe clip":                                       {Recipe: Supervised, Text: "x"},
		"partial only with vision":                                   {Recipe: Supervised, Partial: true},
		"one of vision and init":                                     {Recipe: Clip, Init: "x", Vision: "y"},
		`trainable "head.*" names no parameter: want one such as st`: {Recipe: Supervised, Trainable: []string{"fc.*", "head.*"}},
		`trainable "fc.[": want a parameter's name`:                  {Recipe: Supervised, Trainable: []string{"fc.["}},
	} {
		o.Batch, o.Epochs = 2, 1
		dir := t.TempDir()
		if _, err := train(t.Context(), engine.Gorgonia(), c, nil, "t", dir, o, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if _, err := os.Stat(filepath.Join(dir, configFile)); err == nil {
			t.Errorf("%q: a model was written", want)
		}
	}
}

// meddling is an engine whose programs change a parameter behind the optimiser's back.
type meddling struct{ engine.Engine }

type meddled struct{ engine.Program }

func (e meddling) Compile(g *net.Graph, shapes map[string][]int, train bool) (engine.Program, error) {
	p, err := e.Engine.Compile(g, shapes, train)
	return meddled{p}, err
}

func (p meddled) Export() map[string]net.Tensor {
	all := p.Program.Export()
	all["layer4.1.conv2.0.weight"].F32[0]++
	return all
}

// TestFrozenMeansFrozen: a training that has changed what it was to leave as it is gives no model.
func TestFrozenMeansFrozen(t *testing.T) {
	dir := t.TempDir()
	o := Options{Recipe: Supervised, Width: 8, Epochs: 1, Batch: 2, Trainable: []string{"fc.*", "layer1.*"}}
	if _, err := train(t.Context(), meddling{engine.Gorgonia()}, phantoms(t, small, 4), nil, "t", dir, o, nil); err == nil || !strings.Contains(err.Error(), "parameters that were not to be trained have changed") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, weightsFile)); err == nil {
		t.Error("a model was written")
	}
}
