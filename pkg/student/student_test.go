package student

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"silverbeam/pkg/rules"
	"silverbeam/pkg/taxonomy"
)

const zoo = `name: zoo
findings:
  - {finding: Stripes, implies: [Pattern]}
  - {finding: Pattern}
  - {finding: Spots}
  - {finding: Rare}
`

func findings(t testing.TB, text string) (*taxonomy.Taxonomy, *rules.Labeler) {
	tax, err := taxonomy.Parse("zoo.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	l, err := rules.New(tax, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return tax, l
}

// labelled draws reports in which stripes are mostly called bands, a word that the rules do not know, and spots by name.
func labelled(n int) (reports []Report) {
	r := rand.New(rand.NewPCG(3, 3))
	for i := range n {
		striped, spotted := i%3 == 0, i%4 == 0
		text := strings.Join(prose(r, 12), " ") + ". "
		switch {
		case striped && i%2 == 0:
			text += "Banded zebra appearance of the flank. "
		case striped:
			text += "Zebra bands are seen. "
		default:
			text += "The flank is plain. "
		}
		if spotted {
			text += "Spots are seen. "
		} else {
			text += "No spots. "
		}
		truth := []int8{0, 0, 0, 0}
		if striped {
			truth[0], truth[1] = 1, 1
		}
		if spotted {
			truth[2] = 1
		}
		if i < 5 {
			truth[3] = 1
		}
		if i == 50 {
			truth[2] = -1
		}
		reports = append(reports, Report{ID: fmt.Sprint(i), Text: text + strings.Join(prose(r, 8), " "), Truth: truth})
	}
	return reports
}

func fitted(t testing.TB) (*Student, *Crossed, *taxonomy.Taxonomy, *rules.Labeler) {
	tax, l := findings(t, zoo)
	s, c, err := Fit(tax, l, labelled(150), Options{Folds: 5, Seed: 1, Ask: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	return s, c, tax, l
}

func TestStudentLearnsWhatTheRulesDoNotKnow(t *testing.T) {
	s, _, _, l := fitted(t)
	m := s.Made()
	if m.Reports != 150 || m.Groups < 140 || len(m.Figures) != 4 || m.Figures[2].N != 149 || m.Figures[0].Positives != 50 {
		t.Errorf("made of %+v", m)
	}
	stripes, spots, rare := m.Figures[0], m.Figures[2], m.Figures[3]
	if *stripes.Rules.F1 != 0 || *stripes.Student.F1 < 0.95 || *stripes.Student.AUC < 0.99 {
		t.Errorf("stripes: %s", show(stripes))
	}
	if *spots.Student.F1 < *spots.Rules.F1 {
		t.Errorf("spots: %s", show(spots))
	}
	if rare.Fitted || !stripes.Fitted {
		t.Errorf("fitted: stripes %v, rare %v, want true and false", stripes.Fitted, rare.Fitted)
	}
	report := "Zebra bands are seen. Spots are seen."
	got, err := s.Label(report)
	if err != nil {
		t.Fatal(err)
	}
	ruled, _ := l.Label(report)
	source := "student:" + s.Digest()[:12]
	if y := got[0]; y.State != taxonomy.Present || y.P <= 0.5 || y.Source != source || ruled[0].State != taxonomy.NotMentioned {
		t.Errorf("stripes: %+v, by rules %+v", y, ruled[0])
	}
	if y := got[2]; y.State != taxonomy.Present || y.From != ruled[2].From || y.To != ruled[2].To || y.To == 0 || y.Source != source {
		t.Errorf("spots: %+v, by rules %+v", y, ruled[2])
	}
	if got[3] != ruled[3] {
		t.Errorf("rare: %+v, want the rules' %+v", got[3], ruled[3])
	}
	if _, err := s.Label(" "); !errors.As(err, new(taxonomy.NotAssessable)) {
		t.Errorf("an empty report: %v", err)
	}
}

func show(f Figures) string { p, _ := json.Marshal(f); return string(p) }

// A finding that a present one implies is present, whatever its own model says.
func TestImplications(t *testing.T) {
	s, _, _, _ := fitted(t)
	s.start[1] = -50
	got, err := s.Label("Zebra bands are seen.")
	if err != nil || got[0].State != taxonomy.Present || got[1] != got[0] {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestSameInputSameBytes(t *testing.T) {
	write := func(cores, n int) string {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
		tax, l := findings(t, zoo)
		s, _, err := Fit(tax, l, labelled(n), Options{Folds: 3, Seed: 1, Ask: 0.1})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := s.Write(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	one := write(1, 120)
	if write(4, 120) != one {
		t.Error("the number of cores changed the file")
	}
	if write(4, 121) == one {
		t.Error("another report did not change the file")
	}
}

func TestFitRefuses(t *testing.T) {
	tax, l := findings(t, zoo)
	for name, reports := range map[string][]Report{"nothing": nil, "two": labelled(2), "too few of any kind": labelled(20)} {
		if _, _, err := Fit(tax, l, reports, Options{Folds: 5}); !errors.Is(err, ErrTooFew) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every feature that is written as text has the hash that reading a report gives.
func TestTextsHaveTheirHashes(t *testing.T) {
	const report = "No focal mass, 4.5 mm.\n\"Épaississement\" x"
	r := reader{texts: map[hash]string{}}
	r.read(report)
	for _, h := range r.found {
		r.texts[h] = ""
	}
	r.read(report)
	var texts []string
	for h, text := range r.texts {
		if textHash(text) != h {
			t.Errorf("%q: hash %x, want %x", text, textHash(text), h)
		}
		texts = append(texts, text)
	}
	for _, want := range []string{"w:no focal mass", "w:0 mm .", "w:no .. mass", "w:mass .. mm", "c:_foc", "c:ocal_", "w:x"} {
		if !slices.Contains(texts, want) {
			t.Errorf("no feature %q", want)
		}
	}
	if slices.Contains(texts, "w:mm .. epaississement") || slices.Contains(texts, "w:mm .. x") {
		t.Error("a pair reaches over a sentence's end")
	}
}

func TestFileRoundTrip(t *testing.T) {
	s, _, tax, l := fitted(t)
	var b, again bytes.Buffer
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
	back, err := Read(bytes.NewReader(b.Bytes()), tax, l)
	if err != nil {
		t.Fatal(err)
	}
	if err := back.Write(&again); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) || back.Digest() != s.Digest() {
		t.Errorf("other bytes or digest: %v", err)
	}
	for _, r := range labelled(40) {
		x, _ := s.Label(r.Text)
		y, _ := back.Label(r.Text)
		if !slices.Equal(x, y) {
			t.Errorf("report %s: %v, want %v", r.ID, y, x)
		}
	}
}

// sealed is a file whose content was changed by someone who can make a digest.
func sealed(t *testing.T, s *Student, change func(*file)) []byte {
	var f file
	if err := json.Unmarshal(s.content, &f); err != nil {
		t.Fatal(err)
	}
	change(&f)
	content, err := encode(f)
	if err != nil {
		t.Fatal(err)
	}
	p, err := encode(envelope{Format, fmt.Sprintf("%x", sha256.Sum256(content)), content})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestBadFiles(t *testing.T) {
	s, _, tax, l := fitted(t)
	var b bytes.Buffer
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
	good := b.Bytes()
	bad := map[string][]byte{
		"cut short":        good[:len(good)/2],
		"not JSON":         []byte("student"),
		"no":               []byte("not a student"),
		"its format":       bytes.Replace(good, []byte(Format), []byte("silverbeam-student-9"), 1),
		"damaged":          bytes.Replace(good, []byte(`"seed":1`), []byte(`"seed":2`), 1),
		"keys of one":      bytes.Replace(good, []byte(`{"format"`), []byte(`{"more":1,"format"`), 1),
		"something follow": append(slices.Clone(good), "{}"...),
		"32 MiB":           bytes.Repeat([]byte{' '}, 33<<20),
		"other findings":   sealed(t, s, func(f *file) { f.Findings[1].Name = "Dots" }),
		"another version":  sealed(t, s, func(f *file) { f.Made.Taxonomy = "" }),
		"other rules":      sealed(t, s, func(f *file) { f.Made.Rules = "rules-0" }),
		"figures":          sealed(t, s, func(f *file) { f.Made.Figures = nil }),
		"or too many":      sealed(t, s, func(f *file) { f.Blend = f.Blend[:3] }),
		"doubt":            sealed(t, s, func(f *file) { f.Made.Doubt = 0 }),
		"the blend":        sealed(t, s, func(f *file) { f.Blend[0] = 1e9 }),
		"intercept":        sealed(t, s, func(f *file) { f.Findings[0].Intercept = 1e300 }),
		"a weight":         sealed(t, s, func(f *file) { f.Findings[0].Weights["w:x"] = -1e5 }),
		"of no feature":    sealed(t, s, func(f *file) { f.Findings[0].Weights["x:y"] = 1 }),
	}
	for want, text := range bad {
		want, _, _ = strings.Cut(want, "not JSON")
		s, err := Read(bytes.NewReader(text), tax, l)
		if err == nil || s != nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if _, err := Read(bytes.NewReader(sealed(t, s, func(*file) {})), tax, l); err != nil {
		t.Errorf("an unchanged file: %v", err)
	}
	for i := range good[:len(good)-1] {
		if i%97 == 0 {
			if _, err := Read(bytes.NewReader(good[:i]), tax, l); err == nil {
				t.Fatalf("the first %d bytes were taken for a student", i)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	s, _, tax, l := fitted(f)
	var b bytes.Buffer
	if err := s.Write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(`{"format":"silverbeam-student-1","sha256":"","student":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := Read(bytes.NewReader(text), tax, l); err == nil {
			if _, err := s.Label("Zebra bands."); err != nil {
				t.Error(err)
			}
		}
	})
}

// crossedOf is four reports with one finding, by hand.
func crossedOf(p ...float64) *Crossed {
	c := &Crossed{p: [][]float64{p}}
	for i := range p {
		c.reports = append(c.reports, Report{Truth: []int8{int8(i % 2)}})
		c.labels = append(c.labels, []taxonomy.Label{{State: taxonomy.Present, P: 0.97}})
	}
	return c
}

func TestDoubtKeepsToItsShare(t *testing.T) {
	c := crossedOf(0.02, 0.9, 0.4, 0.55) // at most 0.02, 0.1, 0.4 and 0.45 from the nearer end
	for share, want := range map[float64]int{0: 0, 0.24: 0, 0.25: 1, 0.5: 2, 0.75: 3, 1: 4} {
		d, asked := c.doubt(share), 0
		for row := range c.reports {
			if c.doubted(d)(0, row) {
				asked++
			}
		}
		if asked != want {
			t.Errorf("share %v: doubt %v asks of %d, want %d", share, d, asked, want)
		}
	}
}

func TestCurveByHand(t *testing.T) {
	c := crossedOf(0.1, 0.9, 0.6, 0.3) // truth 0 1 0 1: one right of each kind, one wrong of each
	p := c.point("student,llm", 0.3, c.byStudent, c.doubted(0.3))
	if p.Reports != 0.5 || p.Findings != 0.5 || *p.Right != 1 {
		t.Errorf("%+v, want both wrong ones asked, and F1 = 1", p)
	}
	// Of the two asked, one is positive: tp = 1.95, fp = fn = 0.05.
	if want := 2 * 1.95 / (2*1.95 + 0.1); *p.Mostly-want > 1e-12 || want-*p.Mostly > 1e-12 {
		t.Errorf("F1 at 95 %% right is %v, want %v", *p.Mostly, want)
	}
	p = c.point("student", 0, c.byStudent, func(int, int) bool { return false })
	if p.Reports != 0 || *p.Right != 0.5 || *p.Mostly != 0.5 {
		t.Errorf("alone %+v, want F1 = 0.5", p)
	}
}

func TestDoubts(t *testing.T) {
	s := Student{made: Made{Doubt: 0.2}}
	for p, want := range map[float32]bool{0: false, 0.19: false, 0.21: true, 0.5: true, 0.79: true, 0.81: false, 1: false} {
		if s.Doubts(taxonomy.Label{P: p}) != want {
			t.Errorf("p = %v: want %v", p, want)
		}
	}
	if !s.Doubts(taxonomy.Label{State: taxonomy.Uncertain, P: 0.9}) {
		t.Error("uncertain is no doubt")
	}
}

func BenchmarkLabel(b *testing.B) {
	s, _, _, _ := fitted(b)
	r := rand.New(rand.NewPCG(5, 5))
	text := strings.Join(prose(r, 250), " ") + ". Zebra bands are seen. No spots."
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Label(text); err != nil {
			b.Fatal(err)
		}
	}
}

// Labels that are drawn by lot cannot be learned. Every text stands there four times, with one label: a fold that saw one
// of the four would know the others.
func TestNothingLeaks(t *testing.T) {
	tax, l := findings(t, zoo)
	r := rand.New(rand.NewPCG(7, 7))
	var reports []Report
	for i := range 48 {
		y, text := int8(r.IntN(2)), "Chest CT. "+strings.Join(prose(r, 20), " ")
		for _, end := range []string{"", " end", " of it", " here"} {
			reports = append(reports, Report{ID: fmt.Sprint(i, end), Text: text + end, Truth: []int8{y, 0, 0, 0}})
		}
	}
	s, _, err := Fit(tax, l, reports, Options{Folds: 3, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if x := s.Made().Figures[0]; *x.Student.AUC < 0.25 || *x.Student.AUC > 0.75 { // 0.5 ± 3 standard errors of 48 texts
		t.Errorf("AUC %v of labels by lot, want 0.5", *x.Student.AUC)
	}
}
