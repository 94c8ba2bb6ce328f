"""What PyTorch makes, in float64, of the volumes of tensors_test.go: python tensors.py writes samples of it to tensors.json.
python tensors.py FOLDER writes whole tensors there, one a case, float64 in order of the test's cases.

The arithmetic is that of the references: clip, torch.nn.functional.interpolate (trilinear, align_corners=False) to
int(n*spacing/target), crop or pad about the middle, window. Needs torch and numpy.
"""
import json
import os
import sys

import numpy as np
import torch

PRESETS = {  # target mm, boxes to crop or pad to, lo, hi
    "mps-ct": ((3.0, 1.5, 1.5), [(120, 240, 240), (96, 192, 192)], -1000, 200),
    "ctclip": ((1.5, 0.75, 0.75), [(240, 480, 480)], -1000, 1000),
}
VOLUMES = [  # voxels and mm, z, y, x: odd and even, cropped and padded, finer and coarser than the targets
    ((61, 80, 81), (3.0, 3.9, 3.9)), ((47, 91, 64), (5.0, 2.0, 2.5)), ((100, 33, 35), (1.0, 9.3, 9.1)), ((21, 64, 65), (15.0, 4.5, 4.6)),
    ((300, 21, 22), (1.2, 14.0, 13.0)), ((33, 120, 119), (2.5, 0.977, 0.977)), ((121, 50, 51), (3.0, 1.5, 1.5)), ((10, 77, 78), (7.99, 3.01, 3.02)),
    ((250, 30, 29), (0.625, 0.703125, 0.703125)), ((45, 61, 60), (8.0, 8.0, 8.0)),
]


def voxels(shape):
    """A hash of the index, in [-2000, 2000): it steps from voxel to voxel as no scan does."""
    i = np.arange(np.prod(shape), dtype=np.uint64)
    x = (i * np.uint64(2654435761)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(15)
    x = (x * np.uint64(2246822519)) & np.uint64(0xFFFFFFFF)
    return ((x >> np.uint64(8)) % np.uint64(4000)).astype(np.int64).reshape(shape) - 2000


def fit(a, shape, pad):
    cut = tuple(slice(max(0, (n - t) // 2), max(0, (n - t) // 2) + t) for n, t in zip(a.shape, shape))
    a = a[cut]
    return np.pad(a, [(max(0, (t - n) // 2), max(0, t - n - (t - n) // 2)) for n, t in zip(a.shape, shape)], constant_values=pad)


def tensor(preset, shape, mm, last):
    target, boxes, lo, hi = PRESETS[preset]
    a = voxels(shape).astype(np.float64)
    if not last:
        a = np.clip(a, -1000, 1000)
    size = [int(n * s / t) for n, s, t in zip(shape, mm, target)]
    a = torch.nn.functional.interpolate(torch.from_numpy(a)[None, None], size=size, mode="trilinear", align_corners=False)[0, 0].numpy()
    a = (np.clip(a, lo, hi) - (lo + hi) / 2) / ((hi - lo) / 2)
    for box in boxes:
        a = fit(a, box, -1)
    return a


cases = []
for preset in PRESETS:
    for k, (shape, mm) in enumerate(VOLUMES):
        for last in (False, True):
            if sys.argv[1:]:
                tensor(preset, shape, mm, last).tofile(os.path.join(sys.argv[1], f"{len(cases)}.f64"))
                cases.append(None)
                continue
            if preset == "ctclip" and k % 4:  # a large tensor
                continue
            a = tensor(preset, shape, mm, last).ravel()
            at = np.arange(60) * 1000003 * 97 % a.size
            cases.append({"preset": preset, "shape": shape, "mm": mm, "last": last, "mean": a.mean(), "at": at.tolist(), "values": a[at].tolist()})
if not sys.argv[1:]:
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "tensors.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
