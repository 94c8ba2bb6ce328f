package llm

import (
	"slices"
	"strings"
	"sync"
)

// habit is what an endpoint is known to take. The zero value is the full request.
type habit struct {
	mode             mode
	completionTokens bool            // max_completion_tokens instead of max_tokens
	without          map[string]bool // optional fields it refuses; never changed once shared
	changes          int
}

// habits remembers, for one endpoint and model, what its refusals taught.
type habits struct {
	mu  sync.Mutex
	now habit
}

func newHabits(model string) habits {
	if reasons(model) {
		return habits{now: habit{completionTokens: true, without: map[string]bool{"temperature": true, "seed": true, "logprobs": true}}}
	}
	return habits{now: habit{without: map[string]bool{"reasoning_effort": true}}}
}

func (h *habits) get() habit {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// learn looks for the field that a server refused in what used sent. It says whether another request is worth sending.
func (h *habits) learn(used habit, status int, message, param string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if used.changes != h.now.changes {
		return true // another call has learned since
	}
	next := used.after(status, strings.ToLower(message), param)
	if next.changes == used.changes {
		return false
	}
	h.now = next
	return true
}

var refusing = []string{"support", "unknown", "unrecognized", "unexpected", "invalid", "extra", "not permitted", "not allowed", "additional", "max allowed"}

// after is the habit once a server has refused a request with these words, already in lower case.
func (h habit) after(status int, message, param string) habit {
	says := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(message, w) || strings.Contains(param, w) })
	}
	if !slices.Contains([]int{400, 422, 500, 501}, status) && (status != 403 || !says("logprobs")) {
		return h
	}
	if h.mode < oneLine && says("json_schema", "response_format", "schema", "json_object", "structured") {
		h.mode++
		h.changes++
		return h
	}
	if status >= 500 && !says("logprobs") || !says(refusing...) && param == "" {
		return h
	}
	if says("max_tokens", "max_completion_tokens") && h.changes < 8 {
		h.completionTokens = !h.completionTokens
		h.changes++
		return h
	}
	for _, name := range []string{"temperature", "reasoning_effort", "seed", "logprobs"} {
		if says(name) && !h.without[name] {
			without := map[string]bool{name: true}
			for k := range h.without {
				without[k] = true
			}
			h.without = without
			h.changes++
			return h
		}
	}
	return h
}
