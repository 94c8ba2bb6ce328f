package llm

import (
	"encoding/json"
	"hash/fnv"
	"net/http"
	"strings"
	"unicode"
)

// fakeLength is how many numbers a vector of a fake endpoint has.
const fakeLength = 256

// embed answers a request for vectors; a wrong answer leaves the last one out.
func (f *fake) embed(r *http.Request) (*http.Response, error) {
	var in struct {
		Model string   `json:"model"`
		Input []string `json:"input"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Input) == 0 {
		return respond(r, http.StatusBadRequest, `{"error":{"message":"a list of texts is needed"}}`), nil
	}
	all := strings.Join(in.Input, "\n")
	what, resp, err := f.fail(r, all)
	if resp != nil || err != nil {
		return resp, err
	}
	if what == wrong {
		in.Input = in.Input[:len(in.Input)-1]
	}
	data := make([]any, len(in.Input))
	for i, text := range in.Input {
		data[i] = map[string]any{"object": "embedding", "index": i, "embedding": hashWords(text)}
	}
	tokens := (len(all) + 3) / 4
	body, err := json.Marshal(map[string]any{"object": "list", "model": in.Model, "data": data,
		"usage": map[string]int{"prompt_tokens": tokens, "total_tokens": tokens}})
	if err != nil {
		panic("llm: " + err.Error()) // as above: plain values
	}
	return respond(r, http.StatusOK, string(body)), nil
}

// hashWords is a text's words and pairs of neighbours, each 1 or -1 at a hashed place (Weinberger et al., "Feature Hashing for
// Large Scale Multitask Learning", ICML 2009): texts that share words are near each other.
func hashWords(text string) []float32 {
	v := make([]float32, fakeLength)
	add := func(words string) {
		h := fnv.New64a()
		h.Write([]byte(words))
		x := mix(h.Sum64())
		v[x%fakeLength] += 1 - 2*float32(x>>63)
	}
	add("") // so that a text without words, or whose words cancel out, is not nothing
	last := ""
	for _, w := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		add(w)
		add(last + " " + w)
		last = w
	}
	return v
}
