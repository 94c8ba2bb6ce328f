package html

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
)

// ctrate are CT-RATE's 18 findings.
var ctrate = []string{"Medical material", "Arterial wall calcification", "Cardiomegaly", "Pericardial effusion", "Coronary artery wall calcification",
	"Hiatal hernia", "Lymphadenopathy", "Emphysema", "Atelectasis", "Lung nodule", "Lung opacity", "Pulmonary fibrotic sequela", "Pleural effusion",
	"Mosaic attenuation pattern", "Peribronchial thickening", "Consolidation", "Bronchiectasis", "Interlobular septal thickening"}

func p(v float64) *float64 { return &v }

func around(v, half float64, n int) Estimate {
	return Estimated(p(v), &[2]float64{max(0, v-half), min(1, v+half)}, n)
}

// full is a page with every section, made of drawn numbers.
func full() *Page {
	rng := rand.New(rand.NewPCG(1, 1))
	shared := 0
	page := &Page{
		Title: "Chest CT: reports to labels to a vision-language model", Run: "demo", Status: "ok",
		When: "24 Nov 2026 03:12 UTC, 9 min 14 s", Caution: "Synthetic phantoms: these figures have no clinical meaning.",
		Verdict: &Verdict{Line: "1,032 volumes of 640 studies were labelled from their reports, and a vision-language model trained on those labels ranks findings on held-out patients better than chance and better than a HU histogram.",
			Headlines: []Headline{
				{Name: "Label quality, macro balanced accuracy", Figure: around(.981, .006, 640), Goal: p(.97)},
				{Name: "Stage one, macro AUC", Figure: around(.742, .028, 271), Reference: p(.631), ReferenceName: "HU histogram", Goal: p(.65)},
				{Name: "Zero-shot, macro AUC", Figure: around(.612, .031, 271), Reference: p(.5), ReferenceName: "chance", Goal: p(.58)},
				{Name: "Report → volume, recall@10", Figure: around(.157, .05, 164), Reference: p(.061), ReferenceName: "chance", Goal: p(.122)},
				{Name: "Cost", Text: "$0.0412", Note: "640 reports, $0.064 per 1,000 saved"},
			}},
		Flow: &Flow{Steps: []FlowStep{
			{Name: "intake.Studies", Unit: "studies", In: 640, Out: 638, Rejects: 2, Reasons: []Reason{{"no-report", 2}}, Seconds: 3.1, CPU: 2.2},
			{Name: "label.Reports", Unit: "studies", In: 638, Out: 636, Rejects: 2, Reasons: []Reason{{"truncated", 1}, {"schema", 1}}, Seconds: 1.7, CPU: 2.6},
			{Name: "dataset.Shards", Unit: "volumes", In: 1035, Out: 1032, Rejects: 3, Skipped: 384, Reasons: []Reason{{"implausible-hu", 2}, {"corrupt", 1}}, Seconds: 84, CPU: 161},
			{Name: "vision", Type: "train.Model", Unit: "volumes", In: 761, Out: 761, Seconds: 260, CPU: 498},
			{Name: "clip", Type: "train.Model", Unit: "volumes", In: 761, Out: 761, Seconds: 181, CPU: 350},
		}, Splits: []Split{{"train", 402, 472, 761}, {"valid", 140, 164, 271}}, SharedPatients: &shared},
		Cost: &Cost{Calls: 412, Attempts: 431, Reports: 636, DistinctReports: 629, Spent: 41_207_500_000, Wasted: 310_000_000, Saved: Saved{Store: 3_200_000_000, Dedupe: 720_000_000, Rules: 22_000_000_000},
			Tokens: Tokens{Input: 311_204, Cached: 120_832, Output: 20_411}, Compute: Compute{CPUSeconds: 1013.8},
			ByModel: []ModelCost{{"small-model-2026-08", 400, 40_000_000_000}, {"large-model", 12, 1_207_500_000}}, ByStep: []StepCost{{"label.Reports", 412, 41_207_500_000}},
			Estimate: &CostRange{38_000_000_000, 41_000_000_000, 47_500_000_000}, PriceFile: "sha256:5f0c2a9e"},
		Rejects: &Rejects{Total: 7, Of: 640, Tolerance: "2 %", Groups: []RejectGroup{
			{"intake.Studies", "no-report", "report is empty", 2, []string{"train_12_a", "train_90_b"}},
			{"label.Reports", "truncated", "text ends inside a sentence", 1, []string{"valid_3_a"}},
			{"label.Reports", "schema", "answer named 17 findings of 18", 1, []string{"train_7_a"}},
			{"dataset.Shards", "implausible-hu", "air is at 312 HU", 2, []string{"train_8_a_1", "train_8_a_2"}},
			{"dataset.Shards", "corrupt", "gzip: invalid checksum", 1, []string{"train_55_a_1"}}}},
		Provenance: &Provenance{Groups: []Facts{
			{"Data", []Fact{{"manifest", "sha256:0d1f6c5b8e2a47f09a3c5d7e1b2f4a6c8e0d2b4f6a8c0e1d3b5f7a9c1e3d5b7f"}, {"preset", "demo sha256:93ab10"}, {"findings", "ctrate-18 sha256:77e0d1"}, {"hu_source", "header"}}},
			{"Run", []Fact{{"config", "sha256:a1b2c3d4"}, {"seed", "1"}, {"silverbeam", "0.3.0 (4a5c4ac)"}, {"go", "go1.26.8 linux/amd64"}, {"price file", "sha256:5f0c2a9e, checked on 2026-11-01"}}}},
			Config: "name: demo\ntransforms:\n  - {type: intake.Studies, config: {layout: ct-rate}}\n  - {type: label.Reports, config: {labelers: [rules]}}\n"},
	}
	fillScans(page)
	fillLabels(page, rng)
	fillModels(page, rng)
	page.Gallery = gallery(rng)
	page.Curves = []Curves{{System: "stage one", Note: "calibrated on split train", Findings: []FindingCurve{{Finding: "Cardiomegaly", Prevalence: .2,
		PR: [][2]float64{{.2, 1}, {.6, .7}, {1, .2}}, Bins: []Bin{{.1, .05, 40, &[2]float64{.01, .12}}, {.8, .7, 12, nil}}, Brier: p(.11), ECE: p(.04)}}},
		{System: "zero-shot", Note: "its scores are no probabilities"}}
	var c CorrectedFinding
	c.Finding, c.N, c.NPos = "Cardiomegaly", 300, 61
	c.Prevalence.Silver, c.Prevalence.PPI, c.Prevalence.RoganGladen = around(.22, .02, 0), around(.2, .04, 0), around(.2, .05, 0)
	c.AUC.Silver, c.AUC.PPI, c.AUC.Reviewed = around(.767, .02, 0), around(.848, .05, 0), Estimate{Why: "one class"}
	page.Corrected = []Corrected{{"stage one", "reviewed.csv", []CorrectedFinding{c}}}
	page.Published = []Published{{System: "zero-shot", Protocol: "ctclip-zeroshot", Macro: PublishedFinding{AUC: p(.61), F1: p(.74), Accuracy: p(.7), Precision: p(.31)},
		Findings: []PublishedFinding{{Finding: "Cardiomegaly", AUC: p(.66), F1: p(.88), Accuracy: p(.86), Precision: p(.2)}, {Finding: "Emphysema"}}}}
	page.Subgroups = []Subgroups{{"stage one", []SubgroupProperty{{Property: "Sex"}, {"Kernel", []Subgroup{
		{Name: "B70f", Rows: 120, Patients: 80, Macro: around(.64, .03, 120), NLabels: 17, Difference: Estimated(p(-.1), &[2]float64{-.15, -.05}, 0), P: p(.001)},
		{Name: "B31f", Rows: 140, Patients: 90, Macro: around(.74, .03, 140), NLabels: 17, Difference: Estimated(p(.1), &[2]float64{.05, .15}, 0), P: p(.4)},
		{Name: "LUNG", Rows: 9, Patients: 4, Macro: Estimate{Why: "few patients"}, Difference: Estimate{Why: "few patients"}}}, 2}}}}
	page.Examples = []ScoredExample{{"present, rightly", true, "Cardiomegaly", "valid_1_a_1", .21, page.Gallery.Queries[0].Images}, {"absent, wrongly", false, "Emphysema", "valid_2_a_1", -.1, Images{}}}
	page.Egress = []Egress{{"llm.example", 640, 1_234_567, 98_765, "3 names"}}
	page.Checklists = []Checklist{{"TRIPOD+AI", []Item{{"Sample size", "train 761 volumes"}, {"Fairness", ""}}}}
	return page
}

func fillScans(page *Page) {
	s := &Scans{Grid: "demo: 48 × 96 × 96 voxels of 6 × 3 × 3 mm", Duplicates: [][]string{{"train_4_a_1", "train_4_a_2"}, {"train_7_a_1", "train_9_a_1", "train_9_b_1"}}}
	for i, name := range []string{"train", "valid"} {
		sp := ScanSplit{Name: name, Known: 761 - 490*i, Slices: "55 / 128 / 422", Gap: "0.75 / 1.5 / 5", Rows: "512", Columns: "512", Pixel: "0.52 / 0.703 / 0.977"}
		for hu := -1125.0; hu < 1550; hu += 50 {
			sp.HU = append(sp.HU, [2]float64{hu, .3*math.Exp(-math.Pow((hu+900+30*float64(i))/90, 2)) + .2*math.Exp(-math.Pow((hu-30)/60, 2))})
		}
		s.Splits = append(s.Splits, sp)
	}
	for i := range 6 {
		s.Examples = append(s.Examples, Example{fmt.Sprintf("train_%d_a_1", 1+70*i), []string{"train", "valid"}[i/3], ctrate[i : 2*i], chests()[i]})
	}
	page.Scans = s
}

func fillLabels(page *Page, rng *rand.Rand) {
	page.Labels = &Labels{Source: "Embedded rules, CT-RATE convention", Splits: []string{"train", "valid"}, Truth: "Against the phantoms' own truth, patients resampled", NMacro: 17}
	macro := around(.981, .006, 636)
	page.Labels.Macro = &macro
	page.CoOccurrence = &CoOccurrence{Findings: ctrate, N: 636}
	for i, f := range ctrate {
		n := 60 + rng.IntN(220)
		r := LabelRow{Finding: f, Present: n, Uncertain: rng.IntN(20), Absent: 150 + rng.IntN(100)}
		r.NotMentioned = 636 - r.Present - r.Uncertain - r.Absent
		share := float64(n) / 636
		r.Prevalence = []Share{{n * 3 / 4, 472, &[2]float64{share - .02, share + .02}}, {n / 4, 164, nil}}
		r.Quality = &LabelQuality{N: 636, NPos: n, BalancedAccuracy: around(.96+.04*rng.Float64(), .012, 636), Sensitivity: around(.95+.05*rng.Float64(), .02, n), Specificity: around(.98+.02*rng.Float64(), .008, 636-n)}
		if i == 13 {
			r.Quality = &LabelQuality{N: 636, BalancedAccuracy: Estimate{Why: "one class"}, Sensitivity: Estimate{Why: "no positive"}, Specificity: around(1, 0, 636)}
		}
		page.Labels.Findings = append(page.Labels.Findings, r)
		page.CoOccurrence.Count = append(page.CoOccurrence.Count, make([]int, len(ctrate)))
		page.CoOccurrence.Count[i][i] = n
		for j := range i {
			both := int(float64(min(n, page.CoOccurrence.Count[j][j])) * math.Pow(rng.Float64(), 1.5))
			page.CoOccurrence.Count[i][j], page.CoOccurrence.Count[j][i] = both, both
		}
	}
}

func fillModels(page *Page, rng *rand.Rand) {
	page.Training = []Training{
		{Name: "vision", Recipe: "supervised", Steps: 950, Epochs: 10, Parameters: 2_082_130, Seconds: 260, Options: []Fact{{"width", "16"}, {"stem", "4"}, {"batch", "8"}, {"lr", "0.002"}, {"seed", "1"}}},
		{Name: "clip", Recipe: "clip", Steps: 254, Epochs: 8, Parameters: 3_911_042, Seconds: 181, Options: []Fact{{"init", "vision"}, {"batch", "24"}, {"lr", "0.0005"}, {"seed", "1"}}, Note: "Starts from the vision tower of stage one."}}
	for k := range page.Training {
		t := &page.Training[k]
		for i := 1; i <= t.Steps; i++ {
			x := float64(i) / float64(t.Steps)
			pt := TrainPoint{Step: i, Loss: p(.25 + float64(k)*2 + .4*math.Exp(-4*x) + .05*rng.NormFloat64()), LR: p(.002 * min(x*20, .5+.5*math.Cos(math.Pi*x)))}
			if i%(t.Steps/10) == 0 {
				pt.Valid = p(.33 + float64(k)*2 + .35*math.Exp(-3*x))
			}
			t.Points = append(t.Points, pt)
		}
	}
	page.Classification = &Classification{Split: "valid", Patients: 140, Rows: 271, Truth: "the images' own findings", Interval: "Intervals: patients resampled 2,000 times, percentile."}
	for k, s := range []System{
		{Name: "Stage one", Note: "supervised 3D ResNet-18 on silver labels", Macro: around(.742, .028, 271), NLabels: 17},
		{Name: "Zero-shot", Note: "two prompts a finding, difference of cosines", Macro: around(.612, .031, 271), NLabels: 17},
		{Name: "HU histogram", Note: "logistic regression on each volume's HU histogram", Baseline: true, Macro: around(.631, .03, 271), NLabels: 17}} {
		for i, f := range ctrate {
			auc := []float64{.74, .61, .63}[k] + .09*rng.NormFloat64()
			auc = max(.4, min(.97, auc))
			score := FindingScore{Finding: f, NPos: 10 + i*4, NNeg: 261 - i*4, AUC: around(auc, .06, 271)}
			if i == 13 {
				score = FindingScore{Finding: f, NNeg: 271, AUC: Estimate{Why: "one class", N: 271}}
			} else {
				for j := 0; j <= 60; j++ { // the binormal-like curve y = x^a has the area 1/(1+a)
					x := math.Pow(float64(j)/60, 2)
					score.ROC = append(score.ROC, [2]float64{x, math.Pow(x, 1/auc-1)})
				}
			}
			s.Findings = append(s.Findings, score)
		}
		page.Classification.Systems = append(page.Classification.Systems, s)
	}
	page.Retrieval = &Retrieval{Split: "valid", Queries: 164, Pool: "164 studies (271 volumes)", Rows: []RetrievalRow{
		{Name: "Report → volume, recall@5", Protocol: "study-recall", Figure: around(.085, .04, 164), Chance: p(.0305)},
		{Name: "Report → volume, recall@10", Protocol: "study-recall", Figure: around(.157, .05, 164), Chance: p(.061)},
		{Name: "Report → volume, recall@50", Protocol: "study-recall", Figure: around(.53, .07, 164), Chance: p(.305)},
		{Name: "Report → volume, MRR", Protocol: "study-recall", Figure: around(.072, .02, 164), Chance: p(.034)},
		{Name: "Report → volume, median rank", Protocol: "study-recall", Figure: Estimate{Value: p(46), N: 164}, Chance: p(82.5), Rank: true, Note: "lower is better"},
		{Name: "Volume → volume, Jaccard@10", Protocol: "clean", Figure: around(.21, .02, 271), Chance: p(.151), Note: "without the query and its patient"},
		{Name: "Volume → volume, “MAP@50” as CT-CLIP ships it", Protocol: "ctclip-volume-map", Figure: Estimate{Value: p(.437), N: 271}, Chance: p(.394), Note: "the query is in its own pool, a running mean over k"},
	}}
}

// chest draws a body, two lungs, a heart and noise.
func chest(rng *rand.Rand, n int) []int16 {
	hu := make([]int16, n*n*n)
	inside := func(z, y, x, cz, cy, cx, rz, ry, rx float64) bool {
		return (z-cz)*(z-cz)/rz/rz+(y-cy)*(y-cy)/ry/ry+(x-cx)*(x-cx)/rx/rx < 1
	}
	shift := .04 * rng.NormFloat64()
	for i := range hu {
		z, y, x := float64(i/n/n)/float64(n), float64(i/n%n)/float64(n), float64(i%n)/float64(n)
		v := -1000.0
		if inside(.5, y, x, .5, .5, .5, 1, .38, .46) {
			v = 40
			if inside(z, y, x, .5, .5, .27, .45, .27, .15) || inside(z, y, x, .5, .5, .73, .45, .27, .15) {
				v = -850 + 60*math.Sin(40*x+30*y)*math.Sin(35*z)
			}
			if inside(z, y, x, .35, .45, .55+shift, .2, .15, .16) {
				v = 50
			}
			if inside(.5, y, x, .5, .78, .5, 1, .06, .05) {
				v = 400
			}
		}
		hu[i] = int16(v + 25*rng.NormFloat64())
	}
	return hu
}

// chests are drawn once for all tests.
var chests = sync.OnceValue(func() (all []Images) {
	rng := rand.New(rand.NewPCG(2, 2))
	for range 12 {
		im, err := Slices(chest(rng, 64), [3]int{64, 64, 64}, [3]float64{5, 5, 5}, Lung)
		if err != nil {
			panic(err)
		}
		all = append(all, im)
	}
	return all
})

func gallery(rng *rand.Rand) *Gallery {
	g := &Gallery{Note: "The first queries of the split in order of id; lung window."}
	shots := func() Images {
		all := chests()
		return all[rng.IntN(len(all))]
	}
	some := func() (f []string) {
		for _, name := range ctrate {
			if rng.IntN(6) == 0 {
				f = append(f, name)
			}
		}
		return f
	}
	for q := range 4 {
		query := Query{Study: fmt.Sprintf("valid_%d_a", q+1), Findings: some(), Rank: []int{1, 4, 23, 2}[q], Pool: 164, Images: shots()}
		for r := range 5 {
			res := Result{Volume: fmt.Sprintf("valid_%d_a_%d", 10+q*7+r, 1+r%2), Score: .62 - .03*float64(r), Findings: some(), Images: shots()}
			if query.Rank == r+1 {
				res.Volume, res.SameStudy, res.Findings = query.Study+"_1", true, query.Findings
			}
			res.SamePatient = q == 2 && r == 1
			query.Results = append(query.Results, res)
		}
		g.Queries = append(g.Queries, query)
	}
	return g
}
