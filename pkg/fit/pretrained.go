package fit

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"silverbeam/pkg/net"
)

// Pretrained is what a tower has taken from weights that were trained elsewhere.
type Pretrained struct {
	Digest  string   `json:"digest"`            // hex SHA-256 of the file, for a text tower of its weights, vocabulary and configuration
	Matched int      `json:"matched"`           // parameters and buffers that were taken
	Missing []string `json:"missing,omitempty"` // those of the tower that the file has not, or not in that shape: they start at random
	Unused  []string `json:"unused,omitempty"`  // tensors of the file that the tower has not
}

// match takes from a file's tensors those that a tower has, and says which are missing and which are unused. A count of batches is
// neither.
func match(tower []*net.Param, all map[string]net.Tensor, digest string) (*Pretrained, map[string]net.Tensor) {
	p, taken, left := &Pretrained{Digest: digest}, map[string]net.Tensor{}, maps.Clone(all)
	for _, q := range tower {
		t, ok := all[q.Name]
		delete(left, q.Name)
		switch {
		case ok && slices.Equal(t.Shape, q.Shape):
			taken[q.Name] = t
		case net.IsCount(q.Name):
		case ok:
			p.Missing = append(p.Missing, fmt.Sprintf("%s %v (the file's is %v)", q.Name, q.Shape, t.Shape))
		default:
			p.Missing = append(p.Missing, fmt.Sprintf("%s %v", q.Name, q.Shape))
		}
	}
	p.Matched, p.Unused = len(taken), slices.Sorted(maps.Keys(left))
	return p, taken
}

// some names the first of many.
func some(all []string) string {
	if n := len(all); n > 4 {
		return strings.Join(all[:4], ", ") + fmt.Sprintf(" and %d more", n-4)
	}
	return strings.Join(all, ", ")
}

// tensorsOf reads a file of weights, and gives its hex SHA-256.
func tensorsOf(file string) (all map[string]net.Tensor, digest string, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, "", err
	}
	if all, _, err = net.DecodeSafetensors(b); err != nil {
		return nil, "", fmt.Errorf("%s: %w", file, err)
	}
	return all, hexDigest(b), nil
}

// visionFrom reads the weights of a 3D ResNet-18 under torchvision's names, with or without a prefix such as "visual.". What the
// tower has and the file has not is an error, unless partial. The classifier may always be another.
func visionFrom(file string, o net.ResNet3D, partial bool) (*Pretrained, map[string]net.Tensor, error) {
	all, digest, err := tensorsOf(file)
	if err != nil {
		return nil, nil, err
	}
	named := map[string]net.Tensor{}
	for name, t := range all {
		for _, prefix := range []string{"visual.", "module.", "model."} {
			name = strings.TrimPrefix(name, prefix)
		}
		if _, twice := named[name]; twice {
			return nil, nil, fmt.Errorf("%s: it has %s twice, behind different prefixes: keep one", file, name)
		}
		named[name] = t
	}
	g, err := net.Supervised(o, false, false)
	if err != nil {
		return nil, nil, err
	}
	p, taken := match(g.Params, named, digest)
	lacking := slices.DeleteFunc(slices.Clone(p.Missing), func(s string) bool { return strings.HasPrefix(s, "fc.") })
	switch {
	case p.Matched == 0:
		return nil, nil, fmt.Errorf("%s: none of its tensors is one of torchvision's r3d_18 in this width and stem; it has %s", file, some(p.Unused))
	case len(lacking) > 0 && !partial:
		return nil, nil, fmt.Errorf("%s: %d of its tensors fit, %d do not, and the vision tower lacks %s; partial: true takes what fits, width and stem make another tower",
			file, p.Matched, len(p.Unused), some(lacking))
	}
	return p, taken, nil
}

// textFrom reads a folder of Hugging Face's with a BERT: config.json, vocab.txt and model.safetensors, of which every parameter of the
// encoder must be there.
func textFrom(dir string) (*net.Bert, *net.WordPiece, *Pretrained, map[string]net.Tensor, error) {
	fail := func(err error) (*net.Bert, *net.WordPiece, *Pretrained, map[string]net.Tensor, error) {
		return nil, nil, nil, nil, fmt.Errorf("%s: %w", dir, err)
	}
	var files [3][]byte
	for i, name := range []string{"config.json", vocabFile, weightsFile} {
		var err error
		if files[i], err = os.ReadFile(filepath.Join(dir, name)); errors.Is(err, fs.ErrNotExist) {
			return fail(fmt.Errorf("no %s: want a folder of Hugging Face's with a BERT: config.json, %s and %s", name, vocabFile, weightsFile))
		} else if err != nil {
			return fail(err)
		}
	}
	o, err := hfBert(files[0])
	if err != nil {
		return fail(fmt.Errorf("config.json: %w", err))
	}
	if cased, err := hfCased(filepath.Join(dir, "tokenizer_config.json")); err != nil || cased {
		return fail(errors.Join(err, pick[error](cased, errors.New("tokenizer_config.json: do_lower_case is false: want a vocabulary of lower case"), nil)))
	}
	tokens, err := net.ParseWordPiece(files[1])
	if err != nil {
		return fail(fmt.Errorf("%s: %w", vocabFile, err))
	}
	if tokens.Size() > o.Vocab {
		return fail(fmt.Errorf("%s: %d tokens, config.json says %d", vocabFile, tokens.Size(), o.Vocab))
	}
	all, _, err := net.DecodeSafetensors(files[2])
	if err != nil {
		return fail(fmt.Errorf("%s: %w", weightsFile, err))
	}
	g, err := net.BertEncoder(*o)
	if err != nil {
		return fail(err)
	}
	p, taken := match(g.Params, net.Spec{Bert: o}.Weights(all), hexDigest(slices.Concat(files[:]...)))
	if len(p.Missing) > 0 {
		return fail(fmt.Errorf("%s: it lacks %s", weightsFile, some(p.Missing)))
	}
	return o, tokens, p, taken, nil
}

// CheckPretrained reads what a training is to start from, other than an initial model, before anything is spent on its data.
func CheckPretrained(o Options) error {
	if o.Text != "" {
		if _, _, _, _, err := textFrom(o.Text); err != nil {
			return fmt.Errorf("text: %w", err)
		}
	}
	if o.Vision != "" {
		stem := cmp.Or(o.Stem, defaultStem)
		if _, _, err := visionFrom(o.Vision, net.ResNet3D{Width: cmp.Or(o.Width, defaultWidth), Kernel: [3]int{stem, stem, stem}, Classes: 1}, o.Partial); err != nil {
			return fmt.Errorf("vision: %w", err)
		}
	}
	return nil
}

// hfBert reads a BertConfig of Hugging Face's.
func hfBert(b []byte) (*net.Bert, error) {
	c := struct {
		Layers       int     `json:"num_hidden_layers"`
		Hidden       int     `json:"hidden_size"`
		Heads        int     `json:"num_attention_heads"`
		Intermediate int     `json:"intermediate_size"`
		Vocab        int     `json:"vocab_size"`
		MaxPositions int     `json:"max_position_embeddings"`
		Eps          float64 `json:"layer_norm_eps"`
		Act          string  `json:"hidden_act"`
		Positions    string  `json:"position_embedding_type"`
	}{Eps: 1e-12, Act: "gelu", Positions: "absolute"}
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, err
	}
	if c.Act != "gelu" || c.Positions != "absolute" {
		return nil, fmt.Errorf("hidden_act %q, position_embedding_type %q: want gelu and absolute", c.Act, c.Positions)
	}
	if c.Layers < 1 || c.Hidden < 1 || c.Heads < 1 || c.Hidden%c.Heads != 0 || c.Intermediate < 1 || c.Vocab < 1 || c.MaxPositions < 1 {
		return nil, fmt.Errorf("num_hidden_layers %d, hidden_size %d, num_attention_heads %d, intermediate_size %d, vocab_size %d, max_position_embeddings %d: want a BertConfig",
			c.Layers, c.Hidden, c.Heads, c.Intermediate, c.Vocab, c.MaxPositions)
	}
	return &net.Bert{Layers: c.Layers, Hidden: c.Hidden, Heads: c.Heads, Intermediate: c.Intermediate, Vocab: c.Vocab, MaxPositions: c.MaxPositions, Eps: c.Eps}, nil
}

// hfCased says whether a tokenizer keeps capitals. A folder without its configuration is taken for one that does not.
func hfCased(path string) (bool, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return false, nil
	}
	c := struct {
		Lower *bool `json:"do_lower_case"`
	}{}
	if err := json.Unmarshal(b, &c); err != nil {
		return false, fmt.Errorf("tokenizer_config.json: %w", err)
	}
	return c.Lower != nil && !*c.Lower, nil
}

// trains says whether a parameter is among those that globs name; nil: all are. In a glob * stands for any text, ? for one
// character.
func trains(globs []string, name string) bool {
	return globs == nil || slices.ContainsFunc(globs, func(glob string) bool {
		ok, _ := path.Match(glob, name) // names have no slash
		return ok
	})
}

// BadGlobs are those that name no parameter of any net.
func BadGlobs(globs []string) (bad []string) {
	for _, glob := range globs {
		if _, err := path.Match(glob, ""); err != nil || glob == "" || strings.Contains(glob, "/") {
			bad = append(bad, glob)
		}
	}
	return bad
}

// Frozen are the parameters that a training was to leave as they were, and did.
type Frozen struct {
	Parameters int    `json:"parameters"`
	Digest     string `json:"digest"` // hex SHA-256 of their values, by name; the same before and after
}

// frozen digests the parameters that globs leave out; nil where none are.
func frozen(g *net.Graph, globs []string, weights map[string]net.Tensor) (*Frozen, error) {
	var f Frozen
	kept := map[string]net.Tensor{}
	for _, p := range g.Params {
		if !p.Buffer && !trains(globs, p.Name) {
			kept[p.Name] = weights[p.Name]
			f.Parameters++
		}
	}
	if f.Parameters == 0 {
		return nil, nil
	}
	b, err := net.EncodeSafetensors(kept, nil)
	f.Digest = hexDigest(b)
	return &f, err
}
