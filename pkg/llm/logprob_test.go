package llm

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	openai "github.com/sashabaranov/go-openai"
)

// token is one of an answer, with alternatives "text=probability".
func token(text string, alternatives ...string) openai.LogProb {
	t := openai.LogProb{Token: text, LogProb: -1000}
	for _, a := range alternatives {
		text, p, _ := strings.Cut(a, "=")
		var q float64
		fmt.Sscan(p, &q)
		if text == "" { // its own, beyond the list
			t.LogProb = math.Log(q)
			continue
		}
		t.TopLogProbs = append(t.TopLogProbs, openai.TopLogProbs{Token: text, LogProb: math.Log(q)})
	}
	return t
}

// Expected values are shares worked out by hand.
func TestProbabilitiesOfTokens(t *testing.T) {
	for name, c := range map[string]struct {
		tokens []openai.LogProb
		m      mode
		want   [2]float64 // of a and b; 0: what stands for the code
	}{
		"letters alone": {[]openai.LogProb{token(`{"`), token("a"), token(`":"`), token("P", "P=0.9", "N=0.05", "U=0.04", "B=0.01"), token(`","`), token("b"), token(`":"`),
			token("N", "N=0.6", "U=0.2", "P=0.1", "B=0.1"), token(`"}`)}, strictSchema, [2]float64{0.92, 0.2}},
		"a token with its quotes, others that are no code": {[]openai.LogProb{token(`{"a":`), token(`"P"`, `"P"=0.5`, `"N"=0.25`, `"U"=0.1`, `"B"=0.1`, `P=0.05`), token(`,"b":`),
			token(`"B"`, `"B"=0.7`, `"P=0.2`, `"N"=0.05`, `"U"=0.05`), token("}")}, strictSchema, [2]float64{0.55 / 0.95, 0.225}},
		"two spellings of a code": {[]openai.LogProb{token(`{"a":"`), token(`P`, `P=0.4`, `P"=0.2`, `N=0.2`, `U=0.1`, `B=0.1`), token(`","b":"N"}`)}, strictSchema, [2]float64{0.65, 0}},
		"a class beyond the list counts as half its bound, that of the least": {[]openai.LogProb{token(`{"a":"`), token("N", "N=0.7", "B=0.1", "U=0.1"), token(`","b":"N"}`)},
			strictSchema, [2]float64{(0.05 + 0.05) / 0.95, 0}}, // left 0.1, least 0.1: P counts 0.05
		"and that of what is left": {[]openai.LogProb{token(`{"a":"`), token("P", "P=0.94", "N=0.04"), token(`","b":"N"}`)},
			strictSchema, [2]float64{(0.94 + 0.005) / (0.98 + 0.02), 0}}, // left 0.02: U and B count 0.01 each
		"a code that the schema forced": {[]openai.LogProb{token(`{"a":"`), token("P", "The=0.5", "heart=0.3", "A=0.1", "=0.04"), token(`","b":"N"}`)},
			strictSchema, [2]float64{(0.04 + 0.01) / (0.04 + 3*0.02), 0}}, // left 0.06, least 0.04: the others count 0.02 each
		"words that begin as codes do":     {[]openai.LogProb{token(`{"a":"`), token("P", "P=0.4", "N=0.2", "U=0.1", "B=0.1", "No=0.15", "Pé=0.05"), token(`","b":"N"}`)}, strictSchema, [2]float64{0.45 / 0.8, 0}},
		"a line":                           {[]openai.LogProb{token("a="), token("P", "P=0.8", "N=0.1", "U=0.05", "B=0.05"), token(" b=U")}, oneLine, [2]float64{0.825, 0}},
		"a fence, and space":               {[]openai.LogProb{token("```json\n"), token(`{"a": "`), token("P", "P=0.8", "N=0.1", "U=0.05", "B=0.05"), token("\", \"b\": \"U\"}\n```")}, anyObject, [2]float64{0.825, 0}},
		"a fence that the server took off": {[]openai.LogProb{token("```"), token("json\n"), token(`{"a":"`), token("P", "P=0.8", "N=0.1", "U=0.05", "B=0.05"), token(`","b":"U"}`), token("\n```"), token("")}, strictSchema, [2]float64{0.825, 0}},
		"another order":                    {[]openai.LogProb{token(`{"b":"`), token("N", "N=0.8", "P=0.1", "U=0.05", "B=0.05"), token(`","a":"`), token("P", "P=0.7", "N=0.1", "U=0.1", "B=0.1"), token(`"}`)}, anyObject, [2]float64{0.75, 0.125}},
		"certain, and not 1":               {[]openai.LogProb{token(`{"a":"`), token("P", "P=1"), token(`","b":"N"}`)}, strictSchema, [2]float64{1 - 1e-6, 0}},
		"none given":                       {nil, strictSchema, [2]float64{}},
		"no alternatives":                  {[]openai.LogProb{token(`{"a":"P","b":"N"}`)}, strictSchema, [2]float64{}},
		"of another text":                  {[]openai.LogProb{token("P", "P=1")}, strictSchema, [2]float64{}},
		"no probability":                   {[]openai.LogProb{token(`{"a":"`), token("P", "P=7"), token(`","b":"N"}`)}, strictSchema, [2]float64{}},
		"none of them a code":              {[]openai.LogProb{token(`{"a":"`), token("P", "x=1"), token(`","b":"N"}`)}, strictSchema, [2]float64{}},
		"minus infinity is no":             {[]openai.LogProb{token(`{"a":"`), token("P", "P=0.8", "N=0.2", "U=0", "B=0"), token(`","b":"N"}`)}, strictSchema, [2]float64{0.8, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			content := `{"a":"P","b":"N"}`
			if c.tokens != nil && name != "of another text" {
				content = ""
				for _, tok := range c.tokens {
					content += tok.Token
				}
				if strings.HasSuffix(name, "took off") {
					content = strings.Trim(content, "`json\n")
				}
			}
			labels, _, err := parseAnswer(content, []string{"a", "b"}, c.m, c.tokens)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range c.want {
				if want == 0 {
					want = map[bool]float64{true: pPresent, false: float64(codes[map[int]string{-2: "B", -1: "U", 0: "N", 1: "P"}[int(labels[i].State)]].P)}[labels[i].State == 1]
				}
				if got := float64(labels[i].P); math.Abs(got-want) > 1e-6 {
					t.Errorf("finding %d: %g, want %g", i, got, want)
				}
			}
		})
	}
}

// Probabilities are asked for of models that give them, and not again of a server that has refused them, in any of the ways
// that servers do.
func TestLogProbabilitiesAreAskedForAndForgone(t *testing.T) {
	const asked = `"logprobs":true`
	for name, c := range map[string]struct {
		model string
		steps []step
		want  []bool // by request
	}{
		"a plain model":       {"gpt-4.1-mini", nil, []bool{true, true}},
		"one that thinks":     {"gpt-5-mini", nil, []bool{false, false}},
		"400, by its field":   {"gpt-4.1-mini", []step{{400, "", `{"error":{"message":"Unsupported parameter","param":"logprobs","code":"unsupported_parameter"}}`}}, []bool{true, false, false}},
		"400, in words":       {"gpt-4.1-mini", []step{{400, "", `{"error":{"message":"'top_logprobs' is not supported with this model"}}`}}, []bool{true, false, false}},
		"403":                 {"gpt-4.1-mini", []step{{403, "", `{"error":{"message":"You are not allowed to request logprobs from this model","type":"invalid_request_error"}}`}}, []bool{true, false, false}},
		"500":                 {"gpt-4.1-mini", []step{{500, "", `{"error":{"message":"logprobs is not supported unless logits_all is set"}}`}}, []bool{true, false, false}},
		"422, as pydantic":    {"gpt-4.1-mini", []step{{422, "", `{"detail":[{"loc":["body","logprobs"],"msg":"Extra inputs are not permitted"}]}`}}, []bool{true, false, false}},
		"null, like a silent": {"gpt-4.1-mini", []step{{200, "", strings.Replace(good(newPrompt(ctRate(t), nil, "").keys), `"finish_reason"`, `"logprobs":null,"finish_reason"`, 1)}}, []bool{true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			b, s := play(t, Options{Model: c.model}, c.steps...)
			for i := range 2 {
				if _, err := b.Label(t.Context(), Call{"b", "s", fmt.Sprint(i), report(i), nil}); err != nil {
					t.Fatal(err)
				}
			}
			var got []bool
			for _, body := range s.bodies {
				got = append(got, strings.Contains(body, asked) && strings.Contains(body, `"top_logprobs":5`))
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("asked for: %v, want %v", got, c.want)
			}
		})
	}
}

// What a server says of its tokens is in the label, in the store, and the same when it comes from there.
func TestProbabilitiesAreKept(t *testing.T) {
	keys := newPrompt(ctRate(t), nil, "").keys
	tokens := []openai.LogProb{token(`{"a":"`), token("N", "N=0.5", "P=0.25", "U=0.125", "B=0.125"), token(strings.TrimPrefix(allN(keys), `{"a":"N`))}
	logprobs, err := json.Marshal(openai.LogProbs{Content: tokens})
	if err != nil {
		t.Fatal(err)
	}
	b, s := play(t, Options{}, step{200, "", strings.Replace(good(keys), `"finish_reason"`, `"logprobs":`+string(logprobs)+`,"finish_reason"`, 1)})
	for range 2 {
		labels, err := b.Label(t.Context(), Call{"b", "s", "1", report(1), nil})
		if err != nil || math.Abs(float64(labels[0].P)-0.3125) > 1e-6 || labels[1].P != pAbsent || s.sent() != 1 {
			t.Errorf("%v, %v", labels[:2], err)
		}
	}
}
