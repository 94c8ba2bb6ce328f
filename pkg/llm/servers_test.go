package llm

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// These tests talk to servers that nobody here wrote; testdata/servers.sh starts them and prints their addresses.

const servedReports = 200

// bill is what answers said of their usage, added up beside the client, with gpt-4.1-mini's list price: 0.40, 0.10 and
// 1.60 USD per million tokens.
type bill struct{ requests, input, cached, output, pico int64 }

func (b *bill) add(body []byte) {
	var a struct {
		Usage struct {
			In      int64 `json:"prompt_tokens"`
			Out     int64 `json:"completion_tokens"`
			Details struct {
				Cached int64 `json:"cached_tokens"`
			} `json:"prompt_tokens_details"`
		}
	}
	if json.Unmarshal(body, &a) != nil {
		return
	}
	u := a.Usage
	b.input, b.cached, b.output = b.input+u.In, b.cached+u.Details.Cached, b.output+u.Out
	b.pico += (u.In-u.Details.Cached)*400_000 + u.Details.Cached*100_000 + u.Out*1_600_000
}

// witness is a transport that writes its own bill.
type witness struct {
	http.RoundTripper
	mu sync.Mutex
	bill
}

func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.RoundTripper.RoundTrip(r)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests++
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
	w.add(body)
	return resp, nil
}

func (w *witness) CloseIdleConnections() { w.RoundTripper.(*http.Transport).CloseIdleConnections() }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}

// serve labels the reports twice and compares the ledger with the witness. seen counts a server's own record of requests.
func serve(t *testing.T, endpoint string, seen func() int64) bench {
	t.Setenv("SILVERBEAM_TEST_KEY", "sk-not-a-key")
	w := &witness{RoundTripper: transport(64)}
	b := set(t, t.TempDir(), Options{Endpoint: endpoint, Model: "gpt-4.1-mini", KeyEnv: "SILVERBEAM_TEST_KEY", Deadline: time.Minute}, w)
	_, errs := b.labelAll(t, 16, servedReports, 1)
	for _, err := range errs {
		var no Refusal
		if err != nil && !errors.As(err, &no) {
			t.Fatal(err)
		}
	}
	c := b.cost(t)
	t.Logf("attempts %d, tokens %+v, spent %s USD, wasted %d, unsettled %d", c.Attempts, c.Tokens, c.SpentUSD, c.Wasted, c.UnsettledMax)
	if c.Calls != servedReports || c.Attempts != w.requests || c.Attempts != seen() || c.Attempts == servedReports {
		t.Errorf("calls %d, attempts %d, requests sent %d, seen %d", c.Calls, c.Attempts, w.requests, seen())
	}
	if got := (bill{w.requests, c.Tokens.Input, c.Tokens.Cached, c.Tokens.Output, c.Spent}); got != w.bill {
		t.Errorf("ledger %+v, witness %+v", got, w.bill)
	}
	for i := range servedReports {
		if errs[i] == nil {
			_, errs[i] = b.Label(t.Context(), Call{Batch: "again", Step: "label.Reports", Study: "s", Report: report(i)})
		}
	}
	if c := b.cost(t); c.Attempts != w.requests || seen() != w.requests {
		t.Errorf("a second run sent something: attempts %d, requests %d", c.Attempts, w.requests)
	}
	return b
}

func fetch(t *testing.T, method, url, body string, into any) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

func TestAgainstAIMock(t *testing.T) {
	url := os.Getenv("SILVERBEAM_AIMOCK")
	if url == "" {
		t.Skip("SILVERBEAM_AIMOCK names no server")
	}
	answers, err := os.ReadFile("testdata/aimock.json")
	if err != nil {
		t.Fatal(err)
	}
	var ignored any
	fetch(t, "POST", url+"/__aimock/reset", "", &ignored)
	fetch(t, "POST", url+"/__aimock/fixtures", string(answers), &ignored)
	fetch(t, "POST", url+"/__aimock/chaos", `{"rateLimitRate":0.05,"dropRate":0.05,"malformedRate":0.03,"disconnectRate":0.03}`, &ignored)
	type entry struct {
		Path     string
		Response struct{ Status int }
	}
	var journal []entry
	seen := func() int64 {
		fetch(t, "GET", url+"/__aimock/journal", "", &journal)
		return int64(len(journal))
	}
	b := serve(t, url+"/api/v1", seen) // the path under which it tells cached tokens
	status := map[int]int{}
	for _, e := range journal {
		status[e.Response.Status]++
	}
	t.Logf("journal by status: %v", status)
	if c := b.cost(t); c.Tokens.Cached == 0 || c.Tokens.Reasoning == 0 || c.Wasted == 0 {
		t.Error("cached or reasoning tokens, or answers without labels, were not counted")
	}
	for _, s := range []int{200, 429, 500, 0} {
		if status[s] == 0 {
			t.Errorf("no answer with status %d: the faults were not met", s)
		}
	}
}

func TestAgainstLLMock(t *testing.T) {
	url := os.Getenv("SILVERBEAM_LLMOCK")
	if url == "" {
		t.Skip("SILVERBEAM_LLMOCK names no server")
	}
	var ignored any
	fetch(t, "POST", url+"/_llmock/reset", "", &ignored)
	serve(t, url, func() int64 {
		var r struct{ Count int64 }
		fetch(t, "GET", url+"/_llmock/requests", "", &r)
		return r.Count
	})
	var verdict struct {
		Passed                  bool
		Errors, Warnings, Calls int
		FaultsInjected          int `json:"faults_injected"`
		Findings                []struct{ Severity, Code, Title string }
	}
	fetch(t, "GET", url+"/_llmock/verdict", "", &verdict)
	t.Logf("%+v", verdict)
	if !verdict.Passed || verdict.Errors > 0 || verdict.FaultsInjected == 0 {
		t.Errorf("llmock's verdict: %+v", verdict)
	}
}
