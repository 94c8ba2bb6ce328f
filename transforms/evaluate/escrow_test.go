package evaluate

import (
	"context"
	"strings"
	"testing"

	"silverbeam/pkg/shard"
	"silverbeam/pkg/taxonomy"
	"silverbeam/schemas"
	"silverbeam/transforms/internal/result"
)

// What decides a figure is sealed before the judged split is scored; who opens the same scores under other settings is told.
func TestSealedBeforeScored(t *testing.T) {
	tax, err := taxonomy.Parse("t.yaml", []byte("name: one\nfindings:\n  - {finding: Nodule}\n"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	judge := func(step, model, prompt string) result.Header {
		t.Helper()
		f := &modelFn{Type: ZeroShotName, Name: step, Run: schemas.Run{Dir: dir}}
		f.Options.Bootstrap, f.Options.Primary = 10, true
		p := &pool{Header: result.Header{Split: "test"}, tax: tax, judged: ScoreOptions{}.judged(tax.Names()), rows: make([]shard.Row, 4), patients: []string{"a", "b", "c", "d"}, y: [][]int8{{0, 1, 0, 1}}}
		p.sealed = result.Escrow{Type: f.Type, Model: model, Data: "d", Split: p.Split, Labels: digest(p.y), Prompts: []map[string][2]string{{"Nodule": {prompt, ""}}}}
		before, opened := result.Sealed(dir, step), ""
		r := &result.Scores{}
		err := f.judge(context.Background(), r, p, nil, func(context.Context, []shard.Row) ([][]float64, error) {
			opened = result.Sealed(dir, step)
			return [][]float64{{.1, .2, .3, .4}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if opened == "" || opened != r.Escrow || !r.Primary {
			t.Errorf("%s: sealed %.12s before, %.12s when scores were opened, the result says %.12s", step, before, opened, r.Escrow)
		}
		return r.Header
	}
	first := judge("a", "m", "Nodule.")
	if again := judge("a", "m", "Nodule."); again.Exploratory != "" || first.Exploratory != "" || again.Escrow != first.Escrow {
		t.Errorf("the same again: %+v", again)
	}
	if other := judge("a", "m", "There is a nodule."); !strings.Contains(other.Exploratory, first.Escrow[:12]) || other.Escrow == first.Escrow {
		t.Errorf("other prompts after the scores were seen: %+v", other)
	}
	if other := judge("a", "m2", "There is a nodule."); other.Exploratory != "" {
		t.Errorf("another model: %+v", other)
	}
}

func TestTunedOnWhatIsJudged(t *testing.T) {
	for name, c := range map[string]struct {
		o    ScoreOptions
		want string
	}{
		"another split":             {ScoreOptions{Tune: "train"}, ""},
		"the default split":         {ScoreOptions{Tune: "valid"}, "another split than the one that is judged"},
		"the same":                  {ScoreOptions{ModelOptions: ModelOptions{Split: "test"}, Tune: "test"}, "another split than the one that is judged"},
		"the same, and said to be":  {ScoreOptions{Tune: "valid", Exploratory: true}, ""},
		"none such":                 {ScoreOptions{Tune: "val"}, "one of train, valid, test"},
		"validation for a held-out": {ScoreOptions{ModelOptions: ModelOptions{Split: "test"}, Tune: "valid"}, ""},
	} {
		err := c.o.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
