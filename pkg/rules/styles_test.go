package rules

import "testing"

// Whole reports in the manners of different departments; all of them are made up.
func TestWholeReports(t *testing.T) {
	check(t, labeler(t, ""), []reportCase{
		{"structured, capitals", `CT CHEST WITHOUT CONTRAST

INDICATION: Cough. Rule out pneumonia, r/o consolidation. History of bullous emphysema?

COMPARISON: CT of last year showed a right pleural effusion.

TECHNIQUE: Helical acquisition without intravenous contrast material.

FINDINGS:
LINES/TUBES: None.
LUNGS AND AIRWAYS: Mild centrilobular emphysema, upper lobe predominant. 5 mm solid nodule in the right middle lobe (series 3, image 112), unchanged. No focal consolidation or ground-glass opacity. No bronchiectasis.
PLEURA: Previously seen right pleural effusion has resolved. No pneumothorax.
HEART AND PERICARDIUM: Normal heart size. No pericardial effusion.
VESSELS: Mild atherosclerotic calcification of the aortic arch. Severe coronary artery calcification.
MEDIASTINUM AND HILA: No mediastinal, hilar or axillary lymphadenopathy.
UPPER ABDOMEN: 2 cm left adrenal nodule. Small hiatal hernia.
BONES: Healed left rib fractures. No suspicious lytic or sclerotic lesion.

IMPRESSION:
1. No acute consolidation.
2. Stable 5 mm pulmonary nodule; follow-up CT in 12 months if high risk for malignancy.
3. Emphysema. Coronary atherosclerosis.`,
			want{"emphysema": "+", "nodule": "+", "consolidation": "-", "opacity": "-", "bronchiectasis": "-", "pleural": "-", "heart": "-",
				"pericard": "-", "aorta": "+", "coronary": "+", "node": "-", "hernia": "+"}},
		{"narrative, unheaded", `There is a left chest wall dual-lead pacemaker. The heart is moderately enlarged with small pericardial effusion. ` +
			`Moderate right and small left pleural effusions are present with adjacent compressive atelectasis. Smooth interlobular septal thickening ` +
			`and patchy ground-glass opacities are consistent with pulmonary edema. No suspicious pulmonary nodule or mass. ` +
			`Scattered subcentimeter mediastinal lymph nodes are likely reactive. Thoracic aorta is normal in caliber with scattered calcified plaque.`,
			want{"device": "+", "heart": "+", "pericard": "+", "pleural": "+", "atelectasis": "+", "septal": "+", "opacity": "+", "nodule": "-",
				"node": "+", "aorta": "+"}},
		{"translated, backward denials", `Trachea and both main bronchi are open, no obstructive pathology was detected in their lumens. Mediastinal main vascular ` +
			`structures, heart contour and size are natural. Pericardial effusion or thickening was not observed. Thoracic esophagus is in normal calibration, ` +
			`sliding type hiatal hernia is present at the lower end. Lymph nodes whose short axis does not exceed 6 mm are observed in the mediastinum. ` +
			`In the evaluation of the parenchyma: no active infiltration, mass or nodule was detected in either lung. Sequela fibrotic bands are observed at both apices. ` +
			`Pleural effusion was not detected. " Sliding hiatal hernia " Sequelae changes at the apices`,
			want{"heart": "-", "pericard": "-", "hernia": "+", "node": "+", "nodule": "-", "sequela": "+", "pleural": "-"}},
		{"telegram", `Chest CT. Comp: none. Lungs - bibasal atelectasis, no consol. 3mm LUL nodule. Tree-in-bud RLL. Bronchial dilatation and peribronchial thickening RML. ` +
			`Pleura - trace L effusion. Heart enl. Cor calc +. Nodes nil. Port in situ.`,
			want{"atelectasis": "+", "nodule": "+", "bronchiectasis": "+", "peribronch": "+", "pleural": "+", "device": "+", "heart": "+", "coronary": "+"}},
		{"british prose", `The previously demonstrated consolidation in the left lower lobe has cleared. There is residual linear atelectasis and a little scarring. ` +
			`Varicose bronchiectasis in the lingula, with mucus plugging. Mosaic attenuation is noted on expiration, in keeping with small airways disease. ` +
			`No hilar or mediastinal lymphadenopathy. Calcified granuloma in the right upper lobe. The heart is not enlarged. No pleural or pericardial effusion. ` +
			`The gastro-oesophageal junction lies above the diaphragm, in keeping with a small hiatus hernia. There is a simple cyst in the liver.`,
			want{"consolidation": "-", "atelectasis": "+", "sequela": "+", "bronchiectasis": "+", "mosaic": "+", "node": "-", "nodule": "+",
				"heart": "-", "pleural": "-", "pericard": "-", "hernia": "+"}},
		{"hedged impression", `Findings: Ill-defined density at the right base, which may represent atelectasis or early consolidation. Minimal pleural fluid cannot be excluded. ` +
			`Impression: Atelectasis versus consolidation at the right base. Lymphangitic spread is unlikely. Aspiration is possible. No convincing bronchiectasis.`,
			want{"opacity": "+", "atelectasis": "+", "consolidation": "?", "pleural": "?", "bronchiectasis": "-"}},
		{"all normal", `Lungs: clear. Pleura: normal. Heart: normal in size. Mediastinum: unremarkable, no enlarged nodes. Bones: degenerative change only. Impression: normal chest CT.`,
			want{"heart": "-"}},
	})
}
