package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"silverbeam/pipelines"
	"silverbeam/pkg/ledger"
)

// A pilot's calls are paid once, under the cap, and what they took foretells the rest; the run keeps their answers and
// refuses whatever has changed since.
func TestPilot(t *testing.T) {
	l := &lab{T: t, dir: t.TempDir()}
	prices := ledger.PriceHeader + "\nown,tiny,2026-01-01,USD,0.40,0.10,,1.60,,,,,,,me,2026-01-01\nthe-other,other,2026-01-01,USD,0.40,0.10,,1.60,,,,,,,me,2026-01-01\n"
	l.write("prices.csv", prices)
	table := "id,report\n"
	for i := range 600 {
		table += fmt.Sprintf("%d,\"Accession note %d. %s\"\n", i, i, strings.Repeat("No pleural effusion. ", 1+i%37))
	}
	l.write("in.csv", table)
	l.write("p.yaml", `
name: p
rejects: {tolerance: 5%}
params: {endpoint: "fake://rules?seed=3&pschema=0.1&p429=0.1", model: tiny, findings: ctrate-18, prices: prices.csv}
transforms:
  - {type: intake.Studies, config: {layout: table, path: in.csv, batch_rows: 100}}
  - {type: label.Reports, config: {endpoint: "${endpoint}", model: "${model}", findings: "${findings}", prices: "${prices}"}}
  - {type: label.Table}
`)
	cost := func() (c ledger.Cost) {
		if err := json.Unmarshal([]byte(l.succeed("cost", "p", "--json")), &c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	plan := []string{"plan", "p.yaml", "--store", "s.db", "--out", "plan.json", "--pilot", "100", "--max-cost"}
	const usd = int64(1e12)
	if l.exits(codeBudget, append(plan, "0.01")...); cost().Spent == 0 || cost().Spent > usd/100 {
		t.Errorf("a pilot under a cap of a cent has spent %d", cost().Spent)
	}
	var p struct {
		pipelines.Plan
		Steps []any `json:"steps"`
	}
	for range 2 { // the second time everything is answered
		if out := l.succeed(append(plan, "2")...); !strings.Contains(out, "for 100 reports, 0 refused") {
			t.Error(out)
		}
		l.read("plan.json", &p)
		if c := cost(); c.Calls != 100 || p.Calls != 500 || p.Pilot.Measured != 100 || int64(p.Pilot.CostUSD*1e12+.5)/1000 != c.Spent/1000 {
			t.Errorf("%d calls for %d, then %d: %+v", c.Calls, c.Spent, p.Calls, p.Pilot)
		}
	}
	for name, more := range map[string][]string{
		"model":        {"--set", "model=other"},
		"endpoint":     {"--set", "endpoint=fake://rules?seed=4"},
		"cap":          {"--max-cost", "3"},
		"prompt":       {"--set", "findings=abdomen-12"},
		"input":        {"--limit", "400"},
		"prices":       {"--set", "prices=dearer.csv"},
		"prices again": nil, // the same file's name
		"policy":       nil, // it allows all of this
	} {
		l.write("dearer.csv", prices+"\n")
		switch {
		case name == "policy":
			l.write("policy.yaml", "redact: true\n")
			t.Setenv("SILVERBEAM_POLICY", filepath.Join(l.dir, "policy.yaml"))
		case more == nil:
			l.write("prices.csv", strings.ReplaceAll(prices, "0.40", "0.41"))
		}
		want, _, _ := strings.Cut(name, " ")
		out := l.exits(codeUsage, append([]string{"run", "p.yaml", "--store", "s.db", "--plan", "plan.json", "--run", "out/p", "--max-cost", "2"}, more...)...)
		if _, changed, _ := strings.Cut(out, "changed since: "); !strings.Contains(changed, want) {
			t.Errorf("%s: %s", name, out)
		}
		l.write("prices.csv", prices)
		os.Unsetenv("SILVERBEAM_POLICY")
	}
	if _, err := os.Stat(filepath.Join(l.dir, "out/p/run.json")); err == nil {
		t.Error("a run that was refused has begun")
	}
	before := cost()
	l.succeed("run", "p.yaml", "--store", "s.db", "--plan", "plan.json", "--max-cost", "2")
	c := cost()
	rest, in, out := float64(c.Spent-before.Spent)/1e12, float64(c.Tokens.Input-before.Tokens.Input), float64(c.Tokens.Output-before.Tokens.Output)
	if c.Calls != 600 || rest < p.CostUSD.Low || rest > p.CostUSD.High || in < p.Tokens.Input.Low || in > p.Tokens.Input.High || out < p.Tokens.Output.Low || out > p.Tokens.Output.High {
		t.Errorf("%d calls; $%g of %+v, %g in of %+v, %g out of %+v", c.Calls, rest, p.CostUSD, in, p.Tokens.Input, out, p.Tokens.Output)
	}
	if p.CostUSD.High > 1.2*p.CostUSD.Low || c.Estimate == nil || c.Spent < c.Estimate.Low || c.Spent > c.Estimate.High {
		t.Errorf("the plan says %+v, the ledger %+v of %d", p.CostUSD, c.Estimate, c.Spent)
	}
	t.Logf("$%g, foretold %+v; %g tokens in, foretold %+v; %g out, foretold %+v", rest, p.CostUSD, in, p.Tokens.Input, out, p.Tokens.Output)
	l.exits(codeUsage, "plan", "p.yaml", "--pilot", "1")
	l.exits(codeUsage, "plan", "p.yaml", "--pilot", "20", "--replay")
}
