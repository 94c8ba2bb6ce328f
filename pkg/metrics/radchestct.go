package metrics

import (
	_ "embed"
	"strings"
)

// MappedFinding is a finding of RAD-ChestCT (Draelos et al. 2021) on which models of CT-RATE's findings are tested.
type MappedFinding struct {
	Name    string
	Scores  []string // CT-RATE's findings; the highest of their scores counts
	Columns []string // RAD-ChestCT's abnormalities, at any location; present where one is
}

//go:embed radchestct-16.csv
var radchestct string

// RadChestCT is the protocol of 16 findings (CT-CLIP's external test; the columns are those of RadFinder's standard map).
func RadChestCT() (all []MappedFinding) {
	for _, row := range strings.Fields(strings.ReplaceAll(radchestct, " ", "_"))[1:] {
		f := strings.Split(row, ",")
		all = append(all, MappedFinding{strings.ReplaceAll(f[0], "_", " "), strings.Split(strings.ReplaceAll(f[1], "_", " "), "+"), strings.Split(f[2], "+")})
	}
	return all
}
