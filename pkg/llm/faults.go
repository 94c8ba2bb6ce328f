package llm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"net/url"
	"strconv"
	"time"
)

// faults are the settings of a fake endpoint: probabilities of what goes wrong with an attempt, decided by a hash of
// seed, report and attempt, so that the same run meets the same faults however its calls interleave.
type faults struct {
	seed                     uint64
	p429, p500, pcut, pwrong float64
	latency                  time.Duration
}

// parseFaults reads fake://rules?seed=1&p429=0.05&p500=0.02&pcut=0.01&pschema=0.01&latency_ms=20.
func parseFaults(u *url.URL) (f faults, err error) {
	if u.Host != "rules" || u.Path != "" {
		return f, errors.New("llm: the one fake endpoint is fake://rules")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return f, errors.New("llm: fake endpoint: the query cannot be read")
	}
	rates := map[string]*float64{"p429": &f.p429, "p500": &f.p500, "pcut": &f.pcut, "pschema": &f.pwrong}
	for name, values := range query {
		value := values[len(values)-1]
		switch rate := rates[name]; {
		case rate != nil:
			if *rate, err = strconv.ParseFloat(value, 64); err != nil || !(*rate >= 0 && *rate <= 1) {
				return f, fmt.Errorf("llm: fake endpoint: %s=%.20q, want 0 to 1", name, value)
			}
		case name == "seed":
			if f.seed, err = strconv.ParseUint(value, 10, 64); err != nil {
				return f, fmt.Errorf("llm: fake endpoint: seed=%.20q, want a whole number", value)
			}
		case name == "latency_ms":
			ms, err := strconv.ParseUint(value, 10, 31)
			if err != nil {
				return f, fmt.Errorf("llm: fake endpoint: latency_ms=%.20q, want a whole number", value)
			}
			f.latency = time.Duration(ms) * time.Millisecond
		default:
			return f, fmt.Errorf("llm: fake endpoint: unknown setting %.20q (seed, p429, p500, pcut, pschema, latency_ms)", name)
		}
	}
	if s := f.p429 + f.p500 + f.pcut + f.pwrong; s > 1 {
		return f, fmt.Errorf("llm: fake endpoint: the probabilities sum to %g, more than 1", s)
	}
	return f, nil
}

type fault int

const (
	none fault = iota
	tooMany
	broken
	cut
	wrong
)

// draw decides the fault of one attempt at a report.
func (f faults) draw(report string, attempt int) fault {
	h := fnv.New64a()
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], f.seed)
	binary.LittleEndian.PutUint64(b[8:], uint64(attempt))
	h.Write(b[:])
	h.Write([]byte(report))
	x := float64(mix(h.Sum64())>>11) / (1 << 53)
	for i, p := range []float64{f.p429, f.p500, f.pcut, f.pwrong} {
		if x < p {
			return tooMany + fault(i)
		}
		x -= p
	}
	return none
}

// mix spreads a hash over all bits: the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
