package ledger

import (
	"cmp"
	"errors"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestMoneyAgreesWithBigIntegers(t *testing.T) {
	check := func(t *rapid.T, what string, got int64, err error, want *big.Int) {
		if want.IsInt64() != (err == nil) || err == nil && got != want.Int64() || err != nil && !errors.Is(err, ErrOverflow) {
			t.Errorf("%s: %d, %v; want %s", what, got, err, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		edge := rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{0, 1, -1, math.MaxInt64, math.MinInt64, math.MaxInt64 / 2, 3037000500}))
		a, b := edge.Draw(t, "a"), edge.Draw(t, "b")
		s, err := Add(a, b)
		check(t, "sum", s, err, new(big.Int).Add(big.NewInt(a), big.NewInt(b)))
		p, err := Mul(a, b)
		check(t, "product", p, err, new(big.Int).Mul(big.NewInt(a), big.NewInt(b)))
	})
}

func TestDecimals(t *testing.T) {
	for in, want := range map[string]int64{"0.40": 400_000, "2": 2_000_000, "0.388126": 388_126, "0": 0, "0.000001": 1, "12.5": 12_500_000} {
		if got, err := ParsePrice(in); err != nil || got != want {
			t.Errorf("%s: %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", ".5", "1.", "-1", "+1", "1e3", "1,5", " 1", "0.0000001", "0x10", "NaN", "9999999999999999999"} {
		if got, err := ParsePrice(in); err == nil {
			t.Errorf("%q was read as %d", in, got)
		}
	}
	for pico, want := range map[int64]string{0: "0.000000000000", 123456789012: "0.123456789012", -1: "-0.000000000001", math.MinInt64: "-9223372.036854775808"} {
		if got := USD(pico); got != want {
			t.Errorf("%d: %s", pico, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, math.MaxInt64).Draw(t, "n")
		if back, err := ParseUSD(USD(n)); err != nil || back != n {
			t.Errorf("%d comes back as %d, %v", n, back, err)
		}
	})
}

func write(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "prices.csv")
	if err := os.WriteFile(path, []byte(strings.Join(append([]string{strings.Join(priceColumns, ",")}, lines...), "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPriceFilesAreReadStrictly(t *testing.T) {
	for name, c := range map[string]struct{ line, want string }{
		"seven decimals":  {"x,m,2026-01-01,USD,0.1234567,,,1,,,,,,,s,d", `line 2: x: input "0.1234567" has more than 6 decimals`},
		"another money":   {"x,m,2026-01-01,EUR,1,,,1,,,,,,,s,d", `line 2: x: currency "EUR"; only USD is kept, and USD/h`},
		"an hour's token": {"x,m,2026-01-01,USD/h,4,,,1,,,,,,,s,d", `line 2: x: currency USD/h: input is the price of an hour, and the columns after it up to source are empty`},
		"an hour of none": {"x,m,2026-01-01,USD/h,,,,,,,,,,,s,d", `line 2: x: input "" is not a plain decimal`},
		"no output price": {"x,m,2026-01-01,USD,1,,,,,,,,,,s,d", "line 2: x: input and output must be given"},
		"a bad date":      {"x,m,1.2.26,USD,1,,,1,,,,,,,s,d", `line 2: x: effective_from "1.2.26" is not a date like 2026-11-23`},
		"half a tier":     {"x,m,2026-01-01,USD,1,,,1,,,,100,2,,s,d", "line 2: x: threshold_tokens needs input_over and output_over"},
		"a float":         {"x,m,2026-01-01,USD,1e-6,,,1,,,,,,,s,d", `line 2: x: input "1e-6" is not a plain decimal`},
		"a double":        {"x,m,2026-01-01,USD,1,,,1,,,,,,,s,d\ny,m,2026-01-01,USD,1,,,1,,,,,,,s,d", "line 3: model m from 2026-01-01 stands on line 2 already"},
	} {
		if _, err := ReadPrices(write(t, c.line)); err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	path := filepath.Join(t.TempDir(), "p.csv")
	os.WriteFile(path, []byte("model,input,output\n"), 0o600)
	if _, err := ReadPrices(path); err == nil || !strings.Contains(err.Error(), "line 1: the header must be price_id,") {
		t.Error(err)
	}
}

func TestThePriceOfADay(t *testing.T) {
	p, err := ReadPrices(write(t, "old,m,2026-01-01,USD,1,,,2,,,,,,,s,d", "new,m,2026-06-01,USD,3,,,4,,,,,,,s,d", "nil,z,2026-01-01,USD,0,,,0,,,,,,,s,d"))
	if err != nil {
		t.Fatal(err)
	}
	day := func(s string) time.Time { d, _ := time.Parse(time.DateOnly, s); return d }
	for at, id := range map[string]string{"2025-12-31": "", "2026-01-01": "old", "2026-05-31": "old", "2026-06-01": "new", "2030-01-01": "new"} {
		if got, err := p.Find("m", day(at)); got.ID != id || (err == nil) != (id != "") {
			t.Errorf("%s: %s, %v", at, got.ID, err)
		}
	}
	if _, err := p.Find("z", day("2026-01-01")); !errors.Is(err, ErrNoPrice) {
		t.Error("a price of zero: ", err)
	}
	if _, err := p.Find("M", day("2026-01-01")); !errors.Is(err, ErrNoPrice) {
		t.Error("an unknown model: ", err)
	}
}

func TestTheBuiltInPrices(t *testing.T) {
	p, err := ReadPrices("")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range p.rows {
		if q, err := p.Find(r.Model, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)); err != nil || q.ID != r.ID || r.Cached > r.Input {
			t.Errorf("%s: %v", r.ID, err)
		}
	}
	if len(p.rows) < 25 || !strings.HasPrefix(p.Digest, "sha256:") || len(p.Digest) != 71 {
		t.Errorf("%d rows, digest %s", len(p.rows), p.Digest)
	}
}

// The worked prices are multiplied out by hand.
func TestCostOfAnAttempt(t *testing.T) {
	p := Price{Input: 10, Cached: 3, CacheWrite: 12, Output: 40, Threshold: 1000, InputOver: 15, OutputOver: 50}
	n := func(n int64) *int64 { return &n }
	for name, c := range map[string]struct {
		u    Usage
		want int64
	}{
		"plain":               {Usage{Input: 100, Output: 5}, 1200},
		"cached and written":  {Usage{Input: 100, Output: 5, Cached: n(60), CacheWrite: n(10)}, 30*10 + 60*3 + 10*12 + 200},
		"known to be nothing": {Usage{Input: 100, Output: 5, Cached: n(0)}, 1200},
		"at the threshold":    {Usage{Input: 1000}, 10_000},
		"over the threshold":  {Usage{Input: 1001, Output: 1, Cached: n(1)}, 15_000 + 5 + 50}, // 3*15/10 rounded up
		"more cached than in": {Usage{Input: 100, Output: 5, Cached: n(101)}, 100*12 + 101*3 + 200},
		"negative":            {Usage{Input: -5, Output: 5}, 200},
	} {
		if got, err := p.Cost(c.u); err != nil || got != c.want {
			t.Errorf("%s: %d, %v; want %d", name, got, err, c.want)
		}
	}
	if _, err := p.Cost(Usage{Input: math.MaxInt64 / 2}); !errors.Is(err, ErrOverflow) {
		t.Error(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		in, out := rapid.Int64Range(0, 5000).Draw(t, "in"), rapid.Int64Range(0, 5000).Draw(t, "out")
		i := rapid.Int64Range(0, in).Draw(t, "i") // parts that may not fit, but that all were sent
		c := rapid.Int64Range(0, in).Draw(t, "c")
		w := rapid.Int64Range(0, in).Draw(t, "w")
		if i < c+w {
			i = min(i, max(in-c-w, 0))
		}
		if i < c+w && i+c+w > in {
			c, w = 0, 0
		}
		u := Usage{Input: i, Output: rapid.Int64Range(0, out).Draw(t, "o"), Cached: n(c), CacheWrite: n(w)}
		cost, err := p.Cost(u)
		worst, err2 := p.Worst(in, out)
		if err != nil || err2 != nil || cost > worst {
			t.Errorf("%+v costs %d, the worst case of %d and %d is %d", u, cost, in, out, worst)
		}
	})
}

func TestUsageAsServersSendIt(t *testing.T) {
	for name, c := range map[string]struct {
		json, raw     string // "": the same
		in, out       int64
		cached, write int64 // -1: unknown
	}{
		"openai":    {`{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":1}}`, "", 9, 2, 4, 1},
		"bare":      {`{"prompt_tokens":9,"completion_tokens":2}`, "", 9, 2, -1, -1},
		"deepseek":  {`{"prompt_tokens":9,"completion_tokens":2,"prompt_cache_hit_tokens":5}`, "", 9, 2, 5, -1},
		"anthropic": {`{"input_tokens":9,"output_tokens":2,"cache_read_input_tokens":5,"cache_creation_input_tokens":3}`, "", 17, 2, 5, 3},
		"inside":    {`{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,"cache_read_input_tokens":5}`, "", 9, 2, 5, -1},
		"beside":    {`{"prompt_tokens":9,"completion_tokens":2,"total_tokens":16,"cache_read_input_tokens":5}`, "", 14, 2, 5, -1},
		"thoughts":  {`{"prompt_tokens":9,"completion_tokens":2,"total_tokens":31}`, "", 9, 22, -1, -1},
		"with text": {`{"prompt_tokens":9,"note":"the report","list":["x"],"A key":1,"in":{"deep":"text","n":1.5}}`, `{"in":{"n":1.5},"prompt_tokens":9}`, 9, 0, -1, -1},
	} {
		u, raw, err := ParseUsage([]byte(c.json))
		is := func(p *int64, want int64) bool { return p == nil && want == -1 || p != nil && *p == want }
		if err != nil || string(raw) != cmp.Or(c.raw, c.json) || u.Input != c.in || u.Output != c.out || !is(u.Cached, c.cached) || !is(u.CacheWrite, c.write) {
			t.Errorf("%s: %+v, %s, %v", name, u, raw, err)
		}
	}
	for _, none := range []string{"", "null", "{}", `{"completion_tokens":3}`, `{"prompt_tokens":"9"}`, `[]`, `{"prompt_tokens":1e30}`} {
		if _, _, err := ParseUsage([]byte(none)); !errors.Is(err, ErrNoUsage) {
			t.Errorf("%s: %v", none, err)
		}
	}
}

// A usage says the same whether it is read as most servers send it or, for the space before it, by encoding/json.
func FuzzParseUsage(f *testing.F) {
	f.Add([]byte(`{"prompt_tokens":9,"completion_tokens":2,"total_tokens":16,"prompt_tokens_details":{"cached_tokens":4,"x":0},"completion_tokens_details":{"reasoning_tokens":1}}`))
	f.Add([]byte(`{"input_tokens":9,"output_tokens":2,"cache_read_input_tokens":5,"cache_creation_input_tokens":3,"input_tokens":7}`))
	f.Add([]byte(`{"prompt_tokens":09,"prompt_tokens_details":1,"prompt_cache_hit_tokens":{"a":1}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		quick, raw, err := ParseUsage(b)
		slow, _, err2 := ParseUsage(append([]byte(" "), b...))
		if !reflect.DeepEqual(quick, slow) || err != err2 || err == nil && len(raw) > len(b) {
			t.Errorf("%s: %+v, %v; want %+v, %v", b, quick, err, slow, err2)
		}
	})
}
