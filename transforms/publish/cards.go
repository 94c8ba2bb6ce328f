package publish

import (
	"fmt"
	"strings"

	"silverbeam/pkg/html"
)

// cards are the files beside the page that tell of models and data set in Markdown, for those who pass them on: figures and
// counts, no ids.
func (src *source) cards(p *html.Page) map[string]string {
	all := map[string]string{}
	if len(p.Training) > 0 {
		all["model-card.md"] = src.modelCard(p)
	}
	if src.data != nil {
		all["dataset-card.md"] = src.datasetCard(p)
	}
	return all
}

const unsaid = "not known"

func (src *source) modelCard(p *html.Page) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Models of the run %s\n\n%s\n", p.Run, p.Caution)
	for _, t := range p.Training {
		fmt.Fprintf(&b, "\n## %s\n\n- recipe: %s; %d parameters; %d epochs, %d steps\n- trained on: data set %s, split train\n", t.Name, t.Recipe, t.Parameters, t.Epochs, t.Steps, src.report.Digest)
	}
	fmt.Fprintf(&b, "\n## Figures\n\n")
	for _, h := range p.Verdict.Headlines {
		if h.Figure.Value == nil {
			continue
		}
		fmt.Fprintf(&b, "- %s: %.3f", h.Name, *h.Figure.Value)
		if h.Figure.Lo != nil && h.Figure.Hi != nil {
			fmt.Fprintf(&b, " (95 %%: %.3f to %.3f)", *h.Figure.Lo, *h.Figure.Hi)
		}
		if h.Reference != nil {
			fmt.Fprintf(&b, "; %s %.3f", h.ReferenceName, *h.Reference)
		}
		if h.Exploratory != "" {
			fmt.Fprintf(&b, "; exploratory: %s", h.Exploratory)
		}
		fmt.Fprintf(&b, "; n %d. %s\n", h.Figure.N, h.Note)
	}
	fmt.Fprintf(&b, "\n## Use\n\n- findings: %s\n- input: %s\n- intended use, limits, licence: %s\n- no medical device: not for decisions about patients\n", strings.Join(src.tally.Names, ", "), or(src.knownGrid()), unsaid)
	return b.String()
}

func (src *source) datasetCard(p *html.Page) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Data set of the run %s\n\n%s\n\n- digest: %s\n- tensors: %s\n- splits, by patient: %s\n- labels: %s\n- refused: %s\n", p.Run, p.Caution, src.report.Digest, or(src.knownGrid()), or(src.knownSize()), or(src.knownLabels()), src.knownRejects())
	fmt.Fprintf(&b, "- where, when and how scans were acquired; consent; licence: %s\n\n## Findings\n\n| finding | present | uncertain | absent | not mentioned |\n|---|---|---|---|---|\n", unsaid)
	if p.Labels != nil {
		for _, f := range p.Labels.Findings {
			fmt.Fprintf(&b, "| %s | %d | %d | %d | %d |\n", f.Finding, f.Present, f.Uncertain, f.Absent, f.NotMentioned)
		}
	}
	b.WriteString("\nWhere the scans are CT-RATE's: its terms (CC BY-NC-SA 4.0, gated) hold for what is made of them, and they are not to be passed on.\n")
	return b.String()
}

func or(known string) string {
	if known == "" {
		return unsaid
	}
	return known
}
