"""Writes into shear.json what SimpleITK makes of a stack of slices whose axis is no normal of theirs: python shear.py.

ITK takes any direction that can be inverted. The sheared volume is resampled linearly onto the grid of the slices' own axes,
air beside it.
"""
import json, math
import numpy as np
import SimpleITK as sitk

rng = np.random.default_rng(3)
cases = []
for name, tilt_y, tilt_x, iop in (("as gantries do", 20, 0, "tilted"), ("both ways", -12, 9, "plain"), ("beyond", 40, -30, "plain")):
    cols, rows, n, mm, step = 7, 6, 5, (0.75, 1.25), 2.0
    t = math.radians(tilt_y)
    row, col = np.array([1., 0, 0]), np.array([0., 1, 0])
    if iop == "tilted":
        col = np.array([0, math.cos(t), -math.sin(t)])
    normal = np.cross(row, col)
    along = normal + (0 if iop == "tilted" else math.tan(t)) * col + math.tan(math.radians(tilt_x)) * row
    if iop == "tilted":
        along = np.array([0, 0, 1.]) / normal[2]
    hu = rng.integers(-1000, 1500, (n, rows, cols)).astype(np.int16)
    image = sitk.GetImageFromArray(hu.astype(np.float64))
    length = np.linalg.norm(along)
    image.SetSpacing((mm[0], mm[1], step * length))
    image.SetDirection(np.stack([row, col, along / length], 1).ravel())
    origin = np.array([-10., 5, 30])
    image.SetOrigin(origin)
    shift = np.outer(np.arange(n) * step, [along @ row / mm[0], along @ col / mm[1]])  # pixels
    lo, hi = np.floor(shift.min(0)), np.ceil(shift.max(0))
    size = [int(cols + hi[0] - lo[0]), int(rows + hi[1] - lo[1]), n]
    padded = sitk.ConstantPad(image, [50, 50, 0], [50, 50, 0], -1000.0)  # ITK gives the default beyond the last pixel, not half of it
    r = sitk.ResampleImageFilter()
    r.SetSize(size); r.SetOutputSpacing((mm[0], mm[1], step)); r.SetOutputDirection(np.stack([row, col, normal], 1).ravel())
    r.SetOutputOrigin(origin + lo[0] * mm[0] * row + lo[1] * mm[1] * col); r.SetInterpolator(sitk.sitkLinear); r.SetDefaultPixelValue(-1000)
    out = sitk.GetArrayFromImage(r.Execute(padded))
    cases.append({"name": name, "dim": [cols, rows, n], "mm": [mm[1], mm[0]], "orientation": [*row, *col], "positions": [[*(origin + i * step * along)] for i in range(n)],
                  "hu": hu.ravel().tolist(), "to": size, "origin": list(r.GetOutputOrigin()), "want": [round(float(x), 3) for x in out.ravel()]})
json.dump(cases, open("shear.json", "w"))
