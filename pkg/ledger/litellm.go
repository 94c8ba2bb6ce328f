package ledger

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// LeftOut is a model whose price was not imported, and why.
type LeftOut struct{ Model, Why string }

// ImportLiteLLM turns LiteLLM's model_prices_and_context_window.json into a price file that holds from day on: the
// standard and batch tiers of chat models, of one provider or, where it is "", of all. Numbers are read as decimals, never
// as floats. What a price file cannot say exactly is left out and named: it has no price rather than a wrong one. A model
// goes by the name that its server knows: the key without the provider before it.
func ImportLiteLLM(w io.Writer, document []byte, provider string, day time.Time) (rows int, left []LeftOut, err error) {
	var models map[string]map[string]json.RawMessage
	if err := json.Unmarshal(document, &models); err != nil {
		return 0, nil, fmt.Errorf("not a price list of LiteLLM's: one object of objects is expected: %w", err)
	}
	source := fmt.Sprintf("LiteLLM's list, sha256 %.8x", sha256.Sum256(document))
	found := map[string]listed{}
	for _, key := range slices.Sorted(maps.Keys(models)) {
		m := listing{key: key, fields: models[key]}
		if m.text("mode") != "chat" || provider != "" && m.text("litellm_provider") != provider {
			continue
		}
		row, name := m.row(), strings.TrimPrefix(key, m.text("litellm_provider")+"/")
		switch first, dup := found[name]; {
		case m.why != "":
			left = append(left, LeftOut{key, m.why})
		case !dup || name == key: // a key without a provider before it is the maker's own
			found[name] = listed{row, key}
		case first.key != name && !slices.Equal(first.row, row):
			found[name] = listed{nil, key}
		}
	}
	out := csv.NewWriter(w)
	err = out.Write(priceColumns)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		row, date := found[name].row, day.Format(time.DateOnly)
		if row == nil {
			left = append(left, LeftOut{name, "providers differ in its price: name one"})
			continue
		}
		err = cmp.Or(err, out.Write(slices.Concat([]string{name + "@" + date, name, date, "USD"}, row, []string{source, date})))
		rows++
	}
	out.Flush()
	return rows, left, cmp.Or(err, out.Error())
}

type listed struct {
	row []string // nil: several that differ
	key string
}

// listing is one entry of the list. why is the first thing about it that no price file can say.
type listing struct {
	key    string
	fields map[string]json.RawMessage
	why    string
}

func (m *listing) text(field string) (s string) {
	_ = json.Unmarshal(m.fields[field], &s)
	return s
}

func (m *listing) leave(format string, args ...any) {
	if m.why == "" {
		m.why = fmt.Sprintf(format, args...)
	}
}

var (
	exponent = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,2})?$`)
	over     = regexp.MustCompile(`^input_cost_per_token_above_([0-9]+)k_tokens$`)
	// What has no part in a call that sends text and gets text at the standard or batch price: other tiers, other media,
	// other services, and writing to a cache that lasts.
	foreign = regexp.MustCompile(`_(priority|flex|balanced|ultrafast|decisions)$|_above_\d+hr|audio|image|video|pixel|character|` +
		`_per_(second|query|page|session|credit|unit)|_dbu_|^(file_search|computer_use|vector_store|google_maps|search_context)`)
)

// price gives a field as pico-dollars per token; 0 where it is absent.
func (m *listing) price(field string) int64 {
	raw := bytes.TrimSpace(m.fields[field])
	if len(raw) == 0 || string(raw) == "null" {
		return 0
	}
	r, ok := new(big.Rat), false
	if exponent.Match(raw) {
		r, ok = r.SetString(string(raw))
	}
	if !ok {
		m.leave("%s is not a plain number", field)
		return 0
	}
	r.Mul(r, new(big.Rat).SetInt64(picoPerUSD))
	if !r.IsInt() {
		m.leave("%s has more than six decimals per million tokens", field)
		return 0
	}
	if !r.Num().IsInt64() {
		m.leave("%s is too large", field)
		return 0
	}
	return r.Num().Int64()
}

// row gives the columns from input to output_over.
func (m *listing) row() []string {
	const read, write = "cache_read_input_token_cost", "cache_creation_input_token_cost"
	taken := map[string]bool{}
	take := func(field string) int64 { taken[field] = true; return m.price(field) }
	p := Price{Input: take("input_cost_per_token"), Output: take("output_cost_per_token"),
		BatchInput: take("input_cost_per_token_batches"), BatchOutput: take("output_cost_per_token_batches"), BatchCached: take(read + "_batches")}
	p.Cached = cmp.Or(take(read), take("input_cost_per_token_cache_hit"))
	p.CacheWrite = take(write)
	for field := range m.fields {
		if t := over.FindStringSubmatch(field); t != nil {
			n, err := strconv.ParseInt(t[1], 10, 32)
			if err != nil || p.Threshold != 0 {
				m.leave("several thresholds")
			}
			p.Threshold = n * 1000
			p.InputOver, p.OutputOver = take(field), take(strings.Replace(field, "input", "output", 1))
		}
	}
	_, tiered := m.fields["tiered_pricing"]
	switch {
	case tiered:
		m.leave("tiered prices only")
	case m.fields["input_cost_per_token"] == nil || m.fields["output_cost_per_token"] == nil:
		m.leave("no price of a token")
	case p.Input == 0 || p.Output == 0:
		m.leave("a price of zero")
	case p.Threshold > 0 && (p.InputOver == 0 || p.OutputOver == 0):
		m.leave("half a threshold")
	case (p.BatchInput == 0) != (p.BatchOutput == 0):
		m.leave("half a batch tier")
	}
	m.check(p, taken)
	cols := []string{}
	for _, n := range []int64{p.Input, p.Cached, p.CacheWrite, p.Output, p.BatchInput, p.BatchOutput, p.BatchCached} {
		cols = append(cols, perMillion(n))
	}
	if p.Threshold == 0 {
		return append(cols, "", "", "")
	}
	return append(cols, strconv.FormatInt(p.Threshold, 10), perMillion(p.InputOver), perMillion(p.OutputOver))
}

// check holds the prices that have no column of their own to what Cost makes of the others.
func (m *listing) check(p Price, taken map[string]bool) {
	if m.why != "" {
		return
	}
	p.Cached, p.CacheWrite = cmp.Or(p.Cached, p.Input), cmp.Or(p.CacheWrite, p.Input)
	same := map[string]int64{"output_cost_per_reasoning_token": p.Output}
	tiers := []struct {
		suffix string
		p      Price
	}{{"", p}}
	if b, ok := p.Batch(); ok {
		tiers = append(tiers, struct {
			suffix string
			p      Price
		}{"_batches", b})
	}
	for _, t := range tiers {
		same["cache_creation_input_token_cost"+t.suffix] = t.p.CacheWrite
		if p.Threshold > 0 {
			at := fmt.Sprintf("_above_%dk_tokens%s", p.Threshold/1000, t.suffix)
			q, _ := t.p.above()
			same["input_cost_per_token"+at], same["output_cost_per_token"+at] = q.Input, q.Output
			same["cache_read_input_token_cost"+at], same["cache_creation_input_token_cost"+at] = q.Cached, q.CacheWrite
		}
	}
	for _, field := range slices.Sorted(maps.Keys(m.fields)) {
		isPrice := strings.Contains(field, "cost") || strings.Contains(field, "pricing")
		if !isPrice || taken[field] || foreign.MatchString(field) {
			continue
		}
		if want, ok := same[field]; !ok || m.price(field) != 0 && m.price(field) != want {
			m.leave("no column for its %s", field)
		}
	}
}

// perMillion writes a price as a price file has it; nothing for zero.
func perMillion(picoPerToken int64) string {
	if picoPerToken == 0 {
		return ""
	}
	s := fmt.Sprintf("%07d", picoPerToken)
	return strings.TrimSuffix(strings.TrimRight(s[:len(s)-6]+"."+s[len(s)-6:], "0"), ".")
}
