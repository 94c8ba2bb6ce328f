package fit

import (
	"math/rand/v2"
	"strings"

	"silverbeam/pkg/net"
)

// textView is each study's report, or a part of it: input_ids and attention_mask [N, T]. With parts, a draw is one time in
// three the whole report, one its conclusion and one some of its sentences: all of them hold of the image, and the text
// tower meets texts of every length down to a prompt's.
type textView struct {
	tokens *net.WordPiece
	length int     // T
	parts  bool    // draw parts of reports too
	hide   float64 // chance of each token to become [UNK], as a word of another hospital's style would be
}

func (v textView) inputs(n int) []input {
	return []input{{"input_ids", []int{n, v.length}, true}, {"attention_mask", []int{n, v.length}, true}}
}

func (v textView) fill(in map[string]net.Tensor, row int, d draw) error {
	r := stream(d.seed, d.key(forText)...)
	text := d.study.report
	if v.parts {
		switch r.IntN(3) {
		case 1:
			text = conclusion(text)
		case 2:
			text = excerpt(text, r)
		}
	}
	ids := v.encode(in, row, text)
	for i := 1; i < len(ids)-1; i++ {
		if r.Float64() < v.hide {
			ids[i] = v.tokens.Unknown()
		}
	}
	return nil
}

// encode writes a text into a row and gives its ids, [CLS] and [SEP] included.
func (v textView) encode(in map[string]net.Tensor, row int, text string) []int32 {
	ids := in["input_ids"].I32[row*v.length:][:v.length]
	return ids[:v.tokens.Encode(ids, in["attention_mask"].I32[row*v.length:][:v.length], text)]
}

// conclusion is the report's last section, as CT-RATE and most tables give it: what follows the last line break. It is
// the whole report where that is no sentence, or says that there is none.
func conclusion(text string) string {
	text = strings.TrimSpace(text)
	last := strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
	if len(last) < shortestConclusion {
		return text
	}
	return last
}

// shortestConclusion is in bytes: "Not given." is shorter, "Pleural effusion." is not.
const shortestConclusion = 12

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
