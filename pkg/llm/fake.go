package llm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"

	"silverbeam/pkg/rules"
	"silverbeam/pkg/taxonomy"

	openai "github.com/sashabaranov/go-openai"
)

// fake is an endpoint inside this process: it speaks chat completions, batches and embeddings, answers by the embedded rules,
// counts a token for four bytes, and fails as it was told to. It lets users test a pipeline with everything but the bill.
type fake struct {
	faults
	label func(report string) ([]taxonomy.Label, error)
	place map[string]int // of a finding in the taxonomy, by its key

	mu       sync.Mutex
	attempts map[uint64]int // by a hash of the report

	batches fakeBatches
}

func newFake(f faults, t *taxonomy.Taxonomy) (*fake, error) {
	r, err := rules.New(t, rules.Options{})
	if err != nil {
		return nil, fmt.Errorf("llm: fake endpoint: %w", err)
	}
	place := map[string]int{}
	for i := range t.Findings {
		place[key(i)] = i
	}
	return &fake{faults: f, label: r.Label, place: place, attempts: map[uint64]int{},
		batches: fakeBatches{files: map[string]*fakeFile{}, jobs: map[string]*openai.Batch{}, polls: map[string]int{}}}, nil
}

type chatRequest struct {
	Model    string `json:"model"`
	Messages []struct {
		Content string `json:"content"`
	} `json:"messages"`
	Format struct {
		JSON struct {
			Schema struct {
				Required []string `json:"required"` // the keys, in their order
			} `json:"schema"`
		} `json:"json_schema"`
	} `json:"response_format"`
}

// RoundTrip answers one request.
func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.WroteHeaders != nil {
		trace.WroteHeaders()
	}
	if strings.HasSuffix(r.URL.Path, "/embeddings") {
		return f.embed(r)
	}
	if !strings.HasSuffix(r.URL.Path, "/chat/completions") {
		return f.serveBatches(r), nil
	}
	var in chatRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Messages) != 2 {
		return respond(r, http.StatusBadRequest, `{"error":{"message":"two messages are needed"}}`), nil
	}
	report := fenced(in.Messages[1].Content)
	what, resp, err := f.fail(r, report)
	if resp != nil || err != nil {
		return resp, err
	}
	prompt := len(in.Messages[0].Content) + len(in.Messages[1].Content)
	return respond(r, http.StatusOK, f.complete(in, report, prompt, what == wrong)), nil
}

// fail draws the fault of a text's next attempt, and gives what that makes of the request: nothing where it is to be answered,
// rightly or wrongly.
func (f *fake) fail(r *http.Request, text string) (what fault, _ *http.Response, err error) {
	if f.latency > 0 {
		if err := sleep(r.Context(), f.latency); err != nil {
			return none, nil, err
		}
	}
	switch what = f.next(text); what {
	case tooMany:
		resp := respond(r, http.StatusTooManyRequests, `{"error":{"message":"slow down","code":"rate_limit_exceeded"}}`)
		resp.Header.Set("Retry-After-Ms", "20")
		return what, resp, nil
	case broken:
		return what, respond(r, http.StatusInternalServerError, `{"error":{"message":"something broke"}}`), nil
	case cut:
		return what, nil, io.ErrUnexpectedEOF
	}
	return what, nil, nil
}

// next draws the fault of a report's next attempt.
func (f *fake) next(report string) fault {
	h := fnv.New64a()
	h.Write([]byte(report))
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.attempts[h.Sum64()]
	f.attempts[h.Sum64()]++
	return f.draw(report, n)
}

// complete is the body of a good answer, or of one that leaves the last finding out.
func (f *fake) complete(in chatRequest, report string, promptBytes int, short bool) string {
	message := map[string]any{"role": "assistant"}
	content := ""
	if labels, err := f.label(report); err != nil {
		message["refusal"] = "not assessable"
	} else {
		content = f.object(in.Format.JSON.Schema.Required, labels, short)
	}
	message["content"] = content
	body, err := json.Marshal(map[string]any{
		"id": "fake", "object": "chat.completion", "model": in.Model, "system_fingerprint": "fake-rules",
		"choices": []any{map[string]any{"index": 0, "finish_reason": "stop", "message": message}},
		"usage": map[string]any{"prompt_tokens": promptBytes / 4, "completion_tokens": (len(content) + 3) / 4,
			"prompt_tokens_details": map[string]int{"cached_tokens": 0}, "completion_tokens_details": map[string]int{"reasoning_tokens": 0}},
	})
	if err != nil {
		panic("llm: " + err.Error()) // maps of plain values always marshal
	}
	return string(body)
}

func (f *fake) object(keys []string, labels []taxonomy.Label, short bool) string {
	var b strings.Builder
	for n, k := range keys {
		if short && n == len(keys)-1 {
			break
		}
		for code, meaning := range codes {
			if meaning.State == labels[f.place[k]].State {
				fmt.Fprintf(&b, `,%q:%q`, k, code)
			}
		}
	}
	return "{" + strings.TrimPrefix(b.String(), ",") + "}"
}

// fenced is what stands between the two fence lines of a user message.
func fenced(message string) string {
	lines := strings.Split(message, "\n")
	if len(lines) < 3 {
		return ""
	}
	return strings.Join(lines[2:len(lines)-1], "\n")
}

func respond(r *http.Request, status int, body string) *http.Response {
	return &http.Response{Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader([]byte(body))), ContentLength: int64(len(body))}
}
