"""Writes golden.json: what scikit-learn, scipy, statsmodels and numpy say. python make.py, in an environment with them

Data are drawn here with a plain linear congruential generator, so that the JSON alone carries them.
"""
import json
import numpy as np, sklearn, scipy, scipy.stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (average_precision_score, balanced_accuracy_score, brier_score_loss, f1_score,
                             precision_score, recall_score, roc_auc_score, roc_curve)

state = 2026
def u():
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return (state >> 11) / 2**53

def case(name, n, prevalence, signal, digits):
    y = [int(u() < prevalence) for _ in range(n)]
    s = [round(min(1, max(0, 0.5 * u() + 0.25 + signal * (v - 0.5) * u())), digits) for v in y]
    a = np.array(y), np.array(s)
    p = (a[1] >= .5).astype(int)
    fpr, tpr, thr = roc_curve(*a, drop_intermediate=False)
    # highest threshold of the largest Youden index, in integers
    P, N = sum(y), n - sum(y)
    j = [round(t * P) * N - round(f * N) * P for f, t in zip(fpr, tpr)][1:]
    best = int(np.argmax(j))
    return dict(name=name, y=y, s=s, auc=roc_auc_score(*a), ap=average_precision_score(*a), brier=brier_score_loss(*a),
                balanced_accuracy=balanced_accuracy_score(a[0], p), f1=f1_score(a[0], p), sensitivity=recall_score(a[0], p),
                specificity=recall_score(1 - a[0], 1 - p), precision=precision_score(a[0], p),
                youden_threshold=float(thr[1:][best]), youden_j=j[best] / (P * N))

cases = [case("ties", 97, .3, .5, 1), case("fine", 203, .12, .4, 6), case("rare", 150, .03, .7, 3)]

# logistic regression: few features, weights
X = [[round(u() * 2 - 1, 4) for _ in range(5)] for _ in range(120)]
yl = [int(u() < 1 / (1 + np.exp(-(2 * x[0] - x[1] + .5)))) for x in X]
w = [round(.5 + u(), 3) for _ in range(120)]
lam = .7
m = LogisticRegression(C=1 / lam, tol=1e-12, max_iter=10000, solver="newton-cholesky").fit(X, yl, sample_weight=w)

# clustered bootstrap of the AUC on given resamples: percentile, BCa, and what lies midway between BCa with Student's t and
# Student's t on the logit scale
from scipy.special import expit, logit, ndtr, ndtri
def bootstrap(case):
    y, s = np.array(cases[case]["y"]), np.array(cases[case]["s"])
    cluster = [i // 3 for i in range(len(y))]
    C = max(cluster) + 1
    members = [[i for i, c in enumerate(cluster) if c == k] for k in range(C)]
    res = [[int(u() * C) for _ in range(C)] for _ in range(400)]
    def stat(drawn):
        rows = [i for k in drawn for i in members[k]]
        return roc_auc_score(y[rows], s[rows])
    draws, full = np.array([stat(r) for r in res]), stat(range(C))
    jack = np.array([stat([k for k in range(C) if k != d]) for d in range(C)])
    z0 = ndtri(((draws < full).sum() + (draws <= full).sum()) / (2 * len(draws)))
    d = jack.mean() - jack
    acc = (d**3).sum() / (6 * (d**2).sum()**1.5)
    ends = lambda z: np.quantile(draws, [ndtr(z0 + (z0 + z) / (1 - acc * (z0 + z))) for z in (-z, z)]).tolist()
    df = max(1, min(C, 2 * (d**2).sum()**2 / ((d**4).sum() - (d**2).sum()**2 / C)) - 1)  # of the jackknife's variance
    expanded = np.array(ends(scipy.stats.t.ppf(.975, df) * np.sqrt(C / (C - 1))))
    half = scipy.stats.t.ppf(.975, df) * np.sqrt((d**2).sum() * (C - 1) / C) / (full * (1 - full))
    return dict(case=case, cluster=cluster, resamples=res, value=full, se=float(draws.std(ddof=1)), df=df,
                percentile=np.quantile(draws, [.025, .975]).tolist(), bca=ends(ndtri(.975)),
                interval=((expanded + expit(logit(full) + [-half, half])) / 2).tolist())
many = bootstrap(0)

# a reviewed sample: weighted rates, the variance of a mean by patient, paired tests, agreement
import statsmodels, statsmodels.api as sm
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
n = 90
ts = [int(u() < .35) for _ in range(n)]
ls = [t if u() < .85 else 1 - t for t in ts]
l2 = [t if u() < .7 else 1 - t for t in ts]
ws = [[1.0, 2.5, 8.0][int(u() * 3)] for _ in range(n)]
patient = [int(u() * 40) for _ in range(n)]
T, L, L2, W = map(np.array, (ts, ls, l2, ws))
weighted = dict(sensitivity=recall_score(T, L, sample_weight=W), specificity=recall_score(1 - T, 1 - L, sample_weight=W),
                ppv=precision_score(T, L, sample_weight=W), npv=precision_score(1 - T, 1 - L, sample_weight=W),
                f1=f1_score(T, L, sample_weight=W), balanced_accuracy=balanced_accuracy_score(T, L, sample_weight=W))
group = np.array(patient)
rows = T == 1
variance = sm.OLS(L[rows].astype(float), np.ones(rows.sum())).fit(cov_type="cluster", cov_kwds=dict(groups=group[rows], df_correction=True)).cov_params()[0, 0]
# the interval of a share in a stratified sample, as survey.go describes it
ww = np.repeat([5., 20.], 4); a = np.array([1, 1, 1, 0, 1, 0, 0, 0.]); stratum = np.repeat([0, 1], 4)
def end(more_a, more_b):
    total, n = ww.sum() + more_a + more_b, len(ww)
    r = (ww @ a + more_a) / total
    z = (a - r) / total
    v = ww @ z**2 - ((ww * z)**2).sum() + ((ww * z)**2).sum() * n / (n - 1) + (ww @ z**2 - ((ww * z)**2).sum()) / (n - 1)
    for h in (0, 1):
        zh, wh = z[stratum == h], ww[stratum == h][0]
        v += len(zh)**2 * wh**2 * (1 - 1 / wh) * zh.var(ddof=1) / len(zh)  # N^2 (1-f) s^2 / n
    half = (ww**2).sum() / ww.sum()
    v += half**2 / 2 * ((1 - r) / total if more_a else r / total)**2
    size, t, p = r * (1 - r) / v, scipy.stats.norm.ppf(.975), ww @ a / ww.sum()
    return (p + t * t / 2 / size + (1 if more_a else -1) * t * np.sqrt(p * (1 - p) / size + t * t / 4 / size**2)) / (1 + t * t / size)
half = (ww**2).sum() / ww.sum() / 2
stratified = [float(end(0, half)), float(end(half, 0))]
tests = [[int((a * (10 ** 9) + b * 7919 + c) % 23) for c in (0, 11)] for a, b in [(1, 5), (2, 3), (4, 4), (0, 9)]]
ps = [mcnemar([[5, b], [c, 7]], exact=True).pvalue for b, c in tests]
survey = dict(truth=ts, label=ls, other=l2, weight=ws, patient=[str(p) for p in patient], weighted=weighted, variance=variance, stratified=stratified,
              kappa=cohen_kappa_score(L, L2), pabak=2 * float((L == L2).mean()) - 1, mcnemar=tests, p=ps,
              holm=multipletests(ps, method="holm")[1].tolist(), student=[[df, float(scipy.stats.t.ppf(.975, df))] for df in (1, 2, 7.5, 30, 1000)])

out = dict(versions=dict(sklearn=sklearn.__version__, scipy=scipy.__version__, numpy=np.__version__, statsmodels=statsmodels.__version__), cases=cases,
           logistic=dict(x=X, y=yl, w=w, lam=lam, coef=m.coef_[0].tolist(), intercept=float(m.intercept_[0])),
           bootstrap=[many, bootstrap(1)],  # as many patients tell as there are; few do
           survey=survey)
json.dump(out, open("golden.json", "w"), separators=(",", ":"))
import rankings, raters  # each writes its own file

import scores  # writes scores.json
