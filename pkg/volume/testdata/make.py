# Makes the files that the tests of this package read, and what others read from them: python3 make.py
# NIfTI here, with nifti.json by nibabel; DICOM in makedicom.py, npy and npz in makenpy.py.
# Of other files it prints what nibabel reads: python3 make.py FILE...
# Needs nibabel 5, pydicom 3 and numpy, and uses SimpleITK if it is there. File names say what is special about them.
import gzip, hashlib, io, itertools, json, os, sys
import nibabel as nib, numpy as np
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

rng = np.random.default_rng(3)
DIAG = np.array([[-0.75, 0, 0, 80], [0, -0.75, 0, 90.5], [0, 0, 2.5, -300], [0, 0, 0, 1.0]])
OBLIQUE = np.array([[0.71, 0.1, -0.2, -80], [-0.12, 0.7, 0.5, 20], [0.1, -0.2, 2.4, -30], [0, 0, 0, 1.0]])
PERMUTED = np.array([[0, 0, 2.0, -10], [-0.8, 0, 0, 7], [0, 0.9, 0, 3], [0, 0, 0, 1.0]])
TIE = np.array([[0.6, 0.6, 0, 1], [0.6, -0.6, 0, 2], [0, 0, -1.5, 3], [0, 0, 0, 1.0]])
good = {}

def voxels(dtype, shape=(5, 4, 3)):
    d = np.dtype(dtype)
    if d.kind == "f":
        return (rng.normal(0, 900, shape)).astype(d)
    info = np.iinfo(d)
    return rng.integers(max(info.min, -3000), min(info.max, 4000), shape, endpoint=True).astype(d)

def image(dtype="<i2", aff=DIAG, shape=(5, 4, 3), cls=nib.Nifti1Image, **fields):
    a = voxels(dtype, shape)
    h = cls.header_class(endianness="<" if np.dtype(dtype).byteorder in "<|=" else ">")
    h.set_data_dtype(a.dtype)
    im = cls(a, aff, h, dtype=a.dtype)
    return im, fields

def save(name, im, fields, raw=None):
    b = io.BytesIO()
    im.to_file_map({"image": nib.FileHolder(fileobj=b), "header": nib.FileHolder(fileobj=b)})
    b = bytearray(b.getvalue())
    h = im.header
    at = {n: h.template_dtype.fields[n][1] for n in h.template_dtype.names}
    end = h.endianness
    fmt = "<" if end == "<" else ">"
    for k, v in fields.items():
        t = h.template_dtype.fields[k][0]
        if t.subdtype:
            for i, x in v.items():
                s = t.subdtype[0].itemsize
                b[at[k] + s * i: at[k] + s * (i + 1)] = np.array(x, t.subdtype[0].newbyteorder(fmt)).tobytes()
        else:
            b[at[k]: at[k] + t.itemsize] = np.array(v, t.newbyteorder(fmt)).tobytes()
    b = bytes(b)
    if raw:
        b = raw(b)
    open(name, "wb").write(b)

def expect(name):
    src = name
    if name == "gzipped-without-suffix.nii":
        im = nib.Nifti1Image.from_bytes(gzip.decompress(open(name, "rb").read()))
    else:
        im = nib.load(name)
    stored = np.asanyarray(im.dataobj.get_unscaled())
    slope, inter = im.dataobj.slope, im.dataobj.inter
    x = stored.astype(np.float64) * np.float64(slope) + np.float64(inter)
    hu = np.clip(np.round(x), -32768, 32767).astype(np.int16)
    while hu.ndim > 3 and hu.shape[-1] == 1:
        hu = hu[..., 0]
    aff = im.affine
    t = ornt_transform(io_orientation(aff), axcodes2ornt("LPS"))
    aff = aff @ nib.orientations.inv_ornt_aff(t, hu.shape[:3])
    hu = nib.orientations.apply_orientation(hu, t)
    aff = np.diag([-1, -1, 1, 1.0]) @ aff
    zyx = np.ascontiguousarray(hu.transpose(2, 1, 0)).astype("<i2")
    mm = np.sqrt((aff[:3, :3] ** 2).sum(0))
    good[src] = dict(shape=list(zyx.shape), spacing_mm=[float(m) for m in mm[::-1]], affine_lps=[float(a) + 0.0 for a in aff.ravel()],
                     dtype=stored.dtype.newbyteorder("=").name, min=int(zyx.min()), max=int(zyx.max()),
                     sha256=hashlib.sha256(zyx.tobytes()).hexdigest())

if sys.argv[1:]:
    for name in sys.argv[1:]:
        expect(name)
        h = nib.load(name).header
        assert np.allclose(h.get_qform(coded=True)[0], h.get_sform(coded=True)[0], atol=1e-4), name
    sys.exit(json.dump(good, sys.stdout))
os.chdir(os.path.dirname(os.path.abspath(__file__)))

def make(name, im_fields, raw=None):
    save(name, *im_fields, raw)
    expect(name)

gz = lambda b: gzip.compress(b, mtime=0)
for d in "<i2 <u2 <i4 <u4 <i8 <u8 |i1 |u1 <f4 <f8 >i2 >u2 >i4 >f4 >f8".split():
    make(f"type-{d.replace('<', 'le-').replace('>', 'be-').replace('|', '')}.nii", image(d))
for d in ("<i2", ">i2", ">f8"):
    make(f"nifti2-{d.replace('<', 'le-').replace('>', 'be-')}.nii", image(d, cls=nib.Nifti2Image))
for n, s, i in (("2.5", 2.5, -1024), ("1", 1, -1024), ("0", 0, 100), ("1e-5", 1e-5, 3), ("nan", np.nan, 5), ("inf", np.inf, 5), ("0.1", 0.1, 0.3), ("large", 1000, 0)):
    make(f"slope-{n}.nii", image("<i2", scl_slope=s, scl_inter=i))
make("slope-float32.nii", image("<f4", scl_slope=0.3, scl_inter=-7.7))
make("slope-uint16.nii", image("<u2", scl_slope=0.5, scl_inter=-1024))
for n, a in (("diagonal", DIAG), ("oblique", OBLIQUE), ("permuted", PERMUTED), ("tie", TIE), ("identity", np.eye(4))):
    make(f"sform-{n}.nii", image(aff=a, sform_code=1, qform_code=0))
for n, a in (("diagonal", DIAG), ("permuted", PERMUTED), ("mirrored", np.diag([1.0, 2, -3, 1]))):
    make(f"qform-{n}.nii", image(aff=a, sform_code=0, qform_code=1))
im, f = image(aff=DIAG)
im.set_qform(PERMUTED, 1); im.set_sform(DIAG, 2)
make("both-forms-differ.nii", (im, f))
make("no-form.nii", image(sform_code=0, qform_code=0))
make("no-form-negative-pixdim.nii", image(sform_code=0, qform_code=0, pixdim={1: -0.5, 2: 0, 3: 2}))
make("trailing-axis.nii", image(shape=(5, 4, 3, 1)))
make("one-slice.nii", image(shape=(5, 4, 1)))
make("plain.nii.gz", image(), gz)
make("three-members.nii.gz", image(), lambda b: gz(b[:100]) + gz(b[100:400]) + gz(b[400:]))
make("gzipped-without-suffix.nii", image(), gz)
im, f = image()
im.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 40))
make("extension.nii", (im, f))
# what has to be refused
save("bad-truncated.nii.gz", *image(), lambda b: gz(b)[:-20])
save("bad-crc.nii.gz", *image(), lambda b: gz(b)[:-8] + b"abcd" + gz(b)[-4:])
save("bad-truncated.nii", *image(), lambda b: b[:-7])
save("bad-short-header.nii", *image(), lambda b: b[:200])
save("bad-short-gz.nii.gz", *image(), lambda b: gz(b[:400]))
save("bad-dim-huge.nii", *image(dim={1: 32767, 2: 32767, 3: 32767}))
save("bad-dim-huge.nii.gz", *image(dim={1: 1024, 2: 1024, 3: 1024}), gz)
save("bad-dim-7.nii", *image(dim={0: 7, 1: 32767, 2: 32767, 3: 32767, 4: 32767, 5: 32767, 6: 32767, 7: 32767}))
save("bad-dim-overflow.nii", *image(cls=nib.Nifti2Image, dim={1: 1 << 62, 2: 4, 3: 4}))
save("bad-dim-negative.nii", *image(dim={1: -5, 2: -4}))
save("bad-dim-zero.nii", *image(dim={2: 0}))
save("bad-dim0.nii", *image(dim={0: 0}))
save("bad-4d.nii", *image(shape=(5, 4, 3, 2)))
save("bad-2d.nii", *image(shape=(5, 4, 1), dim={0: 2}))
save("bad-inter.nii", *image(scl_slope=1.0, scl_inter=np.nan))
save("bad-bitpix.nii", *image(bitpix=8))
save("bad-rgb.nii", *image(datatype=128, bitpix=24))
save("bad-complex.nii", *image(datatype=32, bitpix=64))
save("bad-offset.nii", *image(vox_offset=-352.0))
save("bad-offset-nan.nii", *image(vox_offset=np.nan))
save("bad-magic.nii", *image(magic=b"abc\0"))
save("bad-pair.nii", *image(magic=b"ni1\0"))
save("bad-singular.nii", *image(srow_x={0: 0.0, 1: 0.75, 2: 0.0}, sform_code=1))
save("bad-zero-axis.nii", *image(srow_x={0: 0.0}, sform_code=1))
save("bad-nan-affine.nii", *image(srow_x={0: np.nan}, sform_code=1))
save("bad-quaternion.nii", *image(sform_code=0, qform_code=1, quatern_b=0.9, quatern_c=0.9))
save("bad-metres.nii", *image(xyzt_units=1))
im, f = image("<f4")
a = np.asarray(im.dataobj).copy(); a[1, 1, 1] = np.nan
save("bad-nan.nii", nib.Nifti1Image(a, DIAG), f)
open("bad-empty.nii", "wb").close()
open("bad-text.nii", "w").write("VolumeName,Findings\n" * 30)

# every way in which axes can lie, in both forms and byte orders
for n, (perm, flips) in enumerate(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3))):
    aff = np.zeros((4, 4))
    for i, (axis, sign, mm) in enumerate(zip(perm, flips, (0.75, 0.8125, 2.5))):
        aff[axis, i] = sign * mm
    aff[:, 3] = -81.5, 12.25, 300, 1
    name = "axes-" + "".join(("LR", "PA", "IS")[a][(s + 1) // 2] for a, s in zip(perm, flips)) + ".nii"
    make(name, image(("<i2", ">i2")[n % 2], aff, sform_code=n % 3 % 2 or 1, qform_code=0) if n % 4 else image("<i2", aff, sform_code=0, qform_code=1))
make("nifti2-qform.nii", image(cls=nib.Nifti2Image, aff=PERMUTED, sform_code=0, qform_code=1))
make("nifti2-be-u2.nii.gz", image(">u2", cls=nib.Nifti2Image, scl_slope=2, scl_inter=-1024), gz)
make("float64-slope.nii", image("<f8", scl_slope=0.7, scl_inter=0.01))
make("int8-slope.nii", image("|i1", scl_slope=8, scl_inter=-500))
make("int32-clipped.nii", image("<i4", scl_slope=50, scl_inter=0))
make("two-trailing-axes.nii", image(shape=(5, 4, 3, 1, 1)))
make("one-voxel.nii", image(shape=(1, 1, 1)))
make("offset-later.nii", image(vox_offset=1000.0), lambda b: b[:352] + bytes(648) + b[352:])
make("bytes-after.nii", image(), lambda b: b + b"x" * 100)
make("empty-member.nii.gz", image(), lambda b: gz(b) + gz(b""))
json.dump(good, open("nifti.json", "w"), indent=1)

import makedicom, makenpy
makedicom.main()
makenpy.main()
