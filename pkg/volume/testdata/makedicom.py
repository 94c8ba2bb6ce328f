# Makes dicom/*.zip, one series each, and dicom.json, what pydicom reads from them, brought into our axes by nibabel and
# compared with SimpleITK where that is installed; bad-*.zip have to be refused. Run by make.py; needs pydicom 3.
import copy, hashlib, io, json, os, struct, tempfile, zipfile
import nibabel as nib, numpy as np, pydicom
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

try:
    import SimpleITK as sitk
except ImportError:
    sitk = None

CT, ENHANCED, LEGACY = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"
ROOT = "1.2.826.0.1.3680043.10.1599."
rng = np.random.default_rng(5)
AXIAL = (1, 0, 0, 0, 1, 0)
good, agreed = {}, 0


def number(x):
    return f"{x:.10g}"


def stored(shape, bits=16, signed=True):
    lo, hi = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    a = rng.integers(max(lo, -1200), min(hi, 3000), shape, endpoint=True)
    a.flat[0], a.flat[-1] = lo, hi
    return a


def word(a, bits, allocated):
    return (a & ((1 << bits) - 1)).astype(f"<u{allocated // 8}")


def base(n, cls=CT, series=1, bits=16, signed=True, allocated=16):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = cls
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"{ROOT}{series}.{n + 1}"
    ds.file_meta.ImplementationClassUID = ROOT + "0"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.Modality, ds.PatientID, ds.PatientName = "CT", "phantom", "Phan^Tom"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = ROOT + "9", f"{ROOT}{series}", ROOT + "8"
    ds.InstanceNumber = n + 1
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = allocated, bits, bits - 1, int(signed)
    return ds


def classic(n=5, rows=6, cols=7, iop=AXIAL, origin=(-100.5, -80.25, -300.0), mm=(0.75, 0.6875), gap=2.5, slope=1, inter=-1024, **kw):
    """A series as a list of data sets."""
    out, iop = [], np.array(iop, float)
    normal = np.cross(iop[:3], iop[3:])
    bits, signed, allocated = kw.get("bits", 16), kw.get("signed", True), kw.get("allocated", 16)
    pixels = stored((n, rows, cols), bits, signed)
    for i in range(n):
        ds = base(i, **kw)
        ds.Rows, ds.Columns, ds.PixelSpacing = rows, cols, [number(m) for m in mm]
        ds.ImageOrientationPatient = [number(x) for x in iop]
        ds.ImagePositionPatient = [number(x) for x in np.array(origin) + i * gap * normal]
        ds.RescaleSlope, ds.RescaleIntercept = number(slope), number(inter)
        b = word(pixels[i], bits, allocated).tobytes()
        ds.PixelData = b + b"\0" * (len(b) % 2)
        ds["PixelData"].VR = "OW" if allocated == 16 else "OB"
        out.append(ds)
    return out


def group(**kw):
    ds = Dataset()
    for k, v in kw.items():
        setattr(ds, k, v)
    return ds


def enhanced(n=5, rows=6, cols=7, order=None, cls=ENHANCED, slopes=None, gap=2.5, **kw):
    ds = base(0, cls, **kw)
    ds.Rows, ds.Columns, ds.NumberOfFrames = rows, cols, n
    shared = Dataset()
    shared.PixelMeasuresSequence = Sequence([group(PixelSpacing=["0.75", "0.6875"], SliceThickness="2.5")])
    shared.PlaneOrientationSequence = Sequence([group(ImageOrientationPatient=[number(x) for x in AXIAL])])
    if slopes is None:
        shared.PixelValueTransformationSequence = Sequence([group(RescaleSlope="1", RescaleIntercept="-1024", RescaleType="HU")])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for i in (order or range(n)):
        f = Dataset()
        f.FrameContentSequence = Sequence([group(StackID="1", InStackPositionNumber=i + 1)])
        f.PlanePositionSequence = Sequence([group(ImagePositionPatient=["-100.5", "-80.25", number(-300 + gap * i)])])
        if slopes:
            f.PixelValueTransformationSequence = Sequence([group(RescaleSlope=number(slopes[i]), RescaleIntercept=number(-1000 - i), RescaleType="HU")])
        frames.append(f)
    ds.PerFrameFunctionalGroupsSequence = Sequence(frames)
    bits, signed = kw.get("bits", 16), kw.get("signed", True)
    ds.PixelData = word(stored((n, rows, cols), bits, signed), bits, 16).tobytes()
    ds["PixelData"].VR = "OW"
    return [ds]


def encode(ds):
    b = io.BytesIO()
    ds.save_as(b, enforce_file_format=True)
    return b.getvalue()


def syntax(series, uid):
    for ds in series:
        if uid == RLELossless:
            ds.compress(RLELossless, generate_instance_uid=False)
        else:
            ds.file_meta.TransferSyntaxUID = uid
    return series


def files(series):
    return [(f"{i:03d}.dcm", encode(ds)) for i, ds in enumerate(series)]


def pack(name, entries, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(name, "w") as z:
        for n, b in entries:
            info = zipfile.ZipInfo(n, (1980, 1, 1, 0, 0, 0))
            info.compress_type = method
            z.writestr(info, b)


def canonical(hu, ras):
    """hu[i, j, k] and its affine, in our axes: nibabel decides on the orientation."""
    t = ornt_transform(io_orientation(ras), axcodes2ornt("LPS"))
    aff = np.diag([-1, -1, 1, 1.0]) @ ras @ inv_ornt_aff(t, hu.shape)
    return np.ascontiguousarray(apply_orientation(hu, t).transpose(2, 1, 0)).astype("<i2"), aff


def planes(ds):
    """Each frame's words, position, orientation, spacing, slope and intercept."""
    a = ds.pixel_array.reshape(-1, ds.Rows, ds.Columns).astype(np.int64)
    if pydicom.uid.UID(ds.file_meta.TransferSyntaxUID) != RLELossless:  # pydicom clears the bits above the stored ones
        a = np.frombuffer(ds.PixelData, f"<u{ds.BitsAllocated // 8}")[:a.size].reshape(a.shape).astype(np.int64)
    a &= (1 << ds.BitsAllocated) - 1
    pad = ds.get("PixelPaddingValue")
    over = np.zeros_like(a, bool) if pad is None or ds.BitsStored == 16 else (a == int(pad) & 0xFFFF) & (int(pad) & 0xFFFF > (1 << ds.BitsStored) - 1)
    v = a & (1 << ds.BitsStored) - 1
    if ds.PixelRepresentation:
        v = np.where(v >> ds.BitsStored - 1, v - (1 << ds.BitsStored), v)
    v = np.where(over, a - 65536, v)
    for i in range(len(v)):
        if "PerFrameFunctionalGroupsSequence" in ds:
            gs = [ds.PerFrameFunctionalGroupsSequence[i], ds.SharedFunctionalGroupsSequence[0]]
            find = lambda seq: next(g[seq][0] for g in gs if seq in g)
            pos, ori, mm, scale = find("PlanePositionSequence"), find("PlaneOrientationSequence"), find("PixelMeasuresSequence"), find("PixelValueTransformationSequence")
        else:
            pos = ori = mm = scale = ds
        yield (v[i], np.array(pos.ImagePositionPatient, float), np.array(ori.ImageOrientationPatient, float), np.array(mm.PixelSpacing, float),
               float(scale.RescaleSlope), float(scale.RescaleIntercept))


def expect(name, entries, series=None, itk=True):
    """What pydicom reads, by the formula of the contract."""
    got, dtype, kept = [], None, []
    for n, b in entries:
        try:
            ds = pydicom.dcmread(io.BytesIO(b))
        except pydicom.errors.InvalidDicomError:
            continue
        if ds.get("Modality") != "CT" or "LOCALIZER" in ds.get("ImageType", []) or ds.SOPClassUID not in (CT, ENHANCED, LEGACY) or series not in (None, ds.SeriesInstanceUID):
            continue
        dtype = ("int" if ds.PixelRepresentation else "uint") + str(ds.BitsAllocated)
        got += planes(ds)
        kept.append((ds, b))
    normal = np.cross(got[0][2][:3], got[0][2][3:])
    got.sort(key=lambda p: p[1] @ normal)
    hu = np.stack([np.clip(np.round(v.astype(np.float64) * s + i), -32768, 32767).astype(np.int16).T for v, _, _, _, s, i in got], 2)
    _, p0, ori, mm, _, _ = got[0]
    lps = np.eye(4)
    lps[:3, 0], lps[:3, 1], lps[:3, 2], lps[:3, 3] = ori[:3] * mm[1], ori[3:] * mm[0], (got[-1][1] - p0) / (len(got) - 1), p0
    zyx, aff = canonical(hu, np.diag([-1, -1, 1, 1.0]) @ lps)
    if sitk and itk:
        compare(name, kept, zyx, aff)
    g = dict(shape=list(zyx.shape), spacing_mm=[float(m) for m in np.sqrt((aff[:3, :3] ** 2).sum(0))[::-1]], affine_lps=[float(a) + 0.0 for a in aff.ravel()],
             dtype=dtype, min=int(zyx.min()), max=int(zyx.max()), sha256=hashlib.sha256(zyx.tobytes()).hexdigest())
    if series:
        g["series"] = series
    good[name] = g


def compare(name, kept, zyx, aff):
    """SimpleITK reads the same voxels to the same places."""
    global agreed
    with tempfile.TemporaryDirectory() as d:
        for i, (_, b) in enumerate(kept):
            open(f"{d}/{i}.dcm", "wb").write(b)
        r = sitk.ImageSeriesReader()
        names = r.GetGDCMSeriesFileNames(d)
        try:
            im = sitk.ReadImage(names if len(names) > 1 else names[0], sitk.sitkFloat64)
        except RuntimeError as err:
            raise RuntimeError(name) from err
    im = sitk.DICOMOrient(im, "LPS")
    m = np.eye(4)
    m[:3, :3] = np.array(im.GetDirection()).reshape(3, 3) * np.array(im.GetSpacing())
    m[:3, 3] = im.GetOrigin()
    assert np.abs(m - aff).max() < 1e-4, (name, m, aff)
    a = np.clip(np.round(sitk.GetArrayFromImage(im)), -32768, 32767)
    assert (a == zyx).all(), (name, np.argwhere(a != zyx)[:5])
    agreed += 1


def make(name, series, entries=None, pick=None, itk=True, method=zipfile.ZIP_DEFLATED):
    entries = entries or files(series)
    pack(f"dicom/{name}.zip", entries, method)
    expect(f"{name}.zip", entries, pick, itk)


def bad(name, series, entries=None, method=zipfile.ZIP_DEFLATED):
    pack(f"dicom/bad-{name}.zip", entries or files(series), method)


def change(series, i=None, **kw):
    for ds in series if i is None else [series[i]]:
        for k, v in kw.items():
            if v is None:
                delattr(ds, k)
            else:
                setattr(ds, k, v)
    return series


def insert(entries, blob, i=None):
    """Bytes of elements before the pixels of files."""
    at = b"\xe0\x7f\x10\x00"
    return [(n, b.replace(at, blob + at, 1) if i in (None, k) else b) for k, (n, b) in enumerate(entries)]


def short(tag, vr, value):
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def long(tag, vr, value, length=None):
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, len(value) if length is None else length) + value


ITEM, ITEM_END, SEQ_END = (struct.pack("<HH", 0xFFFE, e) for e in (0xE000, 0xE00D, 0xE0DD))
ZERO, OPEN = struct.pack("<I", 0), struct.pack("<I", 0xFFFFFFFF)


def nested(depth, vr=b"SQ"):
    b = b""
    for _ in range(depth):
        b = long(0x00291010, vr, ITEM + OPEN + b + ITEM_END + ZERO + SEQ_END + ZERO, 0xFFFFFFFF)
    return b


def implicit(tag, value, length=None):
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def other(**kw):
    ds = classic(1, series=77)[0]
    return encode(change([ds], **kw)[0])


def goods():
    for uid, s in ((ExplicitVRLittleEndian, "explicit"), (ImplicitVRLittleEndian, "implicit"), (RLELossless, "rle")):
        for bits, signed, allocated in ((16, True, 16), (16, False, 16), (12, True, 16), (12, False, 16), (8, False, 8)):
            series = syntax(classic(bits=bits, signed=signed, allocated=allocated, inter=-1000), uid)
            make(f"{s}-{'int' if signed else 'uint'}{bits}", series, itk=uid != RLELossless)

        make(f"enhanced-{s}", syntax(enhanced(), uid), itk=uid != RLELossless)
    # SimpleITK takes frames as they lie, and the first one's scale for all
    make("enhanced-reversed", enhanced(order=[4, 3, 2, 1, 0]))
    make("enhanced-shuffled", enhanced(order=[2, 0, 4, 1, 3]), itk=False)
    make("enhanced-shuffled-rle", syntax(enhanced(order=[2, 0, 4, 1, 3], bits=12), RLELossless), itk=False)
    make("enhanced-rescale-per-frame", enhanced(slopes=[1, 2, 0.5, 1, 1.5]), itk=False)
    make("enhanced-legacy", enhanced(cls=LEGACY))
    for n, s, i in (("half", 0.5, -1024), ("2.5", 2.5, -3000.5), ("clipped", 100, 0), ("negative", -1, 0), ("fraction", 1, -1023.75), ("small", 0.001, 3)):
        make(f"slope-{n}", classic(slope=s, inter=i))
    series = classic()
    for i, ds in enumerate(series):
        ds.RescaleSlope, ds.RescaleIntercept = number(1 + i / 4), number(-1000 - i)
    make("rescale-per-slice", series)
    for n, iop in (("prone", (-1, 0, 0, 0, -1, 0)), ("feet-first", (-1, 0, 0, 0, 1, 0)), ("coronal", (1, 0, 0, 0, 0, -1)), ("sagittal", (0, 1, 0, 0, 0, -1)),
                   ("oblique", (0.9659258263, 0.2588190451, 0, -0.2506001, 0.9352533, 0.2500000)), ("turned", (0, 1, 0, -1, 0, 0)), ("rounded", (0.999848, 0.017452, 0, -0.017452, 0.999848, 0))):
        if n == "oblique":
            x, y = np.array([np.cos(.3), np.sin(.3), 0]), np.array([-np.sin(.3) * np.cos(.2), np.cos(.3) * np.cos(.2), np.sin(.2)])
            iop = (*x, *y)
        make(f"axes-{n}", classic(iop=iop))
    series = classic()
    for i, ds in enumerate(series):
        ds.InstanceNumber = [3, 1, 5, 2, 4][i]
    e = files(series)
    make("instance-numbers-lie", series, [e[i] for i in (3, 0, 4, 2, 1)])
    make("reversed", classic(gap=-2.5))
    make("far-away", classic(origin=(1234.5, -987.25, 1999.125), gap=0.625))
    make("two-slices", classic(n=2))
    series = classic(gap=2)
    series[2].ImagePositionPatient[2] = number(-296 + 0.015)
    make("jitter-of-0.75-percent", series)
    series = classic(signed=True, inter=0)
    for ds in series:
        a = np.frombuffer(ds.PixelData, "<i2").copy(); a[:6] = -2000
        ds.PixelData = a.tobytes(); ds.add_new(0x00280120, "SS", -2000)
    make("padding", series)
    make("padding-implicit", syntax(copy.deepcopy(series), ImplicitVRLittleEndian))
    series = classic(signed=False, bits=12)
    for ds in series:
        a = np.frombuffer(ds.PixelData, "<u2").copy(); a[:6] = 63536
        ds.PixelData = a.tobytes(); ds.add_new(0x00280120, "US", 63536)
    # SimpleITK clears the bits above: padding becomes bone
    make("padding-above-bits-stored", series, itk=False)
    for signed in (True, False):
        series = classic(bits=12, signed=signed)
        for ds in series:
            a = np.frombuffer(ds.PixelData, "<u2") | rng.integers(0, 16, 42).astype("<u2") << 12
            ds.PixelData = a.astype("<u2").tobytes()
        make(f"bits-above-stored-{'signed' if signed else 'unsigned'}", series)
    for n, depth in (("undefined", 1), ("deep", 25)):
        make(f"sequence-{n}", None, insert(files(classic()), nested(depth)))
    un = long(0x00291011, b"UN", ITEM + OPEN + implicit(0x00291012, b"abcd") + implicit(0x00291013, ITEM + OPEN + ITEM_END + ZERO + SEQ_END + ZERO, 0xFFFFFFFF) + ITEM_END + ZERO + SEQ_END + ZERO, 0xFFFFFFFF)
    make("sequence-un-implicit", None, insert(files(classic()), un))
    deep = b""
    for _ in range(300):
        deep = implicit(0x00291010, ITEM + struct.pack("<I", len(deep)) + deep)
    make("sequence-deep-of-known-length", None, insert(files(syntax(classic(), ImplicitVRLittleEndian)), deep))
    icon = long(0x00880200, b"SQ", ITEM + OPEN + long(0x7FE10010, b"OB", b"ab") + ITEM_END + ZERO + SEQ_END + ZERO, 0xFFFFFFFF)
    make("sequence-icon", None, insert(files(classic()), icon))
    series = classic()
    for ds in series:
        ds.ReferencedImageSequence = Sequence([group(ReferencedSOPInstanceUID=ROOT + "5"), group(ReferencedSOPInstanceUID=ROOT + "6")])
        ds["ReferencedImageSequence"].is_undefined_length = True
        ds.ProcedureCodeSequence = Sequence([group(CodeValue="1", CodeMeaning="x")])
    make("sequence-items", series)
    make("sequence-items-implicit", syntax(copy.deepcopy(series), ImplicitVRLittleEndian))
    localizer = other(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], Rows=3, Columns=14)
    make("localizer-in-series", None, files(classic()) + [("scout.dcm", localizer.replace(f"{ROOT}77".encode(), f"{ROOT}1\0".encode()))])
    make("localizer-in-another", None, [("scout.dcm", localizer)] + files(classic()))
    make("other-modalities", None, files(classic()) + [("mr.dcm", other(Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")), ("dose.dcm", other(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"))])
    make("not-dicom", None, files(classic()) + [("README.txt", b"hello"), (".DS_Store", b"\0" * 200), ("__MACOSX/._000.dcm", b"\0\5\x16\7" + b"\0" * 300), ("a/", b""), ("empty", b"")])
    make("folders", None, [(f"st/se{i % 2}/{n}", b) for i, (n, b) in enumerate(files(classic()))], method=zipfile.ZIP_STORED)
    two = files(classic()) + [("b" + n, b) for n, b in files(classic(n=3, series=2, gap=5))]
    make("two-series-first", None, two, pick=ROOT + "1")
    make("two-series-second", None, two, pick=ROOT + "2")
    make("series-named", classic(), pick=ROOT + "1")
    make("monochrome1", change(classic(), PhotometricInterpretation="MONOCHROME1"), itk=False)  # SimpleITK inverts it, which is for screens
    make("one-frame-each", change(classic(), NumberOfFrames=1))
    make("odd-pixels-8-bit", classic(rows=7, cols=7, bits=8, signed=False, allocated=8))
    make("wide", classic(rows=3, cols=11))
    series = classic()
    for ds in series:
        ds.add_new(0x60000010, "US", 6), ds.add_new(0x60003000, "OW", b"\0" * 8)
    make("overlay", series)
    tail = long(0xFFFCFFFC, b"OB", b"\0" * 64)
    make("padding-after-pixels", None, [(n, b + tail) for n, b in files(classic())])
    make("zero-tilt", change(classic(), GantryDetectorTilt="0.0"))
    make("spaces-in-numbers", None, [(n, b.replace(b"0.75\\0.6875 ", b" .75\\+.6875 ").replace(b"-1024 ", b"-1024.")) for n, b in files(classic())])
    make("meta-group-length-lies", None, [(n, b[:140] + b"\x0a\0\0\0" + b[144:]) for n, b in files(classic())])
    make("private-blob", None, insert(files(classic()), long(0x00291010, b"OB", bytes(100_000))))


def bads():
    jpeg = [("jpeg-baseline", "1.2.840.10008.1.2.4.50"), ("jpeg-extended", "1.2.840.10008.1.2.4.51"), ("jpeg-lossless", "1.2.840.10008.1.2.4.70"), ("jpeg-lossless-14", "1.2.840.10008.1.2.4.57"),
            ("jpeg-ls", "1.2.840.10008.1.2.4.80"), ("jpeg-2000", "1.2.840.10008.1.2.4.90"), ("jpeg-2000-lossy", "1.2.840.10008.1.2.4.91"), ("htj2k", "1.2.840.10008.1.2.4.201"), ("unknown-syntax", "1.2.3.4")]
    for n, uid in jpeg:
        series = syntax(classic(2), RLELossless)
        for ds in series:
            ds.file_meta.TransferSyntaxUID = uid
        bad(n, series, [(f"{i}.dcm", encode_as(ds)) for i, ds in enumerate(series)])
    series = classic(2)
    for ds in series:
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    bad("big-endian", syntax(series, ExplicitVRBigEndian))
    bad("deflated", syntax(classic(2), "1.2.840.10008.1.2.1.99"))
    uid = b"1.2.840.10008.1.2.1\0"
    bad("no-syntax", None, [(n, b.replace(short(0x00020010, b"UI", uid), short(0x00020013, b"SH", uid))) for n, b in files(classic(2))])
    one = syntax(classic(), RLELossless)
    one[2].file_meta.TransferSyntaxUID = jpeg[0][1]
    bad("one-jpeg-among-others", None, [(f"{i}.dcm", encode_as(ds)) for i, ds in enumerate(one)])

    bad("two-series", None, files(classic()) + [("b" + n, b) for n, b in files(classic(series=2))])
    bad("eleven-series", None, [(f"{s}{n}", b) for s in range(1, 13) for n, b in files(classic(1, series=s))])
    e = files(classic())
    bad("duplicate-file", None, e + [("copy.dcm", e[2][1])])
    bad("duplicate-position", None, e + [("again.dcm", files(change(classic(), SOPInstanceUID=ROOT + "55"))[2][1])])
    bad("missing-slice", None, e[:2] + e[3:])
    bad("missing-three", None, files(classic(9))[:2] + files(classic(9))[5:])
    series = classic(); series[2].ImagePositionPatient[2] = "-294.9"
    bad("uneven", series)
    series = classic(); series[4].ImagePositionPatient[2] = "-289.96"
    bad("uneven-2-percent", series)
    bad("one-slice", classic(1))
    bad("tilt-by-tag", change(classic(), GantryDetectorTilt="-12.5"))
    series = classic(10)
    for i, ds in enumerate(series):
        ds.ImagePositionPatient[1] = number(-80 + i * 0.4)
    bad("tilt-by-position", series)
    bad("tilt-not-a-number", None, [(n, b.replace(b"12.5", b"12;5")) for n, b in files(change(classic(), GantryDetectorTilt="12.5"))])
    a, b = classic(), classic(rows=7, cols=6)
    bad("mixed-rows", a[:3] + b[3:])
    bad("mixed-columns", a[:3] + classic(cols=8)[3:])
    bad("mixed-spacing", a[:3] + classic(mm=(0.75, 0.75))[3:])
    bad("mixed-orientation", a[:3] + classic(iop=(0.9998476952, 0.0174524064, 0, -0.0174524064, 0.9998476952, 0))[3:])
    bad("mixed-frames-of-reference", change(classic(), 2, FrameOfReferenceUID=ROOT + "88"))
    for tag in ("Rows", "Columns", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept", "BitsAllocated", "BitsStored", "HighBit",
                "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation", "SeriesInstanceUID", "Modality", "SOPClassUID", "PixelData"):
        series = change(classic(), 3, **{tag: None})
        bad(f"no-{tag.lower()}", None, [(f"{i}.dcm", encode_as(ds)) for i, ds in enumerate(series)])
    bad("empty-position", change(classic(), 1, ImagePositionPatient=""))
    bad("rgb", change(classic(), PhotometricInterpretation="RGB"))
    bad("three-samples", change(classic(), SamplesPerPixel=3))
    bad("bits-32", change(classic(), BitsAllocated=32))
    bad("bits-stored-above-allocated", change(classic(), BitsStored=20))
    bad("high-bit", change(classic(bits=12), HighBit=15))
    bad("signed-2", change(classic(), PixelRepresentation=2))
    bad("rows-0", change(classic(), Rows=0))
    bad("rows-65535", change(classic(), Rows=65535, Columns=65535))
    bad("rows-too-few", change(classic(), Rows=4))
    for n, old, new in (("position-text", b"-100.5\\", b"left\\"), ("position-nan", b"-100.5\\", b"nan\\"), ("position-hex", b"-100.5\\", b"0x1p3\\"), ("position-two", b"-100.5\\", b""), ("position-far", b"-100.5\\", b"1e300\\"),
                        ("spacing-0", b"0.75\\0.6875", b"0\\0.6875"), ("spacing-negative", b"0.75\\0.6875", b"-.75\\0.687"), ("spacing-comma", b"0.75\\0.6875", b"0,75\\0,6875"), ("slope-inf", b"SPSLOPE", b"")):
        if n == "slope-inf":
            bad(n, None, [(m, b.replace(short(0x00281053, b"DS", b"1 "), short(0x00281053, b"DS", b"inf "))) for m, b in e])
            continue
        bad(n, None, [(m, reword(b, old, new)) for m, b in e])
    bad("slope-0", change(classic(), RescaleSlope="0"))
    bad("orientation-long", None, [(m, reword(b, b"1\\0\\0\\0\\1\\0", b"2\\0\\0\\0\\1\\0")) for m, b in e])
    bad("orientation-skew", None, [(m, reword(b, b"1\\0\\0\\0\\1\\0", b"1\\0\\0\\1\\0\\0")) for m, b in e])
    bad("rescale-type", change(classic(), RescaleType="Z_EFF"))
    lut = classic()
    for ds in lut:
        ds.ModalityLUTSequence = Sequence([group(LUTExplanation="x")])
    bad("modality-lut", lut)
    bad("twice-rows", None, insert(e, short(0x00280010, b"US", b"\x07\0")))
    bad("value-too-long", None, [(m, reword(b, b"1\\0\\0\\0\\1\\0", b"1\\0\\0\\0\\1\\0" + b" " * 3000)) for m, b in e])
    bad("series-uid-text", None, [(m, reword(b, b".1599.1\0", b".159\n.1")) if b".1599.1\0" in b else (m, reword(b, b".1599.1", b".1599\n1")) for m, b in e])

    bad("truncated-pixels", None, e[:2] + [(e[2][0], e[2][1][:-9])] + e[3:])
    bad("truncated-head", None, e[:2] + [(e[2][0], e[2][1][:400])] + e[3:])
    bad("truncated-element", None, e[:2] + [(e[2][0], e[2][1][:403])] + e[3:])
    bad("only-preamble", None, [(n, b[:132]) for n, b in e])
    bad("nested-400", None, insert(e, nested(400)))
    bad("nested-400-implicit", None, insert(files(syntax(classic(), ImplicitVRLittleEndian)), implicit(0x00291010, ITEM + OPEN, 0xFFFFFFFF) * 400))
    bad("nested-400-un", None, insert(e, nested(1, b"UN") + long(0x00291010, b"UN", ITEM + OPEN + implicit(0x00291010, ITEM + OPEN, 0xFFFFFFFF) * 400, 0xFFFFFFFF)))
    bad("sequence-without-end", None, insert(e, long(0x00291010, b"SQ", ITEM + OPEN, 0xFFFFFFFF)))
    bad("item-overruns", None, insert(e, long(0x52009229, b"SQ", ITEM + struct.pack("<I", 10) + short(0x00291010, b"LO", b"x" * 40))))
    bad("no-item", None, insert(e, long(0x00291010, b"SQ", short(0x00291010, b"LO", b"x" * 40), 0xFFFFFFFF)))
    bad("stray-delimiter", None, insert(e, ITEM_END + ZERO))
    bad("no-vr", None, insert(e, b"\x29\0\x10\x10\0\0\4\0abcd"))
    bad("length-4-gb", None, insert(e, long(0x00291010, b"OB", b"abcd", 0xFFFFFFF0)))
    bad("pixels-undefined-length", None, [(n, b.replace(b"\xe0\x7f\x10\0OW\0\0\x54\0\0\0", b"\xe0\x7f\x10\0OW\0\0\xff\xff\xff\xff")) for n, b in e])

    r = files(syntax(classic(), RLELossless))
    at = b"\xfe\xff\x00\xe0"
    def fragment(b, f):
        head, table, rest = b.split(at, 2)
        return head + at + table + at + f(rest)
    bad("rle-segments", None, [(n, fragment(b, lambda x: x[:4] + b"\3" + x[5:])) for n, b in r])
    bad("rle-offset", None, [(n, fragment(b, lambda x: x[:12] + b"\xff\xff" + x[14:])) for n, b in r])
    bad("rle-offset-back", None, [(n, fragment(b, lambda x: x[:8] + b"\x10" + x[9:])) for n, b in r])
    bad("rle-run-too-long", None, [(n, fragment(b, lambda x: x[:68] + b"\x7f" + x[69:])) for n, b in r])
    bad("rle-noops", None, [(n, fragment(b, lambda x: x[:68] + b"\x80" * (len(x) - 76) + x[-8:])) for n, b in r])
    bad("rle-length", None, [(n, fragment(b, lambda x: b"\xff\xff\xff\x7f" + x[4:])) for n, b in r])
    bad("rle-cut", None, [(n, b[:-30]) for n, b in r])
    bad("rle-no-end", None, [(n, b[:-8]) for n, b in r])
    bad("rle-rows-65535", None, [(n, b.replace(short(0x00280010, b"US", b"\6\0"), short(0x00280010, b"US", b"\xff\xff")).replace(short(0x00280011, b"US", b"\7\0"), short(0x00280011, b"US", b"\xff\3"))) for n, b in r])
    bad("rle-native", None, [(n, b.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0")) for n, b in e])

    bad("enhanced-no-position", [strip(enhanced()[0], "PlanePositionSequence")])
    bad("enhanced-no-scale", enhanced(slopes=None, n=1) and [strip_shared(enhanced()[0], "PixelValueTransformationSequence")])
    bad("enhanced-frames", change(enhanced(), NumberOfFrames=7))
    bad("enhanced-too-many-groups", change(enhanced(), NumberOfFrames=3))
    bad("enhanced-frames-huge", change(enhanced(), NumberOfFrames=99999999))
    bad("enhanced-frames-negative", change(enhanced(), NumberOfFrames=-1))
    bad("enhanced-duplicate-frames", enhanced(order=[0, 1, 2, 2, 4]))
    bad("enhanced-missing-frame", enhanced(n=5, order=[0, 1, 3, 4, 5]) )
    bad("multiframe-without-groups", change(classic(1, rows=12), NumberOfFrames=2, Rows=6))

    bad("no-ct", None, [("mr.dcm", other(Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")), ("a.txt", b"x")])
    bad("only-localizers", None, [("a.dcm", other(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]))])
    bad("no-files", None, [("a/", b"")])
    bad("path-up", None, e[:4] + [("../../" + e[4][0], e[4][1])])
    bad("path-absolute", None, e[:4] + [("/tmp/" + e[4][0], e[4][1])])
    bad("path-backslash", None, e[:4] + [("..\\" + e[4][0], e[4][1])])
    bad("path-drive", None, e[:4] + [("C:\\" + e[4][0], e[4][1])])
    bad("bzip2", None, e, zipfile.ZIP_BZIP2)
    bad("head-bomb", None, insert(e, long(0x00291010, b"OB", bytes(60 << 20)), 1))
    pack("dicom/bad-crc.zip", e, zipfile.ZIP_STORED)
    b = bytearray(open("dicom/bad-crc.zip", "rb").read()); b[b.rindex(b"\xe0\x7f\x10\0OW") + 20] ^= 1
    open("dicom/bad-crc.zip", "wb").write(b)
    pack("dicom/bad-cut.zip", e)
    b = open("dicom/bad-cut.zip", "rb").read()
    open("dicom/bad-cut.zip", "wb").write(b[:len(b) // 2])
    pack("dicom/bad-encrypted.zip", e)
    b = bytearray(open("dicom/bad-encrypted.zip", "rb").read())
    at = -1
    while (at := b.find(b"PK\1\2", at + 1)) >= 0:
        b[at + 8] |= 1
    open("dicom/bad-encrypted.zip", "wb").write(b)
    pack("dicom/bad-trailing-bomb.zip", [(n, x + (bytes(20 << 20) if i == 2 else b"")) for i, (n, x) in enumerate(e)])
    open("dicom/bad-empty.zip", "wb").write(b"PK\5\6" + bytes(18))


def encode_as(ds):
    """Bytes of a data set that pydicom would not write so."""
    b = io.BytesIO()
    uid = ds.file_meta.TransferSyntaxUID
    ds.file_meta.MediaStorageSOPClassUID = CT
    encapsulated = ds.get("PixelData", b"")[:4] == ITEM
    pydicom.dcmwrite(b, ds, implicit_vr=False, little_endian=True, enforce_file_format=True) if not encapsulated or uid in (RLELossless,) else write_raw(b, ds, uid)
    return b.getvalue()


def write_raw(b, ds, uid):
    ds = copy.deepcopy(ds)
    ds.file_meta.TransferSyntaxUID = RLELossless
    x = io.BytesIO()
    pydicom.dcmwrite(x, ds, enforce_file_format=True)
    u = uid.encode() + b"\0" * (len(uid) % 2)
    b.write(x.getvalue().replace(short(0x00020010, b"UI", b"1.2.840.10008.1.2.5\0"), short(0x00020010, b"UI", u)))


def reword(b, old, new):
    """The file with another text in the value, explicit VR, that holds old."""
    at = b.rindex(old)
    start = at
    while b[start - 4:start - 2] not in (b"DS", b"IS", b"CS", b"UI", b"LO"):
        start -= 1
    n = struct.unpack("<H", b[start - 2:start])[0]
    value = b[start:start + n].rstrip(b" ").replace(old, new)
    value += b" " * (len(value) % 2)
    return b[:start - 2] + struct.pack("<H", len(value)) + value + b[start + n:]


def strip(ds, seq):
    for g in ds.PerFrameFunctionalGroupsSequence[2:3]:
        delattr(g, seq)
    return ds


def strip_shared(ds, seq):
    delattr(ds.SharedFunctionalGroupsSequence[0], seq)
    return ds


def main():
    os.makedirs("dicom", exist_ok=True)
    goods()
    bads()
    json.dump(good, open("dicom.json", "w"), indent=1)
    if sitk:
        print(f"SimpleITK reads {agreed} of {len(good)} series the same; the others it is not asked")


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    main()
