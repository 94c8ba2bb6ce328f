# Makes npy/*, arrays as RAD-ChestCT has them, and npy.json, what NumPy reads from them in our axes; bad-* have to be
# refused. Run by make.py.
import hashlib, io, json, os, zipfile
import numpy as np
from numpy.lib import format as npy

rng = np.random.default_rng(7)
good = {}


def volume(shape=(5, 4, 3)):
    a = rng.integers(-1000, 1000, shape, endpoint=True).astype("<i2")
    a.flat[0], a.flat[-1] = -32768, 32767
    return a


def array(a, version=None, fortran=False):
    b = io.BytesIO()
    npy.write_array(b, np.asfortranarray(a) if fortran else np.ascontiguousarray(a), version=version)
    return b.getvalue()


def header(text, a, version=b"\x01\x00"):
    """An array with a header of our own."""
    h = text.encode() if isinstance(text, str) else text
    h += b" " * (-(len(h) + 11) % 64) + b"\n"
    return b"\x93NUMPY" + version + len(h).to_bytes(2 if version[0] == 1 else 4, "little") + h + a.tobytes()


def pack(name, entries, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(f"npy/{name}", "w") as z:
        for n, b in entries:
            info = zipfile.ZipInfo(n, (1980, 1, 1, 0, 0, 0))
            info.compress_type = method
            z.writestr(info, b)


def make(name, b=None, entries=None, method=zipfile.ZIP_DEFLATED):
    if entries:
        pack(name, entries, method)
    else:
        open(f"npy/{name}", "wb").write(b)
    a = np.load(f"npy/{name}")
    a = a["ct"] if entries else a
    zyx = np.ascontiguousarray(a[::-1]).astype("<i2")  # slices go down in the file
    good[name] = dict(shape=list(zyx.shape), spacing_mm=[0.8] * 3, affine_lps=[float(x) for x in np.diag([0.8, 0.8, 0.8, 1]).ravel()], dtype="int16",
                      min=int(zyx.min()), max=int(zyx.max()), sha256=hashlib.sha256(zyx.tobytes()).hexdigest())


def bad(name, b=None, entries=None, method=zipfile.ZIP_DEFLATED):
    if entries:
        pack(f"bad-{name}", entries, method)
    else:
        open(f"npy/bad-{name}", "wb").write(b)


def goods():
    for order, fortran in (("c", False), ("fortran", True)):
        for end in "<>":
            a = volume().astype(end + "i2")
            n = f"{order}-{'le' if end == '<' else 'be'}"
            make(n + ".npy", array(a, fortran=fortran))
            make(n + "-stored.npz", entries=[("ct.npy", array(a, fortran=fortran))], method=zipfile.ZIP_STORED)
            make(n + "-deflated.npz", entries=[("ct.npy", array(a, fortran=fortran))])
    for v in ((1, 0), (2, 0), (3, 0)):
        make(f"version-{v[0]}.npy", array(volume(), v))
    b = io.BytesIO(); np.savez_compressed(b, ct=volume(), age=np.arange(3), note=np.array(["x"]))
    make("other-arrays.npz", entries=[(i.filename, zipfile.ZipFile(b).read(i)) for i in zipfile.ZipFile(b).infolist()])
    make("one-slice.npy", array(volume((1, 4, 3))))
    make("one-voxel-wide.npy", array(volume((5, 4, 1))))
    make("fortran-one-row.npy", array(volume((5, 1, 3)), fortran=True))
    a = volume()
    make("keys-in-another-order.npy", header("{'shape': (5, 4, 3), 'fortran_order': False, 'descr': '<i2'}", a))
    make("spaces.npy", header("{ 'descr' : '<i2' , 'fortran_order' : False , 'shape' : ( 5 , 4 , 3 , ) , }  ", a))
    make("unaligned.npy", b"\x93NUMPY\x01\x00" + (60).to_bytes(2, "little") + b"{'descr': '<i2', 'fortran_order': False, 'shape': (5, 4, 3)}" + a.tobytes())
    make("noise-40-slices.npz", entries=[("ct.npy", array(volume((40, 32, 24))))])


def bads():
    a = volume()
    whole = array(a)
    bad("no-ct.npz", entries=[("volume.npy", whole), ("age.npy", array(np.arange(3)))])
    bad("folder.npz", entries=[("x/ct.npy", whole)])
    bad("twice.npz", entries=[("ct.npy", whole), ("ct.npy", whole)])
    for n, d in (("float32", "<f4"), ("float64", "<f8"), ("uint16", "<u2"), ("int8", "|i1"), ("int32", "<i4"), ("complex", "<c8"), ("bool", "|b1"), ("text", "<U4")):
        bad(n + ".npz", entries=[("ct.npy", array(a.astype(d)))])
    b = io.BytesIO(); npy.write_array(b, np.array([[[{"a": 1}]]], dtype=object), allow_pickle=True)
    bad("pickle.npz", entries=[("ct.npy", b.getvalue())])
    bad("record.npy", array(np.zeros((2, 2, 2), dtype=[("x", "<i2"), ("y", "<i2")])))
    bad("2d.npy", array(a[0]))
    bad("4d.npy", array(a[None]))
    bad("scalar.npy", array(np.array(3, "<i2")))
    d = "{'descr': '<i2', 'fortran_order': False, 'shape': (%s), }"
    for n, s in (("shape-0", "5, 0, 3"), ("shape-negative", "-5, -4, 3"), ("shape-huge", "100000, 100000, 100000"), ("shape-overflow", "4294967296, 4294967296, 16"), ("shape-long", "9" * 400 + ", 1, 1"),
                 ("shape-larger", "5, 4, 400"), ("shape-limit", "1024, 1024, 1024"), ("shape-text", "5, 4, x")):
        bad(n + ".npy", header(d % s, a))
    bad("shape-larger-deflated.npz", entries=[("ct.npy", header(d % "500, 400, 300", a))])
    bad("header-code.npy", header("__import__('os').system('true')", a))
    bad("header-two-shapes.npy", header("{'descr': '<i2', 'shape': (5, 4, 3), 'shape': (3, 4, 5), }", a))
    bad("header-no-order.npy", header("{'descr': '<i2', 'shape': (5, 4, 3), }", a))
    bad("header-more.npy", header("{'descr': '<i2', 'fortran_order': False, 'shape': (5, 4, 3), 'x': 1}", a))
    bad("header-binary.npy", header(bytes(range(100)), a))
    bad("header-4-gb.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + whole[10:])
    bad("header-open.npy", header("{" * 5000, a))
    bad("version-9.npy", b"\x93NUMPY\x09\x00" + whole[8:])
    bad("magic.npz", entries=[("ct.npy", b"NUMPY!!" + whole[7:])])
    bad("short-header.npy", whole[:60])
    bad("only-magic.npy", whole[:8])
    bad("cut.npy", whole[:-7])
    bad("cut-entry.npz", entries=[("ct.npy", whole[:-7])])
    bad("empty-entry.npz", entries=[("ct.npy", b"")])
    bad("crc.npz", entries=[("ct.npy", whole)], method=zipfile.ZIP_STORED)
    b = bytearray(open("npy/bad-crc.npz", "rb").read()); b[200] ^= 1
    open("npy/bad-crc.npz", "wb").write(b)
    bad("cut.npz", entries=[("ct.npy", whole)])
    b = open("npy/bad-cut.npz", "rb").read()
    open("npy/bad-cut.npz", "wb").write(b[:-30])
    bad("bomb.npz", entries=[("ct.npy", whole + bytes(40 << 20))])
    bad("path-up.npz", entries=[("ct.npy", whole), ("../x.npy", whole)])


def main():
    os.makedirs("npy", exist_ok=True)
    goods()
    bads()
    json.dump(good, open("npy.json", "w"), indent=1)


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    main()
