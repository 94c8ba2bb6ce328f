package llm

import (
	"math"
	"strings"

	"silverbeam/pkg/taxonomy"

	openai "github.com/sashabaranov/go-openai"
)

// topTokens is how many alternatives a server is asked for at each token: one more than there are codes, and the most that
// every server of them gives.
const topTokens = 5

// weigh sets the probabilities of the good ones of labels by those of the tokens that hold their codes: the mass of present, and half that
// of uncertain, of the mass of all four. at are the codes' places in the content. A server that gives no probabilities, or
// those of another text, changes nothing.
func weigh(labels []taxonomy.Label, at, good []int, content string, tokens []openai.LogProb) {
	next, start := 0, 0 // token, and its place
	var all strings.Builder
	for _, t := range tokens {
		all.WriteString(t.Token)
	}
	before := strings.Index(all.String(), content) // bytes of tokens that the server has taken off, such as a code fence
	if len(tokens) == 0 || before < 0 || content == "" {
		return
	}
	for _, i := range good {
		place := before + at[i] // ascending, but for answers in another order
		if place < start {
			next, start = 0, 0
		}
		for start+len(tokens[next].Token) <= place {
			start += len(tokens[next].Token)
			next++
		}
		if p, ok := presence(tokens[next], place-start); ok {
			labels[i].P = p
		}
	}
}

func inWord(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80 }

// presence reads one token whose text holds a code after so many bytes. A code that is not among the alternatives has less
// than the least of them, and than what they leave: half of that bound is taken, so that nothing is certain.
func presence(t openai.LogProb, before int) (p float32, ok bool) {
	alternatives := t.TopLogProbs
	if len(alternatives) == 0 {
		return 0, false
	}
	mass := map[string]float64{}
	left, least := 1.0, 1.0
	for _, a := range alternatives {
		q := math.Exp(a.LogProb)
		if !(q >= 0 && q <= 1.001) {
			return 0, false
		}
		left, least = left-q, min(least, q)
		if rest, fits := strings.CutPrefix(a.Token, t.Token[:before]); fits && rest != "" && (len(rest) == 1 || !inWord(rest[1])) {
			mass[rest[:1]] += q // P, or P with what ends it; Pleural is no code
		}
	}
	own := math.Exp(t.LogProb) // a schema can force a code that is not among the likeliest tokens: its own probability is known
	if code := t.Token[before : before+1]; mass[code] == 0 && own > 0 && own <= left+0.001 {
		mass[code] = own
		left, least = left-own, min(least, own)
	}
	sum := 0.0
	for code := range codes {
		if mass[code] == 0 {
			mass[code] = max(0, min(left, least)) / 2
		}
		sum += mass[code]
	}
	if sum == 0 {
		return 0, false
	}
	const never = 1e-6 // a probability of 0 would be no answer
	return float32(min(max((mass["P"]+mass["U"]/2)/sum, never), 1-never)), true
}
