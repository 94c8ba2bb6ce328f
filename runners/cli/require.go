package cli

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"silverbeam/pkg/metrics"
)

// requirement is a bound that figures must keep.
type requirement struct {
	Text   string   `json:"require"`
	Missed []string `json:"missed"` // each finding that does, and by how much

	finding string // "": every one; macro: their mean
	figure  string
	lower   bool // the interval's lower end, not the figure
	bound   float64
}

var requirementText = regexp.MustCompile(`^(?:(.+):)?\s*(?:(lower)\(\s*)?([a-z0-9_]+)\s*(\))?\s*>=\s*([0-9.]+)$`)

// parseRequirement reads [FINDING: ]FIGURE>=NUMBER or [FINDING: ]lower(FIGURE)>=NUMBER.
func parseRequirement(text string) (r requirement, err error) {
	m := requirementText.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil || (m[2] == "") != (m[4] == "") {
		return r, fmt.Errorf("%q: must read [FINDING: ]FIGURE>=NUMBER or [FINDING: ]lower(FIGURE)>=NUMBER", text)
	}
	r = requirement{Text: text, Missed: []string{}, finding: strings.TrimSpace(m[1]), figure: m[3], lower: m[2] != ""}
	if _, ok := figure(metrics.SampleRates{}, r.figure); !ok {
		return r, fmt.Errorf("%q: no figure %q: one of sensitivity, specificity, ppv, npv, f1, balanced_accuracy%s", text, r.figure,
			didYouMean(r.figure, []string{"sensitivity", "specificity", "ppv", "npv", "f1", "balanced_accuracy"}))
	}
	if r.bound, err = strconv.ParseFloat(m[5], 64); err != nil || r.bound > 1 {
		return r, fmt.Errorf("%q: %s: a number from 0 to 1", text, m[5])
	}
	return r, nil
}

func figure(s metrics.SampleRates, name string) (metrics.Figure, bool) {
	switch name {
	case "sensitivity":
		return s.Sensitivity, true
	case "specificity":
		return s.Specificity, true
	case "ppv":
		return s.PPV, true
	case "npv":
		return s.NPV, true
	case "f1":
		return s.F1, true
	case "balanced_accuracy":
		return s.BalancedAccuracy, true
	}
	return metrics.Figure{}, false
}

// miss says by how much the figure misses the bound, or "". What is not known is missed.
func (r requirement) miss(s metrics.SampleRates) string {
	f, _ := figure(s, r.figure)
	value, what := f.Value, r.figure
	if r.lower {
		what = "lower(" + r.figure + ")"
		if value = nil; f.Interval != nil {
			value = &f.Interval[0]
		}
	}
	switch {
	case value == nil:
		return what + " is undefined"
	case *value < r.bound:
		return fmt.Sprintf("%s is %.4g, %.2g below %v", what, *value, r.bound-*value, r.bound)
	}
	return ""
}

// judge holds every labeler to the requirements and says what was missed. Its error names a finding that is not there.
func (f *evaluateFlags) judge(w io.Writer, out *evaluation, files []labelerFile) (missed []string, err error) {
	for _, text := range f.require {
		r, err := parseRequirement(text)
		if err != nil {
			return nil, err
		}
		for _, l := range files {
			figures, of := out.Reviewed, ""
			if len(files) > 1 {
				figures, of = out.Labelers[l.name].Reviewed, l.name+": "
			}
			if _, ok := figures.Labels[r.finding]; !ok && r.finding != "" && r.finding != "macro" {
				names := slices.Sorted(maps.Keys(figures.Labels))
				return nil, fmt.Errorf("%q: no finding %q was evaluated%s", text, r.finding, didYouMean(r.finding, names))
			}
			for _, m := range r.against(figures) {
				r.Missed = append(r.Missed, of+m)
			}
		}
		verdict := "met"
		if len(r.Missed) > 0 {
			verdict = "missed"
		}
		line(w, "%-8s %s", verdict, text)
		missed = append(missed, r.Missed...)
		out.Requirements = append(out.Requirements, r)
	}
	return missed, nil
}

func (r requirement) against(figures *metrics.Reviewed) (missed []string) {
	if r.finding == "macro" {
		if m := r.miss(figures.Macro.SampleRates); m != "" {
			missed = append(missed, "macro: "+m)
		}
		return missed
	}
	for _, name := range slices.Sorted(maps.Keys(figures.Labels)) {
		if m := r.miss(figures.Labels[name].SampleRates); m != "" && (r.finding == "" || r.finding == name) {
			missed = append(missed, name+": "+m)
		}
	}
	return missed
}
