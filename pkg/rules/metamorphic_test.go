package rules

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"silverbeam/pkg/taxonomy"
)

// statement is a sentence about findings in both polarities; other findings must not notice it.
type statement struct {
	findings []string // short names
	yes, no  string
}

var statements = []statement{
	{[]string{"device"}, "A pacemaker is seen at the left chest wall.", "No pacemaker is seen."},
	{[]string{"aorta"}, "Calcified plaques are present in the aortic arch.", "Calcified plaque was not observed in the aortic arch."},
	{[]string{"heart"}, "The heart is enlarged.", "Heart size is normal."},
	{[]string{"pericard"}, "A pericardial effusion of 9 mm is seen.", "Pericardial effusion was not seen."},
	{[]string{"coronary"}, "Calcific plaques are noted in the LAD.", "Coronary artery calcification was not detected."},
	{[]string{"hernia"}, "A small hiatal hernia is present.", "There is no hiatal hernia."},
	{[]string{"node"}, "Enlarged lymph nodes are seen in the mediastinum.", "No enlarged mediastinal lymph nodes are seen."},
	{[]string{"emphysema"}, "Emphysematous changes are seen in the upper lobes.", "Emphysema was not observed."},
	{[]string{"atelectasis"}, "Subsegmental atelectasis is seen at the left base.", "No atelectasis is seen."},
	{[]string{"nodule"}, "A 6 mm nodule is seen in the right upper lobe.", "No nodule was detected in the lungs."},
	{[]string{"opacity"}, "Ground-glass opacities are seen in both lungs.", "Ground-glass opacity was not observed."},
	{[]string{"sequela"}, "Fibrotic sequelae are seen at both apices.", "Fibrotic sequela was not observed."},
	{[]string{"pleural"}, "Bilateral pleural effusion is seen.", "Pleural effusion was not detected."},
	{[]string{"mosaic"}, "A mosaic attenuation pattern is seen.", "There is no mosaic attenuation."},
	{[]string{"peribronch"}, "Peribronchial thickening is seen.", "Peribronchial thickening is not seen."},
	{[]string{"consolidation"}, "A consolidation is seen in the left lower lobe.", "No consolidation is present."},
	{[]string{"bronchiectasis"}, "Cylindrical bronchiectasis is seen in the lingula.", "Bronchiectasis was not observed."},
	{[]string{"septal"}, "Interlobular septal thickening is seen.", "Interlobular septal thickening was not seen."},
	{[]string{"pleural", "pericard"}, "Pleural and pericardial effusions are seen.", "No pleural or pericardial effusion was observed."},
}

// idle sentences say nothing about any finding of ctrate-18.
var idle = []string{
	"The trachea is in the midline.", "The gallbladder was removed surgically.", "Bone structures are unremarkable.", "A cortical cyst is seen in the left kidney.",
	"No lytic or destructive bone lesion was detected.", "The examination was done without contrast.", "Degenerative changes are seen in the spine.",
}

func say(l *Labeler, t *testing.T, sentences []string) map[string]string {
	t.Helper()
	labels, err := l.Label("Chest CT. " + strings.Join(sentences, " "))
	if err != nil {
		t.Fatalf("%v: %q", err, sentences)
	}
	got := map[string]string{}
	for k, name := range short {
		for i, f := range l.findings {
			if f.Name == name {
				got[k] = letters[labels[i].State]
			}
		}
	}
	return got
}

// TestNegatingFlipsOnlyItsLabels builds random reports, negates one sentence and compares all labels.
func TestNegatingFlipsOnlyItsLabels(t *testing.T) {
	l, rng := labeler(t, ""), rand.New(rand.NewPCG(3, 18))
	for round := range 400 {
		order := rng.Perm(len(statements) - 1)[:2+rng.IntN(6)] // the pair statement would repeat single ones
		var with, without []string
		flipped := order[rng.IntN(len(order))]
		for _, k := range order {
			with = append(with, statements[k].yes)
			if k == flipped {
				without = append(without, statements[k].no)
			} else {
				without = append(without, statements[k].yes)
			}
		}
		a, b := say(l, t, with), say(l, t, without)
		for name := range short {
			said, changed := false, false
			for _, k := range order {
				for _, f := range statements[k].findings {
					said, changed = said || f == name, changed || f == name && k == flipped
				}
			}
			switch {
			case changed && (a[name] != "+" || b[name] != "-"):
				t.Fatalf("round %d: %s is %s, negated %s", round, name, a[name], b[name])
			case !changed && a[name] != b[name]:
				t.Fatalf("round %d: negating %v changed %s from %s to %s", round, statements[flipped].findings, name, a[name], b[name])
			case said && a[name] != "+":
				t.Fatalf("round %d: %s is %s", round, name, a[name])
			}
		}
	}
}

// TestIdleSentencesAndOrder adds sentences about nothing and shuffles; no label may change.
func TestIdleSentencesAndOrder(t *testing.T) {
	l, rng := labeler(t, ""), rand.New(rand.NewPCG(5, 18))
	for round := range 400 {
		var report []string
		for _, k := range rng.Perm(len(statements))[:1+rng.IntN(8)] {
			report = append(report, []string{statements[k].yes, statements[k].no}[rng.IntN(2)])
		}
		before := say(l, t, report)
		for range 3 {
			at := rng.IntN(len(report) + 1)
			report = append(report[:at:at], append([]string{idle[rng.IntN(len(idle))]}, report[at:]...)...)
		}
		rng.Shuffle(len(report), func(i, j int) { report[i], report[j] = report[j], report[i] })
		after := say(l, t, report)
		for name := range short {
			if before[name] != after[name] {
				t.Fatalf("round %d: %s went from %s to %s", round, name, before[name], after[name])
			}
		}
	}
}

// TestListsUnderOneDenial joins any nouns under one "no" or before one "was not observed".
func TestListsUnderOneDenial(t *testing.T) {
	nouns := map[string]string{"pleural": "pleural effusion", "consolidation": "consolidation", "emphysema": "emphysema", "bronchiectasis": "bronchiectasis",
		"hernia": "hiatal hernia", "opacity": "ground-glass opacity", "atelectasis": "atelectasis", "mosaic": "mosaic attenuation"}
	var names []string
	for k := range nouns {
		names = append(names, k)
	}
	l, rng := labeler(t, ""), rand.New(rand.NewPCG(7, 18))
	for range 200 {
		rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		picked := names[:2+rng.IntN(4)]
		var words []string
		for _, k := range picked {
			words = append(words, nouns[k])
		}
		list := strings.Join(words[:len(words)-1], ", ") + []string{" or ", " and ", ", ", " or "}[rng.IntN(4)] + words[len(words)-1]
		for _, report := range []string{"No " + list + " was observed.", strings.ToUpper(list[:1]) + list[1:] + " were not observed.", "There is no " + list + "."} {
			got := say(l, t, []string{report})
			for _, k := range picked {
				if got[k] != "-" {
					t.Fatalf("%s is %s in %q", k, got[k], report)
				}
			}
		}
	}
}

// FuzzLabel holds what must be true of any text: offsets are a substring on rune borders, states and probabilities are
// valid, the answer is the same twice, and evidence exists exactly where a finding is mentioned.
func FuzzLabel(f *testing.F) {
	for _, s := range statements {
		f.Add(s.yes + " " + s.no)
	}
	f.Add("FINDINGS:\n1. 4.5x3 mm nod\u00adule – “calcified”\r\n• no effusion/thickening?\"\" İmpression: none;;; (-)")
	f.Add("\xff\xfe no \x00 effusion-\n-\n*?.,")
	l := labeler(f, "")
	f.Fuzz(func(t *testing.T, report string) {
		labels, err := l.Label(report)
		if err != nil {
			if !errors.As(err, new(taxonomy.NotAssessable)) {
				t.Fatal(err)
			}
			return
		}
		again, _ := l.Label(report)
		for i, y := range labels {
			if y != again[i] {
				t.Fatalf("%+v, then %+v", y, again[i])
			}
			if y.P < 0 || y.P > 1 || y.State < taxonomy.NotMentioned || y.State > taxonomy.Present {
				t.Fatalf("%+v", y)
			}
			if mentioned := y.State != taxonomy.NotMentioned; mentioned != (y.From < y.To) || mentioned != (y.Source != "") {
				t.Fatalf("evidence and state disagree: %+v", y)
			}
			holds(t, report, y.From, y.To)
		}
		for _, m := range l.Explain(report) {
			holds(t, report, m.From, m.To)
		}
	})
}

func holds(t *testing.T, report string, from, to int) {
	t.Helper()
	if from < 0 || to < from || to > len(report) {
		t.Fatalf("offsets %d to %d of %d bytes", from, to, len(report))
	}
	if utf8.ValidString(report) && !utf8.ValidString(report[from:to]) {
		t.Fatalf("offsets %d to %d cut a rune", from, to)
	}
}
