package metrics

import (
	_ "embed"
	"slices"
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

// RadChestColumns finds the columns of a label table that a protocol reads, and the finding of each: RAD-ChestCT's own,
// abnormality*location, or those of the findings. missing is a column that there should be; "": all are there.
func RadChestColumns(names []string, all []MappedFinding) (columns []string, of []int, missing string) {
	raw := slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, "*") })
	for k, m := range all {
		before := len(columns)
		for _, n := range names {
			abnormality, _, located := strings.Cut(n, "*")
			// CT-CLIP's own tables keep CT-RATE's name for the one calcification.
			if raw && located && slices.Contains(m.Columns, abnormality) || !raw && (n == m.Name || n == m.Scores[0]) {
				columns, of = append(columns, n), append(of, k)
			}
		}
		switch {
		case len(columns) > before:
		case raw:
			return nil, nil, m.Columns[0] + "*"
		default:
			return nil, nil, m.Name
		}
	}
	return columns, of, ""
}
