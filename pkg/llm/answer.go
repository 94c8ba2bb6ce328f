package llm

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"silverbeam/pkg/taxonomy"

	openai "github.com/sashabaranov/go-openai"
)

// The probabilities that stand for a code where a server does not give the tokens': a code alone says no more than this.
const (
	pPresent   = 0.95
	pUncertain = 0.5
	pAbsent    = 0.05
	pSilent    = 0.05
)

var codes = map[string]taxonomy.Label{
	"P": {State: taxonomy.Present, P: pPresent},
	"N": {State: taxonomy.Absent, P: pAbsent},
	"U": {State: taxonomy.Uncertain, P: pUncertain},
	"B": {State: taxonomy.NotMentioned, P: pSilent},
}

// parseAnswer reads an answer: exactly the keys, each once, each with a known code. A code fence around it and white
// space are forgiven, and so is another order of an object's keys. Where some keys are missing, stand twice or have no
// known code, good are the places of the others: their labels hold beside the error. An answer with a key that was not
// asked for holds nothing. tokens are the answer's, with their probabilities, or nil. Errors tell positions and counts, never
// content.
func parseAnswer(content string, keys []string, m mode, tokens []openai.LogProb) (labels []taxonomy.Label, good []int, err error) {
	body := unfence(content)
	pairs, err := objectPairs(body)
	if m == oneLine && !strings.HasPrefix(body, "{") {
		pairs, err = linePairs(body)
	}
	if err != nil {
		return nil, nil, err
	}
	labels, seen, at := make([]taxonomy.Label, len(keys)), make([]int, len(keys)), make([]int, len(keys))
	offset := strings.Index(content, body)
	for n, p := range pairs {
		i := n // as nearly all answers have them
		if n >= len(keys) || keys[n] != p.key {
			i = slices.Index(keys, p.key)
		}
		if i < 0 {
			return nil, nil, fmt.Errorf("entry %d has an unknown key", n+1)
		}
		if seen[i]++; seen[i] == 1 {
			labels[i], at[i] = codes[p.code], offset+p.at
		}
	}
	for i, k := range keys {
		switch {
		case seen[i] == 0:
			err = fmt.Errorf("%d of %d keys", len(pairs), len(keys))
		case seen[i] > 1:
			err = fmt.Errorf("key %s stands twice", k)
		case labels[i] == taxonomy.Label{}:
			err = fmt.Errorf("key %s has no known code", k)
		default:
			good = append(good, i)
		}
	}
	weigh(labels, at, good, content, tokens)
	return labels, good, err
}

func unfence(s string) string {
	s = strings.TrimSpace(s)
	if body, ok := strings.CutPrefix(s, "```"); ok {
		if body, ok = strings.CutSuffix(body, "```"); ok {
			return strings.TrimSpace(strings.TrimPrefix(body, "json"))
		}
	}
	return s
}

// pair is one entry of an answer; at is the code's place in it.
type pair struct {
	key, code string
	at        int
}

var errNoObject = errors.New("no flat JSON object of strings")

// objectPairs reads a flat JSON object of strings in order, because a map would hide a key that stands twice, and in one
// pass, because a decoder's tokens take longer than all else that is done with an answer.
func objectPairs(s string) (pairs []pair, err error) {
	at := 0
	take := func(c byte) bool {
		for at < len(s) && strings.IndexByte(" \t\r\n", s[at]) >= 0 {
			at++
		}
		if at == len(s) || s[at] != c {
			return false
		}
		at++
		return true
	}
	text := func() (t string, ok bool) {
		if !take('"') {
			return "", false
		}
		start := at
		for at < len(s) && s[at] != '"' && s[at] >= ' ' {
			if s[at] == '\\' {
				at++
			}
			at++
		}
		if at >= len(s) || s[at] != '"' {
			return "", false
		}
		at++
		if t = s[start : at-1]; strings.Contains(t, `\`) {
			return unescaped(s[start-1 : at])
		}
		return t, true
	}
	if !take('{') {
		return nil, errNoObject
	}
	pairs = make([]pair, 0, strings.Count(s, ":"))
	for more := !take('}'); more; more = take(',') {
		k, ok := text()
		if !ok || !take(':') {
			return nil, errNoObject
		}
		v, ok := text()
		if !ok {
			return nil, errNoObject
		}
		pairs = append(pairs, pair{k, v, at - 1 - len(v)})
	}
	if len(pairs) > 0 && !take('}') {
		return nil, errNoObject
	}
	if strings.TrimSpace(s[at:]) != "" {
		return nil, errors.New("something follows the JSON object")
	}
	return pairs, nil
}

// unescaped reads a JSON string with its quotes.
func unescaped(s string) (t string, ok bool) {
	err := json.Unmarshal([]byte(s), &t)
	return t, err == nil
}

func linePairs(s string) (pairs []pair, err error) {
	if strings.Contains(s, "\n") {
		return nil, errors.New("more than one line")
	}
	at := 0
	for i, field := range strings.Fields(s) {
		at += strings.Index(s[at:], field) + len(field)
		k, v, ok := strings.Cut(field, "=")
		if !ok {
			return nil, fmt.Errorf("entry %d is not key=code", i+1)
		}
		pairs = append(pairs, pair{k, v, at - len(v)})
	}
	return pairs, nil
}
