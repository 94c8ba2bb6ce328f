package llm

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"silverbeam/pkg/ledger"
	"silverbeam/pkg/taxonomy"

	openai "github.com/sashabaranov/go-openai"
)

// next is what follows an attempt.
type next int

const (
	done   next = iota // labels
	again              // some or all of the answer does not validate: ask for that again
	adapt              // the server refused a field: ask without it
	repeat             // the world is bad: wait and send it again
	leave              // this report has no answer
	stop               // the run ends
)

// verdict is what one attempt means.
type verdict struct {
	next    next
	outcome ledger.Outcome
	good    []int            // findings that have an answer, by their place in the taxonomy: all of done, perhaps some of again
	labels  []taxonomy.Label // theirs
	err     error            // of leave and stop; of repeat, what to say when the deadline is over
	wait    time.Duration    // of repeat: what the server asks for at least; 0: nothing
}

// serverError is the error object of an answer, in the shapes that servers use.
type serverError struct {
	Error  json.RawMessage `json:"error"`
	Detail json.RawMessage `json:"detail"`
}

type errorFields struct {
	Message, Param string
	Code, Type     any
}

// judge reads one attempt at labels.
func (c *Client) judge(ctx context.Context, x *exchange, p *prompt, used habit) (v verdict, err error) {
	return c.judgeBy(ctx, x, used, func(parts replyParts, v *verdict) { judgeAnswer(parts, p, used, v) })
}

// judgeBy reads one attempt, answer what a server answers with status 2xx. Nothing of a body passes into an error but codes
// of plain characters.
func (c *Client) judgeBy(ctx context.Context, x *exchange, used habit, answer func(replyParts, *verdict)) (v verdict, err error) {
	v.outcome = ledger.Outcome{Status: x.status, RequestID: plain(x.header.Get("x-request-id")), Kind: ledger.Failed}
	if x.status != 0 {
		x.at.met.Store(true)
	}
	var parts replyParts
	if x.whole {
		parts = split(x.body)
		if u, raw, err := ledger.ParseUsage(parts.usage); err == nil {
			v.outcome.Usage, v.outcome.RawUsage = &u, raw
		}
	}
	switch {
	case x.status == 0 && x.of == nil: // nothing was sent
		v.stop(fmt.Errorf("%w: the model's name is none of a chat model", ErrProvider))
		v.outcome.Kind = ledger.Unsent
	case x.status == 0 || !x.whole:
		c.judgeCut(ctx, x, &v)
	case x.status >= 200 && x.status < 300:
		c.key.took(x.key)
		answer(parts, &v)
	default:
		c.judgeStatus(ctx, x, used, &v)
	}
	if v.next == repeat { // while the call has its turn, which somebody else waits for: whoever's call it was, the endpoint wants to be left alone
		x.at.gate.pause(time.Now().Add(v.wait))
	}
	return v, c.priceOf(&v.outcome)
}

// priceOf settles an outcome's cost: by its usage; nothing where nothing can have been consumed; else unknown. A gateway
// that gives up says nothing of what its server did.
func (c *Client) priceOf(o *ledger.Outcome) error {
	free := c.price.Input == 0 && c.price.Output == 0
	gateway := o.Status == 502 || o.Status == 504 || o.Status >= 520 && o.Status < 528
	switch {
	case o.Usage != nil:
		cost, err := c.price.Cost(*o.Usage)
		if err != nil {
			return fmt.Errorf("llm: %w", err)
		}
		o.CostPico = &cost
	case free || o.Kind == ledger.Unsent || o.Kind == ledger.Failed && !gateway:
		o.CostPico = new(int64)
	}
	return nil
}

// replyParts are what is read of an answer: members of its JSON object as they stand, nil where there is none.
type replyParts struct{ model, print, choices, usage []byte }

// split finds them in whatever a server sends, each the first of its name. Of an object that does not end only the usage
// counts: it is paid for.
func split(body []byte) (parts replyParts) {
	whole := members(body, func(name, value []byte) {
		if part := parts.of(name); part != nil && *part == nil {
			*part = value
		}
	})
	if !whole {
		return replyParts{usage: parts.usage}
	}
	return parts
}

// members calls each with every member of a JSON object, and says whether the object ends. It looks into no value, as a
// decoder would read all of them, twice: they may be no JSON.
func members(object []byte, each func(name, value []byte)) (whole bool) {
	var name []byte
	depth, value := 0, -1 // value: where that of the last name begins
	for i := 0; i < len(object); i++ {
		switch object[i] {
		case '"':
			from := i + 1
			for i = from; i < len(object) && object[i] != '"'; i++ {
				if object[i] == '\\' {
					i++
				}
			}
			if depth == 1 && value < 0 && i < len(object) {
				name = object[from:i]
			}
		case ':':
			if depth == 1 && value < 0 {
				value = i + 1
			}
		case '{', '[':
			depth++
		case ',', '}', ']':
			if depth == 1 && value >= 0 {
				each(name, bytes.TrimSpace(object[value:i]))
				value = -1
			}
			if object[i] != ',' {
				depth--
			}
			if depth <= 0 {
				return depth == 0
			}
		}
	}
	if depth == 1 && value >= 0 {
		each(name, bytes.TrimSpace(object[value:]))
	}
	return false
}

func (r *replyParts) of(name []byte) *[]byte {
	switch string(name) {
	case "model":
		return &r.model
	case "system_fingerprint":
		return &r.print
	case "choices":
		return &r.choices
	case "usage":
		return &r.usage
	}
	return nil
}

func (v *verdict) stop(err error) { v.next, v.err = stop, err }

func (v *verdict) refuse(class, format string, args ...any) {
	v.next, v.err = leave, Refusal{class, fmt.Sprintf(format, args...)}
}

// judgeCut reads an attempt without a whole answer.
func (c *Client) judgeCut(ctx context.Context, x *exchange, v *verdict) {
	v.outcome.Kind = ledger.Cut
	if !x.left {
		v.outcome.Kind = ledger.Unsent
	}
	switch {
	case ctx.Err() != nil:
		v.stop(ctx.Err())
	case errors.Is(x.failed, errTooLarge):
		v.next, v.err = again, Refusal{"schema", fmt.Sprintf("the answer has more than %d bytes", maxBody)}
	case !x.at.met.Load() && hopeless(x.failed) != "":
		v.stop(fmt.Errorf("%w: %s: %s", ErrProvider, x.at.site.host, hopeless(x.failed)))
	default:
		v.next, v.err = repeat, errors.New("no answer from "+x.at.site.host)
	}
}

// hopeless says why an endpoint that nobody has met yet will not be met by waiting either: "" if it may.
func hopeless(err error) string {
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "no such host"
	case errors.As(err, &cert):
		return "its certificate does not hold"
	}
	return ""
}

// choice is what is read of a chat completion's choice.
type choice struct {
	content, refusal string // of a content that is a list, as some servers give, nothing is read
	finish           openai.FinishReason
	logProbs         *openai.LogProbs
}

// firstChoice reads the first of a list.
func firstChoice(list []byte) (c choice, ok bool) {
	object, ok := bytes.CutPrefix(list, []byte("["))
	whole := members(object, func(name, value []byte) {
		switch string(name) {
		case "message":
			members(value, func(name, value []byte) { // null, where a filter has cut it
				switch string(name) {
				case "content":
					c.content = text(value)
				case "refusal":
					c.refusal = text(value)
				}
			})
		case "finish_reason":
			c.finish = openai.FinishReason(text(value))
		case "logprobs":
			ok = ok && json.Unmarshal(value, &c.logProbs) == nil
		}
	})
	return c, ok && whole
}

// judgeAnswer reads an answer with status 2xx.
func judgeAnswer(parts replyParts, p *prompt, used habit, v *verdict) {
	choice, ok := firstChoice(parts.choices)
	v.outcome.ModelSeen, v.outcome.Print = plain(text(parts.model)), plain(text(parts.print))
	v.outcome.Kind = ledger.Refused
	if !ok {
		v.outcome.Kind = ledger.Schema
		v.next, v.err = again, Refusal{"schema", "the answer is no chat completion"}
		return
	}
	var tokens []openai.LogProb
	if choice.logProbs != nil {
		tokens = choice.logProbs.Content
	}
	labels, good, err := parseAnswer(choice.content, p.keys, used.mode, tokens)
	switch {
	case choice.finish == "content_filter":
		v.refuse("content-filter", "the provider's filter cut the answer")
	case choice.refusal != "":
		v.refuse("refusal", "the model declined")
	case err == nil || len(good) > 0 && choice.finish != "length":
		v.good, v.labels = make([]int, 0, len(good)), make([]taxonomy.Label, 0, len(good))
		for _, i := range good {
			v.good, v.labels = append(v.good, p.asked[i]), append(v.labels, labels[i])
		}
		v.outcome.Kind, v.outcome.Labels = ledger.Answered, v.labels
		if err != nil {
			v.next, v.err = again, Refusal{"schema", err.Error()}
		}
	case choice.finish == "length":
		v.refuse("length", "the answer did not end within %d tokens", p.maxTokens)
	default:
		v.outcome.Kind = ledger.Schema
		v.next, v.err = again, Refusal{"schema", err.Error()}
	}
}

// text is a JSON string; of anything else it is "".
func text(value []byte) (s string) {
	_ = json.Unmarshal(value, &s)
	return s
}

// judgeStatus reads an answer that is an HTTP error.
func (c *Client) judgeStatus(ctx context.Context, x *exchange, used habit, v *verdict) {
	e := readError(x.body)
	code := fmt.Sprintf("%v %v", orEmpty(e.Code), orEmpty(e.Type))
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(code, w) })
	}
	message := strings.ToLower(e.Message)
	says := func(words ...string) bool {
		return x.status < 500 && slices.ContainsFunc(words, func(w string) bool { return strings.Contains(message, w) })
	}
	at := fmt.Sprintf("%s: status %d", x.at.site.host, x.status)
	if id := v.outcome.RequestID; id != "" {
		at += ", request " + id
	}
	should := x.header.Get("x-should-retry")
	if x.status != 401 {
		c.key.took(x.key)
	} else if renewed, err := c.key.renew(ctx, x.key); err != nil {
		v.stop(err)
		return
	} else if renewed {
		v.next, v.err = adapt, fmt.Errorf("%w: %s (key)", ErrProvider, at)
		return
	}
	switch s := x.status; {
	case s == 403 && x.at.habits.learn(used, s, e.Message, e.Param): // the way to refuse log probabilities
		v.next, v.err = adapt, Refusal{"bad-request", fmt.Sprintf("status %d", s)}
	case s == 401 || s == 402 || s == 403 || has("insufficient_quota", "billing", "account_deactivated"):
		v.stop(fmt.Errorf("%w: %s (key, quota or right)", ErrProvider, at))
	case says("v1/responses", "not a chat model"):
		v.stop(fmt.Errorf("%w: %s (the model %s takes no chat completions: name one that does)", ErrProvider, at, plain(c.o.Model)))
	case s < 400 || s == 404 || s == 405 || s == 410:
		v.stop(fmt.Errorf("%w: %s (no such address or model)", ErrProvider, at))
	case has("content_filter", "content_policy", "invalid_prompt") || says("content management policy", "contentpolicyviolation"):
		v.outcome.Kind = ledger.Refused
		v.refuse("content-filter", "the provider's filter refused the report (status %d)", s)
	case s == 413 || has("context_length", "string_above_max_length", "exceed_context_size") || says(tooLong...) || strings.Contains(message, tooLargeToEmbed):
		v.refuse("length", "the report is too long for the model (status %d)", s)
	case x.at.habits.learn(used, s, e.Message, e.Param):
		v.next, v.err = adapt, Refusal{"bad-request", fmt.Sprintf("status %d", s)}
	case should != "false" && (s == 408 || s == 409 || s == 425 || s == 429 || s >= 500) || should == "true":
		v.next, v.wait, v.err = repeat, retryAfter(x.header, time.Now()), errors.New(at)
	case s == 408 || s == 409 || s == 425 || s == 429 || s >= 500:
		v.refuse("temporary", "status %d, and the server says not to try again", s)
	default:
		v.refuse("bad-request", "status %d", s)
	}
}

// tooLong are words of servers that have no code for it.
var tooLong = []string{"maximum context length", "context size", "context window", "maximum number of tokens", "prompt is too long"}

// tooLargeToEmbed are llama.cpp's words, with status 500, for a text to embed of more tokens than its n_ubatch.
const tooLargeToEmbed = "increase the physical batch size"

// readError takes the error out of a body, whatever its shape. A body of another kind gives its first bytes as message:
// they are searched for field names and never shown.
func readError(body []byte) (e errorFields) {
	var s serverError
	if json.Unmarshal(body, &s) == nil {
		if json.Unmarshal(s.Error, &e) == nil {
			return e
		}
		if len(s.Error)+len(s.Detail) > 0 {
			e.Message = string(s.Error) + string(s.Detail)
			return e
		}
		if json.Unmarshal(body, &e) == nil && e.Message != "" {
			return e
		}
	}
	e = errorFields{Message: string(body[:min(len(body), 4096)])}
	return e
}

func orEmpty(v any) any {
	if v == nil {
		return ""
	}
	return v
}

// plain lets a server's identifier through if it is one.
func plain(s string) string {
	odd := func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._:/@-", c))
	}
	if len(s) > 100 || strings.ContainsFunc(s, odd) {
		return ""
	}
	return s
}
