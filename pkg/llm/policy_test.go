package llm

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPolicyOnlyTightens(t *testing.T) {
	away := Options{Endpoint: "https://llm.example:8443/v1", Model: "gpt-4.1-mini", MaxCostPico: 5e12}
	whole, local, fake := away, away, Options{Endpoint: "fake://rules"}
	whole.Send, local.Endpoint = "whole", "http://127.0.0.1:1/v1"
	for name, c := range map[string]struct {
		policy string
		mode   os.FileMode
		o      Options
		want   string // of the error
		cap    int64
	}{
		"empty":                     {"{}", 0o644, away, "", 5e12},
		"a host":                    {"egress: {allow: [LLM.example]}", 0o644, away, "", 5e12},
		"a host and its port":       {"egress: {allow: ['llm.example:8443']}", 0o644, away, "", 5e12},
		"another port":              {"egress: {allow: ['llm.example:443']}", 0o644, away, "egress.allow does not name llm.example:8443", 0},
		"another host":              {"egress: {allow: [x.llm.example]}", 0o644, away, "egress.allow does not name llm.example:8443", 0},
		"no host":                   {"egress: {allow: []}", 0o644, away, "egress.allow does not name", 0},
		"no host, this machine":     {"egress: {allow: []}", 0o644, local, "", 5e12},
		"a model":                   {"models: [gpt-4.1]", 0o644, away, `models does not name "gpt-4.1-mini"`, 0},
		"a model, even here":        {"models: [gpt-4.1]", 0o644, local, "models does not name", 0},
		"a fake needs no leave":     {"models: [gpt-4.1]\negress: {allow: []}\nredact: true", 0o644, fake, "", 0},
		"redacted":                  {"redact: true", 0o644, away, "", 5e12},
		"whole":                     {"redact: true", 0o644, whole, "reports may not be sent whole", 0},
		"redact: false loosens not": {"redact: false", 0o644, away, "", 5e12},
		"a lower cap":               {"spend: {run_usd: 2.5}", 0o644, away, "", 25e11},
		"a higher cap":              {"spend: {run_usd: 9}", 0o644, away, "", 5e12},
		"nothing may be spent":      {"spend: {run_usd: 0}", 0o644, away, "", 1},
		"a cap of the month":        {"spend: {month_usd: 2.5}", 0o644, away, "", 5e12},
		"a month of more than all":  {"spend: {month_usd: 1e7}", 0o644, away, "spend.month_usd: 1e+07", 0},
		"an unknown key":            {"egres: {allow: []}", 0o644, away, "unknown field", 0},
		"negative":                  {"spend: {run_usd: -1}", 0o644, away, "spend.run_usd: -1", 0},
		"twice":                     {"redact: true\nredact: false", 0o644, away, "already defined", 0},
		"others may write":          {"{}", 0o666, away, "others may write", 0},
		"its group may write":       {"{}", 0o664, away, "others may write", 0},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "policy.yaml")
			if err := errors.Join(os.WriteFile(file, []byte(c.policy), 0o600), os.Chmod(file, c.mode)); err != nil {
				t.Fatal(err)
			}
			t.Setenv(policyEnv, file)
			_, err := c.o.resolve(ctRate(t))
			switch {
			case c.want == "" && (err != nil || c.o.MaxCostPico != c.cap):
				t.Errorf("%v, cap %d, want %d", err, c.o.MaxCostPico, c.cap)
			case c.want != "" && (!errors.Is(err, ErrPolicy) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file)):
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	t.Setenv(policyEnv, filepath.Join(t.TempDir(), "none.yaml"))
	if err := away.Permit(); !errors.Is(err, ErrPolicy) {
		t.Errorf("a policy that is named and not there: %v", err)
	}
}

// TestEveryRequestIsNoted reads the egress log beside what the server saw.
func TestEveryRequestIsNoted(t *testing.T) {
	log := filepath.Join(t.TempDir(), "egress.jsonl")
	b, s := play(t, Options{Egress: log}, step{500, "", "{}"}, step{0, "", ""})
	if _, err := b.Label(t.Context(), Call{"b", "label.Reports", "study-1", "Dr. Quokka saw an effusion on 03/04/2021.", nil}); err != nil {
		t.Fatal(err)
	}
	b.shut(t)
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out, in []egressLine
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var l egressLine
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		if w := secretIn(sc.Text()); w != "" || l.Host != "model.invalid" || l.Time.IsZero() {
			t.Errorf("%s", sc.Text())
		}
		if l.Body != "" {
			out = append(out, l)
		} else {
			in = append(in, l)
		}
	}
	if len(out) != 3 || len(in) != 3 || len(s.bodies) != 3 {
		t.Fatalf("%d requests, %d noted, %d answers noted", len(s.bodies), len(out), len(in))
	}
	for i, l := range out {
		if l.Out != int64(len(s.bodies[i])) || l.Removed["name"] != 1 || l.Removed["date"] != 1 || l.Body != out[0].Body {
			t.Errorf("%+v of %d bytes", l, len(s.bodies[i]))
		}
		if strings.Contains(s.bodies[i], "Quokka") || !strings.Contains(s.bodies[i], "Dr. [name] saw an effusion on [date].") {
			t.Error("the name was sent")
		}
	}
	if in[0].Status != 500 || in[1].Status != 0 || in[2].Status != 200 || in[2].In == nil || *in[2].In == 0 {
		t.Errorf("%+v", in)
	}
}
