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
	"time"

	openai "github.com/sashabaranov/go-openai"
)

// maxBody bounds an answer's body: a thousand times a usual one.
const maxBody = 8 << 20

// exchange is one attempt: the request, and what came back, on errors too.
type exchange struct {
	of      *http.Request // address and header, of the endpoint's requests of a kind; nil: it takes none
	request []byte        // the body
	key     string
	at      *endpoint

	left   bool // its header went out on a connection
	whole  bool // an answer came, and all of its body
	status int  // 0: no answer
	header http.Header
	body   []byte
	failed error // the transport's: may hold text, only ever inspected
}

var errTooLarge = errors.New("the answer is too large")

// asks are what go-openai sends to ask a model for a chat completion and for embeddings: address and header, without key and body.
// It makes none for models that take no chat completions: nil.
func (s site) asks(model string) (chat, embeddings *http.Request) {
	var kept requestKeeper
	config := openai.DefaultConfig("") // each attempt is signed
	config.BaseURL, config.APIVersion, config.HTTPClient = s.base, s.version, &kept
	api := openai.NewClientWithConfig(config)
	_, _ = api.CreateChatCompletion(context.Background(), openai.ChatCompletionRequest{Model: model})
	chat, kept.request = kept.request, nil
	_, _ = api.CreateEmbeddings(context.Background(), openai.EmbeddingRequest{Model: openai.EmbeddingModel(model)})
	return chat, kept.request
}

// requestKeeper is an HTTP client that sends nothing.
type requestKeeper struct{ request *http.Request }

func (k *requestKeeper) Do(r *http.Request) (*http.Response, error) {
	k.request = r
	return nil, errors.New("not sent")
}

// do sends the request and keeps header and body of what comes back, whatever its status. Redirects are not followed. The body
// is ours: go-openai's drops a temperature of 0, and to make it and to decode the answer there costs more than the rest of a call.
func (x *exchange) do(ctx context.Context) error {
	r := x.of.WithContext(ctx)
	r.Header = r.Header.Clone()
	x.at.site.sign(r.Header, x.key)
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(x.request)), nil }
	r.Body, _ = r.GetBody() // of a kind that net/http's transport knows to be in memory: header and body leave in one packet
	r.ContentLength = int64(len(x.request))
	resp, err := x.at.http.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	x.status, x.header = resp.StatusCode, resp.Header
	body := bytes.NewBuffer(make([]byte, 0, min(max(resp.ContentLength, 0), 1<<16)+bytes.MinRead))
	if _, err = body.ReadFrom(io.LimitReader(resp.Body, maxBody+1)); err == nil && body.Len() > maxBody {
		err = errTooLarge
	}
	if err == nil {
		x.body, x.whole = body.Bytes(), true
	}
	return err
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

// send makes one attempt at labels. What went wrong stands in the exchange.
func (c *Client) send(ctx context.Context, e *endpoint, key string, h habit, p *prompt, user string, ask int) *exchange {
	x := &exchange{of: e.chat, key: key, at: e}
	if x.of == nil {
		return x
	}
	if x.request, x.failed = c.body(h, p, user, ask); x.failed == nil {
		x.send(ctx, c.o.Timeout)
	}
	return x
}

// send makes the attempt, in so long a time at most.
func (x *exchange) send(ctx context.Context, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	x.failed = x.do(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { x.left = true }}))
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
