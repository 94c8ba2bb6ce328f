package local

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"silverbeam/pkg/llm"
)

// Rates are those of the last minute, however long and however slow the run was before; a resumed run counts from where
// it began.
func TestRatesAreOfTheLastMinute(t *testing.T) {
	at := func(seconds int, seen, spent int64) sample {
		return sample{time.Unix(int64(seconds), 0), map[string]int64{"label.Reports": seen}, spent}
	}
	var l live
	check := func(want, spent float64) {
		t.Helper()
		if got := l.RowsPerSec["label.Reports"]; got != want || l.PicoPerHour != spent {
			t.Errorf("%g a second, %g an hour; want %g, %g", got, l.PicoPerHour, want, spent)
		}
	}
	l.add(at(0, 0, 500))
	check(0, 0)
	l.add(at(2, 10, 502))
	check(5, 3600)
	for s := 4; s <= 200; s += 2 {
		l.add(at(s, int64(10*s), 502))
	}
	check(10, 0)
	if n := len(l.samples); n != 31 {
		t.Errorf("%d samples are kept", n)
	}
	l.add(at(10_000, 2000, 502)) // it was asleep
	check(0, 0)
	l = live{}
	for s := 0; s <= 20; s += 2 { // its cluster was starting
		l.add(at(s, 0, 502))
	}
	l.add(at(22, 10, 502))
	check(5, 0)
}

var metric = regexp.MustCompile(`^([a-z_]+)\{((?:[a-z]+="(?:[^"\\\n]|\\\\|\\"|\\n)*",?)+)\} (-?[0-9.e+-]+)$`)

// The file is of the text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats): HELP and TYPE before a
// family's samples, families in one piece, no sample twice, values that Go's ParseFloat reads, a newline at the end.
func TestPrometheusText(t *testing.T) {
	s := &State{State: "running", Total: 2000, ETASeconds: 12.5, SpentUSD: 1e-7, SpentUSDPerHour: 3,
		Steps:  []StepState{{"label.Reports", 750, 3, 60.25}, {"odd \"\\\nname", 1, 0, 0}},
		Limits: []llm.Limit{{Endpoint: "llm.example:8443", InFlight: 3, AtMost: 64, Paused: 1.5, Out: 12}, {Endpoint: "fake"}}}
	text := s.prom("site", time.UnixMilli(1700000000123))
	if !strings.HasSuffix(text, "\n") {
		t.Error("no newline at the end")
	}
	helped, typed, seen, family := map[string]bool{}, map[string]bool{}, map[string]string{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			family, _, _ = strings.Cut(rest, " ")
			if helped[family] {
				t.Errorf("%s is in two pieces", family)
			}
			helped[family] = true
			continue
		}
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			if rest != family+" gauge" {
				t.Errorf("%q after the help of %s", rest, family)
			}
			typed[family] = true
			continue
		}
		m := metric.FindStringSubmatch(line)
		if m == nil || m[1] != family || !typed[family] {
			t.Errorf("%q in family %s", line, family)
			continue
		}
		key := m[1] + m[2]
		if _, twice := seen[key]; twice {
			t.Errorf("%s twice", key)
		}
		seen[key] = m[3]
	}
	for key, want := range map[string]string{
		`silverbeam_run_staterun="site",state="running"`:                      "1",
		`silverbeam_run_staterun="site",state="done"`:                         "0",
		`silverbeam_updated_timestamp_secondsrun="site"`:                      "1.700000000123e+09",
		`silverbeam_spent_dollarsrun="site"`:                                  "1e-07",
		`silverbeam_step_rowsrun="site",step="label.Reports"`:                 "750",
		`silverbeam_step_rowsrun="site",step="odd \"\\\nname"`:                "1",
		`silverbeam_step_rows_per_secondrun="site",step="label.Reports"`:      "60.25",
		`silverbeam_calls_in_flightrun="site",endpoint="llm.example:8443"`:    "3",
		`silverbeam_out_secondsrun="site",endpoint="llm.example:8443"`:        "12",
		`silverbeam_pause_secondsrun="site",endpoint="llm.example:8443"`:      "1.5",
		fmt.Sprintf(`silverbeam_calls_at_mostrun="site",endpoint=%q`, "fake"): "0",
	} {
		if seen[key] != want {
			t.Errorf("%s is %q, want %s", key, seen[key], want)
		}
	}
}
