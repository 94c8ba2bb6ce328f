package metrics

import (
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// DeLong's variances, intervals and paired test against Debian's pROC (testdata/proc.R), on the cases of scores.json, which
// `make test-oracles` draws anew, 10,000 of them.
func TestDeLongAgainstPROC(t *testing.T) {
	rscript := os.Getenv("SILVERBEAM_RSCRIPT")
	if rscript == "" {
		t.Skip("make test-oracles runs it")
	}
	cases := readScored(t).Cases
	var rows strings.Builder
	for i, c := range cases {
		for k, y := range c.Y {
			fmt.Fprintf(&rows, "%d,%c,%d,%d\n", i, y, c.S[k], c.B[k])
		}
	}
	cmd := exec.Command(rscript, "testdata/proc.R")
	cmd.Stdin, cmd.Stderr = strings.NewReader(rows.String()), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(strings.NewReader(string(out))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	tests := 0
	for _, line := range lines {
		var v [7]float64
		for k, cell := range line {
			if v[k], err = strconv.ParseFloat(cell, 64); err != nil {
				v[k] = math.NaN() // NA
			}
		}
		c := cases[int(v[0])]
		y, s, b := c.rows()
		d, err := DeLongAUC(y, s)
		if err != nil {
			t.Fatal(err)
		}
		p, _, _ := DeLongPaired(y, s, b)
		what := "case " + line[0]
		near(t, what+": AUC", *d.AUC, v[1], 1e-12)
		near(t, what+": variance", *d.Var, v[2], 1e-9)
		if !math.IsNaN(v[3]) {
			near(t, what+": low", d.Normal[0], max(0, v[3]), 1e-9)
			near(t, what+": high", d.Normal[1], min(1, v[4]), 1e-9)
		}
		near(t, what+": covariance", p.Cov, v[5], 1e-9)
		if !math.IsNaN(v[6]) && c.DeLong[2] != nil { // where the difference varies
			near(t, what+": p", p.P, v[6], 1e-9)
			tests++
		}
	}
	if len(lines) < len(cases)/3 || tests < len(lines)/2 {
		t.Errorf("%d of %d cases and %d tests came back", len(lines), len(cases), tests)
	}
	t.Logf("%d cases, %d tests", len(lines), tests)
}
