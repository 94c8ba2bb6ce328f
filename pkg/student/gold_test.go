package student

import (
	"encoding/csv"
	"os"
	"strconv"
	"testing"

	"silverbeam/pkg/rules"
	"silverbeam/pkg/taxonomy"
)

// TestGold fits to a hand-labelled CSV that is not in the repository and logs the cross-validated figures.
// SILVERBEAM_GOLD names the CSV (id, report, findings), SILVERBEAM_GOLD_SEED the seed of the folds, default 1.
func TestGold(t *testing.T) {
	in := os.Getenv("SILVERBEAM_GOLD")
	if in == "" {
		t.Skip("SILVERBEAM_GOLD is not set")
	}
	seed, err := strconv.ParseInt(os.Getenv("SILVERBEAM_GOLD_SEED"), 10, 64)
	if err != nil {
		seed = 1
	}
	f, err := os.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var reports []Report
	for _, r := range rows[1:] {
		x := Report{ID: r[0], Text: r[1]}
		for _, v := range r[2:] {
			y, err := strconv.ParseInt(v, 10, 8)
			if err != nil {
				y = -1
			}
			x.Truth = append(x.Truth, int8(y))
		}
		reports = append(reports, x)
	}
	tax, err := taxonomy.Load("")
	if err != nil {
		t.Fatal(err)
	}
	l, err := rules.New(tax, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := Fit(tax, l, reports, Options{Folds: 5, Seed: seed, Ask: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range append(s.Made().Figures, s.Made().Macro) {
		show := func(f Figure) string {
			out := ""
			for _, v := range []*float64{f.AUC, f.F1, f.ECE} {
				if v == nil {
					out += "      -"
				} else {
					out += strconv.FormatFloat(*v, 'f', 4, 64) + " "
				}
			}
			return out
		}
		t.Logf("%-36s %5d %5d  rules %s  student %s", x.Finding, x.N, x.Positives, show(x.Rules), show(x.Student))
	}
}
