package llm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"silverbeam/pkg/taxonomy"

	openai "github.com/sashabaranov/go-openai"
)

// peer runs this binary as one side of testdata/peers.py, the comparison with other people's clients: the server that all
// of them talk to, or the plain go-openai loop.
func peer() bool {
	var err error
	switch os.Getenv("SILVERBEAM_PEER") {
	case "":
		return false
	case "server":
		var l net.Listener
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err == nil {
			fmt.Printf("http://%s\n", l.Addr())
			err = http.Serve(l, newBiller())
		}
	case "loop":
		err = loopTo(os.Args[1], os.Args[2], os.Args[3], os.Args[4])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
	return true
}

// biller is an OpenAI-compatible server that keeps the bill. Whoever asks about peerReport(i), in whatever words, gets
// the codes of peerCodes(i) after the latency, or a fault: 429 with a Retry-After of a second, 500, or half an answer.
type biller struct {
	*http.ServeMux
	p *prompt

	mu       sync.Mutex
	faults   faults
	bill     peerBill
	attempts map[int]int
	answered map[int]bool
	until    map[int]time.Time // no retry of this report before
	now      int               // requests being answered
}

// peerBill is what the server knows of its clients, with gpt-4.1-mini's prices.
type peerBill struct {
	Requests  int         `json:"requests"`
	Status    map[int]int `json:"status"`
	Answers   int         `json:"answers"`   // that were billed: whole ones and halves
	Malformed int         `json:"malformed"` // halves
	Distinct  int         `json:"distinct"`  // reports with a whole answer
	Repeated  int         `json:"repeated"`  // whole answers to reports that had one
	Early     int         `json:"early"`     // retries before their Retry-After
	Strange   int         `json:"strange"`   // requests about none of the reports
	Most      int         `json:"most"`      // requests at once
	Input     int64       `json:"input"`
	Cached    int64       `json:"cached"`
	Output    int64       `json:"output"`
	Pico      int64       `json:"pico"` // 0.40, 0.10 and 1.60 USD per million tokens
}

func newBiller() *biller {
	tax, err := taxonomy.Load("ctrate-18")
	if err != nil {
		panic(err)
	}
	b := &biller{ServeMux: http.NewServeMux(), p: newPrompt(tax, nil, "")}
	b.reset(faults{})
	b.HandleFunc("POST /v1/chat/completions", b.complete)
	b.HandleFunc("POST /reset", func(w http.ResponseWriter, r *http.Request) {
		f, err := parseFaults(&url.URL{Host: "rules", RawQuery: r.URL.RawQuery})
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
		b.reset(f)
	})
	b.HandleFunc("GET /bill", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(b.sum())
	})
	b.HandleFunc("GET /prompt", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"system": b.p.system[strictSchema], "schema": b.p.schema})
	})
	return b
}

func (b *biller) reset(f faults) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults, b.bill = f, peerBill{Status: map[int]int{}}
	b.attempts, b.answered, b.until = map[int]int{}, map[int]bool{}, map[int]time.Time{}
}

func (b *biller) sum() peerBill {
	b.mu.Lock()
	defer b.mu.Unlock()
	sum := b.bill
	sum.Status = maps.Clone(sum.Status)
	return sum
}

// complete answers one request.
func (b *biller) complete(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	i, ok := examination(body)
	what, latency := b.enter(i, ok)
	defer b.leave()
	if err == nil {
		err = sleep(r.Context(), latency)
	}
	if err != nil {
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Ratelimit-Limit-Requests", "10000000")
	h.Set("X-Ratelimit-Remaining-Requests", "9999999")
	h.Set("X-Ratelimit-Limit-Tokens", "10000000000")
	h.Set("X-Ratelimit-Remaining-Tokens", "9999999999")
	content, status := peerCodes(i, b.p.keys), http.StatusOK
	switch {
	case what == tooMany:
		h.Set("Retry-After", "1")
		status = http.StatusTooManyRequests
	case what == broken:
		status = http.StatusInternalServerError
	case what == wrong:
		content = content[:len(content)/2]
	}
	input, cached, output := b.write(i, ok, what, status, len(body))
	if status != http.StatusOK {
		w.WriteHeader(status)
		io.WriteString(w, `{"error":{"message":"not now","type":"requests","param":null,"code":"rate_limit_exceeded"}}`)
		return
	}
	fmt.Fprintf(w, `{"id":"chatcmpl-%d","object":"chat.completion","created":1795000000,"model":"gpt-4.1-mini","system_fingerprint":"fp_1","choices":[{"index":0,"message":{"role":"assistant","content":%q,"refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":%d,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}`,
		i, content, input, output, input+output, cached)
}

func (b *biller) enter(i int, ok bool) (fault, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now++
	b.bill.Requests++
	b.bill.Most = max(b.bill.Most, b.now)
	if !ok {
		b.bill.Strange++
		return none, b.faults.latency
	}
	if time.Now().Before(b.until[i]) {
		b.bill.Early++
	}
	b.attempts[i]++
	return b.faults.draw(strconv.Itoa(i), b.attempts[i]), b.faults.latency
}

func (b *biller) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now--
}

// write puts an answer on the bill. A token is four bytes of the request; the prefix is cached from the second answer on.
func (b *biller) write(i int, ok bool, what fault, status, bytes int) (input, cached, output int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bill.Status[status]++
	if status == http.StatusTooManyRequests {
		b.until[i] = time.Now().Add(time.Second)
	}
	if status != http.StatusOK {
		return 0, 0, 0
	}
	input, output = int64(bytes/4), 74
	if b.bill.Answers > 0 && input > 1280 {
		cached = 1280
	}
	b.bill.Answers++
	b.bill.Input, b.bill.Cached, b.bill.Output = b.bill.Input+input, b.bill.Cached+cached, b.bill.Output+output
	b.bill.Pico += (input-cached)*400_000 + cached*100_000 + output*1_600_000
	switch {
	case !ok:
	case what == wrong:
		b.bill.Malformed++
	case b.answered[i]:
		b.bill.Repeated++
	default:
		b.answered[i] = true
		b.bill.Distinct++
	}
	return input, cached, output
}

const peerMark = "Thorax CT, examination "

// peerReport is the i-th of any number of reports of some 600 bytes, which say nothing that the server looks at.
func peerReport(i int) string {
	return fmt.Sprintf("%s%d. %s", peerMark, i, strings.Repeat("The lungs are clear and the heart is of normal size. ", 11))
}

// examination is the number of the report in a request.
func examination(body []byte) (int, bool) {
	_, rest, ok := bytes.Cut(body, []byte(peerMark))
	digits, _, whole := bytes.Cut(rest[:min(len(rest), 12)], []byte("."))
	i, err := strconv.Atoi(string(digits))
	return i, ok && whole && err == nil
}

func peerCodes(i int, keys []string) string {
	var s strings.Builder
	for k, key := range keys {
		fmt.Fprintf(&s, `,%q:%q`, key, "PNUB"[(i+k)%4:(i+k)%4+1])
	}
	return "{" + s.String()[1:] + "}"
}

// plainLoop asks about n reports as one would who has go-openai and an afternoon: so many goroutines, a transport that
// keeps their connections, five retries a second apart.
func plainLoop(url, system string, schema json.RawMessage, n, inFlight int, got func(i int, content string, u openai.Usage)) error {
	config := openai.DefaultConfig("no-key")
	config.BaseURL, config.HTTPClient = url, &http.Client{Transport: transport(inFlight).next, Timeout: time.Minute}
	client := openai.NewClientWithConfig(config)
	turn := make(chan int)
	var wg sync.WaitGroup
	failed := make(chan error, inFlight)
	for range inFlight {
		wg.Go(func() {
			for i := range turn {
				r, err := plainCall(client, system, peerReport(i), schema)
				if err != nil {
					select {
					case failed <- err:
					default:
					}
					continue
				}
				got(i, r.Choices[0].Message.Content, r.Usage)
			}
		})
	}
	for i := range n {
		turn <- i
	}
	close(turn)
	wg.Wait()
	config.HTTPClient.(*http.Client).CloseIdleConnections()
	close(failed)
	return <-failed
}

func plainCall(c *openai.Client, system, report string, schema json.RawMessage) (r openai.ChatCompletionResponse, err error) {
	for range 6 {
		r, err = c.CreateChatCompletion(context.Background(), openai.ChatCompletionRequest{
			Model: "gpt-4.1-mini",
			Messages: []openai.ChatCompletionMessage{
				{Role: openai.ChatMessageRoleSystem, Content: system},
				{Role: openai.ChatMessageRoleUser, Content: report},
			},
			ResponseFormat: &openai.ChatCompletionResponseFormat{Type: openai.ChatCompletionResponseFormatTypeJSONSchema,
				JSONSchema: &openai.ChatCompletionResponseFormatJSONSchema{Name: "findings", Schema: schema, Strict: true}},
		})
		if err == nil || !errors.As(err, new(*openai.APIError)) {
			return r, err
		}
		time.Sleep(time.Second)
	}
	return r, err
}

// loopTo runs the loop as a process of its own, with the server's prompt, and writes one line a row.
func loopTo(server, count, inFlight, out string) error {
	n, err := strconv.Atoi(count)
	many, err2 := strconv.Atoi(inFlight)
	if err = errors.Join(err, err2); err != nil {
		return err
	}
	resp, err := http.Get(server + "/prompt")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var p struct {
		System string
		Schema json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
		return err
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer f.Close()
	var mu sync.Mutex
	var pico int64
	err = plainLoop(server+"/v1", p.System, p.Schema, n, many, func(i int, content string, u openai.Usage) {
		mu.Lock()
		defer mu.Unlock()
		cached := 0
		if u.PromptTokensDetails != nil {
			cached = u.PromptTokensDetails.CachedTokens
		}
		pico += int64(u.PromptTokens-cached)*400_000 + int64(cached)*100_000 + int64(u.CompletionTokens)*1_600_000
		fmt.Fprintf(f, "{\"i\":%d,\"content\":%q}\n", i, content)
	})
	fmt.Printf("{\"pico\":%d}\n", pico)
	return err
}

// The server's bill, the loop's sums and our ledger agree, with and without faults; what differs is who keeps a half answer.
func TestPeersServer(t *testing.T) {
	b := newBiller()
	server := httptest.NewServer(b)
	defer server.Close()
	const n = 120
	halves := 0
	var pico int64
	var mu sync.Mutex
	b.reset(faults{seed: 1, pwrong: 0.1})
	if err := plainLoop(server.URL+"/v1", b.p.system[strictSchema], b.p.schema, n, 16, func(i int, content string, u openai.Usage) {
		mu.Lock()
		defer mu.Unlock()
		if content != peerCodes(i, b.p.keys) {
			halves++
		}
		pico += int64(u.PromptTokens-u.PromptTokensDetails.CachedTokens)*400_000 + int64(u.PromptTokensDetails.CachedTokens)*100_000 + int64(u.CompletionTokens)*1_600_000
	}); err != nil {
		t.Fatal(err)
	}
	if sum := b.sum(); sum.Answers != n || sum.Malformed != halves || halves == 0 || sum.Pico != pico || sum.Distinct != n-halves {
		t.Errorf("%d halves were kept, %d billed: %+v", halves, pico, sum)
	}
	b.reset(faults{seed: 1, pwrong: 0.1, p500: 0.05})
	c := set(t, t.TempDir(), Options{Endpoint: server.URL, Model: "gpt-4.1-mini"}, nil)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			labels, err := c.Label(t.Context(), Call{Batch: "b", Step: "label.Reports", Study: strconv.Itoa(i), Report: peerReport(i)})
			want, _, _ := parseAnswer(peerCodes(i, b.p.keys), b.p.keys, strictSchema, nil)
			if err != nil || labels[0].State != want[0].State || labels[17].State != want[17].State {
				t.Error(i, err)
			}
		})
	}
	wg.Wait()
	if cost, sum := c.cost(t), b.sum(); cost.Spent != sum.Pico || sum.Malformed == 0 || sum.Status[500] == 0 || sum.Repeated != 0 || sum.Distinct != n || cost.UnsettledMax != 0 {
		t.Errorf("ledger %+v, bill %+v", cost, sum)
	}
}
