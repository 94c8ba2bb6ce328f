package rules

import (
	"errors"
	"testing"

	"silverbeam/pkg/taxonomy"
)

// TestRefusesWhatIsNoChestReport: other regions, other languages, papers, addenda alone and stumps are refused, at least
// 99 of 100, and no text that says something of the chest is.
func TestRefusesWhatIsNoChestReport(t *testing.T) {
	l := labeler(t, "")
	refused, all, classes := 0, 0, 0
	for _, f := range readTSV(t, "testdata/refused.tsv", 3) {
		_, err := l.Label(unescape(t, f[2]))
		var no taxonomy.NotAssessable
		all++
		if !errors.As(err, &no) {
			t.Logf("%s is labelled: %s", f[0], f[2])
			continue
		}
		refused++
		if no.Class == f[1] {
			classes++
		} else {
			t.Logf("%s is %s", f[0], no.Class)
		}
	}
	t.Logf("%d of %d refused, %d by the class expected", refused, all, classes)
	if refused < all*99/100 || all < 500 {
		t.Errorf("%d of %d refused", refused, all)
	}
	for _, f := range readTSV(t, "testdata/accepted.tsv", 3) {
		if _, err := l.Label(unescape(t, f[2])); err != nil {
			t.Errorf("%s: %v: %s", f[0], err, f[2])
		}
	}
}
