package taxonomy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Names and order of CT-RATE's label files.
const ctRate = "Medical material|Arterial wall calcification|Cardiomegaly|Pericardial effusion|" +
	"Coronary artery wall calcification|Hiatal hernia|Lymphadenopathy|Emphysema|Atelectasis|Lung nodule|Lung opacity|" +
	"Pulmonary fibrotic sequela|Pleural effusion|Mosaic attenuation pattern|Peribronchial thickening|Consolidation|" +
	"Bronchiectasis|Interlobular septal thickening"

func TestShippedNamesAndOrder(t *testing.T) {
	tax, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(tax.Names(), "|"); got != ctRate {
		t.Errorf("names are\n%s\nwant\n%s", got, ctRate)
	}
	for _, name := range Shipped() {
		shipped, err := Load(name)
		if err != nil || shipped.Name != name || !strings.HasSuffix(name, fmt.Sprint("-", len(shipped.Findings))) {
			t.Fatalf("%s: %v", name, err)
		}
		checkShipped(t, shipped)
	}
	rad, err := Load("radchestct-16")
	if err != nil {
		t.Fatal(err)
	}
	// As CT-CLIP's protocol has it: without two of CT-RATE's, and with one for both kinds of calcification.
	want := strings.NewReplacer("|Coronary artery wall calcification", "", "|Mosaic attenuation pattern", "", "Arterial wall", "Arterial").Replace(ctRate)
	if got := strings.Join(rad.Names(), "|"); got != want {
		t.Errorf("names are\n%s\nwant\n%s", got, want)
	}
}

func checkShipped(t *testing.T, tax *Taxonomy) {
	t.Helper()
	for _, f := range tax.Findings {
		if f.Positive != f.Name+" is present." || f.Negative != f.Name+" is not present." {
			t.Errorf("%s: prompts %q, %q", f.Name, f.Positive, f.Negative)
		}
		if f.Definition == "" || f.Organ == "" || len(f.Synonyms) == 0 {
			t.Errorf("%s: definition, organ or synonyms missing", f.Name)
		}
	}
}

func TestOwnFileGetsDefaults(t *testing.T) {
	tax, err := Load("testdata/five.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if tax.Name != "emergency-5" || len(tax.Findings) != 5 {
		t.Fatalf("got %s with %d findings", tax.Name, len(tax.Findings))
	}
	f := tax.Findings[tax.Index("Rib fracture")]
	if f.Positive != "Rib fracture is present." || f.Negative != "Rib fracture is not present." || f.Definition == "" {
		t.Errorf("defaults are %+v", f)
	}
}

func TestErrorsNamePlaceFindingAndKey(t *testing.T) {
	for name, c := range map[string]struct{ yaml, want string }{
		"unknown key":       {"name: a\nfindings:\n  - finding: X\n    synonym: [y]\n", `bad.yaml:4:5: unknown field "synonym"`},
		"wrong type":        {"name: a\nfindings:\n  - finding: [X]\n", "bad.yaml:3:"},
		"duplicate key":     {"name: a\nname: b\nfindings: []\n", "bad.yaml:2:"},
		"duplicate finding": {"name: a\nfindings:\n  - finding: X\n  - finding: x\n", `bad.yaml:4: finding "x" is also finding 1`},
		"no findings":       {"name: a\n", "findings is empty"},
		"no name":           {"findings:\n  - finding: X\n", "name is missing"},
		"nameless finding":  {"name: a\nfindings:\n  - synonyms: [y]\n", "bad.yaml:3: finding 1: finding must be a name"},
		"column clash":      {"name: a\nfindings:\n  - finding: ID\n", `bad.yaml:3: finding 1: "ID" is the name of another column`},
		"empty synonym":     {"name: a\nfindings:\n  - finding: X\n    synonyms: [y, '-']\n", `bad.yaml:4: finding "X": synonyms: entry 2`},
		"implies unknown":   {"name: a\nfindings:\n  - finding: X\n    implies: [Y]\n", `bad.yaml:4: finding "X": implies: "Y"`},
		"empty file":        {"", "bad.yaml:1: the file is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("bad.yaml", []byte(c.yaml))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	if _, err := Load("no-such-taxonomy"); err == nil || !strings.Contains(err.Error(), "ctrate-18") {
		t.Errorf("unknown name: error %v should list what is shipped", err)
	}
}

func TestDigestFollowsContentOnly(t *testing.T) {
	parse := func(s string) string {
		t.Helper()
		tax, err := Parse("a.yaml", []byte(s))
		if err != nil {
			t.Fatal(err)
		}
		return tax.Digest()
	}
	a := parse("name: a\nfindings:\n  - finding: X\n    synonyms: [y, z]\n")
	if b := parse("# remark\nfindings: [{synonyms: [y, z], finding: X}]\nname: a\n"); a != b {
		t.Error("layout changed the digest")
	}
	if b := parse("name: a\nfindings:\n  - finding: X\n    synonyms: [z, y]\n"); a == b {
		t.Error("another content has the same digest")
	}
	if len(a) != 64 {
		t.Errorf("digest %q is not a hex SHA-256", a)
	}
}

func TestLoadFromFileRefusesHuge(t *testing.T) {
	p := filepath.Join(t.TempDir(), "huge.yaml")
	if err := os.WriteFile(p, make([]byte, maxBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(p); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("error %v", err)
	}
}

func TestBinary(t *testing.T) {
	for _, c := range []struct {
		state  State
		policy string
		v      int8
		known  bool
	}{
		{Present, "zero", 1, true}, {Absent, "one", 0, true}, {NotMentioned, "missing", 0, true},
		{Uncertain, "one", 1, true}, {Uncertain, "", 1, true}, {Uncertain, "zero", 0, true},
		{Uncertain, "missing", 0, false}, {Uncertain, "typo", 0, false},
	} {
		if v, known := Binary(Label{State: c.state}, c.policy); v != c.v || known != c.known {
			t.Errorf("Binary(%v, %q) = %d, %v, want %d, %v", c.state, c.policy, v, known, c.v, c.known)
		}
	}
}
