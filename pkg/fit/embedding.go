package fit

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"silverbeam/pkg/net"
)

// Embeddings say whose vectors a model is trained against, in place of a text tower. CLIP's text side is then batch normalisation and
// a projection of these vectors, which stay as they are.
type Embeddings struct {
	Model  string `json:"model,omitempty"` // that gives them, as its server knows it; "": they were in a file
	Digest string `json:"digest"`          // hex SHA-256 of all that decides a text's vector, of a file of those of the training's texts
	Width  int    `json:"width"`           // of a vector
}

// Embedder embeds texts.
type Embedder struct {
	Model, Digest string                     // as in Embeddings; Digest "": Train takes that of its texts' vectors
	Sent          func(report string) string // what of a report may be embedded; nil: all of it

	// Vectors gives the vectors of texts, in their order and all of one length; nil for a text that has none. A text of a report
	// is part of what Sent gives of it.
	Vectors func(ctx context.Context, texts []Passage) ([][]float32, error)
}

// Passage is a text that is embedded.
type Passage struct {
	Text   string
	Report string // that it is of; "": of none, as a prompt
	Study  string // whose report it is; "" likewise
}

func (e *Embedder) sent(report string) string {
	if e.Sent == nil {
		return report
	}
	return e.Sent(report)
}

// usualWidth is of embeddings that nobody has seen yet: 768 to 1,536 are usual.
const usualWidth = 1024

// tellEvery is after how many texts progress is told: some seconds of a usual endpoint.
const tellEvery = 4096

// drawn are the vectors that may be drawn of a report: the whole, its conclusion, its sentences. One that is lacking is left out.
type drawn [3][][]float32

// vectorView is a vector of each study's report, or of a part of it: text_features [N, width]. A draw is one time in three the
// whole report, one its conclusion and one a sentence, so that the projection meets what is as short as a prompt. What has no
// vector leaves its turns to the others.
type vectorView struct {
	width int
	of    []drawn // by study
}

func (v vectorView) inputs(n int) []input {
	return []input{{"text_features", []int{n, v.width}, false}}
}

func (v vectorView) fill(in map[string]net.Tensor, row int, d draw) error {
	r, all := stream(d.seed, d.key(forText)...), v.of[d.index]
	for first, n := r.IntN(len(all)), 0; n < len(all); n++ {
		if some := all[(first+n)%len(all)]; len(some) > 0 {
			return v.put(in, row, some[r.IntN(len(some))])
		}
	}
	panic("fit: a study without a vector")
}

func (v vectorView) put(in map[string]net.Tensor, row int, vector []float32) error {
	if len(vector) != v.width {
		return fmt.Errorf("an embedding of %d numbers, the model takes %d", len(vector), v.width)
	}
	copy(in["text_features"].F32[row*v.width:], vector)
	return nil
}

// textView is clip's view of reports; given: their vectors, with Embeddings.
func (c *Config) textView(tokens *net.WordPiece, given []drawn) view {
	if c.Embeddings != nil {
		return vectorView{c.Embeddings.Width, given}
	}
	return textView{tokens, c.Tokens, true, pick(c.TextFrom != nil, 0, hidden)}
}

// corpus embeds all that may be drawn of the reports of studies, by study, each of which must have some, and digests texts and vectors.
func (e *Embedder) corpus(ctx context.Context, c *corpus, tell func(done, all int)) (of []drawn, made Embeddings, err error) {
	var all []Passage
	at, parts := map[string]int{}, make([][3][]string, len(c.studies))
	for i, s := range c.studies {
		text := e.sent(s.report)
		parts[i] = [3][]string{{text}, {conclusion(text)}, sentences(text)}
		for _, kind := range parts[i] {
			for _, text := range kind {
				if _, twice := at[text]; !twice {
					at[text] = len(all)
					all = append(all, Passage{text, s.report, s.id})
				}
			}
		}
	}
	vectors, h := make([][]float32, 0, len(all)), sha256.New()
	for len(vectors) < len(all) {
		tell(len(vectors), len(all))
		some := all[len(vectors):min(len(vectors)+tellEvery, len(all))]
		got, err := e.Vectors(ctx, some)
		if err != nil {
			return nil, made, fmt.Errorf("embeddings: %w", err)
		}
		for i, v := range got {
			if v != nil && made.Width > 0 && len(v) != made.Width {
				return nil, made, fmt.Errorf("embeddings: vectors of %d and of %d numbers", made.Width, len(v))
			}
			made.Width = max(made.Width, len(v))
			fmt.Fprintf(h, "%q ", some[i].Text)
			binary.Write(h, binary.LittleEndian, v)
		}
		vectors = append(vectors, got...)
	}
	of = make([]drawn, len(parts))
	for i, kinds := range parts {
		n := 0
		for k, texts := range kinds {
			for _, text := range texts {
				if v := vectors[at[text]]; v != nil {
					of[i][k] = append(of[i][k], v)
					n++
				}
			}
		}
		if n == 0 {
			return nil, made, fmt.Errorf("no embedding of the report of study %s, nor of its conclusion or a sentence", c.studies[i].id)
		}
	}
	made.Model, made.Digest = e.Model, e.Digest
	if made.Digest == "" {
		made.Digest = hex.EncodeToString(h.Sum(nil))
	}
	return of, made, nil
}

// Embed has what the model was trained against embed the texts of its evaluation. It is an error if these would be other vectors, and
// if the model has a text tower.
func (m *Model) Embed(e *Embedder) error {
	switch g := m.Config.Embeddings; {
	case g == nil:
		return errors.New("the model has a text tower, which reads reports")
	case g.Model != "" && e.Digest != "" && g.Digest != e.Digest:
		return fmt.Errorf("other vectors than those of %s, which the model was trained against (%.12s, %.12s)", g.Model, e.Digest, g.Digest)
	}
	m.embedder = e
	return nil
}

// given are the vectors of texts in evaluation. Of a report, what has none is asked for whole, and then by its conclusion.
func (m *Model) given(ctx context.Context, all []Passage) ([][]float32, error) {
	if m.embedder == nil {
		return nil, errors.New("the model was trained against embeddings: nothing is there to embed texts")
	}
	vectors := make([][]float32, len(all))
	for try, text := range []func(Passage) string{
		func(p Passage) string { return p.Text },
		func(p Passage) string { return m.embedder.sent(p.Report) },
		func(p Passage) string { return conclusion(m.embedder.sent(p.Report)) },
	} {
		var asked []Passage
		var at []int
		for i, p := range all {
			if vectors[i] == nil && (try == 0 || p.Report != "") {
				asked, at = append(asked, Passage{text(p), p.Report, p.Study}), append(at, i)
			}
		}
		if asked == nil {
			break
		}
		got, err := m.embedder.Vectors(ctx, asked)
		if err != nil {
			return nil, fmt.Errorf("embeddings: %w", err)
		}
		for i, v := range got {
			vectors[at[i]] = v
		}
	}
	return vectors, m.lacks(all, vectors)
}

// lacks names what has no vector.
func (m *Model) lacks(all []Passage, vectors [][]float32) error {
	var prompts []string
	for i, v := range vectors {
		switch {
		case v != nil:
		case all[i].Report != "":
			return fmt.Errorf("no embedding of the report of study %s, nor of its conclusion", all[i].Study)
		default:
			prompts = append(prompts, fmt.Sprintf("%q", all[i].Text))
		}
	}
	if prompts != nil {
		return fmt.Errorf("no embedding of %d prompts: %s", len(prompts), some(prompts))
	}
	return nil
}
