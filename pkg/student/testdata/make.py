"""Writes lasso.json: what scikit-learn says of an L1-penalised logistic regression. python make.py, with scikit-learn."""
import json
import numpy as np
from sklearn.linear_model import LogisticRegression

state = 2026
def u():
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return (state >> 11) / 2**53

cases = []
for n, d, density, price in ((60, 8, .4, 1.0), (200, 40, .15, .3), (120, 30, .5, 2.0)):
    x = np.array([[float(u() < density) for _ in range(d)] for _ in range(n)])
    x[:, 1] = np.where(np.array([u() for _ in range(n)]) < .9, x[:, 0], 1 - x[:, 0])  # two that nearly agree
    y = np.array([int(u() < 1 / (1 + np.exp(-(2.5 * r[0] - 2 * r[2] + r[3] - 1)))) for r in x])
    m = LogisticRegression(C=1 / price, l1_ratio=1, solver="saga", tol=1e-12, max_iter=1_000_000).fit(x, y)
    cases.append(dict(price=price, columns=[[int(i) for i in np.flatnonzero(c)] for c in x.T], y=y.tolist(),
                      coef=m.coef_[0].tolist(), intercept=float(m.intercept_[0])))
with open("lasso.json", "w") as f:
    json.dump(cases, f)
    f.write("\n")
