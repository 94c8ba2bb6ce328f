"""Writes rankings.json: retrieval by numpy and scikit-learn, loop by loop as each protocol says. Run by make.py."""
import json
import numpy as np
from sklearn.metrics import average_precision_score, ndcg_score

state = 11
def u():
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return (state >> 11) / 2**53

def vectors(n, d):  # whole numbers, so that dot products have one value; some rows are doubles of others
    v = [[int(u() * 199) - 99 for _ in range(d)] for _ in range(n)]
    for i in range(3, n, 7):
        v[i] = list(v[i - 2])
    return v

def order(score):
    return np.lexsort((np.arange(len(score)), -score))

def cosines(q, p):
    return q @ p.T / (np.linalg.norm(q, axis=1)[:, None] * np.linalg.norm(p, axis=1))

def jaccard(a, b):
    either = (a | b).sum()
    return (a & b).sum() / either if either else 1.0

def mean(v):
    v = [x for x in v if x is not None]
    return float(np.mean(v)) if v else None

def at(ks, f):
    return {k: mean([f(k, q) for q in range(nq)]) for k in ks}

n, nq, d, ks = 64, 48, 8, (1, 5, 10, 50)
queries, pool = vectors(nq, d), vectors(n, d)
for i in range(0, nq, 2):
    pool[i] = [a + int(u() * 60) for a in queries[i]]
labels = [[int(u() < p) for p in (.4, .3, .2, .1)] for _ in range(n)]
patient = [f"p{int(u() * 30)}" for _ in range(n)]
Q, P, L = np.array(queries), np.array(pool), np.array(labels)
S = cosines(Q, P)

# as CT-CLIP's script: the means of all queries and of all k so far go into one list
keep = np.flatnonzero(L.sum(1))
running, volume_map, plain = [], {}, {}
for k in ks:
    values = [np.mean([jaccard(L[q], L[keep[i]]) for i in order(S[q, keep])[:k]]) for q in range(nq)]
    running += values
    volume_map[k], plain[k] = float(np.mean(running)), float(np.mean(values))

# clean
ranked = []
for q in range(nq):
    rows = np.array([i for i in range(n) if patient[i] != patient[q]])
    ranked.append(rows[order(S[q, rows])])
gain = [np.array([jaccard(L[q], L[i]) for i in ranked[q]]) for q in range(nq)]

def relevance(relevant):
    rel = [np.array([relevant(L[q], L[i]) for i in ranked[q]]) for q in range(nq)]
    def ap(k, q, denominator):
        if not rel[q].any() or k > len(rel[q]):
            return None
        hits = np.cumsum(rel[q])[:k] / np.arange(1, k + 1)
        return (hits * rel[q][:k]).sum() / denominator(rel[q].sum(), k)
    down = lambda q: -np.arange(len(rel[q]))
    return dict(map_at_k=at(ks, lambda k, q: ap(k, q, min)), map_cut_trec=at(ks, lambda k, q: ap(k, q, lambda R, k: R)),
                map_cut_hits=at(ks, lambda k, q: ap(k, q, lambda R, k: max(rel[q][:k].sum(), 1))),
                recall_fraction_at_k=at(ks, lambda k, q: rel[q][:k].sum() / rel[q].sum() if rel[q].any() and k <= len(rel[q]) else None),
                map=mean([average_precision_score(rel[q], down(q)) if rel[q].any() else None for q in range(nq)]),
                mrr=mean([1 / (1 + rel[q].argmax()) if rel[q].any() else None for q in range(nq)]),
                n_skipped=sum(not r.any() for r in rel))

def ndcg(k, q):
    if k > len(gain[q]) or not gain[q].any():
        return None
    return ndcg_score([gain[q]], [-np.arange(len(gain[q]))], k=k, ignore_ties=True)

clean = dict(shared=relevance(lambda a, b: bool((a & b).any())), identical=relevance(lambda a, b: bool((a == b).all())),
             jaccard_at_k=at(ks, lambda k, q: gain[q][:k].mean() if k <= len(gain[q]) else None), ndcg_jaccard_at_k=at(ks, ndcg),
             chance=dict(jaccard_at_k=at(ks, lambda k, q: gain[q].mean() if k <= len(gain[q]) else None)))

# report i asks for volume i, by dot product
D = Q @ P.T
place = [int(np.flatnonzero(order(D[q]) == q)[0]) for q in range(nq)]
report = {k: (float(np.mean([p < k for p in place])) if k <= n else None) for k in (5, 10, 50, 100)}

# studies of several reconstructions: the best one's cosine
scan = [f"s{int(u() * 25)}" for _ in range(n)]
asked = [scan[int(u() * n)] for _ in range(nq)]
names = list(dict.fromkeys(scan))
best = np.array([[S[q, [i for i in range(n) if scan[i] == s]].max() for s in names] for q in range(nq)])
own = [names.index(s) for s in asked]
rank = [int(np.flatnonzero(order(best[q]) == own[q])[0]) + 1 for q in range(nq)]
above = [(best[q] > best[q, own[q]]).sum() for q in range(nq)]
same = [(best[q] == best[q, own[q]]).sum() for q in range(nq)]
study = dict(recall_at_k={k: (float(np.mean([r <= k for r in rank])) if k <= len(names) else None) for k in ks},
             chance_at_k={k: (k / len(names) if k <= len(names) else None) for k in ks}, mrr=float(np.mean([1 / r for r in rank])),
             median_rank=float(np.median([a + (s + 1) / 2 for a, s in zip(above, same)])),
             median_rank_optimistic=float(np.median([a + 1 for a in above])),
             median_rank_pessimistic=float(np.median([a + s for a, s in zip(above, same)])), n_queries=nq, n_pool=len(names))

# the right one of four, many ties
few = [[int(u() * 3) - 1 for _ in range(3)] for _ in range(40)]
four = [[[int(u() * 3) - 1 for _ in range(3)] for _ in range(4)] for _ in range(40)]
C = np.einsum("qd,qcd->qc", np.array(few), np.array(four))
top = (C == C.max(1, keepdims=True))
mc4 = dict(accuracy_strict=float(np.mean(C[:, 0] > C[:, 1:].max(1))), accuracy_tie_aware=float(np.mean(C[:, 0] >= C[:, 1:].max(1))),
           accuracy_expected=float(np.mean(top[:, 0] / top.sum(1))), tie_rate=float(np.mean(top.sum(1) > 1)))

json.dump(dict(queries=queries, pool=pool, labels=labels, patient=patient, scan=scan, asked=asked, few=few, four=four, clean=clean,
               volume_map=dict(map_at_k=volume_map, jaccard_at_k=plain, n_queries=nq, n_pool=len(keep)), report=report, study=study, mc4=mc4),
          open("rankings.json", "w"), separators=(",", ":"))
