package pipelines

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"silverbeam/pkg/taxonomy"
)

// A page's fenced blocks: the language, the rest of the info string, the text. A YAML block is a whole pipeline or
// taxonomy unless it is marked "yaml fragment"; where a file is named, as in "csv reports.csv", the block is that file.
var (
	fence = regexp.MustCompile("(?ms)^```([a-z]+) ?([^\n]*)\n(.*?)^```$")
	link  = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
)

func TestDocs(t *testing.T) {
	pages, _ := filepath.Glob("../docs/*.md")
	decisions, _ := filepath.Glob("../docs/decisions/*.md")
	checked := 0
	for _, page := range append(append(pages, decisions...), "../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", page, m[1])
			}
		}
		t.Run(filepath.Base(page), func(t *testing.T) { checked += checkBlocks(t, string(text)) })
	}
	if checked < 8 {
		t.Errorf("%d pipelines and taxonomies in %d pages: too few to be all", checked, len(pages))
	}
}

// checkBlocks loads every pipeline and taxonomy of a page, in a folder with the page's files, and counts them.
func checkBlocks(t *testing.T, page string) (checked int) {
	t.Chdir(t.TempDir())
	blocks := fence.FindAllStringSubmatch(page, -1)
	for i, m := range blocks {
		if m[2] == "" {
			blocks[i][2] = "block.yaml"
		}
		if m[1] == "go" {
			t.Errorf("a Go block, which nothing compiles: write an Example function\n%s", m[3])
		}
		if strings.Contains(m[2], ".") {
			write(t, m[2], m[3])
		}
	}
	for _, m := range blocks {
		if m[1] != "yaml" || m[2] == "fragment" {
			continue
		}
		write(t, m[2], m[3])
		checked++
		if !strings.Contains(m[3], "transforms:") {
			if _, err := taxonomy.Load(m[2]); err != nil {
				t.Error(err)
			}
		} else if p, err := Load(m[2], nil); err != nil {
			t.Error(err)
		} else if err := p.Dry(); err != nil {
			t.Errorf("%s: %v", m[2], err)
		}
	}
	return checked
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
