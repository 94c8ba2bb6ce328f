package ledger

import (
	"errors"
	"testing"
	"time"
)

// Each case is a fault that some other program's accounting had (LiteLLM, headroom, curator, instructor: the numbers are
// those of their issues), at a price of 2.00 dollars a million tokens, 0.20 cached, 2.50 to write, 10.00 for output; in
// batches 1.00, 0.10 and 5.00. The right cost is multiplied out by hand, in millionths of a dollar; wrong is what the
// fault would have booked.
func TestFaultsOfOthers(t *testing.T) {
	p, err := ReadPrices(write(t, "x,m,2026-01-01,USD,2,0.2,2.5,10,1,5,0.1,,,,s,d", "y,flat,2026-01-01,USD,2,,,10,1,5,,,,,s,d", "z,zero,2026-01-01,USD,0,,,0,,,,,,,s,d"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		model, usage string
		batch        bool
		right, wrong int64
	}{
		"cached tokens at the full price (LiteLLM 6215, 11364, 26807)":           {"m", `{"prompt_tokens":1000,"completion_tokens":100,"prompt_tokens_details":{"cached_tokens":900}}`, false, 100*2 + 180 + 1000, 1000*2 + 1000},
		"cached tokens billed twice, in the prompt and beside it (14849, 14874)": {"m", `{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,"prompt_tokens_details":{"cached_tokens":900},"cache_read_input_tokens":900}`, false, 100*2 + 180 + 1000, 1000*2 + 180 + 1000},
		"a cache counted beside the prompt, and lost":                            {"m", `{"input_tokens":100,"output_tokens":100,"cache_read_input_tokens":900,"cache_creation_input_tokens":200}`, false, 100*2 + 180 + 500 + 1000, 100*2 + 1000},
		"a prompt without its cached part: a negative rest, a cost of None ($0)": {"m", `{"prompt_tokens":100,"completion_tokens":100,"prompt_tokens_details":{"cached_tokens":900}}`, false, 100*2 + 180 + 1000, 0},
		"cached tokens at the full price of a batch (19704, 38341)":              {"m", `{"prompt_tokens":1000,"completion_tokens":100,"prompt_tokens_details":{"cached_tokens":900}}`, true, 100 + 90 + 500, 1000 + 500},
		"a batch at half of all, also where nobody says that discounts add up":   {"flat", `{"prompt_tokens":1000,"completion_tokens":100,"prompt_tokens_details":{"cached_tokens":900}}`, true, 1000 + 500, 550},
		"a cache that was written, at the plain price":                           {"m", `{"prompt_tokens":1000,"completion_tokens":100,"prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":800}}`, false, 200*2 + 2000 + 1000, 1000*2 + 1000},
		"thoughts that only the total counts":                                    {"m", `{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1400}`, false, 1000*2 + 4000, 1000*2 + 1000},
		"thoughts counted twice":                                                 {"m", `{"prompt_tokens":1000,"completion_tokens":400,"total_tokens":1400,"completion_tokens_details":{"reasoning_tokens":300}}`, false, 1000*2 + 4000, 1000*2 + 7000},
		"an answer of no use, unbilled as its attempt failed (instructor 2056)":  {"m", `{"prompt_tokens":1000,"completion_tokens":0}`, false, 2000, 0},
		"a price for a million tokens taken for one of a token (LiteLLM 20615)":  {"m", `{"prompt_tokens":1,"completion_tokens":0}`, false, 2, 2_000_000},
		"no price is known of cached tokens: the full one, not none":             {"flat", `{"prompt_tokens":1000,"completion_tokens":0,"prompt_tokens_details":{"cached_tokens":900}}`, false, 2000, 200},
	} {
		price, err := p.Find(c.model, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if c.batch {
			price, _ = price.Batch()
		}
		u, _, err := ParseUsage([]byte(c.usage))
		got, err2 := price.Cost(u)
		if err != nil || err2 != nil || got != c.right*1_000_000 {
			t.Errorf("%s: %d millionths, want %d; the fault gives %d (%v, %v)", name, got/1_000_000, c.right, c.wrong, err, err2)
		}
	}
	for _, model := range []string{"unknown", "zero"} { // curator: $0
		if _, err := p.Find(model, time.Now()); !errors.Is(err, ErrNoPrice) {
			t.Errorf("a model that is %s: %v", model, err)
		}
	}
	if price, _ := p.Find("zero", time.Now()); price.ID != "" {
		t.Error("a price of zero came with the error")
	}
}
