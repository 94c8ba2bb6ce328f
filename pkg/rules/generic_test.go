package rules

import (
	"strings"
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

// A phrase is found in other words and orders, and is not where its words only happen to stand together.
func TestPhrasesTurnedRound(t *testing.T) {
	l := labelerOfOwn(t, `
name: own
findings:
  - {finding: Enlarged prostate, organ: prostate gland}
  - {finding: Bladder stone, organ: bladder}
  - {finding: Acute hematoma}
  - {finding: Thrombus in the iliac vein}
  - {finding: Diverticulum}
`)
	for _, c := range []struct{ report, want string }{
		{"The prostate is enlarged.", "+0000"},
		{"The prostate is not enlarged.", "-0000"},
		{"PROSTATE: Enlarged.", "+0000"},
		{"The prostate is of normal size.", "-0000"},
		{"Normal-sized prostate.", "-0000"},
		{"The prostate gland is unremarkable.", "-0000"},
		{"The prostate gland is normal in signal.", "00000"},
		{"The prostate gland is not normal.", "00000"},
		{"The prostate gland, bladder and rectum are unremarkable.", "--000"},
		{"The bladder, with a stone, is otherwise normal.", "0+000"},
		{"The bladder wall is normal.", "00000"},
		{"Bladder: two stones.", "0+000"},
		{"Bladder: moderately filled, no stone.", "0-000"},
		{"The bladder contains no stones.", "0-000"},
		{"Stones in the dependent part of the bladder.", "0+000"},
		{"The bladder is normal, renal stone on the left.", "0-000"},
		{"Acute haematoma of the thigh.", "00+00"},
		{"Haematoma, acute infarct.", "00000"},
		{"Thrombi in the left external iliac vein.", "000+0"},
		{"Iliac vein: no thrombus.", "000-0"},
		{"Several diverticula of the sigmoid colon.", "0000+"},
	} {
		if got := spell(answers(t, l, c.report)); got != c.want {
			t.Errorf("%q: %s, want %s", c.report, got, c.want)
		}
	}
}

// labelerOfOwn reads a taxonomy as a user writes it.
func labelerOfOwn(t *testing.T, yaml string) *Labeler {
	t.Helper()
	tax, err := taxonomy.Parse("own.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	l, err := New(tax, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func spell(labels []taxonomy.Label) (s string) {
	for _, y := range labels {
		s += letters[y.State]
	}
	return s
}

// The taxonomy of another region that ships, on snippets of several styles.
func TestAbdomen(t *testing.T) {
	l := labelerOf(t, "abdomen-12", "")
	right, named := 0, 0
	for _, x := range readTSV(t, "testdata/abdomen.tsv", 3) {
		for i, y := range answers(t, l, x[2]) {
			want := "0"
			if _, after, ok := strings.Cut(x[1], l.findings[i].Name+"="); ok {
				want = after[:1]
			}
			if got := letters[y.State]; got == want && want != "0" {
				right, named = right+1, named+1
			} else if got != want {
				named++
				t.Logf("%s: %s is %s by %s, want %s", x[0], l.findings[i].Name, got, y.Source, want)
			}
		}
	}
	if named < 50 || float64(right) < 0.95*float64(named) {
		t.Errorf("%d of %d right, want 95 %%", right, named)
	}
}

func TestImplicationsAndOwnSynonyms(t *testing.T) {
	l := labelerOfOwn(t, `
name: own
findings:
  - finding: Emphysema
    synonyms: [blown-up lungs]
    exclusions: [orbital emphysema]
  - finding: Airway disease
  - finding: Lung disease
  - finding: COPD
    implies: [Airway disease]
  - finding: Overlap
    implies: [COPD, Lung disease]
`)
	for _, c := range []struct{ report, want string }{
		{"Blown-up lungs.", "+0000"},
		{"Orbital emphysema.", "00000"},
		{"Paraseptal bullae.", "+0000"}, // the hand-written rules of that name still hold
		{"COPD is known.", "0+0+0"},
		{"Blown-up lungs. Overlap is seen. No airway disease.", "+++++"},
		{"Overlap is seen. No airway disease.", "0++++"},
		{"No overlap.", "0000-"},
	} {
		if got := spell(answers(t, l, c.report)); got != c.want {
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
	for _, name := range taxonomy.Shipped() {
		for _, convention := range Conventions() {
			l := labelerOf(t, name, convention)
			found := make([]int, len(l.column))
			for _, r := range l.rows {
				if r.kind == find {
					found[r.finding]++
				}
			}
			for u, n := range found {
				if n == 0 {
					t.Errorf("%s, %s: %s has no rules", name, convention, l.findings[l.column[u]].Name)
				}
			}
		}
	}
}

// TestShippedSynonymsAreFound: what a taxonomy calls a synonym, the rules must find, and what it excludes they must not.
func TestShippedSynonymsAreFound(t *testing.T) {
	for _, name := range taxonomy.Shipped() {
		l := labelerOf(t, name, "")
		for i, f := range l.findings {
			for _, s := range append([]string{f.Name}, f.Synonyms...) {
				if y := answers(t, l, "Evaluation: "+s+" is present.")[i]; y.State != taxonomy.Present {
					t.Errorf("%s: %s: synonym %q is %v", name, f.Name, s, y.State)
				}
			}
			for _, s := range f.Exclusions {
				if y := answers(t, l, s+".")[i]; y.State == taxonomy.Present {
					t.Errorf("%s: %s: exclusion %q is present by %s", name, f.Name, s, y.Source)
				}
			}
		}
	}
}

// RAD-ChestCT's findings answer as CT-RATE's of the same name do, and its one calcification as the surer of CT-RATE's two.
func TestRADChestCTFollowsCTRATE(t *testing.T) {
	ct, rad := labeler(t, ""), labelerOf(t, "radchestct-16", "")
	index := map[string]int{}
	for i, f := range ct.findings {
		index[f.Name] = i
	}
	states, compared := map[string]int{}, 0
	for _, x := range readTricks(t) {
		a, err := ct.Label(x.text)
		b, err2 := rad.Label(x.text)
		if err != nil || err2 != nil {
			continue // a snippet on nothing but what RAD-ChestCT leaves out may be refused
		}
		compared++
		for i, f := range rad.findings {
			want := a[index[f.Name]]
			if f.Name == "Arterial calcification" {
				want = a[index["Arterial wall calcification"]]
				if y := a[index["Coronary artery wall calcification"]]; weight(y.State) > weight(want.State) || y.State == want.State && y.P > want.P {
					want = y
				}
				states[letters[want.State]]++
			}
			if b[i].State != want.State || b[i].P != want.P {
				t.Errorf("%s: %s is %s by %s, want %s by %s", x.id, f.Name, letters[b[i].State], b[i].Source, letters[want.State], want.Source)
			}
		}
	}
	if states["+"] < 20 || states["-"] < 5 || states["?"] < 2 || compared < 600 {
		t.Errorf("too few to tell: %v of %d", states, compared)
	}
}
