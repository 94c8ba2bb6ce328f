"""Writes raters.json: agreement by scikit-learn, statsmodels, krippendorff and irrCAC; masks by scipy, held to MONAI, which is
float32. Run by make.py."""
import json
import krippendorff, numpy as np, pandas as pd
from irrCAC.raw import CAC
from monai.metrics import compute_average_surface_distance, compute_dice, compute_hausdorff_distance, compute_iou
from scipy.ndimage import binary_erosion, distance_transform_edt
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa
import torch

state = 5
def u():
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return (state >> 11) / 2**53

def agreement(n, raters, categories, missing, noise):
    rows = []
    for _ in range(n):
        truth = categories[int(u() ** 1.7 * len(categories))]
        rows.append([None if u() < missing else truth if u() > noise else categories[int(u() * len(categories))] for _ in range(raters)])
    a = np.array([[np.nan if v is None else v for v in r] for r in rows])
    pairs = {}
    for i in range(raters):
        for j in range(i + 1, raters):
            both = ~np.isnan(a[:, i]) & ~np.isnan(a[:, j])
            x, y = a[both, i].astype(int), a[both, j].astype(int)
            pairs[f"r{i+1}|r{j+1}"] = dict(n=int(both.sum()), kappa=float(cohen_kappa_score(x, y)), agreement=float((x == y).mean()), pabak=float(2 * (x == y).mean() - 1))
    complete = a[~np.isnan(a).any(1)]
    cac = CAC(pd.DataFrame(a), categories=categories, digits=15)  # its own list would hold nan as one more
    return dict(names=[f"r{i+1}" for i in range(raters)], ratings=rows,
                want=dict(pairs=pairs, n_complete=len(complete), fleiss_kappa=float(fleiss_kappa(aggregate_raters(complete.astype(int))[0])),
                          krippendorff_alpha=float(krippendorff.alpha(reliability_data=a.T, level_of_measurement="nominal")),
                          krippendorff_alpha_ordinal=float(krippendorff.alpha(reliability_data=a.T, level_of_measurement="ordinal")),
                          gwet_ac1=float(cac.gwet()["est"]["coefficient_value"])))

def ellipsoids(shape, blobs):
    z, y, x = np.indices(shape)
    m = np.zeros(shape, bool)
    for c, r in blobs:
        m |= sum(((g - o) / s) ** 2 for g, o, s in zip((z, y, x), c, r)) <= 1
    return m

def masks(shape, spacing, pred, truth):
    p, t = ellipsoids(shape, pred), ellipsoids(shape, truth)
    edges = [m & ~binary_erosion(m) for m in (p, t)]
    there, back = (distance_transform_edt(~b, sampling=spacing)[a] for a, b in (edges, edges[::-1]))
    want = dict(dice=float(2 * (p & t).sum() / (p.sum() + t.sum())), iou=float((p & t).sum() / (p | t).sum()), hd=float(max(there.max(), back.max())),
                hd95=float(max(np.percentile(there, 95), np.percentile(back, 95))), assd=float(np.concatenate([there, back]).mean()),
                volume_error_ml=float((int(p.sum()) - int(t.sum())) * np.prod(spacing) / 1000))
    P, T = (torch.tensor(m[None, None].astype("float32")) for m in (p, t))
    o = dict(include_background=True, spacing=spacing)
    monai = dict(dice=compute_dice(P, T), iou=compute_iou(P, T), hd=compute_hausdorff_distance(P, T, **o),
                 hd95=compute_hausdorff_distance(P, T, percentile=95, **o), assd=compute_average_surface_distance(P, T, symmetric=True, **o))
    assert all(abs(float(v) - want[k]) < 1e-5 for k, v in monai.items()), (monai, want)
    return dict(shape=shape, spacing=spacing, pred=pred, truth=truth, want=want)

json.dump(dict(agreement=[agreement(60, 2, [0, 1], 0, .2), agreement(80, 4, [0, 1, 2, 3], .2, .4), agreement(50, 3, [1, 5, 10], .3, .6)],
               masks=[masks((12, 30, 28), (3.0, .75, .8), [((5, 14, 13), (3, 9, 8))], [((6, 15, 13), (4, 8, 9)), ((1, 3, 25), (1, 1, 1))]),
                      masks((9, 16, 17), (1.5, 1.0, 1.0), [((0, 8, 8), (4, 9, 20))], [((2, 8, 9), (3, 5, 5))]),
                      masks((6, 7, 40), (2.5, .7, .7), [((2, 3, 5), (2, 2, 3))], [((3, 3, 30), (2, 3, 6))])]),
          open("raters.json", "w"), separators=(",", ":"))
