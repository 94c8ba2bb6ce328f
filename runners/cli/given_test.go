package cli

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"silverbeam/pipelines"
	"silverbeam/pkg/fit"
	"silverbeam/pkg/html"
	"silverbeam/pkg/metrics"
	"silverbeam/transforms/evaluate"
)

// What is done with a run that has trained: its weights on other data, and itself against another run.
func TestTrained(t *testing.T) {
	if testing.Short() {
		t.Skip("it trains two small models")
	}
	l := &lab{T: t, dir: t.TempDir()}
	l.write("demo.yaml", strings.ReplaceAll(smallDemo(t), "batch: 8", "batch: 4"))
	l.succeed("phantom", "--studies", "10", "--size", "32", "--seed", "4", "--out", "data")
	l.succeed("run", "demo.yaml", "--set", "data=data", "--run", "trained")
	t.Run("plan", func(t *testing.T) { l.with(t).foretells() })
	t.Run("evaluate-only", func(t *testing.T) { l.with(t).evaluatesOnly() })
	t.Run("escrow", func(t *testing.T) { l.with(t).settlesFirst() })
	t.Run("validate", func(t *testing.T) { l.with(t).validates() })
	t.Run("command", func(t *testing.T) { l.with(t).commands() })
	t.Run("compare", func(t *testing.T) { l.with(t).compares() }) // with evaluate-only's run
}

// A plan's trainings have the steps that they then took, and times that their arithmetic and assumptions give.
func (l *lab) foretells() {
	var p struct{ Training []pipelines.Training }
	out := l.succeed("plan", "demo.yaml", "--set", "data=data", "--run", "planned", "--out", "planned.json")
	l.read("planned.json", &p)
	if len(p.Training) != 2 {
		l.Fatalf("%+v", p.Training)
	}
	for i, name := range []string{"vision", "clip"} {
		var c fit.Config
		l.read("trained/models/"+name+"/config.json", &c)
		f := p.Training[i]
		if f.Step != name || f.Studies != c.Studies || f.Steps != c.Steps || !(f.CPU.Low > 0 && f.CPU.Low < f.CPU.Expected && f.CPU.Expected < f.CPU.High && f.H100.Low < f.H100.High) {
			l.Errorf("%+v, took %d steps of %d studies", f, c.Steps, c.Studies)
		}
		if alone := float64(f.Steps) * (f.StepFLOPs/(1e9*f.Pace.PerCore*float64(f.Pace.Cores)) + f.Pace.Optimizer); math.Abs(alone-f.CPU.Low) > 1e-9*alone {
			l.Errorf("%s: %v s, want %v", name, f.CPU.Low, alone)
		}
	}
	if !strings.Contains(out, "training   vision: ") || !strings.Contains(out, "assumes    H100: 35 % (20 to 37)") {
		l.Error(out)
	}
}

// A model that another program made in a run is evaluated and started from as one that was trained here, and booked; a
// program that fails, or that there is none of, ends the run.
func (l *lab) commands() {
	file := regexp.MustCompile(`(?m)^.*name: vision, type: train.Model.*$`).ReplaceAllLiteralString(strings.ReplaceAll(smallDemo(l.T), "batch: 8", "batch: 4"),
		`  - {name: vision, type: train.Command, config: {command: [sh, -ec, "cp $FROM/model.safetensors {out}/; cat $FROM/history.jsonl > {out}/history.jsonl"], recipe: supervised, width: 8}}`)
	l.write("command.yaml", file)
	l.Setenv("FROM", filepath.Join(l.dir, "trained/models/vision"))
	l.succeed("run", "command.yaml", "--set", "data=data", "--run", "by-command")
	var scores [2]string
	for i, run := range []string{"trained", "by-command"} {
		b, err := os.ReadFile(filepath.Join(l.dir, run, "eval", evaluate.ClassifierName+".scores.csv"))
		if err != nil {
			l.Fatal(err)
		}
		scores[i] = string(b)
	}
	if scores[0] != scores[1] || scores[0] == "" {
		l.Error("the same weights give other scores")
	}
	var c fit.Config
	l.read("by-command/models/clip/config.json", &c)
	var of fit.Config
	if l.read("by-command/models/vision/config.json", &of); c.Init != of.Weights || of.Steps == 0 || of.CPU <= 0 {
		l.Errorf("clip starts from %.12s; %+v", c.Init, of)
	}
	for _, s := range l.report("by-command").Steps {
		if s.Name == "vision" && (s.CPUSeconds != of.CPU || s.Seconds != of.Seconds) {
			l.Errorf("booked %v s and %v CPU-s, took %v and %v", s.Seconds, s.CPUSeconds, of.Seconds, of.CPU)
		}
	}
	l.write("slow.yaml", strings.Replace(file, `"cp $FROM`, `"trap 'touch {out}/asked; exit 1' TERM; touch {out}/begun; sleep 1000 & wait; cp $FROM`, 1))
	slow := l.command("run", "slow.yaml", "--set", "data=data", "--run", "slow")
	if err := slow.Start(); err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { slow.Process.Kill(); slow.Wait() })
	has := func(name string) bool {
		_, err := os.Stat(filepath.Join(l.dir, "slow/models/vision", name))
		return err == nil
	}
	for range 3000 {
		if has("begun") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	_ = slow.Process.Signal(syscall.SIGTERM)
	if _ = slow.Wait(); slow.ProcessState.ExitCode() != codeSignal+int(syscall.SIGTERM) || !has("asked") {
		l.Errorf("a run that was told to end: %v; its program was asked to: %v", slow.ProcessState, has("asked"))
	}
	l.write("fails.yaml", strings.Replace(file, `"cp $FROM`, `"exit 3; cp $FROM`, 1))
	if out := l.exits(codeUsage, "run", "fails.yaml", "--set", "data=data", "--run", "fails"); !strings.Contains(out, "vision: sh: exit status 3; what it printed is in") {
		l.Error(out)
	}
	l.write("none.yaml", strings.Replace(file, "command: [sh,", "command: [no-such-program,", 1))
	if out := l.exits(codeUsage, "run", "none.yaml", "--set", "data=data", "--run", "none-such"); !strings.Contains(out, `command: exec: "no-such-program"`) {
		l.Error(out)
	}
}

// Epochs are judged by patients that are held out, or by a split, of which an evaluation then says that it is no test.
func (l *lab) validates() {
	file := strings.Replace(smallDemo(l.T), "recipe: supervised,", "recipe: supervised, validate: 30%,", 1)
	l.write("judged.yaml", strings.ReplaceAll(strings.Replace(file, "recipe: clip,", "recipe: clip, validate: valid, patience: 1, objectives: [{loss: contrastive, targets: labels, max_scale: 50}, {loss: bce, weight: 0.5, missing: zero}],", 1), "batch: 8", "batch: 2"))
	l.succeed("run", "judged.yaml", "--set", "data=data", "--run", "judged")
	var vision, clip fit.Config
	l.read("judged/models/vision/config.json", &vision)
	l.read("judged/models/clip/config.json", &clip)
	if vision.Best == 0 || vision.Valid == 0 || vision.Chosen != nil || vision.Studies >= 8 || clip.Best == 0 || len(clip.Objectives) != 2 || clip.Objectives[0].MaxScale != 50 || clip.Objectives[1].Missing != "zero" || !slices.Equal(clip.Chosen, []string{"valid"}) {
		l.Errorf("%+v\n%+v", vision, clip)
	}
	for name, want := range map[string]string{evaluate.ClassifierName: "", evaluate.ZeroShotName: "the split that is judged has chosen among the model's epochs"} {
		var r struct{ Exploratory string }
		if l.read("judged/eval/"+name+".json", &r); r.Exploratory != want {
			l.Errorf("%s: exploratory: %q, want %q", name, r.Exploratory, want)
		}
	}
	l.write("bad.yaml", strings.Replace(file, "validate: 30%", "validate: train, patience: -1", 1))
	if out := l.exits(codeUsage, "check", "bad.yaml"); !strings.Contains(out, `validate: "train"`) || !strings.Contains(out, "patience: -1") {
		l.Error(out)
	}
}

// Weights that one run trained are measured on another data set, with no training; scans that they learned from are found
// under whatever name, and named.
func (l *lab) evaluatesOnly() {
	for name, want := range map[string]string{"model-card.md": "## clip\n", "dataset-card.md": l.report("trained").Digest} {
		if card, err := os.ReadFile(filepath.Join(l.dir, "trained", name)); err != nil || !strings.Contains(string(card), want) || strings.Contains(string(card), " 0 parameters") || strings.Contains(string(card), "train_1") {
			l.Errorf("%s: %v\n%s", name, err, card)
		}
	}
	text, err := pipelines.Source("evaluate-only")
	if err != nil {
		l.Fatal(err)
	}
	file := strings.Replace(string(text), "data: data, layout: ct-rate, preset: small, weights: out/demo/models/clip", "data: other, layout: ct-rate, preset: small, weights: trained/models/clip", 1)
	file = strings.Replace(file, "  - {type: publish.Page}", `  - {name: raw, type: evaluate.ZeroShot, input: clip, config: {prompts: [mps-ct, ct-clip], choose: true, tune: train, likeness: dot, protocol: ctclip-zeroshot}}
  - {name: products, type: evaluate.Retrieval, input: clip, config: {likeness: dot}}
  - {name: seen, type: evaluate.ZeroShot, input: clip, config: {split: train, seed: 1, reviewed: sheet.csv}}
  - {type: publish.Page}`, 1)
	l.write("mine.yaml", file)
	l.succeed("phantom", "--studies", "12", "--size", "32", "--seed", "5", "--out", "other")
	l.write("sheet.csv", l.sheet("other"))
	l.succeed("run", "mine.yaml", "--run", "other-run")
	for _, name := range []string{"model.safetensors", "vocab.txt", "config.json"} {
		a, err := os.ReadFile(filepath.Join(l.dir, "trained/models/clip", name))
		b, berr := os.ReadFile(filepath.Join(l.dir, "other-run/models/clip", name))
		if err != nil || berr != nil || string(a) != string(b) {
			l.Errorf("%s is not the one that was trained: %v, %v", name, err, berr)
		}
	}
	if _, err := os.Stat(filepath.Join(l.dir, "other-run/models/clip/history.jsonl")); !os.IsNotExist(err) {
		l.Error("something was trained:", err)
	}
	var r struct {
		Summary struct {
			NRows int `json:"n_rows"`
		}
	}
	l.read("other-run/eval/"+evaluate.ZeroShotName+".json", &r)
	if want := len(l.rows("other-run", "valid")); r.Summary.NRows != want || want == 0 {
		l.Errorf("%d volumes were scored of %d", r.Summary.NRows, want)
	}

	l.publishes("other-run")
	l.external(string(text))
	l.corrects("other-run")
	l.groups("other-run")

	l.succeed("phantom", "--studies", "8", "--size", "32", "--seed", "4", "--layout", "dicom", "--out", "renamed")
	out := l.exits(codeInput, "run", "mine.yaml", "--set", "data=renamed", "--set", "layout=dicom", "--run", "leaky")
	if !strings.Contains(out, "the same voxels as") || !strings.Contains(out, "in the model's training and as") {
		l.Error(out)
	}
	if out := l.exits(codeInput, "run", "mine.yaml", "--set", "weights=data", "--run", "none"); !strings.Contains(out, "no finished model") {
		l.Error(out)
	}
}

// publishes holds the published figures of a step to those of evaluate scores on the softmax of its rows, and its prompts to
// what was chosen elsewhere.
func (l *lab) publishes(run string) {
	l.Helper()
	var r struct {
		Prompts []struct {
			Prompts map[string][2]string
			Tuned   *float64 `json:"macro_auc_tuned"`
			Asked   bool
		}
		Published metrics.PublishedSummary
	}
	l.read(run+"/eval/raw.json", &r)
	if p := r.Prompts; len(p) != 2 || p[0].Asked == p[1].Asked || p[0].Asked != (*p[0].Tuned >= *p[1].Tuned) || p[0].Prompts["Emphysema"] != [2]string{"Emphysema.", ""} {
		l.Errorf("prompts: %+v", p)
	}
	l.succeed("evaluate", "scores", "--protocol", "ctclip-zeroshot", "--labels", run+"/eval/raw.labels.csv", "--scores", l.softmax(run+"/eval/raw"), "--json", "p.json")
	var want metrics.PublishedSummary
	l.read("p.json", &want)
	if want.Macro.AUC == nil || !reflect.DeepEqual(r.Published, want) {
		l.Errorf("published %+v, evaluate scores has %+v", r.Published.Macro, want.Macro)
	}
	var recall struct {
		Pairs map[string]metrics.StudyRecall `json:"ctclip_report_recall"`
	}
	l.read(run+"/eval/products.json", &recall)
	if all, unique := recall.Pairs["all_volumes"], recall.Pairs["unique_studies"]; all.NPool <= unique.NPool || unique.NPool < 2 || all.MRR == nil {
		l.Errorf("pools of %d volumes and %d studies", all.NPool, unique.NPool)
	}
}

// sheet is what a reader of scans makes of two findings in every study of a folder of phantoms but each third, which stand for
// more rows than they are.
func (l *lab) sheet(data string) string {
	text, err := os.ReadFile(filepath.Join(l.dir, data, "truth.jsonl"))
	if err != nil {
		l.Fatal(err)
	}
	sheet := "study,weight,Lung nodule,Emphysema\n"
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var truth struct {
			Study    string
			Findings map[string]int
		}
		if err := json.Unmarshal([]byte(line), &truth); err != nil {
			l.Fatal(err)
		}
		if i%3 > 0 {
			sheet += fmt.Sprintf("%s,%d,%d,%d\n", truth.Study, i%3, truth.Findings["Lung nodule"], truth.Findings["Emphysema"])
		}
	}
	return sheet
}

// groups holds the subgroups of a step to the tables that the phantoms came with, which nobody named.
func (l *lab) groups(run string) {
	l.Helper()
	var got struct {
		Subgroups []struct {
			Property string
			Parts    []metrics.PartScore
			Unknown  int `json:"n_unknown"`
		}
	}
	l.read(run+"/eval/seen.json", &got)
	_, table := l.cells("other/dataset/metadata/train_metadata.csv")
	want := map[string]map[string]int{"Scanner": {}, "Kernel": {}, "Sex": {}, "Age": {}, "Distance between slices": {}}
	for _, r := range l.rows(run, "train") {
		cells := table[r.Volume+".nii.gz"]
		want["Scanner"][cells[0]+" "+cells[2]]++
		want["Kernel"][cells[17]]++
		want["Sex"][cells[3]]++
		want["Age"][map[bool]string{true: "60 to 79", false: "40 to 59"}[cells[4] >= "060"]]++
		want["Distance between slices"]["over 3 mm"]++ // 320 mm in 32 slices
	}
	for _, by := range got.Subgroups {
		parts := map[string]int{}
		for _, x := range by.Parts {
			parts[x.Part] = x.NRows
		}
		if by.Property == "Age" {
			parts = map[string]int{"40 to 59": parts["under 40"] + parts["40 to 59"], "60 to 79": parts["60 to 79"] + parts["80 and over"]}
		}
		if by.Unknown != 0 || !reflect.DeepEqual(parts, want[by.Property]) {
			l.Errorf("%s: %v, want %v", by.Property, parts, want[by.Property])
		}
		delete(want, by.Property)
	}
	if len(want) > 0 {
		l.Errorf("no subgroups by %v", want)
	}
}

// corrects holds the corrected figures of a step to those of evaluate scores on its rows, each volume reviewed as its study was,
// and looks for them on the page.
func (l *lab) corrects(run string) {
	l.Helper()
	var got struct{ Summary metrics.Summary }
	l.read(run+"/eval/seen.json", &got)
	_, studies := l.cells("sheet.csv")
	sheet := "id,weight,Lung nodule,Emphysema\n"
	for _, r := range l.rows(run, "train") {
		if cells, ok := studies[r.Study]; ok {
			sheet += r.Volume + "," + strings.Join(cells[len(cells)-3:], ",") + "\n"
		}
	}
	l.write("volumes.csv", sheet)
	l.succeed("evaluate", "scores", "--protocol", "clean", "--labels", run+"/eval/seen.labels.csv", "--scores", run+"/eval/seen.scores.csv", "--reviewed", "volumes.csv",
		"--bootstrap", "1000", "--json", "r.json")
	var want metrics.Summary
	l.read("r.json", &want)
	if c := want.Corrected["Emphysema"]; len(want.Corrected) != 2 || c.NReviewed < 4 || c.Prevalence.PPI.Value == nil || !reflect.DeepEqual(got.Summary.Corrected, want.Corrected) {
		l.Errorf("corrected %+v, evaluate scores has %+v", got.Summary.Corrected, want.Corrected)
	}
	page, err := os.ReadFile(filepath.Join(l.dir, run, "page.html"))
	if n := want.Corrected["Emphysema"].NReviewed; err != nil || !strings.Contains(string(page), `id="corrected"`) || !strings.Contains(string(page), fmt.Sprintf(`<th scope="row">Emphysema</th><td class="r">%d, `, n)) ||
		!strings.Contains(string(page), `id="published"`) {
		l.Errorf("the page does not show what %d reviewed rows make of it, or the published figures: %v", n, err)
	}
	l.write("sheet.csv", "study,Emphysema\nnobody,1\n")
	if out := l.exits(codeInput, "run", "mine.yaml", "--run", run); !strings.Contains(out, "sheet.csv: nothing of split train was reviewed in it") {
		l.Error(out)
	}
}

// softmax makes probabilities of the rows that a step by dot products has kept.
func (l *lab) softmax(step string) (file string) {
	l.Helper()
	text, err := os.ReadFile(filepath.Join(l.dir, step+".scores.csv"))
	if err != nil {
		l.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for i, line := range lines[1:] {
		cells := strings.Split(line, ",")
		for k, cell := range cells[1:] {
			v, err := strconv.ParseFloat(cell, 64)
			if err != nil {
				l.Fatal(err)
			}
			cells[k+1] = strconv.FormatFloat(1/(1+math.Exp(-v)), 'g', -1, 64)
		}
		lines[i+1] = strings.Join(cells, ",")
	}
	l.write("softmax.csv", strings.Join(lines, "\n"))
	return "softmax.csv"
}

// external measures the trained weights on a folder in RAD-ChestCT's layout, by the protocol of its 16 findings: evaluate-only
// with one line changed, against evaluate scores on the 18 scores of CT-RATE's findings and RAD-ChestCT's own table.
func (l *lab) external(evaluateOnly string) {
	l.Helper()
	const table = "rad/imgtrain_Abnormality_and_Location_Labels.csv"
	l.succeed("phantom", "--studies", "24", "--size", "32", "--seed", "6", "--layout", "radchestct", "--out", "rad")
	line := `{type: evaluate.ZeroShot,  input: clip, config: {split: "${split}", truth: "${truth}"}}`
	changed := `{type: evaluate.ZeroShot,  input: clip, config: {split: "${split}", truth: ` + table + `, likeness: dot, protocol: radchestct-16}}`
	if !strings.Contains(evaluateOnly, line) {
		l.Fatal("evaluate-only has another line for evaluate.ZeroShot")
	}
	l.write("external.yaml", strings.Replace(evaluateOnly, line, changed+"\n  - {name: eighteen, type: evaluate.ZeroShot, input: clip, config: {split: train, likeness: dot}}", 1))
	l.succeed("run", "external.yaml", "--run", "external", "--set", "data=rad", "--set", "layout=radchestct", "--set", "weights=trained/models/clip", "--set", "split=train")
	var r struct {
		Published metrics.PublishedSummary
		By        string `json:"published_protocol"`
	}
	l.read("external/eval/"+evaluate.ZeroShotName+".json", &r)
	l.succeed("evaluate", "scores", "--protocol", "radchestct-16", "--labels", table, "--scores", l.softmax("external/eval/eighteen"), "--json", "p.json")
	var want metrics.PublishedSummary
	l.read("p.json", &want)
	if len(want.Labels) != 16 || want.Macro.NLabels < 3 || r.By != "radchestct-16" || !reflect.DeepEqual(r.Published, want) {
		l.Errorf("published %+v over %d labels, evaluate scores has %+v over %d", r.Published.Macro, len(r.Published.Labels), want.Macro, len(want.Labels))
	}
}

// Two runs that differ in one line are tested in pairs: what is the same does not differ, what is not agrees with the two
// runs' own figures and with `evaluate scores` on the rows that they kept; other rows are refused.
func (l *lab) compares() {
	file, err := os.ReadFile(filepath.Join(l.dir, "demo.yaml"))
	if err != nil {
		l.Fatal(err)
	}
	l.write("second.yaml", strings.Replace(string(file), "seed: \"${seed}\"}}\n  - {type: evaluate.Labels", "seed: 2}}\n  - {type: evaluate.Labels", 1))
	l.succeed("run", "second.yaml", "--set", "data=data", "--run", "second")
	out := l.succeed("compare", "trained", "second", "--json", "c.json", "--out", "c.html")
	var c html.Comparison
	l.read("c.json", &c)
	if len(c.Tests) != 4 || !slices.ContainsFunc(c.Changed, func(x html.Change) bool { return x == html.Change{Name: "clip: seed", A: "1", B: "2"} }) {
		l.Fatalf("%d tests; changed: %v\n%s", len(c.Tests), c.Changed, out)
	}
	for _, test := range c.Tests {
		switch test.Type {
		case evaluate.ClassifierName, evaluate.LabelsName: // the same in both
			for _, r := range test.Findings {
				if d := r.Difference.Value; d != nil && *d != 0 || r.OnlyA+r.OnlyB != 0 || r.P != nil && *r.P != 1 {
					l.Errorf("%s: %+v", test.Step, r)
				}
			}
		case evaluate.ZeroShotName:
			l.pairedAsScores(test)
		case evaluate.RetrievalName:
			if r := test.Findings[0]; r.Name != "recall@1" || r.A == nil || r.B == nil {
				l.Errorf("%+v", r)
			}
		}
	}
	page, err := os.ReadFile(filepath.Join(l.dir, "c.html"))
	if err != nil || !strings.Contains(string(page), "clip: seed") || !strings.Contains(string(page), "default-src &#39;none&#39;") {
		l.Error("the page:", err)
	}

	if out := l.exits(codeInput, "compare", "trained", "other-run"); !strings.Contains(out, "the same data set is needed") {
		l.Error(out)
	}
}

// pairedAsScores holds a test to `evaluate scores` on the rows of the two runs.
func (l *lab) pairedAsScores(test html.PairedTest) {
	l.Helper()
	rows := func(run, kind string) string { return filepath.Join(run, "eval", test.Step+"."+kind+".csv") }
	l.succeed("evaluate", "scores", "--protocol", "clean", "--labels", rows("trained", "labels"), "--scores", rows("trained", "scores"),
		"--scores-b", rows("second", "scores"), "--json", "s.json", "--bootstrap", "0")
	var s metrics.Summary
	l.read("s.json", &s)
	defined := 0
	for _, r := range test.Findings {
		p := s.Paired[r.Name]
		same := func(a, b *float64) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }
		if !same(r.P, p.P) || !same(r.Holm, p.Holm) || !same(r.Difference.Value, p.Difference) || !same(r.A, p.AUCA) || !same(r.B, p.AUCB) {
			l.Errorf("%s: %+v, evaluate scores has %+v", r.Name, r, p)
		}
		if r.P != nil {
			defined++
		}
	}
	if defined == 0 {
		l.Error("nothing was tested")
	}
}

// Thresholds come from another split than the one that is judged, or every place where the figures stand says otherwise.
func (l *lab) settlesFirst() {
	text, err := pipelines.Source("evaluate-only")
	if err != nil {
		l.Fatal(err)
	}
	tuned := func(name, how string) {
		l.write(name, strings.Replace(string(text), `evaluate.ZeroShot,  input: clip, config: {split: "${split}"`, `evaluate.ZeroShot, input: clip, config: {split: "${split}", primary: true, `+how, 1))
	}
	run := func(file, to string) string {
		return l.succeed("run", file, "--set", "data=data", "--set", "weights=trained/models/clip", "--run", to)
	}
	tuned("bad.yaml", "tune: valid")
	if out := l.exits(codeUsage, "check", "bad.yaml"); !strings.Contains(out, `tune: "valid": another split than the one that is judged`) {
		l.Error(out)
	}

	type scores struct {
		Escrow, Exploratory string
		Primary             bool
		Summary             struct{ Labels map[string]metrics.LabelScore }
	}
	var clean, open scores
	file := "eval/" + evaluate.ZeroShotName + ".json"
	tuned("tuned.yaml", "tune: train")
	run("tuned.yaml", "tuned")
	l.read("tuned/"+file, &clean)
	if clean.Exploratory != "" || !clean.Primary || l.report("tuned").Escrow[evaluate.ZeroShotName] != clean.Escrow {
		l.Errorf("%+v; run.json has the escrow %v", clean, l.report("tuned").Escrow)
	}
	l.succeed("run", "evaluate-only", "--set", "data=data", "--set", "weights=trained/models/clip", "--set", "split=train", "--run", "on-train")
	l.sameThresholds(clean.Summary.Labels)

	tuned("open.yaml", "tune: valid, exploratory: true")
	out := run("open.yaml", "open")
	l.read("open/"+file, &open)
	page, err := os.ReadFile(filepath.Join(l.dir, "open/page.html"))
	if open.Exploratory == "" || !strings.Contains(out, "; exploratory: thresholds") || err != nil || !strings.Contains(string(page), `<span class="pill warn">exploratory</span> thresholds`) ||
		!strings.Contains(string(page), "primary endpoint") {
		l.Errorf("%+v, page: %v\n%s", open, err, out)
	}
	if out := l.succeed("compare", "tuned", "open"); !strings.Contains(out, "exploratory: open: thresholds") {
		l.Error(out)
	}
}

// sameThresholds holds thresholds to what `evaluate scores` finds best on the rows of the split train.
func (l *lab) sameThresholds(labels map[string]metrics.LabelScore) {
	l.Helper()
	rows := func(kind string) string { return "on-train/eval/" + evaluate.ZeroShotName + "." + kind + ".csv" }
	l.succeed("evaluate", "scores", "--protocol", "clean", "--labels", rows("labels"), "--scores", rows("scores"), "--json", "train.json", "--bootstrap", "0")
	var s metrics.Summary
	l.read("train.json", &s)
	defined := 0
	for name, row := range s.Labels {
		at := labels[name].Threshold
		if (at == nil) != (row.Youden == nil) || at != nil && at.Threshold != row.Youden.Threshold {
			l.Errorf("%s: %+v, on train %+v", name, at, row.Youden)
		} else if at != nil {
			defined++
		}
	}
	if defined == 0 {
		l.Error("no threshold")
	}
}
