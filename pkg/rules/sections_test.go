package rules

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// parts are the paragraphs of a report under headings, each with what it may say.
var parts = map[string][]string{
	"Lungs":       {"A 6 mm nodule is seen in the right upper lobe.", "No nodule.", "Emphysema.", "No consolidation or ground-glass opacity.", "Atelectasis at both bases."},
	"Airways":     {"Patent.", "Bronchiectasis in the lingula.", "No peribronchial thickening."},
	"Pleura":      {"No effusion.", "Small effusion on the left."},
	"Heart":       {"Normal in size.", "Enlarged.", "Coronary artery calcification."},
	"Mediastinum": {"No enlarged lymph nodes.", "A subcarinal lymph node of 9 mm is seen.", "Hiatal hernia."},
	"Thyroid":     {"A nodule of 8 mm on the left."},
	"Bones":       {"Old rib fractures.", "Sternotomy wires."},
}

// TestSectionsInAnyOrder shuffles the paragraphs of reports; no label may change.
func TestSectionsInAnyOrder(t *testing.T) {
	l, rng := labeler(t, ""), rand.New(rand.NewPCG(11, 18))
	for round := range 300 {
		var paragraphs []string
		for _, name := range []string{"Lungs", "Airways", "Pleura", "Heart", "Mediastinum", "Thyroid", "Bones"} {
			says := parts[name]
			text := name + ": " + says[rng.IntN(len(says))]
			if rng.IntN(2) == 0 {
				text += " " + says[rng.IntN(len(says))]
			}
			paragraphs = append(paragraphs, text)
		}
		read := func() map[string]string {
			return say(l, t, []string{"\nIndication: emphysema?\nFindings:\n" + strings.Join(paragraphs, "\n") + "\nImpression: see above."})
		}
		before := read()
		rng.Shuffle(len(paragraphs), func(i, j int) { paragraphs[i], paragraphs[j] = paragraphs[j], paragraphs[i] })
		after := read()
		for name := range short {
			if before[name] != after[name] {
				t.Fatalf("round %d: %s went from %s to %s in %q", round, name, before[name], after[name], paragraphs)
			}
		}
	}
}
