package ledger

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// list is made by hand, in the shape of LiteLLM's file; the figures are of no vendor.
const list = `{
 "sample_spec": {"mode": "one of: chat, embedding", "input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
 "plain": {"mode": "chat", "litellm_provider": "one", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1.5e-05},
 "one/full": {"mode": "chat", "litellm_provider": "one", "input_cost_per_token": 3e-07, "cache_read_input_token_cost": 3e-08,
   "cache_creation_input_token_cost": 3.75e-7, "output_cost_per_token": 0.0000012, "input_cost_per_token_batches": 1.5e-07, "output_cost_per_token_batches": 6e-07,
   "cache_read_input_token_cost_batches": 1.5e-08, "input_cost_per_token_above_200k_tokens": 6e-07, "output_cost_per_token_above_200k_tokens": 1.8e-06,
   "cache_read_input_token_cost_above_200k_tokens": 6e-08, "input_cost_per_token_above_200k_tokens_batches": 3e-07,
   "input_cost_per_token_priority": 9e-07, "input_cost_per_audio_token": 1e-06, "search_context_cost_per_query": {"low": 0.01}, "max_tokens": 8192},
 "finest": {"mode": "chat", "litellm_provider": "one", "input_cost_per_token": 1e-12, "output_cost_per_token": 3.88126e-07},
 "embedding": {"mode": "embedding", "litellm_provider": "one", "input_cost_per_token": 1e-08, "output_cost_per_token": 0},
 "nil": {"mode": "chat", "litellm_provider": "one"},
 "zero": {"mode": "chat", "litellm_provider": "one", "input_cost_per_token": 0, "output_cost_per_token": 0},
 "tiers": {"mode": "chat", "litellm_provider": "one", "tiered_pricing": [{"input_cost_per_token": 5e-08, "range": [0, 256000.0]}]},
 "too-fine": {"mode": "chat", "litellm_provider": "one", "input_cost_per_token": 1.23456789e-07, "output_cost_per_token": 1e-06},
 "float": {"mode": "chat", "litellm_provider": "one", "input_cost_per_token": 7.000000000000001e-08, "output_cost_per_token": 1e-06},
 "text": {"mode": "chat", "litellm_provider": "one", "input_cost_per_token": "1e-06", "output_cost_per_token": 1e-06},
 "huge": {"mode": "chat", "litellm_provider": "one", "input_cost_per_token": 1e999999999, "output_cost_per_token": 1e-06},
 "request": {"mode": "chat", "litellm_provider": "one", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06, "input_cost_per_request": 0.005},
 "thinker": {"mode": "chat", "litellm_provider": "one", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06, "output_cost_per_reasoning_token": 3e-06},
 "steps": {"mode": "chat", "litellm_provider": "one", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06, "input_cost_per_token_above_128k_tokens": 2e-06, "input_cost_per_token_above_200k_tokens": 3e-06},
 "odd-cache": {"mode": "chat", "litellm_provider": "one", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06, "cache_read_input_token_cost": 1e-07,
   "input_cost_per_token_above_200k_tokens": 2e-06, "output_cost_per_token_above_200k_tokens": 2e-06, "cache_read_input_token_cost_above_200k_tokens": 5e-07},
 "shared": {"mode": "chat", "litellm_provider": "maker", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06},
 "two/shared": {"mode": "chat", "litellm_provider": "two", "input_cost_per_token": 4e-06, "output_cost_per_token": 4e-06},
 "two/open": {"mode": "chat", "litellm_provider": "two", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06},
 "one/open": {"mode": "chat", "litellm_provider": "one", "input_cost_per_token": 2e-06, "output_cost_per_token": 1e-06}
}`

func TestImportOfPrices(t *testing.T) {
	day := time.Date(2026, 11, 26, 13, 0, 0, 0, time.UTC)
	for provider, want := range map[string]struct {
		rows string // without source and date
		left string
	}{
		"": {`finest@2026-11-26,finest,2026-11-26,USD,0.000001,,,0.388126,,,,,,
full@2026-11-26,full,2026-11-26,USD,0.3,0.03,0.375,1.2,0.15,0.6,0.015,200000,0.6,1.8
plain@2026-11-26,plain,2026-11-26,USD,2.5,,,15,,,,,,
shared@2026-11-26,shared,2026-11-26,USD,1,,,1,,,,,,
`, `float: input_cost_per_token has more than six decimals per million tokens
huge: input_cost_per_token is not a plain number
nil: no price of a token
odd-cache: no column for its cache_read_input_token_cost_above_200k_tokens
request: no column for its input_cost_per_request
steps: several thresholds
text: input_cost_per_token is not a plain number
thinker: no column for its output_cost_per_reasoning_token
tiers: tiered prices only
too-fine: input_cost_per_token has more than six decimals per million tokens
zero: a price of zero
open: providers differ in its price: name one
`},
		"two": {`open@2026-11-26,open,2026-11-26,USD,1,,,1,,,,,,
shared@2026-11-26,shared,2026-11-26,USD,4,,,4,,,,,,
`, ""},
	} {
		var b strings.Builder
		rows, left, err := ImportLiteLLM(&b, []byte(list), provider, day)
		if err != nil || rows != strings.Count(want.rows, "\n") {
			t.Fatal(rows, err)
		}
		path := filepath.Join(t.TempDir(), "p.csv")
		os.WriteFile(path, []byte(b.String()), 0o600)
		p, err := ReadPrices(path)
		if err != nil {
			t.Fatal(err)
		}
		var named strings.Builder
		for _, l := range left {
			named.WriteString(l.Model + ": " + l.Why + "\n")
		}
		_, got, _ := strings.Cut(b.String(), "\n")
		got = strings.ReplaceAll(got, ",\"LiteLLM's list, sha256 "+got[strings.Index(got, "sha256 ")+7:][:16]+"\",2026-11-26", "")
		if got != want.rows || named.String() != want.left {
			t.Errorf("%q:\n%s%s", provider, got, named.String())
		}
		for _, r := range p.rows {
			if _, err := p.Find(r.Model, day); err != nil {
				t.Error(err)
			}
		}
	}
	for _, bad := range []string{"", "[]", `{"a":1}`, `{"a":{}`} {
		if _, _, err := ImportLiteLLM(&strings.Builder{}, []byte(bad), "", day); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}
