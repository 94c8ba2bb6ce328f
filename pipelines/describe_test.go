package pipelines

import (
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite what the tests compare with")

// TestOptionDocs holds options.json against the comments in the transforms' source, which is where they are written.
func TestOptionDocs(t *testing.T) {
	docs := map[string]string{}
	sources, err := filepath.Glob("../transforms/*/*.go")
	inner, ierr := filepath.Glob("../transforms/internal/*/*.go")
	if sources = append(sources, inner...); len(sources) == 0 {
		t.Fatal("no sources of transforms:", err, ierr)
	}
	for _, path := range sources {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if ts, ok := n.(*ast.TypeSpec); ok {
				fieldDocs(docs, f.Name.Name+"."+ts.Name.Name, ts.Type)
			}
			return true
		})
	}
	if *update {
		p, _ := json.MarshalIndent(docs, "", "  ")
		if err := os.WriteFile("options.json", append(p, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(docs, docsByField()); d != "" {
		t.Errorf("options.json is not what the sources say (go test ./pipelines -update writes it anew):\n%s", d)
	}
}

func fieldDocs(docs map[string]string, prefix string, t ast.Expr) {
	s, ok := t.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range s.Fields.List {
		if f.Tag == nil || !strings.Contains(f.Tag.Value, "yaml:") || f.Comment == nil {
			continue
		}
		for _, name := range f.Names {
			docs[prefix+"."+name.Name] = strings.TrimSpace(f.Comment.Text())
		}
	}
}
