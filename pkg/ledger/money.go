package ledger

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
)

// Money is an int64 of pico-dollars (10^-12 USD) everywhere: the whole range is ±9.2 million USD, and a price of one
// micro-dollar per million tokens is exactly one pico-dollar a token.
const picoPerUSD = 1_000_000_000_000

// ErrOverflow says that a sum or product of money left the range of an int64. Nothing is ever wrapped or saturated.
var ErrOverflow = errors.New("money: overflow of int64 pico-dollars")

// Add is a + b, or ErrOverflow.
func Add(a, b int64) (int64, error) {
	s := a + b
	if (s > a) != (b > 0) {
		return 0, ErrOverflow
	}
	return s, nil
}

// Mul is a * b, or ErrOverflow.
func Mul(a, b int64) (int64, error) {
	if a == 0 || b == 0 {
		return 0, nil
	}
	p := a * b
	if p/b != a || (a == -1 && b == math.MinInt64) || (b == -1 && a == math.MinInt64) {
		return 0, ErrOverflow
	}
	return p, nil
}

// sum adds any number of amounts.
func sum(amounts ...int64) (total int64, err error) {
	for _, a := range amounts {
		if total, err = Add(total, a); err != nil {
			return 0, err
		}
	}
	return total, nil
}

// ParseUSD reads a plain decimal of dollars ("12", "0.5") with at most twelve decimals.
func ParseUSD(s string) (pico int64, err error) { return decimal(s, 12) }

// ParsePrice reads dollars per million tokens as pico-dollars per token. A price has at most six decimals; one with more
// is refused, never rounded.
func ParsePrice(s string) (picoPerToken int64, err error) { return decimal(s, 6) }

// decimal reads a plain non-negative decimal as a whole number of 10^-places.
func decimal(s string, places int) (int64, error) {
	whole, frac, point := strings.Cut(s, ".")
	if whole == "" || strings.Trim(whole+frac, "0123456789") != "" || (point && frac == "") {
		return 0, fmt.Errorf("%.40q is not a plain decimal", s)
	}
	if len(frac) > places {
		return 0, fmt.Errorf("%.40q has more than %d decimals", s, places)
	}
	n, _ := new(big.Int).SetString(whole+frac+strings.Repeat("0", places-len(frac)), 10)
	if !n.IsInt64() {
		return 0, fmt.Errorf("%.40q: %w", s, ErrOverflow)
	}
	return n.Int64(), nil
}

// short is USD without the zeros at its end.
func short(pico int64) string { return strings.TrimSuffix(strings.TrimRight(USD(pico), "0"), ".") }

// USD writes an amount as dollars with all twelve decimals.
func USD(pico int64) string {
	sign, n := "", new(big.Int).Abs(big.NewInt(pico))
	if pico < 0 {
		sign = "-"
	}
	q, r := n.QuoRem(n, big.NewInt(picoPerUSD), new(big.Int))
	return fmt.Sprintf("%s%d.%012d", sign, q, r)
}
