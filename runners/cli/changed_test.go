package cli

import (
	"strings"
	"testing"
)

// A model that answers otherwise from the middle of a run on ends it with 5 and says what to do; all that was paid for is in
// the ledger, the canary texts as a step of their own and as no report. Told to, the run goes on.
func TestAModelThatChangesStopsTheRun(t *testing.T) {
	p, v := newProgram(t), newVendor(t)
	const reports = 200
	v.turn = 120
	command := v.asks(p, reports, 4)
	_, errs := p.run(codeProvider, command+" --canary 40")
	n, pico := v.bill()
	c := p.cost("run")
	if c.Spent != pico || c.Attempts != int64(n) || c.Reports >= reports || n < v.turn || n > v.turn+80 {
		t.Errorf("%d requests, %d attempts; spent %d of %d; %d reports", n, c.Attempts, c.Spent, pico, c.Reports)
	}
	for _, want := range []string{"the model has changed under its name: vendor-1: it answers ", " of 144 labels of the canary texts otherwise than at first", "next: name the model's dated version"} {
		if !strings.Contains(errs, want) {
			t.Errorf("%q is not said:\n%s", want, errs)
		}
	}
	table, _ := p.run(0, "cost run")
	if !strings.Contains(table, "  canary               $") {
		t.Error(table)
	}
	p.run(0, command+" --canary -1")
	if c := p.cost("run"); c.Reports != reports {
		t.Errorf("%d reports", c.Reports)
	}
}
