package llm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"silverbeam/pkg/taxonomy"
)

// The shapes in which servers say no, after what they document and what was seen of them; ids and sums are made up.
func TestRefusalsInServersOwnShapes(t *testing.T) {
	keys := newPrompt(ctRate(t), nil, "").keys
	for name, c := range map[string]struct {
		answer step
		want   string // class of a refusal, "stop", or ""
		tries  int
	}{
		"OpenAI, declined":          {step{200, "", `{"choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":"I can't help.","annotations":[]},"logprobs":null,"finish_reason":"stop"}]` + usage + `}`}, "refusal", 1},
		"OpenAI, cut by length":     {step{200, "", chat(`{"a":"P","b":"`, "length", "")}, "length", 1},
		"OpenAI, cut by filter":     {step{200, "", chat(`{"a":"P"`, "content_filter", "")}, "content-filter", 1},
		"OpenAI, flagged":           {step{400, "", `{"error":{"message":"Invalid prompt: your prompt was flagged as potentially violating our usage policy.","type":"invalid_request_error","param":null,"code":"invalid_prompt"}}`}, "content-filter", 1},
		"OpenAI, too long":          {step{400, "", `{"error":{"message":"This model's maximum context length is 128000 tokens. However, your messages resulted in 130012 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`}, "length", 1},
		"OpenAI, string too long":   {step{400, "", `{"error":{"message":"Invalid 'messages[1].content': string too long.","type":"invalid_request_error","param":"messages[1].content","code":"string_above_max_length"}}`}, "length", 1},
		"OpenAI, no money":          {step{429, "", `{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`}, "stop", 1},
		"OpenAI, slow down":         {step{429, "Retry-After: 0\nx-ratelimit-remaining-tokens: 0", `{"error":{"message":"Rate limit reached for gpt-4.1-mini","type":"tokens","param":null,"code":"rate_limit_exceeded"}}`}, "", 2},
		"OpenAI, only responses":    {step{404, "", `{"error":{"message":"This model is only supported in v1/responses and not in v1/chat/completions.","type":"invalid_request_error","param":"model","code":null}}`}, "stop", 1},
		"OpenAI, no chat model":     {step{404, "", `{"error":{"message":"This is not a chat model and thus not supported in the v1/chat/completions endpoint.","type":"invalid_request_error","param":"model","code":null}}`}, "stop", 1},
		"Azure, filtered":           {step{400, "", `{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"violence":{"filtered":true,"severity":"medium"}}}}}`}, "content-filter", 1},
		"Azure, no such deployment": {step{404, "", `{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}`}, "stop", 1},
		"Azure, key":                {step{401, "", `{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint."}}`}, "stop", 1},
		"Azure, slow down":          {step{429, "Retry-After: 0", `{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation have exceeded token rate limit of your pricing tier. Please retry after 26 seconds."}}`}, "", 2},
		"LiteLLM, filtered":         {step{400, "", `{"error":{"message":"litellm.BadRequestError: litellm.ContentPolicyViolationError: filtered","type":null,"param":null,"code":"400"}}`}, "content-filter", 1},
		"vLLM, too long":            {step{400, "", `{"object":"error","message":"This model's maximum context length is 2048 tokens. However, you requested 3000 tokens (2700 in the messages, 300 in the completion).","type":"BadRequestError","param":null,"code":400}`}, "length", 1},
		"vLLM, too long, newer":     {step{400, "", `{"error":{"message":"This model's maximum context length is 2048 tokens. However, your request has 2700 input tokens.","type":"BadRequestError","param":"input_tokens","code":400}}`}, "length", 1},
		"vLLM, no log probs":        {step{400, "", `{"object":"error","message":"Requested sample logprobs of 5, which is greater than max allowed: 0","type":"BadRequestError","param":null,"code":400}`}, "", 2},
		"llama.cpp, too long":       {step{400, "", `{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error","n_prompt_tokens":4096,"n_ctx":2048}}`}, "length", 1},
		"llama.cpp, schema":         {step{500, "", `{"error":{"code":500,"message":"Unsupported response_format type: json_schema","type":"server_error"}}`}, "", 2},
		"llama.cpp, still loading":  {step{503, "", `{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}`}, "", 2},
		"Ollama, no such model":     {step{404, "", `{"error":{"message":"model \"x\" not found, try pulling it first","type":"api_error","param":null,"code":null}}`}, "stop", 1},
		"Anthropic, overloaded":     {step{529, "", `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`}, "", 2},
		"Anthropic, too long":       {step{400, "", `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 208310 tokens > 200000 maximum"}}`}, "length", 1},
		"Gemini, exhausted":         {step{429, "", `[{"error":{"code":429,"message":"Resource has been exhausted (e.g. check quota).","status":"RESOURCE_EXHAUSTED"}}]`}, "", 2},
		"Gemini, too long":          {step{400, "", `[{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}]`}, "length", 1},
		"nginx, slow down":          {step{429, "Content-Type: text/html", "<html>\r\n<head><title>429 Too Many Requests</title></head>\r\n<body>\r\n<center><h1>429 Too Many Requests</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"}, "", 2},
		"nginx, too large":          {step{413, "Content-Type: text/html", "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n</html>\r\n"}, "length", 1},
		"nginx, nobody behind it":   {step{502, "Content-Type: text/html", "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n</html>\r\n"}, "", 2},
		"a model that chats":        {step{200, "", chat("Certainly! Here is the assessment: the patient has no effusion.", "stop", "")}, "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, s := play(t, Options{}, c.answer)
				labels, err := b.Label(t.Context(), Call{"b", "s", "1", report(1), nil})
				got := ""
				var no Refusal
				switch {
				case errors.As(err, &no):
					got = no.Class
				case errors.Is(err, ErrProvider):
					got = "stop"
				case err != nil || len(labels) != len(keys):
					t.Fatal(labels, err)
				}
				if got != c.want || s.sent() != c.tries {
					t.Errorf("%q after %d tries, want %q after %d: %v", got, s.sent(), c.want, c.tries, err)
				}
				if err != nil && strings.Contains(name, "chat model") != strings.Contains(err.Error(), "takes no chat completions") && name != "OpenAI, only responses" {
					t.Error(err)
				}
			})
		})
	}
}

// What is asked for is what the prompt's own reader needs, for any number of findings: each finding has the code for "not
// mentioned", so that nothing is forced on a model; codes are one letter, so that a token holds each; keys stand in one
// order throughout. The bound of the answer holds it however it is laid out: a token is at least a byte.
func TestTheSchemaLeavesAWayOut(t *testing.T) {
	for _, n := range []int{1, 18, 26, 27, 80, 250, 702} {
		var tax taxonomy.Taxonomy
		for i := range n {
			tax.Findings = append(tax.Findings, taxonomy.Finding{Name: fmt.Sprint("finding ", i)})
		}
		p := newPrompt(&tax, nil, "m")
		var schema struct {
			Properties map[string]struct {
				Type string
				Enum []string
			}
			Required             []string
			AdditionalProperties *bool
		}
		if err := json.Unmarshal(p.schema, &schema); err != nil {
			t.Fatal(err)
		}
		if len(schema.Properties) != n || !slices.Equal(schema.Required, p.keys) || schema.AdditionalProperties == nil || *schema.AdditionalProperties {
			t.Errorf("%d findings: %d properties, required %v", n, len(schema.Properties), schema.Required)
		}
		last, lastTold := -1, -1
		answer := map[string]string{}
		for _, k := range p.keys {
			if e := schema.Properties[k].Enum; !slices.Contains(e, "B") || len(e) != len(codes) || slices.ContainsFunc(e, func(c string) bool { return len(c) != 1 || codes[c].P == 0 }) {
				t.Errorf("key %s: %v", k, e)
			}
			at, told := strings.Index(string(p.schema), `"`+k+`":{`), strings.Index(p.system[strictSchema], "\n"+k+"  ")
			if at <= last || told <= lastTold {
				t.Errorf("key %s is out of order", k)
			}
			last, lastTold, answer[k] = at, told, "B"
		}
		widest, err := json.MarshalIndent(answer, "", "  ")
		if err != nil || int64(len("```json\n")+len(widest)+len("\n```\n")) > p.maxTokens {
			t.Errorf("%d findings: an answer of %d bytes may not end within %d tokens", n, len(widest), p.maxTokens)
		}
	}
}

func TestFirstChoice(t *testing.T) {
	for list, want := range map[string]choice{
		`[ {"index":0,"message":{"role":"assistant","content":"{\"a\":\"P\"}","refusal":null},"finish_reason":"stop"} , {"message":{"content":"b"}}]`: {content: `{"a":"P"}`, finish: "stop"},
		`[{"message":null,"finish_reason":"content_filter"}]`:                    {finish: "content_filter"},
		`[{"message":{"content":["a"],"refusal":"no"},"logprobs":null}]`:         {refusal: "no"},
		`[{"finish_reason":1,"message":{"x":{"content":"a"}, "content" : "b"}}]`: {content: "b"},
	} {
		if got, ok := firstChoice([]byte(list)); !ok || got != want {
			t.Errorf("%s: %+v, %v", list, got, ok)
		}
	}
	for _, none := range []string{"", "null", "[]", "[null]", `{"message":{"content":"a"}}`, `[{"message":{"content":"a"}`, `[{"logprobs":1}]`} {
		if got, ok := firstChoice([]byte(none)); ok {
			t.Errorf("%s: %+v", none, got)
		}
	}
	if got := split([]byte(`{"choices":[{}],"usage":{"prompt_tokens":1}`)); got.choices != nil || string(got.usage) != `{"prompt_tokens":1}` {
		t.Errorf("cut short: %+v", got)
	}
}

// Parts of a reply are what encoding/json finds, where they stand once.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{`{"a":{"usage":{"x":1}},"usage":{"prompt_tokens":1}}`, `{"usage":null}`, `{"t":"\"usage\":{}","usage" : {"a":[{}]} }`, `{"usage":{"a":1}`, `[{"usage":{}}]`, `{"x":"usage","usage":{"b":"}"}}`, `"\`, `{"usage"`, `{"usage":{}}{`,
		`{"model":"m","choices":[{"a":[1,2],"b":",:{"},{}],"system_fingerprint":"model"}`, `{"choices":[],"model" : 1 ,"usage":{}}`, `{"choices":[1`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := split(b)
		var all map[string]json.RawMessage
		if json.Unmarshal(b, &all) != nil || bytes.Contains(b, []byte(`\`)) { // or a name is spelled in another way
			return
		}
		for name, part := range map[string][]byte{"model": got.model, "system_fingerprint": got.print, "choices": got.choices, "usage": got.usage} {
			if bytes.Count(b, []byte(`"`+name+`"`)) < 2 && !bytes.Equal(part, all[name]) {
				t.Errorf("%s: %s is %s, want %s", b, name, part, all[name])
			}
		}
	})
}
