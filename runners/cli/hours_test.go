package cli

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"time"

	"silverbeam/pkg/ledger"
)

// A server that is paid by the hour costs no more than the hours of the run; plan, cost, JSON and CSV agree, and a second
// run over the same reports costs nothing.
func TestHoursOfARun(t *testing.T) {
	v := newVendor(t)
	p := newProgram(t)
	p.write("prices.csv", ledger.PriceHeader+"\nours,vendor-1,2026-01-01,USD/h,36,,,,,,,,,,8 GPUs,2026-11-01\n")
	var b strings.Builder
	b.WriteString("id,report\n")
	for n := range 60 {
		fmt.Fprintf(&b, "%d,A nodule of %d mm.\n", n, n+1)
	}
	p.write("in.csv", b.String())
	p.write("plan.yaml", fmt.Sprintf("transforms:\n  - {type: intake.Studies, config: {layout: table, path: in.csv}}\n  - {type: label.Reports, config: {endpoint: %q, model: vendor-1, prices: prices.csv, in_flight: 1}}\n  - {type: label.Table}\n", v.URL))
	if said, _ := p.run(0, "plan plan.yaml"); !strings.Contains(said, "cost       $1.8000 (0.6000 to 6.0000)") { // 60 calls of 3, 1 and 10 s at a cent a second
		t.Error(said)
	}
	begun := time.Now()
	line := "label reports in.csv --out out.csv --batch-rows 25 --model vendor-1 --prices prices.csv --in-flight 4 --max-cost 9 --endpoint " + v.URL
	p.run(0, line+" --run out/a")
	most := int64(time.Since(begun).Seconds() * 36e12 / 3600)
	c := p.cost("out/a")
	if c.Calls != 60 || c.Spent <= 0 || c.Spent > most || c.UnsettledMax != 0 || len(c.Batches) != 3 {
		t.Errorf("%d in %d calls and %d batches, at most %d", c.Spent, c.Calls, len(c.Batches), most)
	}
	out, _ := p.run(0, "cost out/a --csv")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, r := range rows[1:] {
		n, err := ledger.ParseUSD(r[7])
		if sum += n; err != nil {
			t.Error(err)
		}
	}
	if said, _ := p.run(0, "cost out/a"); sum != c.Spent || !strings.Contains(said, " per 1,000 reports") {
		t.Errorf("the table says %d, the object %d\n%s", sum, c.Spent, said)
	}
	p.run(0, line+" --run out/b")
	if c := p.cost("out/b"); c.Spent != 0 || c.Saved.Store == 0 {
		t.Errorf("%+v", c)
	}
}
