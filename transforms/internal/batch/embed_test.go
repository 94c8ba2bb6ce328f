package batch

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"silverbeam/pkg/fit"
	"silverbeam/pkg/taxonomy"
	"silverbeam/schemas"
)

// An endpoint embeds texts, and its digest tells models and ways of redaction apart, not addresses. A file gives nothing for a text that
// it has not.
func TestEmbedder(t *testing.T) {
	dir := t.TempDir()
	run := schemas.Run{Dir: dir, Store: filepath.Join(dir, "store.db")}
	t.Cleanup(func() { Close() })
	tax, err := taxonomy.Load("ctrate-18")
	if err != nil {
		t.Fatal(err)
	}
	e, err := Embeddings{Endpoint: "fake://rules"}.Embedder("clip", tax, run)
	if err != nil {
		t.Fatal(err)
	}
	report := "The lungs are clear. No effusion."
	v, err := e.Vectors(t.Context(), []fit.Passage{{Text: "The lungs are clear.", Report: report, Study: "s"}, {Text: "Pleural effusion."}, {Text: "The lungs are clear."}})
	if err != nil || len(v) != 3 || len(v[0]) == 0 || !slices.Equal(v[0], v[2]) || slices.Equal(v[0], v[1]) {
		t.Fatalf("%d vectors, %v", len(v), err)
	}
	if got := e.Sent(report); got != report {
		t.Errorf("%q", got)
	}
	remote := Embeddings{Endpoint: "https://a.example/v1", Model: "m"}
	moved, whole, other := remote, remote, remote
	moved.Endpoint, whole.Send, other.Model = "https://b.example/v1", "whole", "n"
	if d := remote.digest(); d != moved.digest() || d == whole.digest() || d == other.digest() {
		t.Error("the digest is not that of model and redaction alone")
	}
	file, err := Embeddings{File: filepath.Join("..", "..", "..", "pkg", "table", "testdata", "vectors.parquet")}.Embedder("clip", tax, run)
	if err != nil {
		t.Fatal(err)
	}
	if v, err = file.Vectors(t.Context(), []fit.Passage{{Text: "text 3"}, {Text: "text 9"}}); err != nil || len(v) != 2 || len(v[0]) != 3 || v[1] != nil || file.Digest != "" {
		t.Errorf("%v, %v", v, err)
	}
}

func TestEmbeddingsThatCannotWork(t *testing.T) {
	for want, e := range map[string]Embeddings{
		"embeddings.file":        {File: "v.parquet", Model: "m"},
		"embeddings.endpoint":    {Endpoint: "ftp://x"},
		"embeddings.model":       {Endpoint: "http://127.0.0.1:1/v1"},
		"embeddings.key_command": {Endpoint: "fake://rules", KeyEnv: "K", KeyCommand: "echo"},
		"embeddings.in_flight":   {Endpoint: "fake://rules", InFlight: -1},
		"embeddings.send":        {Endpoint: "fake://rules", Send: "impression"},
	} {
		if errs := e.Validate(); len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), want) {
			t.Errorf("%+v: %v", e, errs)
		}
	}
	if errs := (Embeddings{}).Validate(); errs != nil {
		t.Error(errs)
	}
}
