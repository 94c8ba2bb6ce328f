package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"silverbeam/runners/local"
)

// Two runs spend what the site's policy allows for a month, and no more; plan, run, status and cost tell of it. When the cap
// is raised the same command goes on.
func TestMonthOfASite(t *testing.T) {
	v := newVendor(t)
	p := newProgram(t)
	p.env = append(p.env, "SILVERBEAM_POLICY="+p.path("policy.yaml"))
	p.write("prices.csv", vendorPrices)
	for _, run := range []string{"a", "b"} {
		var b strings.Builder
		b.WriteString("id,report\n")
		for n := range 40 {
			fmt.Fprintf(&b, "%d,A nodule of %d mm: %s.\n", n, n+1, run)
		}
		p.write(run+".csv", b.String())
	}
	label := func(run string) string {
		return fmt.Sprintf("label reports %s.csv --endpoint %s --in-flight 4 --model vendor-1 --prices prices.csv --out %s.out.csv --run out/%s", run, v.URL, run, run)
	}
	p.write("policy.yaml", "spend: {month_usd: 1}\n")
	_, said := p.run(0, label("a"))
	now := time.Now().UTC().Format("2006-01")
	if !strings.Contains(said, "month                "+now+": $0.") {
		t.Error(said)
	}
	_, first := v.bill()
	p.write("policy.yaml", fmt.Sprintf("spend: {month_usd: %.12f}\n", float64(first)*1.5/1e12))
	_, said = p.run(4, label("b"))
	if !strings.Contains(said, "of the site's month "+now+": spent or held by runs ") || !strings.Contains(said, "spend.month_usd in "+p.path("policy.yaml")) || !strings.Contains(said, "next: a higher spend.month_usd") {
		t.Error(said)
	}
	_, bill := v.bill()
	if limit := first * 3 / 2; bill > limit || bill <= first {
		t.Errorf("billed %d of %d", bill, limit)
	}
	a, z := p.cost("out/a"), p.cost("out/b")
	if a.Spent+z.Spent+z.UnsettledMax != bill {
		t.Errorf("billed %d, the ledgers say %d and %d", bill, a.Spent, z.Spent)
	}
	if said, _ := p.run(0, "cost out/b"); !strings.Contains(said, "month      "+now+": $") {
		t.Error(said)
	}
	out, _ := p.run(0, "status out/b --json")
	var s local.State
	if err := json.Unmarshal([]byte(out), &s); err != nil || s.Month == nil || s.Month.Committed != bill || s.Month.Held != 0 {
		t.Errorf("%v in %s; billed %d", err, out, bill)
	}
	p.write("plan.yaml", fmt.Sprintf("transforms:\n  - {type: intake.Studies, config: {layout: table, path: b.csv}}\n  - {type: label.Reports, config: {endpoint: %q, model: vendor-1, prices: prices.csv}}\n  - {type: label.Table}\n", v.URL))
	if said, _ := p.run(0, "plan plan.yaml"); !strings.Contains(said, "month      "+now+": $") || !strings.Contains(said, "may cost more than is left of the site's month") {
		t.Error(said)
	}
	p.write("policy.yaml", "spend: {month_usd: 1}\n")
	p.run(0, label("b"))
	requests, all := v.bill()
	if a, z := p.cost("out/a"), p.cost("out/b"); requests != 80 || a.Spent+z.Spent != all {
		t.Errorf("%d requests, billed %d, the ledgers say %d and %d", requests, all, a.Spent, z.Spent)
	}
}
