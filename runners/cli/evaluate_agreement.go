package cli

import (
	"math"
	"strconv"

	"silverbeam/pkg/metrics"
	"silverbeam/pkg/table"

	"github.com/spf13/cobra"
)

func evaluateAgreementCommand() *cobra.Command {
	var ratings, out string
	c := &cobra.Command{
		Use: "agreement --ratings CSV --json FILE", Short: "measure how far raters agree", Args: exactly(),
		Long: "The first column is the id, each other one a rater. Cells are categories, as numbers; empty is missing. Cohen's kappa of each pair is on\n" +
			"the rows that both rated, Fleiss' on those that all rated; Krippendorff's alpha and Gwet's AC1 use every row they can.",
		Example: "  silverbeam evaluate agreement --ratings ratings.csv --json figures.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ratings == "" || out == "" {
				return usage(cmd, "--ratings, --json: both are needed")
			}
			names, values, err := readRatings(ratings)
			if err != nil {
				return err
			}
			r := metrics.NewRaters(names, values)
			w := cmd.OutOrStdout()
			line(w, "%-36s %6s %7s %7s %7s", count(r.NRows, "row"), "n", "agree", "kappa", "PABAK")
			for i, a := range names {
				for _, b := range names[i+1:] {
					p := r.Pairs[a+"|"+b]
					line(w, "%-36s %6d %7s %7s %7s", a+" and "+b, p.N, short3(p.Agreement), short3(p.Kappa), short3(p.PABAK))
				}
			}
			line(w, "Fleiss' kappa %s (n %d); Krippendorff's alpha %s, ordinal %s; Gwet's AC1 %s",
				short3(r.Fleiss), r.NComplete, short3(r.Alpha), short3(r.AlphaOrdinal), short3(r.AC1))
			return writeFigures(out, r)
		},
	}
	c.Flags().StringVar(&ratings, "ratings", "", "the table of ratings, `CSV`")
	c.Flags().StringVar(&out, "json", "", "write all figures to `FILE`")
	return c
}

// readRatings gives the raters and [row][rater], NaN where missing.
func readRatings(path string) (names []string, values [][]float64, err error) {
	t, err := openIDTable(path)
	if err != nil {
		return nil, nil, err
	}
	if len(t.names) < 2 {
		return nil, nil, badInput("%s:1: %s: agreement is among two or more", path, count(len(t.names), "rater"))
	}
	err = t.each(t.names, everyID, func(r table.Row) error {
		row := make([]float64, len(t.names))
		for i, cell := range r.Extra {
			v, err := strconv.ParseFloat(cell, 64)
			switch {
			case cell == "":
				v = math.NaN()
			case err != nil || math.IsNaN(v) || math.IsInf(v, 0):
				return t.cellError(r.Line, t.names[i], "no finite number: a category is a number, empty is missing")
			}
			row[i] = v
		}
		values = append(values, row)
		return nil
	})
	return t.names, values, err
}
