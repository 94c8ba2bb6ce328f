package publish

import (
	"fmt"
	"strings"

	"silverbeam/pkg/html"
)

// item is one thing that a guideline asks for, and how a run answers; nil: a run cannot know.
type item struct {
	topic string
	known func(*source) string
}

// Topics in our own words, in the guidelines' order: TRIPOD+AI (BMJ 2024;385:e078378), CLAIM 2024 (Radiology: Artificial
// Intelligence 6:e240300), MI-CLEAR-LLM (Korean Journal of Radiology 2024). A run answers what it has done itself.
var guidelines = []struct {
	name  string
	items []item
}{
	{"TRIPOD+AI", []item{
		{"Title, abstract, background, objectives", nil}, {"Source of the data, dates", (*source).knownData}, {"Participants: eligibility, setting, treatment", nil},
		{"Data preparation and quality checks", (*source).knownGrid}, {"Outcome and how it was assessed", (*source).knownLabels}, {"Predictors", (*source).knownGrid},
		{"Sample size", (*source).knownSize}, {"Missing data", (*source).knownRejects}, {"Analytical methods: split, model, measures", (*source).knownModels},
		{"Class imbalance", (*source).knownBalance}, {"Fairness", (*source).knownParts}, {"Model output and thresholds", (*source).knownThresholds}, {"Training against evaluation data", (*source).knownSplits},
		{"Ethics, funding, conflicts, protocol, registration", nil}, {"Data and code sharing", (*source).knownVersions}, {"Patient and public involvement", nil},
		{"Flow of participants", (*source).knownRejects}, {"Full model", (*source).knownModels}, {"Performance with intervals", (*source).knownFigures},
		{"Interpretation, limitations, usability", nil},
	}},
	{"CLAIM 2024", []item{
		{"Design: prospective or retrospective; goal", nil}, {"Data sources", (*source).knownData}, {"Inclusion and exclusion", (*source).knownRejects},
		{"Preprocessing", (*source).knownGrid}, {"De-identification", (*source).knownRemoved}, {"Missing data", (*source).knownRejects}, {"Image acquisition", nil},
		{"Reference standard: definition and source", (*source).knownLabels}, {"Annotators and their agreement", (*source).knownAgreement},
		{"Partitions, and at which level they are disjoint", (*source).knownSplits}, {"Test set: size", (*source).knownSize}, {"Model, software, initial weights", (*source).knownModels},
		{"Training: hyper-parameters, augmentation", (*source).knownModels}, {"Selection of the final model", (*source).knownThresholds}, {"Measures and their uncertainty", (*source).knownFigures},
		{"Robustness, explainability", nil}, {"External testing", nil}, {"Demographics of each partition", nil}, {"Failure analysis", (*source).knownFailures},
		{"Limitations, implications, registration, funding", nil},
	}},
	{"MI-CLEAR-LLM", []item{
		{"Which model: name, version, maker, access", (*source).knownLLM}, {"Stochasticity: repeats, temperature", nil}, {"Prompts: their wording", nil},
		{"Prompts: how they were used in sessions", (*source).knownSessions}, {"Prompts: how they were tested and tuned", nil}, {"Test data independent of the model's training", nil},
	}},
}

// checklists are the guidelines with what the run knows.
func (src *source) checklists() (all []html.Checklist) {
	for _, g := range guidelines {
		c := html.Checklist{Name: g.name}
		for _, i := range g.items {
			x := html.Item{Topic: i.topic}
			if i.known != nil {
				x.Known = i.known(src)
			}
			c.Items = append(c.Items, x)
		}
		all = append(all, c)
	}
	return all
}

func (src *source) knownData() string {
	if src.report.Digest == "" {
		return ""
	}
	return fmt.Sprintf("%d studies read; data set %.12s; where and when they were acquired is not known", src.tally.Total(), src.report.Digest)
}

func (src *source) knownGrid() string {
	if src.data == nil {
		return ""
	}
	p := src.data.Preset()
	return fmt.Sprintf("volumes on preset %s, %d × %d × %d voxels; HU source %s", p.Name, p.Shape[0], p.Shape[1], p.Shape[2], src.data.Manifest().HUSource)
}

func (src *source) knownLabels() string {
	if src.counts().Studies == 0 {
		return ""
	}
	return fmt.Sprintf("%d findings (%s) read from reports by program, not by people; see Labels", len(src.tally.Names), src.report.Findings)
}

func (src *source) knownAgreement() string {
	q, on := src.quality()
	if q == nil {
		return ""
	}
	return "labels against " + on
}

func (src *source) knownSize() string {
	splits, _ := src.splits()
	var all []string
	for _, s := range splits {
		all = append(all, fmt.Sprintf("%s %d volumes of %d patients", s.Name, s.Volumes, s.Patients))
	}
	return strings.Join(all, "; ")
}

func (src *source) knownSplits() string {
	_, shared := src.splits()
	if shared == nil {
		return ""
	}
	return fmt.Sprintf("by patient; %d patients in more than one split", *shared)
}

func (src *source) knownRejects() string {
	return fmt.Sprintf("%d of %d refused, by step and class; see Sample flow", len(src.tally.Rejects), src.tally.Total())
}

func (src *source) knownBalance() string {
	if src.counts().Studies == 0 {
		return ""
	}
	return "prevalence of each finding and split with its interval; see Labels"
}

func (src *source) knownParts() string {
	parts, differ := 0, 0
	for _, s := range src.subgroups() {
		for _, p := range s.Properties {
			for _, g := range p.Groups {
				if parts++; g.Differs() {
					differ++
				}
			}
		}
	}
	if parts == 0 {
		return ""
	}
	return fmt.Sprintf("%d parts of the rows by scanner, kernel, sex, age and distance between slices, %d of which differ from the others; see Subgroups", parts, differ)
}

func (src *source) knownModels() string {
	var all []string
	for _, t := range src.training() {
		all = append(all, fmt.Sprintf("%s: %s, %d parameters, %d epochs", t.Name, t.Recipe, t.Parameters, t.Epochs))
	}
	return strings.Join(all, "; ")
}

func (src *source) knownThresholds() string {
	if len(src.scores) == 0 {
		return ""
	}
	if s := src.scores[0]; s.Tuned != "" {
		return "chosen on split " + s.Tuned + ", sealed before split " + s.Split + " was scored; see escrow"
	}
	return "a probability of one half; none was chosen on data"
}

func (src *source) knownFigures() string {
	if len(src.scores) == 0 {
		return ""
	}
	return "AUC by finding and macro with 95 % intervals, patients resampled; see Classification"
}

func (src *source) knownFailures() string {
	for _, s := range src.scores {
		if s.Type == "evaluate.ZeroShot" {
			return "surest wrong answers; see Examples"
		}
	}
	return ""
}

func (src *source) knownVersions() string {
	var all []string
	for _, f := range facts(src.report.Versions) {
		all = append(all, f.Name+" "+f.Value)
	}
	return strings.Join(all, ", ")
}

func (src *source) knownRemoved() string {
	all := src.egress()
	if all == nil {
		return "no report left this machine"
	}
	for _, e := range all {
		if e.Removed != "" {
			return "removed before reports left: " + e.Removed
		}
	}
	return ""
}

func (src *source) knownLLM() string {
	if src.egress() == nil {
		return "no language model was asked"
	}
	if m := src.report.Params["model"]; m != "" {
		return m
	}
	return ""
}

func (src *source) knownSessions() string {
	if src.egress() == nil {
		return "no language model was asked"
	}
	return "each report in a call of its own, without history"
}
