package html

import (
	"math/big"
	"strconv"
	"strings"
)

// Cost is the object that `silverbeam cost RUN --json` prints; unmarshal that into it. Money is in pico-dollars.
type Cost struct {
	Calls           int64       `json:"calls"`
	Attempts        int64       `json:"attempts"`
	Reports         int64       `json:"reports"`
	DistinctReports int64       `json:"distinct_reports"` // 0: nobody counted
	Spent           int64       `json:"spent"`
	Wasted          int64       `json:"wasted"`
	UnsettledMax    int64       `json:"unsettled_max"`
	Saved           Saved       `json:"saved"`
	Tokens          Tokens      `json:"tokens"`
	Compute         Compute     `json:"compute"`
	ByModel         []ModelCost `json:"by_model"`
	ByStep          []StepCost  `json:"by_step"`
	Estimate        *CostRange  `json:"estimate,omitempty"`
	PriceFile       string      `json:"price_file"`
}

// Saved is money that was not spent, by why.
type Saved struct {
	Store     int64 `json:"store"`
	Dedupe    int64 `json:"dedupe"`
	Rules     int64 `json:"rules"`
	BatchMode int64 `json:"batch_mode"`
}

// Tokens as the servers counted them.
type Tokens struct {
	Input      int64 `json:"input"`
	Cached     int64 `json:"cached"`
	CacheWrite int64 `json:"cache_write"`
	Output     int64 `json:"output"`
	Reasoning  int64 `json:"reasoning"`
}

// Compute is our own machines' time.
type Compute struct {
	CPUSeconds float64 `json:"cpu_seconds"`
	GPUSeconds float64 `json:"gpu_seconds"`
}

// ModelCost is what one model was paid.
type ModelCost struct {
	Model string `json:"model"`
	Calls int64  `json:"calls"`
	Spent int64  `json:"spent"`
}

// StepCost is what one step paid.
type StepCost struct {
	Step  string `json:"step"`
	Calls int64  `json:"calls"`
	Spent int64  `json:"spent"`
}

// CostRange is what plan expected.
type CostRange struct {
	Low      int64 `json:"low"`
	Expected int64 `json:"expected"`
	High     int64 `json:"high"`
}

// Money prints pico-dollars exactly, with at least two decimals: 1500000000000 is $1.50, 1 is $0.000000000001.
func Money(pico int64) string { return money(big.NewInt(pico)) }

func money(pico *big.Int) string {
	sign := ""
	if pico.Sign() < 0 {
		sign = "−"
	}
	digits := new(big.Int).Abs(pico).String()
	if len(digits) < 13 {
		digits = strings.Repeat("0", 13-len(digits)) + digits
	}
	whole, part := digits[:len(digits)-12], strings.TrimRight(digits[len(digits)-12:], "0")
	for len(part) < 2 {
		part += "0"
	}
	return sign + "$" + grouped(whole) + "." + part
}

// perThousand is the money spent on 1,000 reports. What does not divide evenly is rounded to a millionth of a dollar, to a
// pico-dollar below one cent, and has "≈" before it.
func (c *Cost) perThousand() string {
	if c.Reports == 0 {
		return "undefined: no report"
	}
	const cent, millionth = 10_000_000_000, 1_000_000 // pico-dollars
	total := new(big.Int).Mul(big.NewInt(c.Spent), big.NewInt(1000))
	each, rest := new(big.Int).QuoRem(total, big.NewInt(c.Reports), new(big.Int))
	if rest.Sign() == 0 {
		return money(each)
	}
	unit := big.NewInt(1)
	if each.Cmp(big.NewInt(cent)) >= 0 {
		unit.SetInt64(millionth)
	}
	per := new(big.Int).Mul(big.NewInt(c.Reports), unit) // round half up: (2 total + per) / (2 per)
	each.Lsh(total, 1).Add(each, per).Quo(each, per.Lsh(per, 1))
	return "≈ " + money(each.Mul(each, unit))
}

func (s Saved) total() *big.Int {
	sum := new(big.Int)
	for _, v := range []int64{s.Store, s.Dedupe, s.Rules, s.BatchMode} {
		sum.Add(sum, big.NewInt(v))
	}
	return sum
}

// grouped puts commas between thousands.
func grouped(digits string) string {
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

func count[T int | int64](n T) string {
	if n < 0 {
		return "−" + grouped(strconv.FormatInt(-int64(n), 10))
	}
	return grouped(strconv.FormatInt(int64(n), 10))
}
