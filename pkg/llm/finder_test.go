package llm

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestFinderFindsWhatRegexpFinds sets the finder beside Go's regexp, which looks through the whole text for each pattern: on
// generated reports, on pieces of them put together anywhere, and after parts were blotted out.
func TestFinderFindsWhatRegexpFinds(t *testing.T) {
	g := readGrammar(t, "testdata/heldout1.txt", 9)
	d := draw{g.Rand}
	var texts []string
	for range 40 {
		texts = append(texts, g.draw().Text, d.letter().Text)
	}
	for range 40 {
		var b strings.Builder
		for range 8 {
			of := []rune(texts[d.IntN(80)])
			from := d.IntN(len(of))
			b.WriteString(string(of[from:min(len(of), from+d.IntN(60))]))
			b.WriteString(pick(d, "", "", "", "\x00", "’", "K", "ſ", "×", "字", "\n", " Dr. ", "é"))
		}
		texts = append(texts, b.String())
	}
	f := finding()
	var oracle []*regexp.Regexp
	for _, p := range f.patterns {
		oracle = append(oracle, regexp.MustCompile(strings.TrimPrefix(p.String(), `^(?s:.)`)))
	}
	matches := 0
	for _, text := range texts {
		x := f.in(text)
		for range 3 {
			for k, re := range oracle {
				want, got := re.FindAllSubmatchIndex([]byte(x.rest()), -1), x.all(k)
				if !slices.EqualFunc(got, want, slices.Equal[[]int]) {
					t.Errorf("%s\nin %q:\n%v, regexp %v", re, x.rest(), got, want)
				}
				matches += len(want)
			}
			at := []int{} // where runes begin
			for i := range text {
				at = append(at, i)
			}
			from := d.IntN(len(at))
			x.blotOut(at[from], append(at, len(text))[min(len(at), from+1+d.IntN(9))])
		}
	}
	if matches < 3000 {
		t.Errorf("%d matches", matches)
	}
}
