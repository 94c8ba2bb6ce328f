package batch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"silverbeam/pkg/bucket"
	"silverbeam/pkg/fit"
	"silverbeam/pkg/llm"
	"silverbeam/pkg/table"
	"silverbeam/pkg/taxonomy"
	"silverbeam/schemas"
)

// Embeddings say what embeds reports, and prompts in evaluation: a file or an endpoint. Zero: nothing does.
type Embeddings struct {
	File       string `yaml:"file"`        // Parquet with a column text and a column embedding, a list of floats: of reports, of their conclusions or sentences, and of prompts
	Endpoint   string `yaml:"endpoint"`    // base URL of an OpenAI-compatible server with /v1/embeddings, or several with commas between, each with *WEIGHT if not 1
	Model      string `yaml:"model"`       // of the endpoint; needed by it
	KeyEnv     string `yaml:"key_env"`     // the environment variable that holds the key; "" sends none
	KeyCommand string `yaml:"key_command"` // or the command that prints it
	Prices     string `yaml:"prices"`      // price file; default the built-in one
	InFlight   int    `yaml:"in_flight"`   // requests at once, of up to 32 texts each; default 8
	Send       string `yaml:"send"`        // of a report: redacted (its statements, identifiers removed) or whole; default redacted unless the endpoint is this machine
}

// Validate names what cannot work, by keys that begin with embeddings.
func (e Embeddings) Validate() (errs []error) {
	bad := func(field string, value any, bound string) {
		errs = append(errs, schemas.FieldError{Field: "embeddings." + field, Value: value, Bound: bound})
	}
	switch {
	case e == (Embeddings{}):
	case e.File != "" && e != (Embeddings{File: e.File}):
		bad("file", e.File, "no other key with it")
	case e.File == "" && !llm.Speaks(e.Endpoint):
		bad("endpoint", e.Endpoint, "an http, https or fake URL, or several, or file")
	case e.File == "" && e.Model == "" && !strings.HasPrefix(strings.TrimSpace(e.Endpoint), "fake:"):
		bad("model", e.Model, "a model's name, for endpoint")
	}
	if e.KeyEnv != "" && e.KeyCommand != "" {
		bad("key_command", e.KeyCommand, "empty, beside key_env")
	}
	if e.InFlight < 0 || e.InFlight > 4096 {
		bad("in_flight", e.InFlight, "1 to 4096")
	}
	if !slices.Contains([]string{"", "redacted", "whole"}, e.Send) {
		bad("send", e.Send, "one of redacted, whole")
	}
	return errs
}

// embedsAtOnce are few: a request of many texts takes a small server seconds, and those under way when a run is killed are asked again.
const embedsAtOnce = 8

// Client is what a client of the endpoint is opened with.
func (e Embeddings) Client(run schemas.Run) llm.Options {
	return llm.Options{Endpoint: e.Endpoint, Model: e.Model, KeyEnv: e.KeyEnv, KeyCommand: e.KeyCommand, Prices: e.Prices, InFlight: cmp.Or(e.InFlight, embedsAtOnce), Send: e.Send,
		MaxCostPico: run.MaxCostPico, Replay: run.Replay, Spool: run.Dir, Egress: filepath.Join(run.Dir, "egress.jsonl"), Canary: -1}
}

// Embedder is what embeds texts for a step of a run. A file may have come by texts since a model was trained: it has no digest.
func (e Embeddings) Embedder(step string, t *taxonomy.Taxonomy, run schemas.Run) (*fit.Embedder, error) {
	if e.File != "" {
		return column(e.File)
	}
	o := e.Client(run)
	c, err := Client(o, t, run)
	if err != nil {
		return nil, fmt.Errorf("embeddings: %w", err)
	}
	return &fit.Embedder{Model: cmp.Or(e.Model, e.Endpoint), Digest: e.digest(), Sent: c.Sent, Vectors: func(ctx context.Context, texts []fit.Passage) ([][]float32, error) {
		all := make([]llm.Passage, len(texts))
		for i, t := range texts {
			all[i] = llm.Passage(t)
		}
		return c.Embed(ctx, step, all)
	}}, nil
}

// digest is of all that decides an endpoint's vectors; "" of a file.
func (e Embeddings) digest() string {
	if e.File != "" {
		return ""
	}
	return fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%q", e.Client(schemas.Run{}).Embedding())))
}

// FileDigest is hex SHA-256 of a file of vectors; "" of an endpoint.
func (e Embeddings) FileDigest() (string, error) {
	if e.File == "" {
		return "", nil
	}
	f, err := bucket.OpenFile(e.File)
	if err != nil {
		return "", fmt.Errorf("embeddings: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return fmt.Sprintf("%x", h.Sum(nil)), err
}

// Suit says whether a model that was trained against embeddings, or was not, can be evaluated with these.
func (e Embeddings) Suit(m *fit.Model) error {
	switch {
	case e != (Embeddings{}):
		return m.Embed(&fit.Embedder{Model: cmp.Or(e.Model, e.Endpoint), Digest: e.digest()})
	case m.Config.Embeddings != nil:
		return fmt.Errorf("the model was trained against vectors of %s: embeddings must say what embeds texts", cmp.Or(m.Config.Embeddings.Model, "a file"))
	}
	return nil
}

// column looks texts up in a file.
func column(file string) (*fit.Embedder, error) {
	of, err := table.Vectors(file, "text", "embedding")
	if err != nil {
		return nil, fmt.Errorf("embeddings: %w", err)
	}
	return &fit.Embedder{Vectors: func(_ context.Context, texts []fit.Passage) ([][]float32, error) {
		vectors := make([][]float32, len(texts))
		for i, t := range texts {
			vectors[i] = of[t.Text]
		}
		return vectors, nil
	}}, nil
}
