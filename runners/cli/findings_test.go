package cli

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"silverbeam/pipelines"
	"silverbeam/pkg/ledger"
	"silverbeam/pkg/shard"
	"silverbeam/pkg/table"
	"silverbeam/pkg/taxonomy"
)

// ownFindings is a taxonomy of a user's own: three findings that no shipped one has, two that ctrate-18 has, one of them
// with other prompts.
const ownFindings = `
name: emergency
findings:
  - {finding: Pneumothorax, definition: Air in the pleural space., synonyms: [air in the pleural space]}
  - finding: Pleural effusion
    positive: Fluid lies in the pleural space.
    negative: The pleural space is dry.
    synonyms: [pleural fluid]
    exclusions: [pericardial effusion]
  - {finding: Rib fracture, synonyms: [fractured rib, fracture of the rib]}
  - {finding: Gallstone, synonyms: [cholelithiasis]}
  - {finding: Lung nodule, synonyms: [pulmonary nodule]}
`

var ownNames = []string{"Pneumothorax", "Pleural effusion", "Rib fracture", "Gallstone", "Lung nodule"}

// newOwnLab has the taxonomy, a few reports and 24 phantom studies.
func newOwnLab(t *testing.T) *lab {
	l := &lab{T: t, dir: t.TempDir()}
	l.write("own.yaml", ownFindings)
	l.write("in.csv", "id,report\n"+
		"1,Pneumothorax on the right. No rib fracture. No pleural effusion.\n"+
		"2,There is air in the pleural space. Cholelithiasis. A pulmonary nodule of 4 mm.\n"+
		"3,No evidence of pneumothorax. A fractured rib on the left. Possible gallstone.\n")
	return l
}

// Labels in a table follow the user's taxonomy, from rules and from a model alike.
func TestOwnFindingsInATable(t *testing.T) {
	l := newOwnLab(t)
	want := "id," + strings.Join(ownNames, ",") + "\n1,1,0,0,,\n2,1,,,1,1\n3,0,,1,-1,\n"
	for _, endpoint := range []string{"", "fake://rules"} {
		l.succeed("label", "reports", "in.csv", "--findings", "own.yaml", "--endpoint", endpoint, "--out", "out.csv", "--store", "s.db")
		if text, _ := os.ReadFile(filepath.Join(l.dir, "out.csv")); string(text) != want {
			t.Errorf("endpoint %q: got\n%swant\n%s", endpoint, text, want)
		}
	}
	if out := l.exits(codeUsage, "label", "reports", "in.csv", "--findings", "owm.yaml", "--out", "out.csv"); !strings.Contains(out, "owm.yaml") {
		t.Error(out)
	}
}

// newBrainLab has a user's taxonomy of 25 findings of brain MRI, and reports in several styles with what they say of each.
func newBrainLab(t *testing.T) (l *lab, want map[string][]string) {
	l = &lab{T: t, dir: t.TempDir()}
	text := func(name string) string {
		b, err := os.ReadFile("testdata/brain/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	l.write("own.yaml", text("findings.yaml"))
	tax, err := taxonomy.Load("testdata/brain/findings.yaml")
	if err != nil || len(tax.Findings) != 25 {
		t.Fatal(len(tax.Findings), err)
	}
	want = map[string][]string{}
	reports, truth := "id,report\n", "id,"+strings.Join(tax.Names(), ",")+"\n"
	for line := range strings.Lines(text("reports.tsv")) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") {
			continue
		}
		cells, filled := make([]string, 25), slices.Repeat([]string{"-2"}, 25)
		for i, name := range tax.Names() {
			if _, after, ok := strings.Cut(f[1], name+"="); ok {
				cells[i] = map[string]string{"+": "1", "-": "0", "?": "-1"}[after[:1]]
				filled[i] = cells[i]
			}
		}
		want[f[0]] = cells
		reports += f[0] + `,"` + strings.ReplaceAll(f[2], `\n`, "\n") + "\"\n"
		truth += f[0] + "," + strings.Join(filled, ",") + "\n"
	}
	l.write("in.csv", reports)
	l.write("truth.csv", truth)
	return l, want
}

// Without a line of Go, 25 findings of another region get labels that hold, from rules and from a model that says the same;
// a sheet to fill; and figures.
func TestFindingsOfAnotherRegion(t *testing.T) {
	l, want := newBrainLab(t)
	for _, endpoint := range []string{"", "fake://rules"} {
		l.succeed("label", "reports", "in.csv", "--findings", "own.yaml", "--endpoint", endpoint, "--out", "out.csv", "--store", "s.db", "--evidence", "evidence.jsonl")
		ids, rows := l.cells("out.csv")
		right, named := 0, 0
		for _, id := range ids {
			for i, got := range rows[id] {
				if w := want[id][i]; w != "" || got != "" {
					named++
					if w == got {
						right++
					}
				}
			}
		}
		if len(ids) != len(want) || named < 140 || float64(right) < 0.95*float64(named) {
			t.Errorf("endpoint %q: %d of %d states that a report or a label names are right, of %d reports", endpoint, right, named, len(ids))
		}
	}
	l.succeed("label", "sample", "out.csv", "--n", "40", "--text", "in.csv", "--out", "todo.csv")
	l.succeed("evaluate", "labels", "--truth", "truth.csv", "--labels", "out.csv", "--json", "f.json", "--require", "macro: f1>=.95")
	var figures struct {
		Labels map[string]struct{ N int }
	}
	l.read("f.json", &figures)
	if len(figures.Labels) != 25 {
		t.Errorf("figures of %d findings", len(figures.Labels))
	}
}

// A finding added to the file later asks for itself alone: as many calls, of far fewer tokens, and what the store has of the
// others is counted as saved. Order and removal ask for nothing.
func TestAFindingAddedLater(t *testing.T) {
	l, want := newBrainLab(t)
	l.write("prices.csv", ledger.PriceHeader+"\nown,tiny,2026-01-01,USD,0.40,0.10,,1.60,,,,,,,me,2026-01-01\n")
	label := func(run string) (c ledger.Cost, names []string, rows map[string][]string) {
		l.succeed("label", "reports", "in.csv", "--findings", "own.yaml", "--endpoint", "fake://rules", "--model", "tiny", "--prices", "prices.csv",
			"--out", run+".csv", "--store", "s.db", "--run", run)
		if err := json.Unmarshal([]byte(l.succeed("cost", run, "--json")), &c); err != nil {
			t.Fatal(err)
		}
		header, err := table.Header(filepath.Join(l.dir, run+".csv"))
		if err != nil {
			t.Fatal(err)
		}
		_, rows = l.cells(run + ".csv")
		return c, header[1:], rows
	}
	first, names, rows := label("first")
	file, err := os.ReadFile(filepath.Join(l.dir, "own.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	l.write("own.yaml", strings.Replace(string(file), "findings:\n", "findings:\n  - {finding: Diffusion restriction, synonyms: [restricted diffusion]}\n", 1))
	second, more, added := label("second")
	if n := int64(len(want)); first.Calls != n || second.Calls != n || first.Spent == 0 || second.Spent > first.Spent/3 || second.Tokens.Output > first.Tokens.Output/10 || second.Saved.Store != first.Spent {
		t.Errorf("at first %+v\nthen %+v", first, second)
	}
	if e := second.Estimate; e == nil || second.Spent < e.Low || second.Spent > e.High || e.Expected > first.Estimate.Expected/3 {
		t.Errorf("planned %+v, spent %d; at first %+v", e, second.Spent, first.Estimate)
	}
	if len(more) != 26 || more[0] != "Diffusion restriction" || !slices.Equal(more[1:], names) {
		t.Errorf("columns %q", more)
	}
	for id, cells := range rows {
		if !slices.Equal(added[id][1:], cells) {
			t.Errorf("report %s has other labels now", id)
		}
	}
	if added["2"][0] != "1" || added["52"][0] != "0" {
		t.Errorf("the added finding is %q and %q", added["2"][0], added["52"][0])
	}
	kept := regexp.MustCompile(`(?s)  - finding: Chronic infarct.*?  - finding: `).ReplaceAllString(string(file), "  - finding: ")
	l.write("own.yaml", kept)
	if third, fewer, _ := label("third"); third.Attempts != 0 || len(fewer) != 24 {
		t.Errorf("%d findings: %+v", len(fewer), third)
	}
}

// smallDemo is the shipped demo with trainings of seconds.
func smallDemo(t *testing.T) string {
	text, err := pipelines.Source("demo")
	if err != nil {
		t.Fatal(err)
	}
	small := regexp.MustCompile(`width: \d+|epochs: \d+|batch: \d+`)
	file := small.ReplaceAllStringFunc(string(text), func(s string) string {
		return map[string]string{"width": "width: 8", "epochs": "epochs: 1", "batch": "batch: 8"}[s[:strings.Index(s, ":")]]
	})
	if n := len(small.FindAllString(file, -1)); n != 5 {
		t.Fatalf("the demo has %d settings of size, want 5", n)
	}
	return file
}

// The shipped demo, made small, follows it all the way: shards, quality of labels, prompts, scores and retrieval.
func TestOwnFindingsInTheDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("it trains two small models")
	}
	l := newOwnLab(t)
	l.write("demo.yaml", smallDemo(t))
	l.succeed("phantom", "--studies", "24", "--size", "32", "--seed", "4", "--out", "data")
	l.succeed("run", "demo.yaml", "--set", "data=data", "--set", "findings=own.yaml", "--run", "run")
	d, err := shard.Open(filepath.Join(l.dir, "run/dataset"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	rows, err := d.Rows("train")
	if err != nil || !slices.Equal(d.Findings(), ownNames) || len(rows[0].Labels) != len(ownNames) {
		t.Errorf("shards of %q, %v", d.Findings(), err)
	}
	if !slices.ContainsFunc(rows, func(r shard.Row) bool { return r.Labels[4].State == taxonomy.Present }) {
		t.Error("no row has a lung nodule")
	}
	var labels struct {
		Splits map[string]struct{ Labels map[string]struct{ N int } }
	}
	l.read("run/eval/evaluate.Labels.json", &labels)
	all := labels.Splits["all"].Labels
	for _, name := range ownNames {
		known := name == "Pleural effusion" || name == "Lung nodule" // the phantoms have these, and say nothing of the others
		if f, ok := all[name]; !ok || (f.N == 24) != known || (f.N == 0) == known {
			t.Errorf("%s: %+v, %v", name, f, ok)
		}
	}
	var scores struct {
		Prompts []struct{ Prompts map[string][2]string }
		Summary struct{ Labels map[string]struct{ N int } }
	}
	l.read("run/eval/evaluate.ZeroShot.json", &scores)
	sorted := slices.Sorted(slices.Values(ownNames))
	for what, got := range map[string][]string{"quality of labels": slices.Sorted(maps.Keys(all)), "prompts": slices.Sorted(maps.Keys(scores.Prompts[0].Prompts)), "scores": slices.Sorted(maps.Keys(scores.Summary.Labels))} {
		if !slices.Equal(got, sorted) {
			t.Errorf("%s of %q, want %q", what, got, sorted)
		}
	}
	if p := scores.Prompts[0].Prompts; p["Pleural effusion"] != [2]string{"Fluid lies in the pleural space.", "The pleural space is dry."} || p["Gallstone"] != [2]string{"Gallstone is present.", "Gallstone is not present."} {
		t.Errorf("prompts %q", p)
	}
	page, err := os.ReadFile(filepath.Join(l.dir, "run/page.html"))
	if err != nil || !strings.Contains(string(page), "Gallstone") || strings.Contains(string(page), "Bronchiectasis") {
		t.Errorf("the page has other findings: %v", err)
	}
}

func (l *lab) read(name string, to any) {
	l.Helper()
	text, err := os.ReadFile(filepath.Join(l.dir, name))
	if err == nil {
		err = json.Unmarshal(text, to)
	}
	if err != nil {
		l.Fatal(err)
	}
}
