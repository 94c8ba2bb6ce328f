package pipelines

import (
	"errors"
	"strings"
	"testing"
	"time"

	"silverbeam/schemas"
	"silverbeam/transforms/evaluate"

	"github.com/google/go-cmp/cmp"
)

// readOptions has a field of every kind that Options use.
type readOptions struct {
	Path    string        `yaml:"path"`
	Rows    int           `yaml:"rows"`
	Rate    float64       `yaml:"rate"`
	Seed    uint64        `yaml:"seed"`
	Shuffle bool          `yaml:"shuffle"`
	Wait    time.Duration `yaml:"wait"`
	Names   []string      `yaml:"names"`
	Columns struct {
		Study  string   `yaml:"study"`
		Report []string `yaml:"report"`
	} `yaml:"columns"`
}

func (o *readOptions) Validate() error {
	var errs []error
	if o.Rows < 0 {
		errs = append(errs, schemas.FieldError{Field: "rows", Value: o.Rows, Bound: "0 or more"})
	}
	for _, n := range o.Names {
		if n != "rules" && n != "llm" {
			errs = append(errs, schemas.FieldError{Field: "names", Value: n, Bound: "one of rules, llm"})
		}
	}
	if o.Path == "forbidden" {
		errs = append(errs, schemas.FieldError{Field: "path", Value: o.Path, Bound: "another file"})
	}
	return errors.Join(errs...)
}

type fitInner struct {
	Width int `yaml:"width"`
}

type fitOptions struct {
	fitInner `yaml:",inline"`
	Init     string `yaml:"init"`
}

func (*fitOptions) Validate() error { return nil }

var fakes = []Type{
	{Type: "t.Read", Gives: Batches, New: func() Options { return new(readOptions) }},
	{Type: "t.Map", Takes: []Kind{Batches}, Gives: Batches, New: func() Options { return new(readOptions) }},
	{Type: "t.Fit", Takes: []Kind{Batches, Weights}, Gives: Weights, New: func() Options { return new(fitOptions) }, Names: map[string]Kind{"init": Weights}},
	{Type: "t.Page", Takes: []Kind{Run}, Gives: Page, New: func() Options { return new(fitOptions) }},
}

func TestReadFillsOptions(t *testing.T) {
	t.Setenv("SILVERBEAM_TEST_ROWS", "12")
	src := `
name: x
params: {dir: data, names: "rules, llm", none: "", half: 0.5}
rejects: {tolerance: 2%}
transforms:
  - type: t.Read
    config:
      path: "${dir}/a.csv"
      rows: ${env:SILVERBEAM_TEST_ROWS}
      rate: ${half}
      seed: 18446744073709551615
      shuffle: true
      wait: 1m30s
      names: "${names}"
      columns: {study: "${none}", report: [a, "b, c"]}
  - {name: m, type: t.Map, config: {rows: "${none}", columns: {report: text}}}
  - {type: t.Fit, input: t.Read, config: {width: 3}}
  - {name: second, type: t.Fit, config: {init: t.Fit}}
  - {type: t.Page}
`
	p, err := Read("x.yaml", []byte(src), map[string]string{"dir": "elsewhere"}, fakes)
	if err != nil {
		t.Fatal(err)
	}
	first := readOptions{Path: "elsewhere/a.csv", Rows: 12, Rate: 0.5, Seed: 18446744073709551615, Shuffle: true, Wait: 90 * time.Second, Names: []string{"rules", "llm"}}
	first.Columns.Report = []string{"a", "b, c"}
	second := readOptions{}
	second.Columns.Report = []string{"text"}
	if d := cmp.Diff([]Options{&first, &second}, []Options{p.Steps[0].Options, p.Steps[1].Options}); d != "" {
		t.Error(d)
	}
	if got := p.Steps[2].Options.(*fitOptions).Width; got != 3 {
		t.Errorf("inline width = %d, want 3", got)
	}
	var inputs []int
	for _, s := range p.Steps {
		inputs = append(inputs, s.Input)
	}
	if d := cmp.Diff([]int{-1, 0, 0, 2, 3}, inputs); d != "" {
		t.Error("inputs:", d)
	}
	if p.Tolerance != 0.02 || p.Name != "x" || p.Steps[0].Line != 6 || p.Steps[0].Column != 5 {
		t.Errorf("tolerance %v, name %q, first step at %d:%d", p.Tolerance, p.Name, p.Steps[0].Line, p.Steps[0].Column)
	}
}

// The truth that phantoms bring is the demo's; real studies have labels elsewhere.
func TestDemoTakesAnotherTruth(t *testing.T) {
	for want, set := range map[string]map[string]string{
		"out/demo/data/truth.jsonl": nil, "x/truth.jsonl": {"data": "x"}, "labels.csv": {"data": "x", "truth": "labels.csv"},
	} {
		p, err := Load("demo", set)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range p.Steps {
			if o, ok := s.Options.(*evaluate.LabelsOptions); ok && o.Truth != want {
				t.Errorf("with %v the truth is %s, want %s", set, o.Truth, want)
			}
		}
	}
}

func TestDigestIsOfWhatStepsDo(t *testing.T) {
	read := func(src string, set map[string]string) string {
		t.Helper()
		p, err := Read("x.yaml", []byte(src), set, fakes)
		if err != nil {
			t.Fatal(err)
		}
		return p.Digest
	}
	a := read("params: {n: 1}\ntransforms: [{type: t.Read, config: {rows: 5}}]", nil)
	if b := read("# a note\nparams: {n: 0x5}\ntransforms:\n  - type: t.Read\n    config: {rows: \"${n}\"}", nil); a != b {
		t.Error("another spelling changed the digest")
	}
	if c := read("params: {n: 1}\ntransforms: [{type: t.Read, config: {rows: '${n}'}}]", map[string]string{"n": "6"}); a == c {
		t.Error("another value did not change the digest")
	}
}

func TestReadReportsProblems(t *testing.T) {
	t.Setenv("SILVERBEAM_TEST_SECRET", "hunter2")
	chain := "transforms:\n  - {type: t.Read}\n"
	for name, c := range map[string]struct{ src, want string }{
		"empty":              {"", "f: pipeline: the file is empty"},
		"only a comment":     {"# nothing\n", "f: pipeline: the file is empty"},
		"no mapping":         {"- a\n", `f:1:1: pipeline: wants a mapping with the keys name, params, rejects, transforms; has a list`},
		"two documents":      {chain + "---\n" + chain, "f:4:1: pipeline: a second document: a file holds one pipeline"},
		"no steps":           {"name: x\n", "f:1:1: pipeline: transforms: wants a list of steps"},
		"steps are no list":  {"transforms: {type: t.Read}\n", "f:1:1: pipeline: transforms: wants a list of steps"},
		"bad syntax":         {"transforms: [\n", "f:1:13: pipeline: not YAML: "},
		"unknown top key":    {"nmae: x\n" + chain, `f:1:1: pipeline: unknown key "nmae" (did you mean "name"?)`},
		"duplicate top key":  {chain + "name: a\nname: b\n", `f:4:1: pipeline: duplicate key "name"`},
		"bad name":           {"name: a/b\n" + chain, `f:1:7: pipeline: name: "a/b": letters, digits, dot, dash and underscore only`},
		"tolerance":          {"rejects: {tolerance: 200%}\n" + chain, `f:1:22: pipeline: tolerance: "200%": a percentage such as 0.1%, or a share from 0 to 1`},
		"step is text":       {"transforms: [t.Read]\n", `f:1:14: pipeline: a step is a mapping with the keys name, type, input, config; this is the text "t.Read"`},
		"no type":            {"transforms: [{name: a}]\n", "f:1:14: a: a step needs a type"},
		"unknown type":       {"transforms: [{type: t.Raed}]\n", `f:1:21: t.Raed: unknown type "t.Raed" (did you mean "t.Read"?)`},
		"unknown step key":   {"transforms: [{type: t.Read, confg: {}}]\n", `f:1:29: t.Read: unknown key "confg" (did you mean "config"?)`},
		"unknown key":        {"transforms:\n  - type: t.Read\n    config:\n      row: 1\n", `f:4:7: t.Read: unknown key "row" (did you mean "rows"?)`},
		"nested unknown key": {"transforms: [{type: t.Read, config: {columns: {stdy: a}}}]\n", `f:1:48: t.Read: unknown key "columns.stdy" (did you mean "study"?)`},
		"duplicate key":      {"transforms: [{type: t.Read, config: {rows: 1, rows: 2}}]\n", `f:1:47: t.Read: duplicate key "rows"`},
		"text for a number":  {"transforms: [{type: t.Read, config: {rows: many}}]\n", `f:1:44: t.Read: rows: wants a whole number, has the text "many"`},
		"quoted number":      {"transforms: [{type: t.Read, config: {rows: '4'}}]\n", `f:1:44: t.Read: rows: wants a whole number, has the text "4"`},
		"fraction":           {"transforms: [{type: t.Read, config: {rows: 1.5}}]\n", `f:1:44: t.Read: rows: wants a whole number, has the number 1.5`},
		"too large":          {"transforms: [{type: t.Read, config: {rows: 9223372036854775808}}]\n", `f:1:44: t.Read: rows: wants a whole number, has the number 9223372036854775808`},
		"number for text":    {"transforms: [{type: t.Read, config: {path: 4}}]\n", `f:1:44: t.Read: path: wants text, has the number 4`},
		"list for text":      {"transforms: [{type: t.Read, config: {path: [a]}}]\n", `f:1:44: t.Read: path: wants text, has a list`},
		"bare duration":      {"transforms: [{type: t.Read, config: {wait: 60}}]\n", `f:1:44: t.Read: wait: wants a duration such as "60s", has the number 60`},
		"not a number":       {"transforms: [{type: t.Read, config: {rate: .nan}}]\n", `f:1:44: t.Read: rate: wants a number, has the number .nan`},
		"yes is no truth":    {"transforms: [{type: t.Read, config: {shuffle: yes}}]\n", `f:1:47: t.Read: shuffle: wants true or false, has the text "yes"`},
		"negative seed":      {"transforms: [{type: t.Read, config: {seed: -1}}]\n", `f:1:44: t.Read: seed: wants a whole number, 0 or more, has the number -1`},
		"mapping for list":   {"transforms: [{type: t.Read, config: {names: {a: b}}}]\n", `f:1:45: t.Read: names: wants a list, has a mapping`},
		"config is a list":   {"transforms: [{type: t.Read, config: [rows]}]\n", `f:1:37: t.Read: config: wants a mapping, has a list`},
		"anchor":             {"transforms: [{type: t.Read, config: {path: &a b}}]\n", `f:1:44: t.Read: path: wants text, has an anchor or alias, which pipeline files do not know`},
		"out of bounds":      {"transforms: [{type: t.Read, config: {rows: -1}}]\n", `f:1:44: t.Read: rows: -1: 0 or more`},
		"element of a list":  {"transforms: [{type: t.Read, config: {names: [rules, lmm]}}]\n", `f:1:53: t.Read: names: "lmm": one of rules, llm (did you mean "llm"?)`},
		"unknown parameter":  {"params: {data: a}\ntransforms: [{type: t.Read, config: {path: '${dta}/x'}}]\n", `f:2:44: t.Read: unknown parameter "dta" (did you mean "data"?)`},
		"parameter, unknown type": {"params: {data: a}\ntransforms: [{type: t.Raed, config: {path: '${dta}/x'}}]\n",
			`f:2:21: t.Raed: unknown type "t.Raed" (did you mean "t.Read"?)` + "\n" + `f:2:44: t.Raed: unknown parameter "dta" (did you mean "data"?)`},
		"unclosed":                {"transforms: [{type: t.Read, config: {path: '${data'}}]\n", `f:1:44: t.Read: path: a reference begins with ${ and does not end with }`},
		"unset environment":       {"transforms: [{type: t.Read, config: {path: '${env:SILVERBEAM_TEST_UNSET}'}}]\n", `f:1:44: t.Read: environment variable "SILVERBEAM_TEST_UNSET" is not set`},
		"environment is secret":   {"transforms: [{type: t.Read, config: {rows: '${env:SILVERBEAM_TEST_SECRET}'}}]\n", `f:1:44: t.Read: rows: wants a whole number, has the text "${env:SILVERBEAM_TEST_SECRET}"`},
		"secret by a parameter":   {"params: {p: '${env:SILVERBEAM_TEST_SECRET}'}\ntransforms: [{type: t.Read, config: {rows: '${p}'}}]\n", `f:2:44: t.Read: rows: wants a whole number, has the text "${p}"`},
		"parameter of wrong type": {"params: {n: many}\ntransforms: [{type: t.Read, config: {rows: '${n}'}}]\n", `f:2:44: t.Read: rows: wants a whole number, has the text "many"`},
		"duplicate name":          {chain + "  - {name: t.Read, type: t.Map}\n", `f:3:12: t.Read: duplicate name "t.Read": the step at line 2 has it`},
		"unknown input":           {chain + "  - {type: t.Map, input: t.Reed}\n", `f:3:26: t.Map: input: unknown step "t.Reed" (did you mean "t.Read"?)`},
		"later input":             {chain + "  - {type: t.Map, input: later}\n  - {name: later, type: t.Map, input: t.Read}\n", `f:3:26: t.Map: input: "later" does not stand above this step`},
		"wrong record":            {chain + "  - {type: t.Fit}\n  - {type: t.Map}\n", `f:4:5: t.Map: t.Map takes batches, and t.Fit gives model`},
		"page only":               {"transforms: [{type: t.Page}]\n", `f:1:14: t.Page: t.Page takes whole run, and no step stands above it: a chain begins with t.Read`},
		"second source":           {chain + "  - {name: again, type: t.Read}\n", `f:3:5: again: t.Read is a source, and a source stands first`},
		"input of a source":       {chain[:len(chain)-2] + ", input: t.Read}\n", `f:2:27: t.Read: input: "t.Read" does not stand above this step`},
		"named step is unknown":   {chain + "  - {name: vision, type: t.Fit}\n  - {type: t.Fit, config: {init: vison}}\n", `f:4:34: t.Fit: init: unknown step "vison" (did you mean "vision"?)`},
		"named step gives else":   {chain + "  - {name: vision, type: t.Fit}\n  - {type: t.Fit, config: {init: t.Read}}\n", `f:4:34: t.Fit: init: wants a step that gives a model, and t.Read gives batches`},
		"name is a path":          {"transforms: [{name: ../up, type: t.Read}]\n", `f:1:21: ../up: name: "../up": letters, digits, dot, dash and underscore only`},
		"key is not its default too": {"transforms: [{type: t.Read, config: {pth: a, path: forbidden}}]\n",
			`f:1:38: t.Read: unknown key "pth" (did you mean "path"?)`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read("f", []byte(c.src), nil, fakes)
			if err == nil {
				t.Fatal("no problem found")
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("shows a value of the environment")
			}
			if got := err.Error(); got != c.want && !(strings.HasSuffix(c.want, "not YAML: ") && strings.HasPrefix(got, c.want)) {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestSetUnknown(t *testing.T) {
	_, err := Read("f", []byte("params: {data: a}\ntransforms: [{type: t.Read}]\n"), map[string]string{"dta": "b"}, fakes)
	if want := `f: --set: unknown parameter "dta" (did you mean "data"?)`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"label.Reports", "label.Table", "path", "rows"}
	for given, want := range map[string]string{"label.Report": "label.Reports", "Label.table": "label.Table", "ptah": "path", "row": "rows", "zebra": "", "": "", "x": ""} {
		if got := Nearest(given, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", given, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{"", "transforms: [{type: t.Read, config: {rows: 1}}]", "a: &x [*x]", "? [a]\n: b", "transforms:\n - !!map {<<: {}}", "--- |\n x\n...\n", "params: {a: '${env:}'}\ntransforms: [{type: '${a}'}]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		if p, err := Read("f", []byte(src), nil, fakes); err == nil && len(p.Steps) == 0 {
			t.Error("a pipeline without steps, and no problem")
		}
	})
}
