package llm

import "sync"

const (
	overhead = 64  // tokens a server adds for roles and message ends, rounded up
	perToken = 3.6 // bytes; a low figure for English, 4.27 was measured on CT reports
)

// meter learns how many tokens a model makes of a prompt: instructions, which depend on the mode alone, and a report.
type meter struct {
	mu     sync.Mutex
	bytes  float64
	tokens float64 // of those bytes
}

func (m *meter) learn(p *prompt, at mode, bytes int, tokens int64) {
	if bytes <= 0 || tokens <= 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bytes += float64(bytes)
	m.tokens += float64(tokens)
	p.highest[at] = max(p.highest[at], tokens)
}

// bound is the most tokens that a prompt can be, of whose bytes so many are the report's: a token is at least a byte, and
// the instructions are no more than a whole prompt was.
func (m *meter) bound(p *prompt, at mode, bytes, report int) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	worst := int64(bytes)
	if h := p.highest[at]; h > 0 {
		worst = min(worst, h+int64(report))
	}
	return worst + overhead
}

// expect is how many tokens a prompt will probably be.
func (m *meter) expect(bytes int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bytes == 0 {
		return int(float64(bytes)/perToken) + overhead
	}
	return int(float64(bytes) * m.tokens / m.bytes)
}
