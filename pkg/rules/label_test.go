package rules

import (
	"errors"
	"sync"
	"testing"

	"silverbeam/pkg/taxonomy"
)

// states spells the labels of a report for the findings a case names: + present, - absent, ? uncertain, 0 not mentioned.
var letters = map[taxonomy.State]string{taxonomy.Present: "+", taxonomy.Absent: "-", taxonomy.Uncertain: "?", taxonomy.NotMentioned: "0"}

var short = map[string]string{
	"device": "Medical material", "aorta": "Arterial wall calcification", "heart": "Cardiomegaly", "pericard": "Pericardial effusion",
	"coronary": "Coronary artery wall calcification", "hernia": "Hiatal hernia", "node": "Lymphadenopathy", "emphysema": "Emphysema",
	"atelectasis": "Atelectasis", "nodule": "Lung nodule", "opacity": "Lung opacity", "sequela": "Pulmonary fibrotic sequela",
	"pleural": "Pleural effusion", "mosaic": "Mosaic attenuation pattern", "peribronch": "Peribronchial thickening",
	"consolidation": "Consolidation", "bronchiectasis": "Bronchiectasis", "septal": "Interlobular septal thickening",
}

func labeler(t testing.TB, convention string) *Labeler {
	t.Helper()
	return labelerOf(t, "", convention)
}

func labelerOf(t testing.TB, findings, convention string) *Labeler {
	t.Helper()
	tax, err := taxonomy.Load(findings)
	if err != nil {
		t.Fatal(err)
	}
	l, err := New(tax, Options{Convention: convention})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

type want map[string]string

type reportCase struct {
	name, report string
	want         want // short name to state; findings not listed must not be present or uncertain
}

func check(t *testing.T, l *Labeler, cases []reportCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			labels := answers(t, l, c.report)
			expected := map[string]string{}
			for k, v := range c.want {
				if short[k] == "" {
					t.Fatalf("no finding %q", k)
				}
				expected[short[k]] = v
			}
			for i, f := range l.findings {
				got := letters[labels[i].State]
				e, listed := expected[f.Name]
				if listed && got != e || !listed && (got == "+" || got == "?") {
					t.Errorf("%s is %s, want %s; rule %s", f.Name, got, e, labels[i].Source)
				}
			}
		})
	}
}

// answers labels a text; one that is refused says nothing of any finding, as its empty row will.
func answers(t *testing.T, l *Labeler, text string) []taxonomy.Label {
	t.Helper()
	labels, err := l.Label(text)
	if errors.As(err, new(taxonomy.NotAssessable)) {
		labels = make([]taxonomy.Label, len(l.findings))
		for i := range labels {
			labels[i].State = taxonomy.NotMentioned
		}
	} else if err != nil {
		t.Fatal(err)
	}
	return labels
}

// The mechanisms, one case each. Sentences are made up for the purpose.
func TestDenial(t *testing.T) {
	check(t, labeler(t, ""), []reportCase{
		{"before the noun", "No pleural effusion.", want{"pleural": "-"}},
		{"without", "The lungs are without consolidation.", want{"consolidation": "-"}},
		{"no evidence of", "There is no evidence of emphysema or bronchiectasis.", want{"emphysema": "-", "bronchiectasis": "-"}},
		{"after the noun", "Pericardial effusion was not observed.", want{"pericard": "-"}},
		{"after the noun, bare", "Consolidation not seen.", want{"consolidation": "-"}},
		{"after a pair", "Pleural effusion-thickening was not detected in either hemithorax.", want{"pleural": "-"}},
		{"absent", "Hiatal hernia is absent.", want{"hernia": "-"}},
		{"could not be seen", "A nodule could not be identified in the lungs.", want{"nodule": "-"}},
		{"colon none", "Pleural effusion: none. Nodules: none.", want{"pleural": "-", "nodule": "-"}},
		{"list under one no", "No pleural effusion, consolidation, ground-glass opacity or nodule was found in the lungs.",
			want{"pleural": "-", "consolidation": "-", "opacity": "-", "nodule": "-"}},
		{"list stops at semicolon", "No pleural effusion, consolidation or mass; linear atelectasis in the lingula.",
			want{"pleural": "-", "consolidation": "-", "atelectasis": "+"}},
		{"list stops at but", "No effusion or pleural thickening but atelectasis at the left base.", want{"pleural": "-", "atelectasis": "+"}},
		{"list stops at a new subject", "No pericardial effusion is seen, and calcified plaques are present in the aortic arch.",
			want{"pericard": "-", "aorta": "+"}},
		{"list stops at an article", "No consolidation, a 6 mm nodule in the right upper lobe.", want{"consolidation": "-", "nodule": "+"}},
		{"list stops at except", "No parenchymal abnormality except mild emphysema.", want{"emphysema": "+"}},
		{"neither nor", "Neither consolidation nor ground glass opacity is present.", want{"consolidation": "-", "opacity": "-"}},
		{"subject after a full clause", "Emphysema is seen in both lungs, pleural effusion was not detected.",
			want{"emphysema": "+", "pleural": "-"}},
		{"subject after and", "A nodule is seen in the left lung and pleural effusion was not observed.", want{"nodule": "+", "pleural": "-"}},
		{"objects of there is", "There is consolidation and ground glass in the right lung and pleural effusion was not observed.",
			want{"consolidation": "+", "opacity": "+", "pleural": "-"}},
		{"terse neighbours", "Mild emphysema, pleural effusion not seen.", want{"emphysema": "+", "pleural": "-"}},
		{"does not show", "The study does not show consolidation.", want{"consolidation": "-"}},
		{"not only", "Not only emphysema but also bronchiectasis is present.", want{"emphysema": "+", "bronchiectasis": "+"}},
		{"opening phrase", "In the absence of pleural effusion, consolidation is seen at the base.", want{"pleural": "-", "consolidation": "+"}},
		{"not this but that", "Not emphysema but atelectasis is seen.", want{"emphysema": "-", "atelectasis": "+"}},
		{"trailing not", "Emphysema is present, pleural effusion is not.", want{"emphysema": "+", "pleural": "-"}},
		{"colon before no", "In the lung window: No consolidation was detected. Emphysema is seen.", want{"consolidation": "-", "emphysema": "+"}},
		{"rather than", "Findings are due to atelectasis rather than consolidation.", want{"atelectasis": "+", "consolidation": "-"}},
		{"not in favour of", "Nothing was observed in favour of consolidation. No finding suggesting emphysema.",
			want{"consolidation": "-", "emphysema": "-"}},
		{"free of", "Pleural spaces are free of effusion.", want{"pleural": "-"}},
		{"not enlarged", "The heart is not enlarged.", want{"heart": "-"}},
		{"non-calcified nodule", "A non-calcified nodule in the right lower lobe.", want{"nodule": "+"}},
		{"case and blanks", "NO   PLEURAL\tEFFUSION WAS SEEN. LUNGS: EMPHYSEMA.", want{"pleural": "-", "emphysema": "+"}},
	})
}

func TestDenialThatDeniesNothing(t *testing.T) {
	check(t, labeler(t, ""), []reportCase{
		{"no change", "No significant change in the nodule of the right lung.", want{"nodule": "+"}},
		{"no increase in size", "No increase in the size of the pulmonary nodule.", want{"nodule": "+"}},
		{"without contrast", "Examined without contrast: consolidation in the left lower lobe.", want{"consolidation": "+"}},
		{"not seen before", "A nodule that was not seen in the previous examination is present in the lingula.", want{"nodule": "+"}},
		{"below pathological size", "Lymph nodes not reaching pathological size are observed in the mediastinum.", want{"node": "+"}},
		{"cannot be separated", "Atelectasis that cannot be distinguished from consolidation.", want{"atelectasis": "+", "consolidation": "+"}},
	})
}

func TestDoubt(t *testing.T) {
	check(t, labeler(t, ""), []reportCase{
		{"question mark", "Density at the left base (consolidation?).", want{"consolidation": "?"}},
		{"may be compatible", "The appearance may be compatible with atelectasis.", want{"atelectasis": "?"}},
		{"cannot be excluded", "A small pleural effusion cannot be excluded.", want{"pleural": "?"}},
		{"cannot exclude", "Cannot exclude a nodule at the right apex.", want{"nodule": "?"}},
		{"suspicious for", "Suspicious for bronchiectasis.", want{"bronchiectasis": "?"}},
		{"consistent with", "Findings consistent with emphysema.", want{"emphysema": "+"}},
		{"in favour of", "The area was evaluated in favor of atelectasis.", want{"atelectasis": "+"}},
		{"may belong to", "The linear image may belong to a catheter.", want{"device": "?"}},
		{"cause, not finding", "Mediastinal lymph nodes are likely reactive.", want{"node": "+"}},
		{"unlikely", "Consolidation is considered unlikely.", want{"consolidation": "-"}},
		{"upper limit", "Heart size is at the upper limit of normal.", want{"heart": "?"}},
		{"denial beats hedge", "No finding suspicious for consolidation.", want{"consolidation": "-"}},
		{"present beats doubt", "Possible emphysema. Emphysema is seen in the upper lobes.", want{"emphysema": "+"}},
	})
}

func TestTime(t *testing.T) {
	check(t, labeler(t, ""), []reportCase{
		{"regressed completely", "The pleural effusion seen in the previous examination has completely regressed.", want{"pleural": "-"}},
		{"disappeared", "The nodule in the lingula has disappeared.", want{"nodule": "-"}},
		{"partly regressed", "Pleural effusion has partially regressed.", want{"pleural": "+"}},
		{"no longer seen", "The consolidation is no longer seen.", want{"consolidation": "-"}},
		{"unchanged", "The nodule of the left upper lobe is unchanged.", want{"nodule": "+"}},
		{"decreased", "Pleural effusion has decreased.", want{"pleural": "+"}},
		{"history", "History of pleural effusion.", want{}},
		{"resolution of", "Interval resolution of the consolidation.", want{"consolidation": "-"}},
		{"catheter removed", "The central venous catheter has been removed.", want{"device": "-"}},
		{"status post valve", "Status post aortic valve replacement.", want{"device": "+"}},
		{"no new nodule", "No new nodule was detected. The known nodule in the right lung is stable.", want{"nodule": "+"}},
	})
}

func TestPlansAndBackground(t *testing.T) {
	check(t, labeler(t, ""), []reportCase{
		{"rule out", "CT was requested to rule out pleural effusion.", want{}},
		{"follow-up", "Follow-up of the nodule is recommended.", want{}},
		{"if", "If consolidation persists, bronchoscopy is advised.", want{}},
		{"indication", "Indication: emphysema, pleural effusion?\nFindings: The lungs are normal. No pleural effusion.", want{"pleural": "-"}},
		{"history heading", "HISTORY:\nKnown bronchiectasis.\n\nFINDINGS:\nHiatal hernia.\n\nIMPRESSION:\nHiatal hernia.", want{"hernia": "+"}},
		{"not assessable", "Mediastinal lymph nodes could not be evaluated because no contrast was given.", want{}},
	})
}

func TestOtherOrgans(t *testing.T) {
	check(t, labeler(t, ""), []reportCase{
		{"thyroid nodule", "A hypodense nodule is seen in the right lobe of the thyroid gland.", want{}},
		{"thyroid by heading", "Thyroid: 12 mm nodule on the left.\nLungs: clear.", want{}},
		{"thyroid carried over", "The thyroid gland is enlarged. It contains a nodule of 9 mm.", want{}},
		{"a normal thyroid is done with", "Chest CT. Both thyroid lobes are normal. A possible 4 mm nodule is observed next to a vessel.", want{"nodule": "?"}},
		{"adrenal nodule", "Left adrenal nodule of 15 mm.", want{}},
		{"splenic artery", "Calcified plaque in the splenic artery.", want{}},
		{"abdominal aorta", "Calcified plaques are present in the wall of the abdominal aorta.", want{}},
		{"aortic valve", "The aortic valve is calcified.", want{}},
		{"coronary alone", "Calcified plaques in the coronary arteries.", want{"coronary": "+"}},
		{"aorta and coronary", "Calcified atheroma plaques are seen in the aorta and coronary arteries.", want{"aorta": "+", "coronary": "+"}},
		{"calcified node", "A calcified lymph node is seen in the aortopulmonary window.", want{"node": "+"}},
		{"subcutaneous emphysema", "Subcutaneous emphysema in the left chest wall.", want{}},
		{"Bochdalek hernia", "Bochdalek hernia on the left.", want{}},
		{"peritoneal implants", "Peritoneal implants are seen.", want{}},
		{"abdominal nodes", "Enlarged mesenteric lymph nodes.", want{}},
		{"healed fracture", "Consolidated fracture of the sixth rib with sequelae.", want{}},
		{"pericardial is not pleural", "There is a pericardial effusion. Pleural effusion was not seen.", want{"pericard": "+", "pleural": "-"}},
		{"substring", "Contrast enhancement and displacement are not discussed. The enhancement is uniform.", want{}},
		{"fibroatelectasis", "Fibroatelectasis in the middle lobe.", want{"sequela": "+"}},
	})
}

func TestNormalOrgans(t *testing.T) {
	check(t, labeler(t, ""), []reportCase{
		{"heart size normal", "Heart contour and size are normal.", want{"heart": "-"}},
		{"heart natural", "Mediastinal vessels, heart contour and size are natural.", want{"heart": "-"}},
		{"no node of pathological size", "No lymph node of pathological size was detected in the mediastinum.", want{"node": "-"}},
		{"heart is large", "The heart is larger than normal.", want{"heart": "+"}},
		{"heart not normal", "Heart size is not normal.", want{}},
	})
}

func TestClinicalConvention(t *testing.T) {
	check(t, labeler(t, "clinical"), []reportCase{
		{"small nodes", "Lymph nodes not reaching pathological size are observed in the mediastinum.", want{"node": "-"}},
		{"sized node", "A mediastinal lymph node with a short axis of 14 mm is observed.", want{"node": "+"}},
		{"node in centimetres", "Subcarinal lymph node measuring 1.6 x 1.2 cm.", want{"node": "+"}},
		{"enlarged nodes", "Enlarged hilar lymph nodes.", want{"node": "+"}},
		{"consolidation is opacity", "Consolidation in the right lower lobe.", want{"consolidation": "+", "opacity": "+"}},
	})
}

func TestWritingStyles(t *testing.T) {
	check(t, labeler(t, ""), []reportCase{
		{"headings and bullets", "FINDINGS:\nLungs: 5 mm nodule in the RUL. No consolidation.\nPleura: No effusion.\nHeart: Enlarged.\n" +
			"IMPRESSION:\n- Cardiomegaly\n- Pulmonary nodule", want{"nodule": "+", "consolidation": "-", "pleural": "-", "heart": "+"}},
		{"numbered impression", "Impression: 1. Mild emphysema. 2. Small hiatal hernia. 3. No pleural effusion.",
			want{"emphysema": "+", "hernia": "+", "pleural": "-"}},
		{"hard wraps", "There is a small consolidation in the posterior basal segment of the\nright lower lobe and there is no pleural or pericardial\n" +
			"effusion on either side of the chest.", want{"consolidation": "+", "pleural": "-", "pericard": "-"}},
		{"quote signs", `Lungs are emphysematous. " Pleural effusion on the left "" No consolidation "`,
			want{"emphysema": "+", "pleural": "+", "consolidation": "-"}},
		{"decimals and abbreviations", "Nodule of approx. 4.5 mm in the lingula. No. 2 is smaller.", want{"nodule": "+"}},
		{"slips of the pen", "Bronchiectasia and atelectesis are seen. No pleural effsuion. No consolidaton.",
			want{"bronchiectasis": "+", "atelectasis": "+", "pleural": "-", "consolidation": "-"}},
		{"terse", "Heart mildly enlarged. Small bilat pleural effusions. Bibasilar atelectasis. No PTX. Sternotomy wires. Coronary calcs.",
			want{"heart": "+", "pleural": "+", "atelectasis": "+", "device": "+", "coronary": "+"}},
		{"american narrative", "There is mild interlobular septal thickening with small bilateral pleural effusions. Lungs demonstrate mosaic attenuation. " +
			"No pericardial effusion. Status post median sternotomy. Atherosclerotic calcifications of the thoracic aorta.",
			want{"septal": "+", "pleural": "+", "mosaic": "+", "pericard": "-", "device": "+", "aorta": "+"}},
		{"curly and folded", "Pleural effusion isn’t seen. Peribronchial thick\u00adening. Ground‑glass opacities.",
			want{"pleural": "-", "peribronch": "+", "opacity": "+"}},
	})
}

func TestEmptyIsNotAssessable(t *testing.T) {
	l := labeler(t, "")
	for _, text := range []string{"", " \n\t"} {
		_, err := l.Label(text)
		var na taxonomy.NotAssessable
		if !errors.As(err, &na) || na.Class != "empty" {
			t.Errorf("Label(%q): error %v", text, err)
		}
	}
	if m := l.Explain(""); len(m) != 0 {
		t.Errorf("Explain of nothing has %d mentions", len(m))
	}
}

func TestConcurrentUse(t *testing.T) {
	l := labeler(t, "")
	const report = "Emphysema is seen. Pleural effusion was not observed. A nodule cannot be excluded."
	first, err := l.Label(report)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				labels, err := l.Label(report)
				if err != nil {
					t.Error(err)
					return
				}
				for i := range labels {
					if labels[i] != first[i] {
						t.Errorf("%s: %+v, first %+v", l.findings[i].Name, labels[i], first[i])
						return
					}
				}
			}
		})
	}
	wg.Wait()
}
