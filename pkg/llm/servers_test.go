package llm

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"silverbeam/pkg/ledger"

	"github.com/goccy/go-yaml"
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
	forgetAllowance(resp.Header)
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
	w.add(body)
	return resp, nil
}

// forgetAllowance drops the allowance that aimock's 429s tell of: 60 requests a minute, which it does not keep, and to
// which we would.
func forgetAllowance(h http.Header) {
	for name := range h {
		if strings.HasPrefix(name, "X-Ratelimit-") {
			h.Del(name)
		}
	}
}

func (w *witness) CloseIdleConnections() { w.RoundTripper.(*direct).CloseIdleConnections() }

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

// named is the address of a server that servers.sh has started.
func named(t *testing.T, variable string) string {
	t.Helper()
	url := os.Getenv(variable)
	if url == "" {
		t.Skip(variable + " names no server")
	}
	return url
}

func TestAgainstAIMock(t *testing.T) {
	url := named(t, "SILVERBEAM_AIMOCK")
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
	url := named(t, "SILVERBEAM_LLMOCK")
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

// strict is a transport that has steady check every request. It serves the specification's paths, which have no /v1.
type strict struct {
	http.RoundTripper
	mu     sync.Mutex
	fields map[string]int // the top-level keys of the bodies, and how often each was sent
	wrong  []string
	n      int64
}

func (s *strict) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.URL.Path, r.Body = strings.TrimPrefix(r.URL.Path, "/v1"), io.NopCloser(bytes.NewReader(body))
	resp, err := s.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	var keys map[string]json.RawMessage
	err = json.Unmarshal(body, &keys)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	for k := range keys {
		s.fields[k]++
	}
	if h := resp.Header; err != nil || resp.StatusCode != http.StatusOK || h.Get("X-Steady-Request-Valid") != "true" || h.Get("X-Steady-Error-Count") != "0" {
		s.wrong = append(s.wrong, string(body))
	}
	return resp, nil
}

func (s *strict) CloseIdleConnections() { s.RoundTripper.(*direct).CloseIdleConnections() }

// strictOf is such a transport, which has been seen to find a wrong request wrong.
func strictOf(t *testing.T, url, wrong string) *strict {
	t.Helper()
	s := &strict{RoundTripper: transport(8), fields: map[string]int{}}
	client := http.Client{Transport: s}
	resp, err := client.Post(url, "application/json", strings.NewReader(wrong))
	if err != nil || len(s.wrong) != 1 {
		t.Fatal("steady lets a wrong request pass: ", err)
	}
	resp.Body.Close()
	s.wrong, s.fields, s.n = nil, map[string]int{}, 0
	return s
}

// check says what of the requests was wrong by the schema of that name, and which of these fields none had.
func (s *strict) check(t *testing.T, schema string, fields ...string) {
	t.Helper()
	for _, body := range s.wrong {
		t.Error("not valid by the specification: ", body)
	}
	known := fieldsOf(t, os.Getenv("SILVERBEAM_OPENAPI"), schema)
	for field, n := range s.fields {
		if !known[field] {
			t.Errorf("field %s, sent %d times, is not in the specification", field, n)
		}
	}
	for _, field := range fields {
		if s.fields[field] == 0 {
			t.Errorf("field %s was never sent: %v", field, s.fields)
		}
	}
}

// Every request that we make is valid by OpenAI's own specification, for models that think and others, however the form of
// the answer is told, and asked again with a seed. What comes back is random and valid by the same specification: a report
// has labels or a refusal for it, and the ledger has every attempt.
func TestAgainstSteady(t *testing.T) {
	url := named(t, "SILVERBEAM_STEADY")
	s := strictOf(t, url+"/v1/chat/completions", `{"model":"m","messages":[],"temperature":"0"}`)
	for _, model := range []string{"gpt-4.1-mini", "gpt-5-mini"} {
		for m := strictSchema; m <= oneLine; m++ {
			s.n = 0
			b := set(t, t.TempDir(), Options{Endpoint: url, Model: model}, s)
			b.ends.all[0].habits.now.mode = m
			_, errs := b.labelAll(t, 8, 20, 1)
			for _, err := range errs {
				var no Refusal
				if err != nil && !errors.As(err, &no) {
					t.Error(model, m, err)
				}
			}
			if c := b.cost(t); c.Attempts != s.n || c.Calls != 20 {
				t.Errorf("%s, mode %d: %d calls and %d attempts in the ledger, %d requests", model, m, c.Calls, c.Attempts, s.n)
			}
		}
	}
	s.check(t, "CreateChatCompletionRequest", "messages", "temperature", "seed", "max_tokens", "max_completion_tokens", "reasoning_effort", "response_format")
}

// So is every request for vectors. One seed makes all that comes back: a place that no text has.
func TestEmbedAgainstSteady(t *testing.T) {
	url := named(t, "SILVERBEAM_STEADY")
	s := strictOf(t, url+"/v1/embeddings", `{"model":"m","input":["a"],"encoding_format":"flat"}`)
	b := set(t, t.TempDir(), Options{Endpoint: url, Model: "text-embedding-3-small"}, s)
	for _, texts := range []int{1, 100} {
		var no Refusal
		if v, err := b.Embed(t.Context(), "fit", passages(texts, 1)); err == nil && len(v) != texts || err != nil && !errors.As(err, &no) {
			t.Errorf("%d vectors of %d, %v", len(v), texts, err)
		}
	}
	c := b.cost(t)
	t.Logf("%d requests, %d wrong; calls %d, tokens in %d", s.n, len(s.wrong), c.Calls, c.Tokens.Input)
	if c.Attempts != s.n || c.Calls < 2 {
		t.Errorf("%d calls and %d attempts in the ledger, %d requests", c.Calls, c.Attempts, s.n)
	}
	s.check(t, "CreateEmbeddingRequest", "model", "input", "encoding_format")
}

// fieldsOf are the properties of a schema in OpenAI's specification: of a chat request steady lets others pass.
func fieldsOf(t *testing.T, file, schema string) map[string]bool {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	type part struct {
		Ref        string `yaml:"$ref"`
		Properties map[string]any
		AllOf      []part `yaml:"allOf"`
	}
	known := map[string]bool{}
	var gather func(p part)
	named := func(name string) (p part) {
		_, rest, ok := strings.Cut(string(text), "\n    "+name+":\n")
		end := regexp.MustCompile(`(?m)^    \S`).FindStringIndex(rest)
		if !ok || end == nil {
			t.Fatal("the specification has no ", name)
		}
		if err := yaml.Unmarshal([]byte(rest[:end[0]]), &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	gather = func(p part) {
		if p.Ref != "" {
			gather(named(path.Base(p.Ref)))
		}
		for k := range p.Properties {
			known[k] = true
		}
		for _, p := range p.AllOf {
			gather(p)
		}
	}
	gather(named(schema))
	return known
}

// priced is a transport that adds up what LiteLLM's proxy says of each answer's cost, in pico-dollars: it prints a float.
type priced struct {
	witness
	said int64
}

func (p *priced) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := p.witness.RoundTrip(r)
	if err == nil {
		usd, err := strconv.ParseFloat(resp.Header.Get("X-Litellm-Response-Cost"), 64)
		p.mu.Lock()
		defer p.mu.Unlock()
		if err == nil {
			p.said += int64(math.Round(usd * 1e12))
		}
	}
	return resp, err
}

// LiteLLM's proxy, with its own list of prices, thinks that calls cost what our ledger says, to the pico-dollar; their
// answers tell of cached tokens.
func TestAgainstLiteLLM(t *testing.T) {
	url, mock := os.Getenv("SILVERBEAM_LITELLM_URL"), os.Getenv("SILVERBEAM_AIMOCK")
	if url == "" {
		t.Skip("SILVERBEAM_LITELLM_URL names no server")
	}
	answers, err := os.ReadFile("testdata/aimock.json")
	if err != nil {
		t.Fatal(err)
	}
	var ignored any
	fetch(t, "POST", mock+"/__aimock/reset", "", &ignored)
	fetch(t, "POST", mock+"/__aimock/fixtures", string(answers), &ignored)
	p := &priced{witness: witness{RoundTripper: transport(16)}}
	b := set(t, t.TempDir(), Options{Endpoint: url, Model: "gpt-4.1-mini"}, p)
	_, errs := b.labelAll(t, 16, servedReports, 1)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	c := b.cost(t)
	t.Logf("the proxy says %s USD of %d calls, the ledger %s; %+v", ledger.USD(p.said), p.requests, c.SpentUSD, c.Tokens)
	if p.said != c.Spent || c.Attempts != p.requests || c.Tokens.Cached == 0 || c.UnsettledMax != 0 || c.Calls != servedReports {
		t.Errorf("the proxy says %d pico-dollars of %d requests, the ledger %+v", p.said, p.requests, c)
	}
}

// aheadAgainst asks a server that nobody here wrote for labels through its batches, and compares the ledger with the bill
// that the answers in its output files make.
func aheadAgainst(t *testing.T, endpoint string) {
	const reports = 60
	t.Setenv("SILVERBEAM_TEST_KEY", "sk-not-a-key")
	w := &batchWitness{RoundTripper: transport(4)}
	b := set(t, t.TempDir(), Options{Endpoint: endpoint, Model: "gpt-4.1-mini", KeyEnv: "SILVERBEAM_TEST_KEY", Batch: true, Spool: t.TempDir(), Deadline: time.Minute}, w)
	b.few, b.settled, b.maxBytes = 0, 100*time.Millisecond, 25*8500
	if err := b.Ahead(t.Context(), callsOf(reports, 1)); err != nil {
		t.Fatal(err)
	}
	c := b.cost(t)
	if c.Spent != w.pico || c.Tokens.Input != w.input || c.Tokens.Output != w.output || c.Calls != reports || c.UnsettledMax != 0 {
		t.Errorf("ledger %+v, witness %+v", c, w.bill)
	}
	answered := 0
	for i := range reports {
		k, err := b.look(&ledger.Intent{Identity: b.asks.about(b.store, normalise(report(i)))}, b.asks.all)
		if err != nil {
			t.Fatal(err)
		}
		if len(k.missing) == 0 {
			answered++
		}
	}
	if w.files != 0 {
		t.Errorf("%d more files were made than deleted", w.files)
	}
	t.Logf("%d of %d reports answered in %d attempts, %d tokens in, %d out, %s USD", answered, reports, c.Attempts, c.Tokens.Input, c.Tokens.Output, c.SpentUSD)
}

// batchWitness bills the lines of output files at gpt-4.1-mini's batch prices, 0.20 and 0.80 USD per million tokens.
type batchWitness struct {
	http.RoundTripper
	bill
	files int
}

func (w *batchWitness) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
	switch path := r.URL.Path; {
	case resp.StatusCode > 299:
	case r.Method == http.MethodPost && strings.HasSuffix(path, "/files"):
		w.files++
	case r.Method == http.MethodDelete:
		w.files--
	case strings.HasSuffix(path, "/content"):
		w.files++ // an output or error file
		for _, line := range bytes.Split(body, []byte("\n")) {
			var a struct {
				Response struct {
					Body struct {
						Usage struct {
							In  int64 `json:"prompt_tokens"`
							Out int64 `json:"completion_tokens"`
						}
					}
				}
			}
			if json.Unmarshal(line, &a) == nil {
				u := a.Response.Body.Usage
				w.input, w.output, w.pico = w.input+u.In, w.output+u.Out, w.pico+u.In*200_000+u.Out*800_000
			}
		}
	}
	return resp, nil
}

func (w *batchWitness) CloseIdleConnections() {
	w.RoundTripper.(*direct).CloseIdleConnections()
}

func TestAheadAgainstAIMock(t *testing.T) {
	url := named(t, "SILVERBEAM_AIMOCK")
	var ignored any
	fetch(t, "POST", url+"/__aimock/reset", "", &ignored)
	aheadAgainst(t, url)
}

func TestAheadAgainstLLMock(t *testing.T) {
	url := named(t, "SILVERBEAM_LLMOCK")
	var ignored any
	fetch(t, "POST", url+"/_llmock/reset", "", &ignored)
	aheadAgainst(t, url)
}

// embedAgainst asks a server that nobody here wrote for vectors, twice, and compares the ledger with the witness, by
// text-embedding-3-small's list price: 0.02 USD per million tokens.
func embedAgainst(t *testing.T, endpoint string) bench {
	const texts = 3200
	t.Setenv("SILVERBEAM_TEST_KEY", "sk-not-a-key")
	w := &witness{RoundTripper: transport(8)}
	b := set(t, t.TempDir(), Options{Endpoint: endpoint, Model: "text-embedding-3-small", KeyEnv: "SILVERBEAM_TEST_KEY", Deadline: time.Minute}, w)
	for range 2 {
		v, err := b.Embed(t.Context(), "fit", passages(texts, 1))
		if err != nil || len(v) != texts {
			t.Fatal(len(v), err)
		}
		c := b.cost(t)
		t.Logf("calls %d, attempts %d, tokens in %d, spent %s USD, unsettled %d", c.Calls, c.Attempts, c.Tokens.Input, c.SpentUSD, c.UnsettledMax)
		if c.Attempts != w.requests || c.Tokens.Input != w.input || c.Spent != w.input*20_000 || c.Calls != (texts+embedTexts-1)/embedTexts || c.Attempts == c.Calls {
			t.Errorf("ledger %+v, witness %+v", c, w.bill)
		}
	}
	return b
}

// aimock says that vectors take no tokens.
func TestEmbedAgainstAIMock(t *testing.T) {
	url := named(t, "SILVERBEAM_AIMOCK")
	var ignored any
	fetch(t, "POST", url+"/__aimock/reset", "", &ignored)
	fetch(t, "POST", url+"/__aimock/chaos", `{"rateLimitRate":0.05,"dropRate":0.05,"malformedRate":0.03,"disconnectRate":0.03}`, &ignored)
	embedAgainst(t, url)
}

func TestEmbedAgainstLLMock(t *testing.T) {
	url := named(t, "SILVERBEAM_LLMOCK")
	var ignored any
	fetch(t, "POST", url+"/_llmock/reset", "", &ignored)
	if embedAgainst(t, url).cost(t).Tokens.Input == 0 {
		t.Error("it told of no tokens")
	}
}

// A real model's vectors are those of a plain call, its tokens those of the ledger, and what says one thing twice is nearer
// than what says another. It takes 512 tokens of a text.
func TestEmbedAgainstLlama(t *testing.T) {
	url := named(t, "SILVERBEAM_LLAMA")
	b := set(t, t.TempDir(), Options{Endpoint: url, Model: "smollm2", Deadline: time.Minute}, transport(4))
	all := []Passage{
		{Text: "There is a moderate right pleural effusion."},
		{Text: "Moderate fluid is seen in the right pleural space."},
		{Text: "The train to Hamburg leaves at seven in the morning."},
	}
	v, err := b.Embed(t.Context(), "fit", all)
	if err != nil {
		t.Fatal(err)
	}
	tokens := int64(0)
	for i, p := range all {
		var plain struct {
			Data  []struct{ Embedding []float64 }
			Usage struct {
				In int64 `json:"prompt_tokens"`
			}
		}
		fetch(t, "POST", url+"/v1/embeddings", `{"input":"`+p.Text+`"}`, &plain)
		if len(plain.Data) != 1 || len(v[i]) < 100 || len(v[i]) != len(v[0]) || len(plain.Data[0].Embedding) != len(v[i]) {
			t.Fatalf("%d numbers: %+v", len(v[i]), plain)
		}
		for j, x := range plain.Data[0].Embedding {
			if math.Abs(x-float64(v[i][j])) > 1e-6 {
				t.Fatalf("number %d of text %d is %g, and %g in a plain call", j, i, v[i][j], x)
			}
		}
		tokens += plain.Usage.In
	}
	same, other := cosine(v[0], v[1]), max(cosine(v[0], v[2]), cosine(v[1], v[2]))
	c := b.cost(t)
	t.Logf("%d numbers, %d tokens, cosine %.3f and %.3f", len(v[0]), c.Tokens.Input, same, other)
	if c.Tokens.Input != tokens || tokens == 0 || c.Attempts != 1 || same < other+.1 {
		t.Errorf("%+v, and %d tokens of plain calls; cosine %.3f and %.3f", c, tokens, same, other)
	}
	long := strings.Repeat("No pleural effusion. ", 500)
	v, err = b.Embed(t.Context(), "fit", []Passage{{Text: "Normal chest."}, {Text: long}})
	if err != nil || v[0] == nil || v[1] != nil || !strings.Contains(strings.Join(b.Notes(), "\n"), "a text of 10499 bytes is longer than ") {
		t.Error(err, b.Notes())
	}
	if n := b.cost(t).Attempts; n != 4 { // both, the short one, the long one
		t.Errorf("%d attempts", n)
	}
}
