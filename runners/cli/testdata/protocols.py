"""Writes protocols.json: labels and scores as CSV, and what the published arithmetic makes of them, read by csv and computed by
scikit-learn. Run by hand (python protocols.py); scores have two decimals, so that many tie.
"""
import csv, io, json, random, warnings
import numpy as np
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score, roc_auc_score
warnings.simplefilter("ignore")
random.seed(5)
names = ["Medical material", "Arterial wall calcification", "Cardiomegaly", "Pericardial effusion", "Coronary artery wall calcification", "Hiatal hernia",
         "Lymphadenopathy", "Emphysema", "Atelectasis", "Lung nodule", "Lung opacity", "Pulmonary fibrotic sequela", "Pleural effusion",
         "Mosaic attenuation pattern", "Peribronchial thickening", "Consolidation", "Bronchiectasis", "Interlobular septal thickening"]
ids = [f"Überweisung, {i}\u00a0\U0001fac1" for i in range(60)]
truth = {m: [int(random.random() < (0 if m == "Hiatal hernia" else .3)) for _ in ids] for m in names}
scores = {m: [round(min(1, max(0, .5 * random.random() + .35 * y + .1)), 2) for y in truth[m]] for m in names}
scores["Cardiomegaly"] = [.5] * 60                                        # says nothing: every distance ties
scores["Emphysema"] = [s * 1e300 for s in scores["Emphysema"]]             # beyond all thresholds
rad = {"catheter_or_port*chest": names[0], "tracheal_tube*airway": None, "calcification*aorta": None, "calcification*heart": None, "cardiomegaly*heart": names[2],
       "pericardial_effusion*heart": names[3], "hernia*other": names[5], "lymphadenopathy*mediastinum": names[6], "emphysema*lung": names[7], "atelectasis*lung": names[8],
       "nodule*left": names[9], "nodulegr1cm*right": None, "opacity*lung": names[10], "scarring*lung": names[11], "pleural_effusion*left": names[12],
       "bronchial_wall_thickening*lung": names[14], "consolidation*lung": names[15], "bronchiectasis*lung": names[16], "septal_thickening*lung": names[17],
       "fibrosis*lung": None, "groundglass*lung": None}
located = {c: (truth[m] if m else [int(random.random() < .2) for _ in ids]) for c, m in rad.items()}

def text(columns, rows, first="id", newline="\r\n", bom="\ufeff"):
    out = io.StringIO()
    w = csv.writer(out, lineterminator=newline)
    w.writerow([first] + list(columns))
    w.writerows([[ids[i]] + [columns[c][i] for c in columns] for i in rows])
    return bom + out.getvalue()

shuffled = random.sample(range(60), 60)
files = {"labels.csv": text({m: [f"{v}.0" for v in truth[m]] for m in names}, range(60)),
         "rad.csv": text(located, range(60), first="NoteAcc_DEID", bom=""),
         "scores.csv": text({m: scores[m] for m in reversed(names)} | {"more": [""] * 60}, shuffled, first="VolumeName", newline="\n", bom="")}

def published(y, s):
    y, s = np.array(y), np.array(s)
    if y.min() == y.max():
        return None
    grid, best, at = np.linspace(0, 1, 100), 9, None
    for t in grid:
        said = (s > t).astype(int)
        d = np.sqrt((1 - recall_score(y, said))**2 + (1 - recall_score(y, said, pos_label=0))**2)
        if d <= best:
            best, at = d, t
    said = (s > at).astype(int)
    return dict(auc=roc_auc_score(y, s), threshold=float(at), f1_weighted=f1_score(y, said, average="weighted"), accuracy=accuracy_score(y, said),
                precision=precision_score(y, said), sensitivity=recall_score(y, said), specificity=recall_score(y, said, pos_label=0))

def whole(pairs):
    labels = {m: published(y, s) for m, (y, s) in pairs.items()}
    defined = [v for v in labels.values() if v]
    return dict(labels={m: dict(v, status="ok") if v else dict(status="undefined", auc=None) for m, v in labels.items()},
                macro=dict({k: float(np.mean([v[k] for v in defined])) for k in defined[0]}, n_labels=len(defined)) | dict(threshold=None))

either = lambda *columns: [int(any(v)) for v in zip(*[located[c] for c in columns])]
sixteen = {m: (located[c], scores[m]) for c, m in rad.items() if m} | {
    "Medical material": (either("catheter_or_port*chest", "tracheal_tube*airway"), scores[names[0]]),
    "Calcification": (either("calcification*aorta", "calcification*heart"), [max(v) for v in zip(scores[names[1]], scores[names[4]])]),
    "Lung nodule": (either("nodule*left", "nodulegr1cm*right"), scores[names[9]])}
assert len(sixteen) == 16
every = {m: (truth[m], scores[m]) for m in names}
json.dump(dict(files=files, want={"ctclip-zeroshot": whole(every), "fvlm": whole({m: every[m] for m in names if m not in ("Medical material", "Lymphadenopathy")}),
                                  "radchestct-16": whole(sixteen)}), open("protocols.json", "w"), indent=0)
