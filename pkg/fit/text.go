package fit

import (
	"math/rand/v2"
	"strings"

	"silverbeam/pkg/net"
)

// textView is each study's report, or some of its sentences: input_ids and attention_mask [N, T].
type textView struct {
	tokens *net.WordPiece
	length int     // T
	part   float64 // chance of an excerpt instead of the whole report
}

func (v textView) inputs(n int) []input {
	return []input{{"input_ids", []int{n, v.length}, true}, {"attention_mask", []int{n, v.length}, true}}
}

func (v textView) fill(in map[string]net.Tensor, row int, d draw) {
	r := stream(d.seed, d.key(forText)...)
	text := d.study.report
	if r.Float64() < v.part {
		text = excerpt(text, r)
	}
	v.encode(in, row, text)
}

func (v textView) encode(in map[string]net.Tensor, row int, text string) {
	v.tokens.Encode(in["input_ids"].I32[row*v.length:][:v.length], in["attention_mask"].I32[row*v.length:][:v.length], text)
}

// excerpt keeps a random number of sentences, at least one, in their order. The image still answers each of them, and
// the text encoder meets texts as short as a prompt.
func excerpt(text string, r *rand.Rand) string {
	all := sentences(text)
	if len(all) < 2 {
		return text
	}
	keep := r.Perm(len(all))[:1+r.IntN(len(all))]
	chosen := make([]bool, len(all))
	for _, i := range keep {
		chosen[i] = true
	}
	var out []string
	for i, s := range all {
		if chosen[i] {
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}

// sentences cuts after full stops that a space follows, and at line ends. It is meant for drawing parts, not for reading
// them: a cut at an abbreviation does no harm.
func sentences(text string) []string {
	var out []string
	for _, line := range strings.Split(text, "\n") {
		for _, s := range strings.SplitAfter(line, ". ") {
			if s = strings.TrimSpace(s); s != "" {
				out = append(out, s)
			}
		}
	}
	return out
}
