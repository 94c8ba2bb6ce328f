package ledger

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrNoPrice says that a price file has no usable price for a model: no row in force, or a price of nothing.
var ErrNoPrice = errors.New("no price")

//go:embed prices.csv
var builtinPrices []byte

// PriceHeader is the first line of a price file.
const PriceHeader = "price_id,model,effective_from,currency,input,cached,cache_write,output," +
	"batch_input,batch_output,batch_cached,threshold_tokens,input_over,output_over,source,checked_on"

var priceColumns = strings.Split(PriceHeader, ",")

// Price is one row of a price file: pico-dollars per token.
type Price struct {
	ID, Model     string
	From          time.Time // first instant it holds, UTC midnight
	Input, Output int64
	Cached        int64 // a file that leaves it empty charges Input
	CacheWrite    int64 // a file that leaves it empty charges Input
	BatchInput    int64 // 0: no batch tier
	BatchOutput   int64
	BatchCached   int64
	Threshold     int64 // prompts of more tokens pay InputOver and OutputOver; 0: none
	InputOver     int64
	OutputOver    int64
	Hour          int64 // pico-dollars an hour of the server's time; then tokens cost nothing
}

// Prices is a whole price file.
type Prices struct {
	Path   string // "" for the built-in one
	Digest string // "sha256:" and the hex digest of the file's bytes
	rows   []Price
}

// ReadPrices reads a price file (contracts/labels.md: dollars per million tokens as plain decimals). An empty path gives
// the built-in file, whose rows name their source and date; no vendor has confirmed them. Errors name line and column.
func ReadPrices(path string) (*Prices, error) {
	name, b := path, builtinPrices
	if path == "" {
		name = "built-in prices"
	} else {
		var err error
		if b, err = os.ReadFile(path); err != nil {
			return nil, fmt.Errorf("price file: %w", err)
		}
	}
	rows, err := parsePrices(b)
	if err != nil {
		return nil, fmt.Errorf("price file %s: %w", name, err)
	}
	return &Prices{path, fmt.Sprintf("sha256:%x", sha256.Sum256(b)), rows}, nil
}

// Find is the price of a model at a time: the row with the latest effective_from not after it. A missing row and a price
// of zero are both ErrNoPrice, so that nothing is ever booked at nothing by mistake.
func (p *Prices) Find(model string, at time.Time) (Price, error) {
	var best *Price
	for i := range p.rows {
		if r := &p.rows[i]; r.Model == model && !r.From.After(at) && (best == nil || r.From.After(best.From)) {
			best = r
		}
	}
	where := p.Path
	if where == "" {
		where = "the built-in price file"
	}
	switch {
	case best == nil:
		return Price{}, fmt.Errorf("%w for model %q in %s", ErrNoPrice, model, where)
	case best.Hour == 0 && (best.Input == 0 || best.Output == 0):
		return Price{}, fmt.Errorf("%w for model %q in %s: row %s is zero", ErrNoPrice, model, where, best.ID)
	}
	return *best, nil
}

func parsePrices(b []byte) ([]Price, error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))))
	records, err := r.ReadAll()
	if err != nil {
		return nil, err
	}
	if len(records) == 0 || !slices.Equal(records[0], priceColumns) {
		return nil, fmt.Errorf("line 1: the header must be %s", PriceHeader)
	}
	var rows []Price
	seen := map[string]int{}
	for i, rec := range records[1:] {
		p, err := parsePrice(rec)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+2, err)
		}
		for _, key := range []string{"id " + p.ID, "model " + p.Model + " from " + rec[2]} {
			if first, dup := seen[key]; dup {
				return nil, fmt.Errorf("line %d: %s stands on line %d already", i+2, key, first)
			}
			seen[key] = i + 2
		}
		rows = append(rows, p)
	}
	return rows, nil
}

// perHour is the currency of a row whose input is the price of an hour of one's own server: of all its GPUs together.
const perHour = "USD/h"

func parsePrice(rec []string) (p Price, err error) {
	p.ID, p.Model = rec[0], rec[1]
	if p.ID == "" || p.Model == "" {
		return p, errors.New("price_id and model must be given")
	}
	if p.From, err = time.Parse(time.DateOnly, rec[2]); err != nil {
		return p, fmt.Errorf("%s: effective_from %.40q is not a date like 2026-11-23", p.ID, rec[2])
	}
	if rec[3] == perHour {
		if strings.Join(rec[5:14], "") != "" {
			return p, fmt.Errorf("%s: currency %s: input is the price of an hour, and the columns after it up to source are empty", p.ID, perHour)
		}
		if p.Hour, err = ParseUSD(rec[4]); err != nil {
			return p, fmt.Errorf("%s: input %w", p.ID, err)
		}
		return p, nil
	}
	if rec[3] != "USD" {
		return p, fmt.Errorf("%s: currency %.40q; only USD is kept, and USD/h", p.ID, rec[3])
	}
	if rec[11] != "" {
		if p.Threshold, err = strconv.ParseInt(rec[11], 10, 64); err != nil || p.Threshold < 1 {
			return p, fmt.Errorf("%s: threshold_tokens %.40q is not a count", p.ID, rec[11])
		}
	}
	if rec[4] == "" || rec[7] == "" {
		return p, fmt.Errorf("%s: input and output must be given", p.ID)
	}
	for col, dst := range map[int]*int64{4: &p.Input, 5: &p.Cached, 6: &p.CacheWrite, 7: &p.Output, 8: &p.BatchInput,
		9: &p.BatchOutput, 10: &p.BatchCached, 12: &p.InputOver, 13: &p.OutputOver} {
		if rec[col] == "" {
			continue
		}
		if *dst, err = ParsePrice(rec[col]); err != nil {
			return p, fmt.Errorf("%s: %s %w", p.ID, priceColumns[col], err)
		}
	}
	if p.Threshold > 0 && (p.InputOver == 0 || p.OutputOver == 0) {
		return p, fmt.Errorf("%s: threshold_tokens needs input_over and output_over", p.ID)
	}
	if rec[5] == "" {
		p.Cached = p.Input
	}
	if rec[6] == "" {
		p.CacheWrite = p.Input
	}
	return p, nil
}

// Cost prices one attempt. Usage whose parts do not fit is priced as if they stood beside the prompt, and the prompt at the
// dearer of its two prices: rather too much than too little. A cached token above the threshold costs its price times
// InputOver/Input, rounded up.
func (p Price) Cost(u Usage) (int64, error) {
	rest, nc, nw := u.Input, max(known(u.Cached), 0), max(known(u.CacheWrite), 0)
	fits := u.Consistent()
	if fits {
		rest -= nc + nw
	} else {
		rest, u.Output = max(rest, 0), max(u.Output, known(u.Reasoning), 0)
	}
	prompt, err := sum(rest, nc, nw)
	if err == nil && p.Threshold > 0 && prompt > p.Threshold {
		p, err = p.above()
	}
	if err != nil {
		return 0, err
	}
	if !fits {
		p.Input = max(p.Input, p.CacheWrite)
	}
	var parts [4]int64
	for i, f := range [4][2]int64{{rest, p.Input}, {nc, p.Cached}, {nw, p.CacheWrite}, {u.Output, p.Output}} {
		if parts[i], err = Mul(f[0], f[1]); err != nil {
			return 0, err
		}
	}
	return sum(parts[:]...)
}

// above gives the prices of a prompt above the threshold.
func (p Price) above() (Price, error) {
	var errs [2]error
	p.Cached, errs[0] = scale(p.Cached, p.InputOver, p.Input)
	p.CacheWrite, errs[1] = scale(p.CacheWrite, p.InputOver, p.Input)
	p.Input, p.Output, p.Threshold = p.InputOver, p.OutputOver, 0
	return p, errors.Join(errs[:]...)
}

// Batch gives the prices of the provider's batch interface; false where it has none. Without a cached price of that tier
// a cached token costs what any other does there: nobody has said that the two discounts add up. Writing to the cache,
// and prompts above the threshold, cost there what they cost else, times BatchInput/Input, rounded up.
func (p Price) Batch() (b Price, ok bool) {
	if p.BatchInput == 0 || p.BatchOutput == 0 {
		return p, false
	}
	b = p
	b.Input, b.Output, b.Cached = p.BatchInput, p.BatchOutput, cmp.Or(p.BatchCached, p.BatchInput)
	var errs [3]error
	b.CacheWrite, errs[0] = scale(p.CacheWrite, p.BatchInput, p.Input)
	b.InputOver, errs[1] = scale(p.InputOver, p.BatchInput, p.Input)
	b.OutputOver, errs[2] = scale(p.OutputOver, p.BatchOutput, p.Output)
	return b, errors.Join(errs[:]...) == nil
}

// scale is x*num/den, rounded up.
func scale(x, num, den int64) (int64, error) {
	n, err := Mul(x, num)
	if err != nil || den <= 0 {
		return x, err
	}
	if n == 0 {
		return 0, nil
	}
	return (n-1)/den + 1, nil
}

// Worst is the most that an attempt with these bounds can cost: every input token at its dearest price.
func (p Price) Worst(input, output int64) (int64, error) {
	dearest := max(p.Input, p.CacheWrite, p.Cached)
	q := Price{Input: dearest, CacheWrite: dearest, Output: p.Output}
	if p.Threshold > 0 && input > p.Threshold {
		over, err := scale(dearest, p.InputOver, p.Input)
		if err != nil {
			return 0, err
		}
		q.Input, q.CacheWrite, q.Output = max(dearest, over), max(dearest, over), max(p.Output, p.OutputOver)
	}
	return q.Cost(Usage{Input: input, Output: output})
}
