package llm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"silverbeam/pkg/ledger"
)

// embedder is a server of vectors, which keeps its own accounts: a token is four bytes.
type embedder struct {
	says  func(n int, texts []string) (status int, head, body string) // of request n, counted from 1; nil or 0: an answer
	takes time.Duration

	mu       sync.Mutex
	requests [][]string // their texts
	bodies   []string
	tokens   int64 // billed
}

// vectorOf is what it makes of a text.
func vectorOf(text string) []float32 { return hashWords(text)[:8:8] }

func vectorsOf(texts []string) (data []map[string]any) {
	for i, t := range slices.Backward(texts) { // the index counts, not the place
		v := vectorOf(t)
		v[0] += float32(len(t)) + .5
		data = append(data, map[string]any{"index": i, "embedding": v})
	}
	return data
}

func vectorsBody(data any, tokens int) string {
	b, err := json.Marshal(map[string]any{"model": "emb-1", "data": data, "usage": map[string]int{"prompt_tokens": tokens, "total_tokens": tokens}})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (s *embedder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Model  string
		Input  []string
		Format string `json:"encoding_format"`
	}
	b, _ := io.ReadAll(r.Body)
	if json.Unmarshal(b, &in) != nil || !strings.HasSuffix(r.URL.Path, "/v1/embeddings") || in.Format != "float" || in.Model == "" {
		panic(http.ErrAbortHandler)
	}
	time.Sleep(s.takes)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.bodies = append(s.requests, in.Input), append(s.bodies, string(b))
	status, head, body := 0, "", ""
	if s.says != nil {
		status, head, body = s.says(len(s.requests), in.Input)
	}
	if k, v, ok := strings.Cut(head, ": "); ok {
		w.Header().Set(k, v)
	}
	tokens := len(strings.Join(in.Input, "")) / 4
	if status == 0 {
		status, body = 200, vectorsBody(vectorsOf(in.Input), tokens)
	}
	if status == 200 && strings.Contains(body, `"usage"`) {
		s.tokens += int64(tokens)
	}
	w.WriteHeader(status)
	io.WriteString(w, body)
}

func (s *embedder) RoundTrip(r *http.Request) (*http.Response, error) {
	httptrace.ContextClientTrace(r.Context()).WroteHeaders()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result(), nil
}

// times counts how often each text was asked.
func (s *embedder) times() map[string]int {
	n := map[string]int{}
	for _, r := range s.requests {
		for _, t := range r {
			n[t]++
		}
	}
	return n
}

// embPrice is $0.02 a million tokens of emb-1.
const embPico = 20_000

func embPrice(t *testing.T) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "prices.csv")
	if err := os.WriteFile(file, []byte(ledger.PriceHeader+"\ne,emb-1,2026-01-01,USD,0.02,,,0.02,,,,,,,ours,2026-11-01\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// embeds is a client of such a server on this machine.
func embeds(t *testing.T, dir string, o Options, s *embedder) bench {
	t.Helper()
	if o.Endpoint == "" {
		o.Endpoint = "http://127.0.0.1:9"
	}
	o.Model, o.Prices = "emb-1", embPrice(t)
	return set(t, dir, o, s)
}

// passages are n, of which so many share a text.
func passages(n, same int) (all []Passage) {
	for i := range n {
		all = append(all, Passage{Text: report(i / same), Report: report(i / same), Study: fmt.Sprint("s", i)})
	}
	return all
}

// wantVectors checks that each passage has its own.
func wantVectors(t *testing.T, all []Passage, got [][]float32, err error) {
	t.Helper()
	if err != nil || len(got) != len(all) {
		t.Fatalf("%d vectors, %v", len(got), err)
	}
	for i, p := range all {
		if want := vectorsOf([]string{p.Text})[0]["embedding"]; !slices.Equal(got[i], want.([]float32)) {
			t.Fatalf("vector %d is %v, want %v", i, got[i], want)
		}
	}
}

// Each text is asked once, whoever has it and however often the run is begun; the ledger has what the server bills.
func TestEachTextIsEmbeddedOnce(t *testing.T) {
	s := &embedder{}
	server := httptest.NewServer(s)
	defer server.Close()
	dir, o := t.TempDir(), Options{Endpoint: server.URL, InFlight: 4, Model: "emb-1", Prices: embPrice(t)}
	all := append(passages(300, 3), Passage{Text: "Emphysema."}, Passage{Text: report(7)}, Passage{Text: strings.Repeat("a long one ", 10_000)[:109_999]})
	for round := range 3 {
		if round == 1 {
			all = append(all, passages(400, 3)[300:]...)
		}
		b := set(t, dir, o, nil)
		got, err := b.Embed(t.Context(), "train.Fit", all)
		wantVectors(t, all, got, err)
		c := b.cost(t)
		if c.Spent != s.tokens*embPico || c.Wasted != 0 || c.UnsettledMax != 0 || c.Attempts != int64(len(s.requests)) || c.Reports != 0 || c.DistinctReports != nil {
			t.Errorf("%+v, the server's bill is for %d tokens and %d requests", c, s.tokens, len(s.requests))
		}
		if want := []int{5, 7, 7}[round]; len(s.requests) != want || c.ByStep[0].Step != "train.Fit" {
			t.Errorf("%d requests in round %d, want %d", len(s.requests), round, want)
		}
		b.shut(t)
	}
	for text, n := range s.times() {
		if n != 1 {
			t.Errorf("%.40q was asked %d times", text, n)
		}
	}
	rows, err := ledger.ReadRows(filepath.Join(dir, "ledger.db"))
	if err != nil || len(rows) == 0 || rows[0].Labels != 0 {
		t.Error(rows, err)
	}
}

// Of a text of which nothing is left there is no vector; of no passages there is nothing at all.
func TestEmbedNothing(t *testing.T) {
	s := &embedder{}
	b := embeds(t, t.TempDir(), Options{}, s)
	if got, err := b.Embed(t.Context(), "fit", []Passage{{Text: " \n"}}); err != nil || len(got) != 1 || got[0] != nil {
		t.Error(got, err)
	}
	if got, err := b.Embed(t.Context(), "fit", nil); err != nil || len(got) != 0 || len(s.requests) != 0 {
		t.Error(got, err)
	}
}

func TestAnswersThatAreNoVectors(t *testing.T) {
	vector := func(index int, v ...any) map[string]any { return map[string]any{"index": index, "embedding": v} }
	nan := strings.Replace(vectorsBody([]any{vector(0, 7, 1), vector(1, 1, 2)}, 3), "7", "NaN", 1)
	for name, c := range map[string]struct{ body, want string }{
		"one is missing":     {vectorsBody([]any{vector(0, 1)}, 3), "the answer has 1 vectors for 2 texts"},
		"one is twice":       {vectorsBody([]any{vector(1, 1), vector(1, 2)}, 3), "indices are not 0 to 1, each once"},
		"one is of nobody":   {vectorsBody([]any{vector(0, 1), vector(2, 2)}, 3), "indices are not 0 to 1, each once"},
		"below nobody":       {vectorsBody([]any{vector(0, 1), vector(-1, 2)}, 3), "indices are not 0 to 1, each once"},
		"of two lengths":     {vectorsBody([]any{vector(0, 1, 2), vector(1, 2)}, 3), "vectors of 2 and of 1 numbers"},
		"not a number":       {nan, "no list of vectors"},
		"null among them":    {vectorsBody([]any{vector(0, 1, nil), vector(1, 2, 3)}, 3), "a vector is not one of finite numbers"},
		"null":               {vectorsBody([]any{vector(0), vector(1)}, 3), "a vector is not one of finite numbers"},
		"too large":          {vectorsBody([]any{vector(0, 1, 1e39), vector(1, 2, 3)}, 3), "a vector is not one of finite numbers"},
		"zeros":              {vectorsBody([]any{vector(0, 1, 2), vector(1, 0, 0)}, 3), "a vector is all zeros"},
		"of no numbers":      {`{"data":[{"index":0,"embedding":[]},{"index":1,"embedding":[]}],"usage":{"prompt_tokens":3}}`, "a vector is all zeros"},
		"base64":             {vectorsBody([]any{map[string]any{"embedding": "AACAPw=="}, vector(1, 1)}, 3), "a vector is not one of finite numbers"},
		"a chat completion":  {chat("", "stop", ""), "the answer has 0 vectors for 2 texts"},
		"a page":             {"<html>Wombat", "no list of vectors"},
		"of another, cached": {vectorsBody([]any{vector(0, 1, 2), vector(1, 2, 3)}, 3), "vectors of 2 numbers, where others have 8"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &embedder{}
			b := embeds(t, t.TempDir(), Options{}, s)
			all := []Passage{{Text: "Wombat."}, {Text: "Quokka."}}
			if name == "of another, cached" {
				all = append(all, Passage{Text: "Numbat."})
				if _, err := b.Embed(t.Context(), "fit", all[2:]); err != nil {
					t.Fatal(err)
				}
			}
			before := len(s.requests)
			s.says = func(int, []string) (int, string, string) { return 200, "", c.body }
			_, err := b.Embed(t.Context(), "fit", all)
			if err == nil || !strings.Contains(err.Error(), c.want) || secretIn(err.Error()) != "" {
				t.Errorf("%v, want %q", err, c.want)
			}
			if len(s.requests) != before+1+maxAsks {
				t.Errorf("it was asked %d times", len(s.requests))
			}
			if cost := b.cost(t); cost.Wasted == 0 != (name == "a page") || cost.UnsettledMax == 0 == (name == "a page") {
				t.Errorf("wasted %d, unsettled %d", cost.Wasted, cost.UnsettledMax)
			}
			s.says = nil
			if got, err := b.Embed(t.Context(), "fit", all); err != nil || len(got) != len(all) {
				t.Error("afterwards:", err)
			}
		})
	}
}

// One wrong answer is asked for again, and both are in the ledger.
func TestAWrongAnswerIsAskedForAgain(t *testing.T) {
	s := &embedder{says: func(n int, _ []string) (int, string, string) { return map[int]int{1: 200}[n], "", vectorsBody(nil, 1) }}
	b := embeds(t, t.TempDir(), Options{}, s)
	all := passages(2, 1)
	got, err := b.Embed(t.Context(), "fit", all)
	wantVectors(t, all, got, err)
	if c := b.cost(t); c.Attempts != 2 || c.Calls != 1 || c.Wasted != embPico || c.Spent <= c.Wasted {
		t.Errorf("%+v", c)
	}
}

func TestStoredVectorsOfTwoLengths(t *testing.T) {
	s := &embedder{}
	b := embeds(t, t.TempDir(), Options{}, s)
	all := passages(2, 1)
	texts, _, err := b.embeddable(all)
	if err == nil {
		err = b.store.PutVectors([]ledger.Vector{{Identity: texts[0].id, Values: []float32{1}}, {Identity: texts[1].id, Values: []float32{1, 2}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Embed(t.Context(), "fit", all); err == nil || !strings.Contains(err.Error(), "of 1 and of 2 numbers") {
		t.Error(err)
	}
}

func TestEmbedWaitsAsItIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &embedder{says: func(n int, _ []string) (int, string, string) {
			return []int{429, 503, 0}[min(n, 3)-1], "Retry-After: 7", `{"error":{"message":"slow down"}}`
		}}
		b := embeds(t, t.TempDir(), Options{}, s)
		all, began := passages(20, 1), time.Now()
		got, err := b.Embed(t.Context(), "fit", all)
		wantVectors(t, all, got, err)
		if took := time.Since(began); took < 14*time.Second || took > 20*time.Second || len(s.requests) != 3 {
			t.Errorf("%d requests in %s", len(s.requests), took)
		}
		if c := b.cost(t); c.Spent != s.tokens*embPico || c.Attempts != 3 || c.Calls != 1 {
			t.Errorf("%+v", c)
		}
		s.says = func(int, []string) (int, string, string) { return 500, "", "" }
		if _, err := b.Embed(t.Context(), "fit", []Passage{{Text: "new"}}); !errors.Is(err, ErrTemporary) {
			t.Error(err)
		}
	})
}

// What refuses every call stops the run; what refuses many texts is asked for fewer; a text that is too long is named by its
// length, and the others are kept.
func TestEmbedRefused(t *testing.T) {
	for status, want := range map[int]string{401: "key, quota or right", 404: "no such address or model", 403: "key, quota or right"} {
		s := &embedder{says: func(int, []string) (int, string, string) { return status, "", `{"error":{"message":"Wombat"}}` }}
		b := embeds(t, t.TempDir(), Options{}, s)
		_, err := b.Embed(t.Context(), "fit", passages(100, 1))
		if !errors.Is(err, ErrProvider) || !strings.Contains(err.Error(), want) || secretIn(err.Error()) != "" || len(s.requests) != 1 {
			t.Errorf("%d: %v after %d requests", status, err, len(s.requests))
		}
	}
	many := &embedder{says: func(_ int, texts []string) (int, string, string) {
		if len(texts) > 5 {
			return 422, "", `{"error":"batch size 32 > maximum allowed batch size 5"}`
		}
		return 0, "", ""
	}}
	b, all := embeds(t, t.TempDir(), Options{}, many), passages(64, 1)
	got, err := b.Embed(t.Context(), "fit", all)
	wantVectors(t, all, got, err)
	for status, body := range map[int]string{
		400: `{"error":{"message":"This model's maximum context length is 8192 tokens"}}`,
		500: `{"error":{"code":500,"message":"input (961 tokens) is too large to process. increase the physical batch size (current batch size: 512)","type":"server_error"}}`, // llama.cpp's
	} {
		long := &embedder{says: func(_ int, texts []string) (int, string, string) {
			if slices.ContainsFunc(texts, func(s string) bool { return len(s) > 1000 }) {
				return status, "", body
			}
			return 0, "", ""
		}}
		b, all = embeds(t, t.TempDir(), Options{Deadline: time.Second}, long), append(passages(31, 1), Passage{Text: strings.Repeat("x", 1234)})
		got, err = b.Embed(t.Context(), "fit", all)
		if wantVectors(t, all[:31], got[:31], err); got[31] != nil || len(long.requests) != 11 || !strings.Contains(fmt.Sprint(b.Notes()), "a text of 1234 bytes is longer than emb-1 takes") { // each half of 32 texts, to 1
			t.Errorf("%v of what is too long, %d requests, %q", got[31], len(long.requests), b.Notes())
		}
		before := len(long.requests)
		got, err = b.Embed(t.Context(), "fit", all[:31])
		if wantVectors(t, all[:31], got, err); len(long.requests) != before {
			t.Errorf("%d requests for what was answered", len(long.requests)-before)
		}
	}
	odd := &embedder{says: func(int, []string) (int, string, string) { return 400, "", `{"error":{"message":"Wombat"}}` }}
	b = embeds(t, t.TempDir(), Options{}, odd)
	if _, err = b.Embed(t.Context(), "fit", passages(2, 1)); err == nil || !strings.Contains(err.Error(), "bad-request: status 400") || secretIn(err.Error()) != "" {
		t.Error(err)
	}
}

// byHost has several servers.
type byHost map[string]*embedder

func (s byHost) RoundTrip(r *http.Request) (*http.Response, error) { return s[r.URL.Host].RoundTrip(r) }

func TestEmbedGoesElsewhere(t *testing.T) {
	a, c := &embedder{says: func(int, []string) (int, string, string) { return 401, "", "" }}, &embedder{}
	b := set(t, t.TempDir(), Options{Endpoint: "http://127.0.0.1:1, http://127.0.0.1:2", Model: "emb-1"}, byHost{"127.0.0.1:1": a, "127.0.0.1:2": c})
	all := passages(200, 1)
	got, err := b.Embed(t.Context(), "fit", all)
	wantVectors(t, all, got, err)
	if len(c.requests) != 7 || len(a.requests) == 0 || len(b.Notes()) == 0 {
		t.Errorf("%d and %d requests, %q", len(a.requests), len(c.requests), b.Notes())
	}
}

// The cap stops it before what it would not pay for, and a higher one goes on where that was.
func TestEmbedUnderACap(t *testing.T) {
	s, dir, all := &embedder{}, t.TempDir(), passages(320, 1)
	bytes := 0
	for _, p := range all[:32] {
		bytes += len(p.Text)
	}
	limit := int64(bytes+overhead) * embPico // a request's worst: they cost a quarter
	b := embeds(t, dir, Options{MaxCostPico: limit, InFlight: 1}, s)
	_, err := b.Embed(t.Context(), "fit", all)
	if !errors.Is(err, ErrBudget) || len(s.requests) == 0 || len(s.requests) > 4 {
		t.Fatal(err, len(s.requests))
	}
	if c := b.cost(t); c.Spent != s.tokens*embPico || c.Spent > limit {
		t.Errorf("%+v", c)
	}
	b.shut(t)
	b = embeds(t, dir, Options{MaxCostPico: 20 * limit}, s)
	got, err := b.Embed(t.Context(), "fit", all)
	wantVectors(t, all, got, err)
	if c := b.cost(t); c.Spent != s.tokens*embPico || len(s.requests) != 10 || c.Attempts != 10 {
		t.Errorf("%+v", c)
	}
}

func TestEmbedByTheHour(t *testing.T) {
	prices := hourPrice(t)
	bubble(t, func(t *testing.T) {
		s := &embedder{takes: 3 * time.Second}
		b := set(t, t.TempDir(), Options{Endpoint: "http://127.0.0.1:9", Model: "own-70b", Prices: prices, InFlight: 1}, s)
		if _, err := b.Embed(t.Context(), "fit", passages(64, 1)); err != nil {
			t.Fatal(err)
		}
		if c := b.cost(t); c.Spent != owed(6*time.Second, perHour) || c.UnsettledMax != 0 {
			t.Errorf("%+v", c)
		}
	})
}

// What goes to another machine is redacted and noted; vectors of redacted texts are not taken for those of whole ones.
func TestEmbedSendsRedacted(t *testing.T) {
	s, dir := &embedder{}, t.TempDir()
	o := Options{Endpoint: "https://model.invalid", Egress: filepath.Join(dir, "egress.jsonl")}
	b := embeds(t, dir, o, s)
	const whole = "Patient: Quokka\nHistory: Known numbat smuggler.\nFindings: Quokka was seen on 3 March 2021: an effusion."
	if sent := b.Sent(whole); secretIn(sent) != "" || !strings.Contains(sent, "[name]") {
		t.Errorf("%q may be sent", sent)
	}
	for _, part := range []string{"Known numbat smuggler.", "Quokka was seen on 3 March 2021: an effusion."} { // of the report, not of what is sent of it
		if _, err := b.Embed(t.Context(), "fit", []Passage{{Text: part, Report: whole, Study: "s1"}}); err == nil || secretIn(err.Error()) != "" || s.bodies != nil {
			t.Errorf("%v: %q", err, s.bodies)
		}
	}
	all := []Passage{{Text: b.Sent(whole), Report: whole, Study: "s1"}}
	got, err := b.Embed(t.Context(), "fit", all)
	if err != nil || len(got) != 1 || len(s.bodies) != 1 || secretIn(s.bodies[0]) != "" || !strings.Contains(s.bodies[0], "[name] was seen on [date]: an effusion.") {
		t.Errorf("%v: %q", err, s.bodies)
	}
	log, err := os.ReadFile(o.Egress)
	if err != nil || strings.Count(string(log), "\n") != 2 || !strings.Contains(string(log), `"path":"/v1/embeddings"`) || !strings.Contains(string(log), `"date":1`) || secretIn(string(log)) != "" {
		t.Errorf("%v: %s", err, log)
	}
	b.shut(t)
	o.Send = "whole"
	b = embeds(t, dir, o, s)
	all[0].Text = b.Sent(whole)
	if _, err := b.Embed(t.Context(), "fit", all); err != nil || len(s.bodies) != 2 || !strings.Contains(s.bodies[1], "Quokka") {
		t.Errorf("%v: %q", err, s.bodies)
	}
	b.shut(t)
	o.Send = "findings"
	b = embeds(t, dir, o, s)
	if _, err := b.Embed(t.Context(), "fit", all); err == nil || !strings.Contains(err.Error(), "send findings is of labels alone") || len(s.bodies) != 2 {
		t.Error(err)
	}
}

// Steps that run beside each other share what they ask for.
func TestTextsAreSharedAtOnce(t *testing.T) {
	s := &embedder{takes: 20 * time.Millisecond}
	b, all := embeds(t, t.TempDir(), Options{}, s), passages(100, 1)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			got, err := b.Embed(t.Context(), "fit", all)
			if err != nil || len(got) != 100 || got[99] == nil {
				t.Errorf("%d vectors, %v", len(got), err)
			}
		})
	}
	wg.Wait()
	for text, n := range s.times() {
		if n != 1 {
			t.Errorf("%.40q was asked %d times", text, n)
		}
	}
}

// Who is called off pays for what is in flight, and has it.
func TestEmbedIsCalledOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &embedder{says: func(n int, _ []string) (int, string, string) {
		if n == 3 {
			cancel()
		}
		return 0, "", ""
	}}
	b, all := embeds(t, t.TempDir(), Options{InFlight: 1}, s), passages(320, 1)
	if _, err := b.Embed(ctx, "fit", all); !errors.Is(err, context.Canceled) || len(s.requests) != 3 {
		t.Errorf("%v after %d requests", err, len(s.requests))
	}
	got, err := b.Embed(t.Context(), "fit", all)
	if wantVectors(t, all, got, err); len(s.requests) != 10 {
		t.Errorf("%d requests", len(s.requests))
	}
}

func TestEmbedReplays(t *testing.T) {
	s, dir, all := &embedder{}, t.TempDir(), passages(10, 1)
	b := embeds(t, dir, Options{}, s)
	if _, err := b.Embed(t.Context(), "fit", all[:9]); err != nil {
		t.Fatal(err)
	}
	b.shut(t)
	b = embeds(t, dir, Options{Replay: true}, s)
	if _, err := b.Embed(t.Context(), "fit", all); !errors.Is(err, ErrReplay) {
		t.Error(err)
	}
	got, err := b.Embed(t.Context(), "fit", all[:9])
	if wantVectors(t, all[:9], got, err); len(s.requests) != 1 {
		t.Errorf("%d requests", len(s.requests))
	}
}

// A report's vectors go with it, of its parts too, and no others; a study that was only embedded is known by that.
func TestVectorsAreForgottenWithTheirReport(t *testing.T) {
	s := &embedder{}
	b := embeds(t, t.TempDir(), Options{}, s)
	part := strings.TrimSpace(report(7)[:20])
	all := append(passages(40, 1), Passage{Text: part, Report: report(7), Study: "s7"}, Passage{Text: "a prompt"})
	if _, err := b.Embed(t.Context(), "fit", all); err != nil {
		t.Fatal(err)
	}
	reports, err := b.book.EmbeddedOf("s7")
	if err != nil || !slices.Equal(reports, []ledger.Identity{b.store.Identity("report", report(7))}) {
		t.Fatal(reports, err)
	}
	if n, err := b.store.HasVectors(reports); err != nil || n != 2 {
		t.Error(n, err)
	}
	if err := b.store.Forget(nil, reports); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.book.Forget("s7", reports); err != nil {
		t.Fatal(err)
	}
	if left, err := b.book.EmbeddedOf("s7"); err != nil || len(left) != 0 {
		t.Error(left, err)
	}
	before := len(s.requests)
	got, err := b.Embed(t.Context(), "fit", all)
	wantVectors(t, all, got, err)
	if again := s.requests[before:]; len(again) != 1 || !slices.Equal(again[0], []string{report(7), part}) {
		t.Errorf("%q", again)
	}
}

// cosine is that of the angle between two vectors.
func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab, aa, bb = ab+float64(a[i])*float64(b[i]), aa+float64(a[i])*float64(a[i]), bb+float64(b[i])*float64(b[i])
	}
	return ab / math.Sqrt(aa*bb)
}

func TestFakeEmbeds(t *testing.T) {
	b := set(t, t.TempDir(), Options{Endpoint: "fake://rules?seed=1&p429=0.1&p500=0.05&pcut=0.05&pschema=0.1"}, nil)
	all := passages(500, 2)
	v, err := b.Embed(t.Context(), "fit", all)
	if err != nil {
		t.Fatal(err)
	}
	for i := range v {
		if len(v[i]) != fakeLength || !slices.Equal(v[i], hashWords(all[i].Text)) {
			t.Fatalf("vector %d is not its text's", i)
		}
	}
	c := b.cost(t)
	if c.Calls != 8 || c.Attempts <= c.Calls || c.Tokens.Input == 0 || c.Reports != 0 || c.DistinctReports != nil {
		t.Errorf("%+v", c)
	}
	a, n, o := hashWords("No pleural effusion is seen."), hashWords("No pleural effusion."), hashWords("Cardiomegaly with emphysema.")
	if cosine(a, n) < cosine(a, o)+.3 {
		t.Errorf("%.2f and %.2f", cosine(a, n), cosine(a, o))
	}
}

// The built-in prices know OpenAI's models for it.
func TestEmbeddingPrices(t *testing.T) {
	for model, perMillion := range map[string]int64{"text-embedding-3-small": 20_000, "text-embedding-3-large": 130_000} {
		p, _, _, err := (Options{Model: model}).price(site{})
		if err != nil || p.Input != perMillion {
			t.Error(p, err)
		}
	}
}
