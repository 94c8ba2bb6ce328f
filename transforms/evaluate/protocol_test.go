package evaluate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"silverbeam/pkg/metrics"
	"silverbeam/pkg/taxonomy"
)

// Embeddings to published figures, against a transcription of what the scripts do: softmax of two logits, the higher of two
// calcifications, AUC by pairs, the last of 100 thresholds nearest to the corner, scikit-learn's weighted F1.
func TestProtocolsOfEmbeddings(t *testing.T) {
	tax, err := taxonomy.Load("ctrate-18")
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(4, 4))
	vectors := func(n int) (out [][]float32) {
		for range n {
			v := make([]float32, 6)
			for i := range v {
				v[i] = float32(rng.IntN(5)-2) / 4
			}
			out = append(out, v)
		}
		return out
	}
	volumes, sets := vectors(60), [][][]float32{vectors(36), vectors(36)}
	for protocol, want := range map[string]int{CTCLIPProtocol: 18, FVLMProtocol: 16, RadChestProtocol: 16} {
		for _, factor := range []float64{1, 14.25} {
			f := &modelFn{}
			f.Options.Protocol = protocol
			p := &pool{tax: tax, judged: f.Options.judged(tax.Names()), factor: factor}
			texts := make([][][]float32, 2) // by the findings that are scored
			for set, all := range sets {
				for _, name := range scored(p.judged) {
					k := tax.Index(name)
					texts[set] = append(texts[set], all[2*k], all[2*k+1])
				}
			}
			s := metrics.Scores{Findings: names(p.judged), S: p.fold(differences(volumes, texts, func(set int) bool { return set == 1 }))}
			for k := range s.Findings {
				y := make([]int8, len(volumes))
				for i := range y {
					y[i] = int8(rng.IntN(3+k) / (2 + k)) // some findings are rare
				}
				s.Y = append(s.Y, y)
			}
			got, err := f.published(p, s)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Labels) != want {
				t.Errorf("%s: %d labels, want %d", protocol, len(got.Labels), want)
			}
			for k, m := range p.judged {
				l, ok := got.Labels[m.Name]
				if !ok {
					continue
				}
				probability := make([]float64, len(volumes))
				for i, v := range volumes {
					for _, name := range m.Scores {
						at := 2 * tax.Index(name)
						pos, neg := math.Exp(factor*product(v, sets[1][at])), math.Exp(factor*product(v, sets[1][at+1]))
						probability[i] = max(probability[i], pos/(pos+neg))
					}
				}
				figures := script(s.Y[k], probability)
				if figures == nil {
					if l.Status != "undefined" {
						t.Errorf("%s: %s: one class, and %s", protocol, m.Name, l.Status)
					}
					continue
				}
				for i, v := range []*float64{l.AUC, l.Threshold, l.F1Weighted, l.Accuracy, l.Precision} {
					if math.Abs(*v-figures[i]) > 1e-9 {
						t.Errorf("%s x %g: %s: figure %d is %.12g, want %.12g", protocol, factor, m.Name, i, *v, figures[i])
					}
				}
			}
		}
	}
}

func product(a, b []float32) (s float64) {
	for i := range a {
		s += float64(a[i]) * float64(b[i])
	}
	return s
}

// script is AUC, threshold, weighted F1, accuracy and precision; nil where the script stops.
func script(y []int8, s []float64) []float64 {
	var pos, neg []float64
	for i, v := range y {
		if v == 1 {
			pos = append(pos, s[i])
		} else {
			neg = append(neg, s[i])
		}
	}
	if pos == nil || neg == nil {
		return nil
	}
	np, nn, auc := float64(len(pos)), float64(len(neg)), 0.0
	for _, a := range pos {
		for _, b := range neg {
			if math.Abs(a-b) < 1e-12 { // products of small whole numbers: either the same or far from it
				auc += .5
			} else if a > b {
				auc++
			}
		}
	}
	above := func(v []float64, t float64) (n float64) {
		for _, x := range v {
			if x > t {
				n++
			}
		}
		return n
	}
	best, at := math.Inf(1), 0.0
	for i := range 100 {
		t := float64(i) / 99
		if d := math.Hypot(1-above(pos, t)/np, above(neg, t)/nn); d <= best {
			best, at = d, t
		}
	}
	tp, fp := above(pos, at), above(neg, at)
	fn, tn := np-tp, nn-fp
	f1 := func(hit, wrong, missed float64) float64 {
		if hit == 0 {
			return 0
		}
		return 2 * hit / (2*hit + wrong + missed)
	}
	precision := 0.0
	if tp > 0 {
		precision = tp / (tp + fp)
	}
	return []float64{auc / np / nn, at, (np*f1(tp, fp, fn) + nn*f1(tn, fn, fp)) / (np + nn), (tp + tn) / (np + nn), precision}
}

func TestPrompts(t *testing.T) {
	tax, err := taxonomy.Load("ctrate-18")
	if err != nil {
		t.Fatal(err)
	}
	for set, want := range map[string][2]string{"mps-ct": {"Emphysema.", ""}, "ct-clip": {"Emphysema is present.", "Emphysema is not present."}, "ctrate-18": {"Emphysema is present.", "Emphysema is not present."}} {
		sets, err := ZeroShotOptions{Prompts: []string{set}}.wording(tax)
		if err != nil || len(sets) != 1 || sets[0].Prompts["Emphysema"] != want || len(sets[0].Prompts) != 18 {
			t.Errorf("%s: %v, %v", set, sets, err)
		}
	}
	few, err := taxonomy.Parse("t.yaml", []byte("name: two\nfindings:\n  - {finding: Calcification}\n  - {finding: Emphysema, positive: Big lungs.}\n"))
	if err != nil {
		t.Fatal(err)
	}
	o := ZeroShotOptions{ScoreOptions: ScoreOptions{Protocol: RadChestProtocol}}
	o.Truth = "t.csv"
	sets, err := o.wording(few)
	if err != nil || len(sets[0].Prompts) != 17 || sets[0].Prompts["Emphysema"][0] != "Big lungs." || sets[0].Prompts["Coronary artery wall calcification"][0] != "Coronary artery wall calcification is present." {
		t.Errorf("a protocol's findings: %v, %v", sets, err)
	}
	o.Truth = ""
	if err := o.Suits(few); err == nil || !strings.Contains(err.Error(), "with truth") {
		t.Errorf("neither truth nor such findings: %v", err)
	}
	if err := (ScoreOptions{Protocol: RadChestProtocol}).Suits(tax); err == nil {
		t.Error("ctrate-18 has one calcification too many, and passes without truth")
	}
}

// Prompts are chosen where nothing is judged.
func TestChosenOnWhatIsJudged(t *testing.T) {
	several := []string{"mps-ct", "ct-clip"}
	for name, c := range map[string]struct {
		o    ZeroShotOptions
		want string
	}{
		"averaged":              {ZeroShotOptions{Prompts: several}, ""},
		"chosen on another":     {ZeroShotOptions{Prompts: several, Choose: true, ScoreOptions: ScoreOptions{Tune: "train"}}, ""},
		"on what is judged":     {ZeroShotOptions{Prompts: several, Choose: true, ScoreOptions: ScoreOptions{Tune: "valid"}}, "another split than the one that is judged"},
		"nowhere":               {ZeroShotOptions{Prompts: several, Choose: true}, "with tune"},
		"of one":                {ZeroShotOptions{Prompts: several[:1], Choose: true, ScoreOptions: ScoreOptions{Tune: "train"}}, "of two prompts or more"},
		"one twice":             {ZeroShotOptions{Prompts: []string{"fvlm", "fvlm"}}, "each once"},
		"unknown":               {ZeroShotOptions{Prompts: []string{"mpsct"}}, "mps-ct"},
		"another likeness":      {ZeroShotOptions{Likeness: "l2"}, "one of cosine, dot"},
		"another protocol":      {ZeroShotOptions{ScoreOptions: ScoreOptions{Protocol: "ctclip"}}, "one of clean, ctclip-zeroshot"},
		"a protocol and chosen": {ZeroShotOptions{Prompts: several, Choose: true, Likeness: Dot, ScoreOptions: ScoreOptions{Tune: "train", Protocol: FVLMProtocol}}, ""},
	} {
		err := c.o.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if !slices.Equal(taxonomy.PromptSets(), []string{"mps-ct", "ct-clip", "fvlm", "there-is", "compatible-with"}) {
		t.Error(taxonomy.PromptSets())
	}
}
