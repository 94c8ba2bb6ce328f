package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"silverbeam/pkg/html"
	"silverbeam/pkg/ledger"

	"github.com/spf13/cobra"
)

func costCommand() *cobra.Command {
	var asJSON bool
	var list, provider string
	c := &cobra.Command{
		Use: "cost RUN", Short: "say what a run's calls and computing came to",
		Example: "  silverbeam cost out/demo\n  silverbeam cost demo --json\n" +
			"  silverbeam cost --import-prices model_prices_and_context_window.json --provider openai > prices.csv",
		Args: func(cmd *cobra.Command, args []string) error {
			if list != "" {
				return exactly()(cmd, args)
			}
			return exactly("RUN")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if list != "" {
				return importPrices(cmd, list, provider)
			}
			dir, err := folder(args[0])
			if err != nil {
				return err
			}
			c, err := cost(dir)
			if err != nil {
				return badInput("%v", err)
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), c)
			}
			printCost(cmd, c)
			return nil
		},
	}
	f := c.Flags()
	f.BoolVar(&asJSON, "json", false, "as one object, with every batch; money in 10^-12 US dollars")
	f.StringVar(&list, "import-prices", "", "instead of a run, read `FILE`, LiteLLM's list of prices (JSON), and print a price file of its chat models for --prices")
	f.StringVar(&provider, "provider", "", "with --import-prices: models of provider `NAME` alone, as the list calls it (openai, anthropic, groq); otherwise all")
	return c
}

// importPrices prints a price file, and says what has no price in it and why.
func importPrices(cmd *cobra.Command, list, provider string) error {
	b, err := os.ReadFile(list)
	if err != nil {
		return badInput("%v", err)
	}
	rows, left, err := ledger.ImportLiteLLM(cmd.OutOrStdout(), b, provider, time.Now().UTC())
	if err != nil {
		return badInput("%s: %v", list, err)
	}
	why := map[string][]string{}
	for _, l := range left {
		why[l.Why] = append(why[l.Why], l.Model)
	}
	w := cmd.ErrOrStderr()
	line(w, "%s with a price, %s without:", count(rows, "model"), grouped(int64(len(left))))
	for _, reason := range slices.SortedFunc(maps.Keys(why), func(a, b string) int {
		return cmp.Or(len(why[b])-len(why[a]), strings.Compare(a, b))
	}) {
		line(w, "  %s: %s: %s", grouped(int64(len(why[reason]))), reason, strings.Join(why[reason], ", "))
	}
	if rows == 0 {
		return badInput("%s has no chat model with a price%s", list, of(provider))
	}
	return nil
}

func of(provider string) string {
	if provider == "" {
		return ""
	}
	return fmt.Sprintf(" of the provider %q", provider)
}

// cost reads a run's ledger. A run that has just begun has none yet, and has spent nothing.
func cost(dir string) (*ledger.Cost, error) {
	c, err := ledger.ReadCost(filepath.Join(dir, "ledger.db"))
	if errors.Is(err, fs.ErrNotExist) {
		return ledger.NoCost(), nil
	}
	return c, err
}

func printCost(cmd *cobra.Command, c *ledger.Cost) {
	w := cmd.OutOrStdout()
	line(w, "spent      %s in %s (%s)", html.Money(c.Spent), count(int(c.Calls), "call"), count(int(c.Attempts), "attempt"))
	if c.Wasted > 0 || c.UnsettledMax > 0 {
		line(w, "wasted     %s on attempts without a label; at most %s unsettled", html.Money(c.Wasted), html.Money(c.UnsettledMax))
	}
	if e := c.Estimate; e != nil && e.High > 0 {
		line(w, "planned    %s (%s to %s)", html.Money(e.Expected), html.Money(e.Low), html.Money(e.High))
	}
	if saved := c.Saved.Store + c.Saved.Dedupe + c.Saved.Rules; saved > 0 {
		line(w, "saved      %s by stored answers, %s by equal reports, %s by the rules", html.Money(c.Saved.Store), html.Money(c.Saved.Dedupe), html.Money(c.Saved.Rules))
	}
	distinct := ""
	if c.DistinctReports != nil {
		distinct = fmt.Sprintf(", %s distinct", grouped(*c.DistinctReports))
	}
	line(w, "reports    %s%s", grouped(c.Reports), distinct)
	line(w, "tokens     %s in, %s out", grouped(c.Tokens.Input), grouped(c.Tokens.Output))
	line(w, "computing  %.1f CPU-s, %.1f GPU-s", c.Compute.CPUSeconds, c.Compute.GPUSeconds)
	for _, s := range c.ByStep {
		line(w, "  %-20s %s in %s", s.Step, html.Money(s.Spent), count(int(s.Calls), "call"))
	}
	for _, m := range c.ByModel {
		line(w, "  %-20s %s in %s", m.Model, html.Money(m.Spent), count(int(m.Calls), "call"))
	}
}
