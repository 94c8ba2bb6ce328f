package rules

import (
	"testing"

	"silverbeam/pkg/taxonomy"
)

// TestOwnTaxonomy runs the example that users copy: five findings nobody wrote rules for.
func TestOwnTaxonomy(t *testing.T) {
	tax, err := taxonomy.Load("../taxonomy/testdata/five.yaml")
	if err != nil {
		t.Fatal(err)
	}
	l, err := New(tax, Options{})
	if err != nil {
		t.Fatal(err)
	}
	const ptx, rib, thyroid, stone, fat = 0, 1, 2, 3, 4
	for _, c := range []struct {
		report string
		want   [5]string
	}{
		{"No pneumothorax. Fractures of the left fifth and sixth ribs.", [5]string{ptx: "-", rib: "+", thyroid: "0", stone: "0", fat: "0"}},
		{"Pneumothorax was not observed. A nodule of 8 mm is seen in the right thyroid lobe.", [5]string{"-", "0", "+", "0", "0"}},
		{"Gallstones are present; fatty liver.", [5]string{"0", "0", "0", "+", "+"}},
		{"A calculus in the gallbladder. Hepatic steatosis is not seen.", [5]string{"0", "0", "0", "+", "-"}},
		{"A pneumothorax cannot be excluded. Rib fracture?", [5]string{"?", "?", "0", "0", "0"}},
		{"The pneumothorax has completely resolved. Multinodular goitre.", [5]string{"-", "0", "+", "0", "0"}},
		{"Hydropneumothorax was drained.", [5]string{"0", "0", "0", "0", "0"}},
		{"Lung nodule of 4 mm. Cholelithiasis is absent.", [5]string{"0", "0", "0", "-", "0"}},
	} {
		labels, err := l.Label(c.report)
		if err != nil {
			t.Fatal(err)
		}
		for i, y := range labels {
			if got := letters[y.State]; got != c.want[i] {
				t.Errorf("%q: %s is %s, want %s; rule %s", c.report, tax.Findings[i].Name, got, c.want[i], y.Source)
			}
		}
	}
}

func TestImplicationsAndOwnSynonyms(t *testing.T) {
	tax, err := taxonomy.Parse("own.yaml", []byte(`
name: own
findings:
  - finding: Emphysema
    synonyms: [blown-up lungs]
  - finding: Airway disease
  - finding: Lung disease
  - finding: COPD
    implies: [Airway disease]
  - finding: Overlap
    implies: [COPD, Lung disease]
`))
	if err != nil {
		t.Fatal(err)
	}
	l, err := New(tax, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ report, want string }{
		{"Blown-up lungs.", "+0000"},
		{"Paraseptal bullae.", "+0000"}, // the hand-written rules of that name still hold
		{"COPD is known.", "0+0+0"},
		{"Overlap is seen. No airway disease.", "0++++"},
		{"No overlap.", "0000-"},
	} {
		labels, err := l.Label(c.report)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, y := range labels {
			got += letters[y.State]
		}
		if got != c.want {
			t.Errorf("%q: %s, want %s", c.report, got, c.want)
		}
	}
}

func TestConventionIsChecked(t *testing.T) {
	tax, err := taxonomy.Load("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(tax, Options{Convention: "ctrate"}); err == nil {
		t.Error("an unknown convention was accepted")
	}
	a, b := labeler(t, "ct-rate").Version(), labeler(t, "clinical").Version()
	if a == b || a != labeler(t, "").Version() {
		t.Errorf("versions %q and %q", a, b)
	}
}

// TestEveryShippedFindingHasRules and its data compile under both conventions, with every row matched by its own kind.
func TestEveryShippedFindingHasRules(t *testing.T) {
	for _, convention := range Conventions() {
		l := labeler(t, convention)
		found := make([]int, len(l.findings))
		for _, r := range l.rows {
			if r.kind == find {
				found[r.finding]++
			}
		}
		for i, n := range found {
			if n == 0 {
				t.Errorf("%s: %s has no rules", convention, l.findings[i].Name)
			}
		}
	}
}

// TestShippedSynonymsAreFound: what the taxonomy calls a synonym, the hand-written rules must find.
func TestShippedSynonymsAreFound(t *testing.T) {
	l := labeler(t, "")
	for i, f := range l.findings {
		for _, s := range append([]string{f.Name}, f.Synonyms...) {
			labels := answers(t, l, "Evaluation: "+s+" is present.")
			if labels[i].State != taxonomy.Present {
				t.Errorf("%s: synonym %q is %v", f.Name, s, labels[i].State)
			}
		}
		for _, s := range f.Exclusions {
			labels := answers(t, l, s+".")
			if labels[i].State == taxonomy.Present {
				t.Errorf("%s: exclusion %q is present by %s", f.Name, s, labels[i].Source)
			}
		}
	}
}
