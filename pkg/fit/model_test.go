package fit

import "testing"

func TestConclusion(t *testing.T) {
	for report, want := range map[string]string{
		"The heart is large.\nCardiomegaly is present.": "Cardiomegaly is present.",
		"The heart is large.\nNot given.":               "The heart is large.\nNot given.",
		"The heart is large.":                           "The heart is large.",
		"":                                              "",
	} {
		if got := conclusion(report); got != want {
			t.Errorf("%q: got %q, want %q", report, got, want)
		}
	}
}
