package llm

import (
	"math"
	"sync"
)

const (
	overhead = 64 // tokens a server adds for roles and message ends, rounded up
	lessons  = 50 // answers before the learned ratio is believed
	margin   = 1.5
	perToken = 3.6 // bytes; a low figure for English, 4.27 was measured on CT reports
)

// meter learns how many tokens a model makes of a byte of prompt.
type meter struct {
	mu             sync.Mutex
	n              int
	tokens, length float64
	highest        float64 // tokens a byte
}

func (m *meter) learn(bytes int, tokens int64) {
	if bytes <= 0 || tokens <= 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n++
	m.tokens += float64(tokens)
	m.length += float64(bytes)
	m.highest = max(m.highest, float64(tokens)/float64(bytes))
}

// bound is the most tokens that a prompt can be: a token is at least a byte. Once the model is known, half as much again
// as its densest prompt.
func (m *meter) bound(bytes int) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	worst := int64(bytes) + overhead
	if m.n < lessons {
		return worst
	}
	return min(worst, int64(math.Ceil(float64(bytes)*m.highest*margin))+overhead)
}

// expect is how many tokens a prompt will probably be.
func (m *meter) expect(bytes int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.n == 0 {
		return int(float64(bytes)/perToken) + overhead
	}
	return int(float64(bytes) * m.tokens / m.length)
}
