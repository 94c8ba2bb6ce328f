package cli

import (
	"fmt"
	"strings"
	"testing"
)

// Tomorrow's table has rows that changed and rows that are new: those alone are asked for, and the rest keeps its labels.
func TestIncrementsPayForWhatChanged(t *testing.T) {
	if testing.Short() {
		t.Skip()
	}
	p := newProgram(t)
	table := func(n, changed int) string {
		var b strings.Builder
		b.WriteString("id,report\n")
		for i := range n {
			text := fmt.Sprintf("A nodule of %d mm in the right lung. No pleural effusion.", i+1)
			if i%20 == 7 && i/20 < changed {
				text += " Mild emphysema."
			}
			fmt.Fprintf(&b, "R%04d,%s\n", i, text)
		}
		return b.String()
	}
	for _, day := range []struct{ rows, changed, calls int }{{400, 0, 400}, {440, 20, 60}, {440, 20, 0}} {
		run := fmt.Sprint("run", day.calls)
		p.write("in.csv", table(day.rows, day.changed))
		p.run(0, "label reports in.csv --endpoint fake://rules --batch-rows 100 --run "+run+" --out out.csv")
		if c := p.cost(run); *c.DistinctReports != int64(day.rows) || c.Calls != int64(day.calls) {
			t.Errorf("%d rows, %d of them changed: %d calls for %d reports, want %d", day.rows, day.changed, c.Calls, *c.DistinctReports, day.calls)
		}
	}
}
