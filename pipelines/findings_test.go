package pipelines

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const own = "name: own\nfindings:\n  - {finding: Pleural effusion}\n  - {finding: Rib fracture}\n"

// A taxonomy of the user's own may replace a shipped file's, whose prompts then follow it.
func TestShippedFilesTakeOtherFindings(t *testing.T) {
	file := keep(t, "own.yaml", own)
	for _, name := range Shipped {
		p, err := Load(name, map[string]string{"findings": file})
		if err == nil {
			err = p.Dry()
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		g, err := p.graph(nil)
		if err != nil || strings.Join(g.Names, ", ") != "Pleural effusion, Rib fracture" {
			t.Errorf("%s: findings %q, %v", name, g.Names, err)
		}
	}
}

// A file of prompts that does not cover the findings is named before anything runs.
func TestPromptsMustCoverTheFindings(t *testing.T) {
	findings, prompts := keep(t, "own.yaml", own), keep(t, "prompts.yaml", "name: few\nfindings: [{finding: Pleural effusion}]\n")
	file := keep(t, "p.yaml", strings.NewReplacer("OWN", findings, "PROMPTS", prompts).Replace(`
transforms:
  - {type: intake.Studies, config: {layout: ct-rate, root: data}}
  - {type: label.Reports, config: {findings: OWN}}
  - {type: dataset.Shards}
  - {type: train.Model, config: {recipe: clip}}
  - {type: evaluate.ZeroShot, config: {prompts: PROMPTS}}
`))
	p, err := Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := file + `:7:5: evaluate.ZeroShot: prompts: "` + prompts + `": it has no "Rib fracture", findings of this run`
	if err := p.Dry(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func keep(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
