package llm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"

	openai "github.com/sashabaranov/go-openai"
)

// maxBody bounds an answer's body: a thousand times a usual one.
const maxBody = 8 << 20

// exchange is one attempt: the request, and what came back, on errors too.
type exchange struct {
	request []byte // the body
	key     string
	at      *endpoint

	called bool // go-openai let the request pass
	left   bool // its header went out on a connection
	whole  bool // an answer came, and all of its body
	status int  // 0: no answer
	header http.Header
	body   []byte
	failed error // go-openai's or the transport's: may hold text, only ever inspected
}

type exchangeKey struct{}

// doer is the HTTP client that go-openai calls. It sends a body of ours, as go-openai's drops a temperature of 0 and costs
// more than the rest of a call, and it keeps header and body of an answer and of an error: go-openai, which would read each
// three times, is told of an empty object.
type doer struct{ http.RoundTripper }

var errTooLarge = errors.New("the answer is too large")

func (d doer) Do(r *http.Request) (*http.Response, error) {
	x, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil, errors.New("llm: a request outside any exchange")
	}
	x.called = true
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(x.request)), nil }
	r.Body, _ = r.GetBody() // of a kind that net/http knows to be in memory: header and body leave in one packet
	r.ContentLength = int64(len(x.request))
	x.at.site.sign(r.Header, x.key)
	resp, err := d.RoundTrip(r) // redirects are not followed
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	x.status, x.header = resp.StatusCode, resp.Header
	body := bytes.NewBuffer(make([]byte, 0, min(max(resp.ContentLength, 0), 1<<16)+bytes.MinRead))
	if _, err = body.ReadFrom(io.LimitReader(resp.Body, maxBody+1)); err == nil && body.Len() > maxBody {
		err = errTooLarge
	}
	if err != nil {
		return nil, err
	}
	x.body, x.whole = body.Bytes(), true
	resp.Body = io.NopCloser(strings.NewReader("{}"))
	return resp, nil
}

// body is all of a request. What stands before the report is made once for each prompt, habit and further ask.
func (c *Client) body(h habit, p *prompt, user string, ask int) (body []byte, err error) {
	key := [2]int{h.changes, ask}
	head, ok := p.heads.Load(key)
	if !ok {
		b, err := c.head(h, p, ask)
		if err != nil {
			return body, err
		}
		head, _ = p.heads.LoadOrStore(key, b)
	}
	text, err := json.Marshal(user)
	return slices.Concat(head.([]byte), text, []byte("}]}")), err
}

// head is a request up to the user's text, its settings sorted: equal requests are equal bytes.
func (c *Client) head(h habit, p *prompt, ask int) ([]byte, error) {
	set := fields(h, p, ask)
	set["model"] = c.o.Model
	settings, err := json.Marshal(set)
	if err != nil {
		return nil, err
	}
	system, err := json.Marshal(p.system[h.mode])
	return slices.Concat(settings[:len(settings)-1], []byte(`,"messages":[{"role":"system","content":`), system, []byte(`},{"role":"user","content":`)), err
}

// send makes one attempt. What went wrong stands in the exchange. go-openai asks about nothing but the model: the doer
// sends the body.
func (c *Client) send(ctx context.Context, e *endpoint, key string, h habit, p *prompt, user string, ask int) *exchange {
	x := &exchange{key: key, at: e}
	if x.request, x.failed = c.body(h, p, user, ask); x.failed != nil {
		return x
	}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, exchangeKey{}, x), c.o.Timeout)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { x.left = true }})
	_, x.failed = e.api.CreateChatCompletion(ctx, openai.ChatCompletionRequest{Model: c.o.Model})
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
