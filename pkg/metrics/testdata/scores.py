"""Writes scores.json: what scikit-learn and scipy say of CASES random labels (300; `make test-oracles`: 10,000) and of
one table. Called by make.py. Scores are given in thousandths.
"""
import json, os, warnings
import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import expit, logit
from scipy.stats import binomtest, chi2, kendalltau, norm, spearmanr
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import (accuracy_score, average_precision_score, balanced_accuracy_score, cohen_kappa_score, confusion_matrix,
                             f1_score, hamming_loss, log_loss, matthews_corrcoef, precision_score, recall_score,
                             roc_auc_score, top_k_accuracy_score)
warnings.simplefilter("ignore")

state = 77
def u():
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return (state >> 11) / 2**53

def draw(y, signal, grid):
    return [min(999, max(1, round((0.3 + 0.4 * u() + signal * (v - .5)) * grid) * (1000 // grid))) for v in y]

def places(y, s):  # DeLong's components, pair by pair
    p, n = s[y == 1], s[y == 0]
    m = (p[:, None] > n) + .5 * (p[:, None] == n)
    return m.mean(1), m.mean(0)

def delong(y, a, b):
    (pa, na), (pb, nb) = places(y, a), places(y, b)
    if len(pa) < 2 or len(na) < 2:
        return None
    c = lambda p, q, m, n: float(np.cov(p, q)[0, 1] / len(p) + np.cov(m, n)[0, 1] / len(m))
    va, vb, cov = c(pa, pa, na, na), c(pb, pb, nb, nb), c(pa, pb, na, nb)
    d = va + vb - 2 * cov
    return [va, cov, float(2 * norm.sf(abs(pa.mean() - pb.mean()) / np.sqrt(d))) if d > 1e-14 else None]

def ece(y, s, edges):
    bin = np.searchsorted(edges[1:-1], s, side="left")
    return float(sum(abs(s[bin == b].mean() - y[bin == b].mean()) * (bin == b).sum() for b in set(bin)) / len(s))

def newton(x, t):  # logistic regression on targets, to the last digits
    X, w = np.c_[x, np.ones(len(x))], np.zeros(2)
    w = minimize(lambda w: np.sum(np.logaddexp(0, X @ w) - t * (X @ w)), w, jac=lambda w: X.T @ (expit(X @ w) - t), method="BFGS", options=dict(gtol=1e-9)).x
    for _ in range(20):
        p = expit(X @ w)
        w = w - np.linalg.solve(X.T @ (X * (p * (1 - p))[:, None]), X.T @ (p - t))
    return w.tolist()

def temper(y, s):
    x, m = logit(s), (2 * y - 1) * logit(s)
    if m.min() >= 0 or m.max() <= 0 or ((.5 - y) @ x) >= 0:
        return None
    slope = lambda b: (expit(np.exp(b) * x) - y) @ x  # its root: a minimum of the loss itself is too flat to place
    return float(np.exp(-brentq(slope, -12, 12, xtol=1e-14, rtol=1e-14))) if slope(-12) < 0 < slope(12) else None

def published(y, s):  # threshold on numpy's grid, nearest corner of ROC space, the last of equals
    best, at = 9, None
    for t in np.linspace(0, 1, 100):
        p = (s > t).astype(int)
        tpr, fpr = ((p == 1) & (y == 1)).sum() / (y == 1).sum(), ((p == 1) & (y == 0)).sum() / (y == 0).sum()
        d = np.sqrt((1 - tpr)**2 + fpr**2)
        if d <= best:
            best, at = d, t
    p = (s > at).astype(int)
    return [float(at), f1_score(y, p, average="weighted"), accuracy_score(y, p), precision_score(y, p)]

def case(n, prevalence, signal, grid):
    y = [int(u() < prevalence) for _ in range(n)]
    s, b = draw(y, signal, grid), draw(y, signal / 2, grid)
    Y, S, B = np.array(y), np.array(s) / 1000, np.array(b) / 1000
    P = (S >= .5).astype(int)
    both, some = 0 < sum(y) < n, sum(y) > 0
    out = dict(y="".join(map(str, y)), s=s, b=b,
               auc=roc_auc_score(Y, S) if both else None, ap=average_precision_score(Y, S) if some else None,
               brier=float(np.mean((S - Y)**2)), ece=[ece(Y, S, np.linspace(0, 1, 16)), ece(Y, S, np.quantile(S, np.linspace(0, 1, 16)))],
               f1=f1_score(Y, P) if some or P.any() else None, f1_weighted=f1_score(Y, P, average="weighted"),
               kappa=cohen_kappa_score(Y, P) if both or P.any() != P.all() or P[0] != Y[0] else None,
               mcc=matthews_corrcoef(Y, P) if both and 0 < P.sum() < n else None,
               balanced_accuracy=balanced_accuracy_score(Y, P) if both else None, delong=delong(Y, S, B))
    x = out["kappa"]
    out["kappa"] = None if x is None or np.isnan(x) else x
    A, C = int(((P == Y) & ((B >= .5) != Y)).sum()), int(((P != Y) & ((B >= .5) == Y)).sum())
    out["mcnemar"] = [A, C, binomtest(A, A + C).pvalue if A + C else 1., float(chi2.sf((abs(A - C) - 1)**2 / (A + C), 1)) if A + C else 1.]
    if both:
        out["published"] = published(Y, S)
    if both and len(set(s)) > 1:
        out["platt"] = [-v for v in newton(S, np.where(Y == 1, (sum(y) + 1) / (sum(y) + 2), 1 / (n - sum(y) + 2)))]
        out["isotonic"] = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(S, Y).predict(B[:8]).tolist()
        out["t"] = temper(Y, S)
        if S[Y == 1].min() < S[Y == 0].max() and S[Y == 0].min() < S[Y == 1].max():
            out["recalibration"] = newton(logit(S), Y)
    return out

cases = [case(2 + int(u() * 44), [.5, .3, .05, 0, 1, .9][int(u() * 6)], u() * .6 - .1, [4, 20, 1000][int(u() * 3)])
         for _ in range(int(os.environ.get("CASES", 300)))]

def classes(n, k):
    y = [int(u() * k) for _ in range(n)]
    raw = np.array([[.2 + u() + (u() if j == v else 0) for j in range(k)] for v in y])
    P = np.round(raw / raw.sum(1, keepdims=True), 2)
    P[:, 0] = np.round(1 - P[:, 1:].sum(1), 2)
    p = P.argmax(1)
    every = list(range(k))
    out = dict(y=y, scores=P.T.tolist(), predicted=p.tolist(), confusion=confusion_matrix(y, p, labels=every).tolist(),
               figures=[accuracy_score(y, p), balanced_accuracy_score(y, p), f1_score(y, p, average="macro"), f1_score(y, p, average="weighted"),
                        float(np.abs(np.array(y) - p).mean())] + [cohen_kappa_score(y, p, labels=every, weights=w) for w in (None, "linear", "quadratic")]
               + [matthews_corrcoef(y, p), spearmanr(y, p)[0], kendalltau(y, p)[0]],
               probabilities=[top_k_accuracy_score(y, P, k=2, labels=every), None, None, float(((P - np.eye(k)[y])**2).sum(1).mean()), log_loss(y, P, labels=every)])
    if len(set(y)) == k:
        out["probabilities"][1:3] = [roc_auc_score(y, P, multi_class=m, labels=every) for m in ("ovr", "ovo")]
    out["figures"] = [None if np.isnan(v) else float(v) for v in out["figures"]]
    return out

multi = [classes(20 + int(u() * 40), 3 + int(u() * 3)) for _ in range(30)]

# a table of four findings without unknown cells, one of them without positives
n, f = 80, 4
Y = np.array([[int(u() < p) for p in (.4, .15, .03, 0)] for _ in range(n)])
S = np.array([draw(r, .3, 40) for r in Y.tolist()]) / 1000
P = (S >= .5).astype(int)
defined = [k for k in range(f) if 0 < Y[:, k].sum() < n]
table = dict(y=Y.T.tolist(), s=S.T.tolist(), n_labels=len(defined),
             macro=[roc_auc_score(Y[:, defined], S[:, defined]), average_precision_score(Y[:, defined], S[:, defined]), f1_score(Y, P, average="macro")],
             weighted=[roc_auc_score(Y[:, defined], S[:, defined], average="weighted"), f1_score(Y, P, average="weighted")],
             micro=[roc_auc_score(Y, S, average="micro"), average_precision_score(Y, S, average="micro"), f1_score(Y, P, average="micro"),
                    precision_score(Y, P, average="micro"), recall_score(Y, P, average="micro")],
             subset_accuracy=accuracy_score(Y, P), hamming_loss=hamming_loss(Y, P))

# silver labels, of which some rows were reviewed: corrected prevalence and AUC, pairs and patients one by one
n = 90
truth = np.array([int(u() < .4) for _ in range(n)])
silver = np.array([v if u() < .8 else 1 - v for v in truth])
score = np.array([round(100 * u()) + 30 * v for v in truth]) / 200
patient = np.array([int(u() * 50) for _ in range(n)])
weight = np.array([[0, 1, 2.5, 4][int(u() * 4)] for _ in range(n)])  # 0: not reviewed
def auc(y, w):
    return roc_auc_score(y, score, sample_weight=w)
def figures(w):  # rows of these weights, on top of the reviewers'
    r = w * weight
    share = lambda v, w: (v * w).sum() / w.sum()
    sensitivity, specificity = share(silver == 1, r * truth), share(silver == 0, r * (1 - truth))
    return np.array([share(silver, w), (share(silver, w) + specificity - 1) / (sensitivity + specificity - 1),
                     share(truth, r), share(silver, r), auc(silver, w), auc(truth, r), auc(silver, r)])
full = figures(np.ones(n))
jack = np.array([figures((patient != p).astype(float)) for p in sorted(set(patient))]) - full
def powered(reviewed, seen, all):
    g, h = jack[:, reviewed], jack[:, seen] - jack[:, all]
    return float(full[reviewed] - min(1, max(0, (g @ h) / (h @ h))) * (full[seen] - full[all]))
corrected = dict(truth=[int(v) if w else -1 for v, w in zip(truth, weight)], silver=silver.tolist(), s=score.tolist(), patient=[str(p) for p in patient], weight=weight.tolist(),
                 prevalence=[float(full[0]), float(full[1]), powered(2, 3, 0)], auc=[float(full[4]), float(full[5]), powered(5, 6, 4)])

def plain(v):
    return v.item() if hasattr(v, "item") else v
with open("scores.json", "w") as out:
    out.write('{"table":' + json.dumps(table, default=plain, separators=(",", ":")) + ',\n"classes":' + json.dumps(multi, default=plain, separators=(",", ":")) + ',\n"corrected":' + json.dumps(corrected, default=plain, separators=(",", ":")) + ',\n"cases":[\n')
    out.write(",\n".join(json.dumps(c, default=plain, separators=(",", ":")) for c in cases) + "\n]}\n")
