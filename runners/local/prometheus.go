package local

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// promName is the file in a run folder that Prometheus's node exporter can collect.
const promName = "metrics.prom"

// writeProm writes the state in Prometheus's text format, version 0.0.4.
func writeProm(dir string, s *State, now time.Time) error {
	return replace(filepath.Join(dir, promName), []byte(s.prom(filepath.Base(dir), now)))
}

// prom is the state as metrics of the run of that name.
func (s *State) prom(run string, now time.Time) string {
	var b strings.Builder
	own := labels("run", run)
	family := func(name, kind, help string) func(labels string, value float64) {
		fmt.Fprintf(&b, "# HELP silverbeam_%s %s\n# TYPE silverbeam_%s %s\n", name, help, name, kind)
		return func(labels string, value float64) { fmt.Fprintf(&b, "silverbeam_%s{%s} %v\n", name, labels, value) }
	}
	state := family("run_state", "gauge", "1 for the state that the run is in.")
	for _, name := range []string{"running", "done", "rejects", "failed", "interrupted"} {
		state(labels("run", run, "state", name), map[bool]float64{true: 1}[name == s.State])
	}
	family("updated_timestamp_seconds", "gauge", "When this was written.")(own, float64(now.UnixMilli())/1000)
	family("rows", "gauge", "Rows of the step at work that will be passed in all.")(own, float64(s.Total))
	family("eta_seconds", "gauge", "Time left, by the last minute; 0 where it is not known.")(own, s.ETASeconds)
	family("spent_dollars", "gauge", "Spent on calls so far.")(own, s.SpentUSD)
	family("spent_dollars_per_hour", "gauge", "Spent on calls, by the last minute.")(own, s.SpentUSDPerHour)
	passed := family("step_rows", "gauge", "Rows that a step has passed, also before this process began.")
	for _, t := range s.Steps {
		passed(labels("run", run, "step", t.Step), float64(t.Done))
	}
	refused := family("step_rejects", "gauge", "Rows that a step has refused.")
	for _, t := range s.Steps {
		refused(labels("run", run, "step", t.Step), float64(t.Rejects))
	}
	rate := family("step_rows_per_second", "gauge", "Rows a second, by the last minute.")
	for _, t := range s.Steps {
		rate(labels("run", run, "step", t.Step), t.RowsPerSecond)
	}
	busy := family("calls_in_flight", "gauge", "Calls under way.")
	for _, l := range s.Limits {
		busy(labels("run", run, "endpoint", l.Endpoint), float64(l.InFlight))
	}
	most := family("calls_at_most", "gauge", "Calls at once that the endpoint takes, as learned so far.")
	for _, l := range s.Limits {
		most(labels("run", run, "endpoint", l.Endpoint), float64(l.AtMost))
	}
	paused := family("pause_seconds", "gauge", "What is left of a pause that the endpoint has asked for.")
	for _, l := range s.Limits {
		paused(labels("run", run, "endpoint", l.Endpoint), l.Paused)
	}
	out := family("out_seconds", "gauge", "What is left of the time for which the endpoint is left out, as it failed and there are others.")
	for _, l := range s.Limits {
		out(labels("run", run, "endpoint", l.Endpoint), l.Out)
	}
	return b.String()
}

// labels are names and values in turn, escaped.
func labels(pairs ...string) string {
	var all []string
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, pairs[i]+`="`+strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(pairs[i+1])+`"`)
	}
	return strings.Join(all, ",")
}
