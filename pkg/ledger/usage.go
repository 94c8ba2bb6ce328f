package ledger

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"regexp"
)

// Usage is what a server says one attempt consumed, in tokens. A nil detail means that the server did not say, which is
// not zero. Cached and CacheWrite are parts of Input; Reasoning is a part of Output.
type Usage struct {
	Input, Output                 int64
	Cached, CacheWrite, Reasoning *int64
}

// Consistent says whether the parts fit into their wholes.
func (u Usage) Consistent() bool {
	c, w, r := known(u.Cached), known(u.CacheWrite), known(u.Reasoning)
	return u.Input >= 0 && u.Output >= 0 && c >= 0 && w >= 0 && r >= 0 &&
		c <= u.Input && w <= u.Input-c && r <= u.Output
}

func known(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

// ErrNoUsage says that an answer does not tell what it consumed.
var ErrNoUsage = errors.New("the answer holds no usage")

// ParseUsage reads the usage object of an answer, in OpenAI's names or in Anthropic's. In OpenAI's cached tokens are parts
// of the prompt, in Anthropic's they stand beside it; a gateway's total says whose way it counts. Tokens that a total holds
// beyond both are thoughts, and cost what output costs. raw comes back with its numbers only, whatever a server put beside
// them, so that no text can reach the ledger through it.
func ParseUsage(object []byte) (u Usage, raw []byte, err error) {
	var w usageFields
	if len(object) == 0 || bytes.Equal(object, []byte("null")) {
		return u, nil, ErrNoUsage
	}
	raw = object
	if !w.read(object) {
		w = usageFields{}
		if err := json.Unmarshal(object, &w); err != nil {
			return u, nil, ErrNoUsage
		}
		raw = numbers(object)
	}
	input := cmp.Or(w.Prompt, w.Input)
	if input == nil {
		return u, nil, ErrNoUsage
	}
	u = Usage{*input, known(cmp.Or(w.Completion, w.Output)), cmp.Or(w.In.Cached, w.HitRate, w.Read), cmp.Or(w.In.Write, w.Write), w.Out.Reasoning}
	const most = 1 << 60 // far from any overflow below
	for _, n := range []int64{u.Input, u.Output, known(w.Total), known(u.Cached), known(u.CacheWrite)} {
		if n < 0 || n > most {
			return u, raw, nil // Cost knows what to do with it
		}
	}
	beside, more := known(u.Cached)+known(u.CacheWrite), known(w.Total)-u.Input-u.Output
	switch {
	case beside > 0 && (w.Prompt == nil || beside > u.Input || more == beside):
		u.Input += beside
	case more > 0:
		u.Output += more
	}
	return u, raw, nil
}

// usageFields are the names that servers have for what they count.
type usageFields struct {
	Prompt     *int64 `json:"prompt_tokens"`
	Completion *int64 `json:"completion_tokens"`
	Total      *int64 `json:"total_tokens"`
	HitRate    *int64 `json:"prompt_cache_hit_tokens"` // DeepSeek's name for cached
	In         struct {
		Cached *int64 `json:"cached_tokens"`
		Write  *int64 `json:"cache_write_tokens"`
	} `json:"prompt_tokens_details"`
	Out struct {
		Reasoning *int64 `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
	Input  *int64 `json:"input_tokens"` // Anthropic's names
	Output *int64 `json:"output_tokens"`
	Read   *int64 `json:"cache_read_input_tokens"`
	Write  *int64 `json:"cache_creation_input_tokens"`
}

// field is where a number belongs, by its name and that of the object in it that holds it; nil: nowhere.
func (w *usageFields) field(in, name []byte) **int64 {
	switch string(in) {
	case "":
		switch string(name) {
		case "prompt_tokens":
			return &w.Prompt
		case "completion_tokens":
			return &w.Completion
		case "total_tokens":
			return &w.Total
		case "prompt_cache_hit_tokens":
			return &w.HitRate
		case "input_tokens":
			return &w.Input
		case "output_tokens":
			return &w.Output
		case "cache_read_input_tokens":
			return &w.Read
		case "cache_creation_input_tokens":
			return &w.Write
		}
	case "prompt_tokens_details":
		switch string(name) {
		case "cached_tokens":
			return &w.In.Cached
		case "cache_write_tokens":
			return &w.In.Write
		}
	case "completion_tokens_details":
		if string(name) == "reasoning_tokens" {
			return &w.Out.Reasoning
		}
	}
	return nil
}

// read reads an object as most servers send it, without a space: whole numbers under plain keys, and objects of such
// numbers. Of any other it says false. It takes a tenth of the time that encoding/json takes.
func (w *usageFields) read(object []byte) bool {
	rest, ok := w.readObject(object, nil)
	return ok && len(rest) == 0
}

func (w *usageFields) readObject(b, in []byte) (rest []byte, ok bool) {
	if len(b) < 2 || b[0] != '{' {
		return nil, false
	}
	for b[0] != '}' {
		name := plainName(b[1:])
		if b = b[1+len(name):]; len(name) == 0 || len(b) < 2 {
			return nil, false
		}
		name = name[1 : len(name)-2]
		if b[0] == '{' {
			if in != nil || w.field(nil, name) != nil {
				return nil, false
			}
			if b, ok = w.readObject(b, name); !ok {
				return nil, false
			}
		} else {
			n, digits := int64(0), 0
			for ; digits < len(b) && digits < 18 && b[digits] >= '0' && b[digits] <= '9'; digits++ {
				n = 10*n + int64(b[digits]-'0')
			}
			if digits == 0 || digits > 1 && b[0] == '0' || in == nil && bytes.HasSuffix(name, []byte("_details")) {
				return nil, false
			}
			if f := w.field(in, name); f != nil {
				*f = &n
			}
			b = b[digits:]
		}
		if len(b) == 0 || b[0] != ',' && b[0] != '}' {
			return nil, false
		}
	}
	return b[1:], true
}

// plainName is the plain key that b begins with, with its quotes and colon; nil: it begins with none.
func plainName(b []byte) []byte {
	for i, c := range b {
		switch {
		case i == 0 && c == '"', i > 0 && i <= 40 && (c == '_' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9'):
		case i > 1 && c == '"' && i+1 < len(b) && b[i+1] == ':':
			return b[:i+2]
		default:
			return nil
		}
	}
	return nil
}

var plainKey = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)

// numbers keeps the numeric leaves of a JSON object under plain keys: as they stand if nothing else is in it.
func numbers(object []byte) []byte {
	if onlyPlain(object) {
		return object
	}
	var m map[string]any
	d := json.NewDecoder(bytes.NewReader(object))
	d.UseNumber()
	if d.Decode(&m) != nil {
		return nil
	}
	out, err := json.Marshal(onlyNumbers(m))
	if err != nil {
		return nil
	}
	return out
}

// onlyPlain says that valid JSON holds no string but plain keys, no list, no word and no space.
func onlyPlain(object []byte) bool {
	key := -1 // where it begins
	for i, c := range object {
		switch {
		case c == '"' && key < 0:
			key = i + 1
		case c == '"':
			if i == key || i > key+40 || i+1 == len(object) || object[i+1] != ':' {
				return false
			}
			key = -1
		case key >= 0:
			if c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
				return false
			}
		case bytes.IndexByte([]byte("{}:,+-.eE0123456789"), c) < 0:
			return false
		}
	}
	return true
}

func onlyNumbers(m map[string]any) map[string]any {
	for k, v := range m {
		switch v := v.(type) {
		case json.Number:
		case map[string]any:
			m[k] = onlyNumbers(v)
		default:
			delete(m, k)
		}
		if !plainKey.MatchString(k) {
			delete(m, k)
		}
	}
	return m
}
