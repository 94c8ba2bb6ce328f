package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"silverbeam/pkg/ledger"
)

// bill is what answers said of their usage, at gpt-4.1-mini's list price: 0.40, 0.10 and 1.60 USD per million tokens.
type bill struct{ requests, input, cached, output, reasoning, pico int64 }

func (b *bill) add(body []byte) (content string, answered bool) {
	var a struct {
		Choices []struct{ Message struct{ Content string } }
		Usage   struct {
			In  int64 `json:"prompt_tokens"`
			Out int64 `json:"completion_tokens"`
			D   struct {
				Cached int64 `json:"cached_tokens"`
			} `json:"prompt_tokens_details"`
			O struct {
				Reasoning int64 `json:"reasoning_tokens"`
			} `json:"completion_tokens_details"`
		}
	}
	if json.Unmarshal(body, &a) != nil || len(a.Choices) == 0 {
		return "", false
	}
	u := a.Usage
	b.input, b.cached, b.output, b.reasoning = b.input+u.In, b.cached+u.D.Cached, b.output+u.Out, b.reasoning+u.O.Reasoning
	b.pico += (u.In-u.D.Cached)*400_000 + u.D.Cached*100_000 + u.Out*1_600_000
	return a.Choices[0].Message.Content, true
}

// billed is the same, as the ledger has it.
func billed(c *ledger.Cost) bill {
	return bill{c.Attempts, c.Tokens.Input, c.Tokens.Cached, c.Tokens.Output, c.Tokens.Reasoning, c.Spent}
}

// witness is a proxy before a server.
type witness struct {
	*httptest.Server
	mu        sync.Mutex
	bill      bill
	now, most int               // requests at once
	keys      map[string]bool   // that came with them
	answers   map[string]string // report → its newest answer
	said      map[string][]byte // the whole of each
	bodies    map[string][]byte // report → its newest request
	arrived   func()            // called at every request, if not nil
}

type reportKey struct{}

func newWitness(t *testing.T, server string) *witness {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	w := &witness{keys: map[string]bool{}, said: map[string][]byte{}, answers: map[string]string{}, bodies: map[string][]byte{}}
	proxy := httputil.NewSingleHostReverseProxy(u)
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) } // cut, as the server did
	proxy.ModifyResponse = func(r *http.Response) error {
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Ratelimit-") {
				r.Header.Del(name) // aimock's 429s tell of 60 requests a minute, which it does not keep, and to which we would
			}
		}
		body, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		w.mu.Lock()
		defer w.mu.Unlock()
		if content, ok := w.bill.add(body); ok {
			w.said[r.Request.Context().Value(reportKey{}).(string)] = body
			w.answers[r.Request.Context().Value(reportKey{}).(string)] = content
		}
		return err
	}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		report := reportOf(body)
		w.enter(r, report, body)
		defer w.leave()
		proxy.ServeHTTP(rw, r.WithContext(context.WithValue(r.Context(), reportKey{}, report)))
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *witness) enter(r *http.Request, report string, body []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bodies[report] = body
	w.bill.requests++
	w.now++
	w.most = max(w.most, w.now)
	w.keys[r.Header.Get("Authorization")] = true
	if w.arrived != nil {
		w.arrived()
	}
}

func (w *witness) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now--
}

func (w *witness) sum() bill {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bill
}

// reportOf is what stands between the fences of a request's last message.
func reportOf(body []byte) string {
	var in struct{ Messages []struct{ Content string } }
	if json.Unmarshal(body, &in) != nil || len(in.Messages) == 0 {
		return ""
	}
	_, rest, _ := strings.Cut(in.Messages[len(in.Messages)-1].Content, ">:\n")
	_, rest, _ = strings.Cut(rest, "\n")
	return words(rest[:max(strings.LastIndex(rest, "\n"), 0)])
}

// words is a text without its white space's peculiarities.
func words(s string) string { return strings.Join(strings.Fields(s), " ") }

// call talks to a server's own interface.
func call(t *testing.T, method, url, body string, into any) {
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
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// aimock is npm's @copilotkit/aimock.
type aimock struct{ url string }

// ready makes it forget, and answer with the given fixtures and faults.
func (s aimock) ready(t *testing.T, fixtures, chaos string) {
	t.Helper()
	var ignored any
	call(t, "POST", s.url+"/__aimock/reset", "", &ignored)
	call(t, "POST", s.url+"/__aimock/fixtures", fixtures, &ignored)
	call(t, "POST", s.url+"/__aimock/chaos", chaos, &ignored)
}

func (s aimock) seen(t *testing.T) int64 {
	var journal []json.RawMessage
	call(t, "GET", s.url+"/__aimock/journal", "", &journal)
	return int64(len(journal))
}

// bill adds up what its journal says of the answers that it gave whole.
func (s aimock) bill(t *testing.T) (b bill) {
	var journal []struct {
		Response struct {
			Status      int
			ChaosAction string
			Fixture     struct {
				Response struct{ Usage json.RawMessage }
			}
		}
	}
	call(t, "GET", s.url+"/__aimock/journal", "", &journal)
	status := map[int]int{}
	for _, e := range journal {
		status[e.Response.Status]++
		b.requests++
		if r := e.Response; r.Status == 200 && r.ChaosAction == "" {
			b.add(fmt.Appendf(nil, `{"choices":[{}],"usage":%s}`, r.Fixture.Response.Usage))
		}
	}
	t.Logf("aimock's journal by status: %v", status)
	for _, want := range []int{200, 429, 500, 0} {
		if status[want] == 0 {
			t.Errorf("no answer with status %d: the faults were not met", want)
		}
	}
	return b
}

// llmock is PyPI's llmock, whose faults were set when it was started.
type llmock struct{ url string }

func (s llmock) seen(t *testing.T) int64 {
	var r struct{ Count int64 }
	call(t, "GET", s.url+"/_llmock/requests", "", &r)
	return r.Count
}

func (s llmock) ready(t *testing.T) {
	var ignored any
	call(t, "POST", s.url+"/_llmock/reset", "", &ignored)
}

// verdict holds us to what llmock thinks of a client.
func (s llmock) verdict(t *testing.T) {
	t.Helper()
	var v struct {
		Passed                  bool
		Calls, Errors, Warnings int
		Faults                  int `json:"faults_injected"`
		Findings                []struct{ Severity, Code, Title string }
	}
	call(t, "GET", s.url+"/_llmock/verdict", "", &v)
	t.Logf("llmock's verdict: %+v", v)
	if !v.Passed || v.Errors > 0 || v.Faults == 0 {
		t.Errorf("llmock's verdict: %+v", v)
	}
}
