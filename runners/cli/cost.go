package cli

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"silverbeam/pkg/html"
	"silverbeam/pkg/ledger"
	"silverbeam/pkg/llm"

	"github.com/spf13/cobra"
)

func costCommand() *cobra.Command {
	var asJSON, asCSV bool
	var list, provider, export string
	c := &cobra.Command{
		Use: "cost RUN", Short: "say what a run's calls and computing came to",
		Example: "  silverbeam cost out/demo\n  silverbeam cost demo --json\n  silverbeam cost demo --reconcile usage.csv\n" +
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
			dir, err := folder(args[0], "ledger.db") // of a pilot, too
			if err != nil {
				return err
			}
			c, err := cost(dir)
			if err != nil {
				return badInput("%v", err)
			}
			path := filepath.Join(dir, "ledger.db")
			switch {
			case asJSON:
				return writeJSON(cmd.OutOrStdout(), c)
			case export != "":
				return reconcile(cmd, path, export)
			}
			rows, err := ledger.ReadRows(path)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return badInput("%v", err)
			}
			if asCSV {
				return writeRows(cmd.OutOrStdout(), rows)
			}
			printCost(cmd, c, month(dir), rows)
			return nil
		},
	}
	f := c.Flags()
	f.BoolVar(&asJSON, "json", false, "as one object, with every batch; money in 10^-12 US dollars")
	f.BoolVar(&asCSV, "csv", false, "as a table with a row for each day (UTC), batch, step and model; money in US dollars")
	f.StringVar(&export, "reconcile", "", "hold the run to `FILE`, a provider's export of usage: CSV with request_id, or day and model, and some of input, cached, output (tokens), cost (US dollars); names each difference")
	f.StringVar(&list, "import-prices", "", "instead of a run, read `FILE`, LiteLLM's list of prices (JSON), and print a price file of its chat models for --prices")
	f.StringVar(&provider, "provider", "", "with --import-prices: models of provider `NAME` alone, as the list calls it (openai, anthropic, groq); otherwise all")
	c.MarkFlagsMutuallyExclusive("json", "csv", "reconcile", "import-prices")
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

// month is how the site's month stands whose cap a run shares; nil: there is none, or it cannot be told.
func month(dir string) *ledger.Month {
	store, err := ledger.StoreOf(filepath.Join(dir, "ledger.db"))
	if err != nil || store == "" {
		return nil
	}
	m, err := llm.Month(store)
	if err != nil {
		return nil
	}
	return m
}

// reconcile prints what a provider's export and the run's ledger differ in.
func reconcile(cmd *cobra.Command, path, export string) error {
	f, err := os.Open(export)
	if err != nil {
		return badInput("%v", err)
	}
	defer f.Close()
	differences, matched, err := ledger.Reconcile(path, f)
	if err != nil {
		return badInput("%s: %v", export, err)
	}
	for _, d := range differences {
		show := func(n int64) string { return grouped(n) }
		switch {
		case d.What == "request" && d.Ledger == 0:
			line(cmd.OutOrStdout(), "%s: not in the ledger", d.Key)
			continue
		case d.What == "request":
			line(cmd.OutOrStdout(), "%s: not in the export", d.Key)
			continue
		case d.What == "cost":
			show = html.Money
		}
		line(cmd.OutOrStdout(), "%s: %s: the export has %s, the ledger %s", d.Key, d.What, show(d.Provider), show(d.Ledger))
	}
	line(cmd.ErrOrStderr(), "%s agree, %s", grouped(int64(matched)), count(len(differences), "difference"))
	if len(differences) > 0 {
		return &Exit{codeRejects, fmt.Errorf("%s and the ledger differ", export), ""}
	}
	return nil
}

func writeRows(w io.Writer, rows []ledger.CostRow) error {
	out := csv.NewWriter(w)
	err := out.Write(strings.Split("day,batch,step,model,calls,attempts,labels,spent_usd,wasted_usd,unsettled_max_usd,input,cached,cache_write,output,reasoning", ","))
	for _, r := range rows {
		rec := []string{r.Day, r.Batch, r.Step, r.Model}
		for _, n := range []int64{r.Calls, r.Attempts, r.Labels} {
			rec = append(rec, fmt.Sprint(n))
		}
		rec = append(rec, ledger.USD(r.SpentPico), ledger.USD(r.WastedPico), ledger.USD(r.UnsettledMax))
		for _, n := range []int64{r.Input, r.Cached, r.CacheWrite, r.Output, r.Reasoning} {
			rec = append(rec, fmt.Sprint(n))
		}
		err = cmp.Or(err, out.Write(rec))
	}
	out.Flush()
	return cmp.Or(err, out.Error())
}

// per is what times parts of a whole of n cost: exact, or to four digits and with "≈" before it.
func per(pico, times, n int64) string {
	total, half := new(big.Int).Mul(big.NewInt(pico), big.NewInt(times)), big.NewInt(n)
	q, rest := new(big.Int).QuoRem(total, half, new(big.Int))
	if rest.Sign() == 0 && q.IsInt64() {
		return html.Money(q.Int64())
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(len(q.String())-4, 0))), nil)
	q.Add(q, new(big.Int).Rsh(unit, 1)).Quo(q, unit).Mul(q, unit)
	return "≈ " + html.Money(q.Int64())
}

func printCost(cmd *cobra.Command, c *ledger.Cost, m *ledger.Month, rows []ledger.CostRow) {
	w := cmd.OutOrStdout()
	line(w, "spent      %s in %s (%s)", html.Money(c.Spent), count(int(c.Calls), "call"), count(int(c.Attempts), "attempt"))
	if c.Wasted > 0 || c.UnsettledMax > 0 {
		line(w, "wasted     %s on attempts without a label; at most %s unsettled", html.Money(c.Wasted), html.Money(c.UnsettledMax))
	}
	if c.CapPico > 0 {
		line(w, "budget     %s = %s for labels + %s wasted + %s reserved + %s left", html.Money(c.CapPico), html.Money(c.Spent-c.Wasted),
			html.Money(c.Wasted), html.Money(c.UnsettledMax), html.Money(c.CapPico-c.Spent-c.UnsettledMax))
	}
	if m != nil {
		line(w, "month      %s", monthly(m))
	}
	if e := c.Estimate; e != nil && e.High > 0 {
		line(w, "planned    %s (%s to %s)%s", html.Money(e.Expected), html.Money(e.Low), html.Money(e.High), missed(c.Spent, e.Expected))
	}
	var labels int64
	days := map[string]int64{}
	for _, r := range rows {
		labels += r.Labels
		days[r.Day] += r.SpentPico
	}
	if c.Spent > 0 && c.Reports > 0 {
		each := per(c.Spent, 1000, c.Reports) + " per 1,000 reports"
		if labels > 0 {
			each += ", " + per(c.Spent, 1, labels) + " per label"
		}
		line(w, "each       %s", each)
	}
	if saved := c.Saved.Store + c.Saved.Dedupe + c.Saved.Rules; saved > 0 {
		line(w, "saved      %s by stored answers, %s by equal reports, %s by the rules", html.Money(c.Saved.Store), html.Money(c.Saved.Dedupe), html.Money(c.Saved.Rules))
	}
	if c.Saved.BatchMode != 0 {
		line(w, "saved      %s by the batch interface's prices", html.Money(c.Saved.BatchMode))
	}
	distinct := ""
	if c.DistinctReports != nil {
		distinct = fmt.Sprintf(", %s distinct", grouped(*c.DistinctReports))
	}
	line(w, "reports    %s%s", grouped(c.Reports), distinct)
	cached := ""
	if c.Tokens.Cached > 0 {
		cached = fmt.Sprintf(" (%.0f %% of them cached)", 100*float64(c.Tokens.Cached)/float64(c.Tokens.Input))
	}
	line(w, "tokens     %s in%s, %s out", grouped(c.Tokens.Input), cached, grouped(c.Tokens.Output))
	line(w, "computing  %.1f CPU-s, %.1f GPU-s", c.Compute.CPUSeconds, c.Compute.GPUSeconds)
	for _, s := range c.ByStep {
		line(w, "  %-20s %s in %s", s.Step, html.Money(s.Spent), count(int(s.Calls), "call"))
	}
	for _, m := range c.ByModel {
		line(w, "  %-20s %s in %s", m.Model, html.Money(m.Spent), count(int(m.Calls), "call"))
	}
	if len(days) > 1 {
		for _, day := range slices.Sorted(maps.Keys(days)) {
			line(w, "  %-20s %s", day, html.Money(days[day]))
		}
	}
}

// missed says by how much the actual cost missed the expected one.
func missed(spent, expected int64) string {
	if expected == 0 || spent == 0 {
		return ""
	}
	return fmt.Sprintf(", missed by %+.1f %%", 100*(float64(spent)/float64(expected)-1))
}
