package taxonomy

import (
	_ "embed"
	"strings"
)

// prompts.csv has pairs of zero-shot prompts as published code asks them: mps-ct of arXiv 2509.13175 (its negative prompt is
// the empty text), ct-clip of arXiv 2403.17834, fvlm of fVLM, the others of sweeps in that code.
//
//go:embed prompts.csv
var promptSets string

// PromptSets lists the sets of prompts that come with the program.
func PromptSets() (names []string) {
	for line := range strings.Lines(promptSets) {
		name, _, _ := strings.Cut(line, ",")
		names = append(names, name)
	}
	return names[1:]
}

// Prompts gives a finding's positive and negative prompt by a set; ok is false where there is no such set.
func Prompts(set, finding string) (pair [2]string, ok bool) {
	for line := range strings.Lines(promptSets) {
		f := strings.Split(strings.TrimSpace(line), ",")
		if f[0] == set {
			return [2]string{strings.ReplaceAll(f[1], "{finding}", finding), strings.ReplaceAll(f[2], "{finding}", finding)}, true
		}
	}
	return pair, false
}
