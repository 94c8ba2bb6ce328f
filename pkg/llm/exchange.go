package llm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"

	openai "github.com/sashabaranov/go-openai"
)

// maxBody bounds an answer's body: a thousand times a usual one.
const maxBody = 8 << 20

// exchange is one attempt: the request fields that go-openai drops or refuses, and what came back, on errors too.
type exchange struct {
	set map[string]any // merged into the JSON body

	called bool // go-openai let the request pass
	left   bool // its header went out on a connection
	whole  bool // an answer came, and all of its body
	status int  // 0: no answer
	header http.Header
	body   []byte
	reply  openai.ChatCompletionResponse
	failed error // go-openai's or the transport's: may hold text, only ever inspected
}

type exchangeKey struct{}

// doer is the HTTP client that go-openai calls: its builder has no way to send a temperature of 0 or to hand on the
// header and body of an error.
type doer struct{ client *http.Client }

var errTooLarge = errors.New("the answer is too large")

func (d doer) Do(r *http.Request) (*http.Response, error) {
	x, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil, errors.New("llm: a request outside any exchange")
	}
	x.called = true
	if err := x.merge(r); err != nil {
		return nil, err
	}
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{WroteHeaders: func() { x.left = true }}))
	resp, err := d.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	x.status, x.header = resp.StatusCode, resp.Header
	if x.body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1)); err == nil && len(x.body) > maxBody {
		x.body, err = nil, errTooLarge
	}
	if err != nil {
		return nil, err
	}
	x.whole = true
	resp.Body = io.NopCloser(bytes.NewReader(x.body))
	return resp, nil
}

// merge puts the extra fields into the body. Keys come out sorted: equal requests are equal bytes.
func (x *exchange) merge(r *http.Request) error {
	var m map[string]json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		return err
	}
	for k, v := range x.set {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		m[k] = b
	}
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
	return nil
}

// send makes one attempt. What went wrong stands in the exchange.
func (c *Client) send(ctx context.Context, h habit, p *prompt, user string, ask int) *exchange {
	x := &exchange{set: fields(h, p, ask)}
	x.reply, x.failed = c.api.CreateChatCompletion(context.WithValue(ctx, exchangeKey{}, x), openai.ChatCompletionRequest{
		Model: c.o.Model,
		Messages: []openai.ChatCompletionMessage{
			{Role: openai.ChatMessageRoleSystem, Content: p.system[h.mode]},
			{Role: openai.ChatMessageRoleUser, Content: user},
		},
	})
	return x
}

// fields are the request's settings. An answer that did not validate is asked for with another seed and some warmth, as
// the same request would give the same answer.
func fields(h habit, p *prompt, ask int) map[string]any {
	set := map[string]any{"temperature": 0.2 * float64(ask), "seed": ask, "reasoning_effort": "low", "logprobs": true}
	for _, name := range []string{"temperature", "seed", "reasoning_effort", "logprobs"} {
		if h.without[name] {
			delete(set, name)
		}
	}
	if !h.without["logprobs"] {
		set["top_logprobs"] = topTokens
	}
	if h.completionTokens {
		set["max_completion_tokens"] = p.maxTokens
	} else {
		set["max_tokens"] = p.maxTokens
	}
	switch h.mode {
	case strictSchema:
		set["response_format"] = map[string]any{"type": "json_schema",
			"json_schema": map[string]any{"name": "findings", "strict": true, "schema": p.schema}}
	case anyObject:
		set["response_format"] = map[string]any{"type": "json_object"}
	}
	return set
}
