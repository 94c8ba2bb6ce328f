package student

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// prose is n words of a small vocabulary.
func prose(r *rand.Rand, n int) []string {
	words := make([]string, n)
	for i := range words {
		words[i] = fmt.Sprintf("word%c%c", 'a'+r.IntN(26), 'a'+r.IntN(26))
	}
	return words
}

// copies are texts of which many differ from another in a few words only, so that some pairs stand on either side of 0.7.
func copies(r *rand.Rand) (reports []Report) {
	for range 20 {
		original := prose(r, 40+r.IntN(40))
		for range 6 {
			own := slices.Clone(original)
			for range r.IntN(5) {
				own[r.IntN(len(own))] = "changed"
			}
			reports = append(reports, Report{Text: strings.Join(own, " ")})
		}
	}
	return reports
}

func TestNearCopiesAgainstAllPairs(t *testing.T) {
	reports := copies(rand.New(rand.NewPCG(1, 1)))
	want := make(forest, len(reports))
	joined := 0
	for i := range want {
		want[i] = i
		for j := range i {
			if jaccard(shingles(reports[i].Text), shingles(reports[j].Text)) >= 0.7 {
				want.join(i, j)
				joined++
			}
		}
	}
	if joined < 50 || joined > 300 {
		t.Fatalf("%d pairs of 300: the texts test nothing", joined)
	}
	for i, g := range groups(reports) {
		if g != want.find(i) {
			t.Errorf("text %d is in the group of %d, want %d", i, g, want.find(i))
		}
	}
}

func TestJaccard(t *testing.T) {
	five := shingles("a b c d e") // one run
	for text, want := range map[string]float64{"a b c d e": 1, "A, b; c. D e": 1, "a b c d e f": 0.5, "a b c d f": 0, "": 0} {
		if got := jaccard(five, shingles(text)); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestFoldsKeepGroupsTogether(t *testing.T) {
	reports := copies(rand.New(rand.NewPCG(2, 2)))
	for i := range reports {
		if i%7 == 0 {
			reports[i].Cluster = fmt.Sprint("patient ", i%3) // three patients, across texts
		}
	}
	group := groups(reports)
	of := folds(group, 4, 1)
	size := make([]int, 4)
	for i := range reports {
		size[of[i]]++
		if of[i] != of[group[i]] {
			t.Errorf("row %d is in fold %d, its group in %d", i, of[i], of[group[i]])
		}
		for j := range i {
			if c := reports[i].Cluster; c != "" && c == reports[j].Cluster && of[i] != of[j] {
				t.Errorf("%s is in folds %d and %d", c, of[i], of[j])
			}
		}
	}
	if slices.Min(size) == 0 {
		t.Errorf("folds of %v rows", size)
	}
	if slices.Equal(of, folds(group, 4, 2)) {
		t.Error("another seed deals the same")
	}
}
