"""Reads a DICOM series of 300 slices of 512 x 512 as we do and as others do, one thread each, in turns; prints medians.

Usage: python series.py VOLUME_TEST FOLDER ROUNDS   (see `make bench-series`)
CPU is user and system time of the second of two readings in one process, files in the page cache, up to one int16 array of
HU (SimpleITK's is int32).
"""
import glob, os, re, statistics, subprocess, sys, time


def make(folder):
    import numpy as np
    import makedicom as m
    os.makedirs(folder, exist_ok=True)
    rng = np.random.default_rng(1)
    for i in range(300):
        ds = m.base(i)
        ds.Rows = ds.Columns = 512
        ds.PixelSpacing, ds.ImageOrientationPatient = ["0.7", "0.7"], ["1", "0", "0", "0", "1", "0"]
        ds.ImagePositionPatient = ["-180", "-180", str(i - 400)]
        ds.RescaleSlope, ds.RescaleIntercept = "1", "-1024"
        ds.PixelData = rng.integers(0, 2000, (512, 512)).astype("<i2").tobytes()
        ds["PixelData"].VR = "OW"
        open(f"{folder}/{i * 7 % 300:03d}.dcm", "wb").write(m.encode(ds))


def pydicom_(folder):
    import numpy as np
    import pydicom
    ds = sorted((pydicom.dcmread(f) for f in glob.glob(folder + "/*.dcm")), key=lambda d: float(d.ImagePositionPatient[2]))
    hu = np.empty((len(ds), ds[0].Rows, ds[0].Columns), np.int16)
    for i, d in enumerate(ds):
        hu[i] = d.pixel_array
        hu[i] += int(d.RescaleIntercept)  # the leanest that is right here; apply_rescale takes twice the time
    return hu


def simpleitk(folder):
    import SimpleITK as sitk
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    r = sitk.ImageSeriesReader()
    r.SetFileNames(r.GetGDCMSeriesFileNames(folder))
    return r.Execute()


def ours(test, folder):
    out = subprocess.run([test, "-test.run=^$", "-test.bench=^BenchmarkSeries$", "-test.benchtime=1x", "-test.cpu=1"], env=os.environ | {"SILVERBEAM_SERIES": os.path.abspath(folder)},
                         capture_output=True, text=True, check=True, cwd="pkg/volume").stdout
    return float(re.search(r"([\d.e+-]+) cpu-s/op", out)[1])


if sys.argv[1] == "one":
    read = {"pydicom": pydicom_, "SimpleITK": simpleitk}[sys.argv[2]]
    read(sys.argv[3])
    start = time.process_time()
    read(sys.argv[3])
    sys.exit(print(time.process_time() - start))
test, folder, rounds = os.path.abspath(sys.argv[1]), sys.argv[2], int(sys.argv[3])
if not os.path.exists(folder + "/293.dcm"):
    make(folder)
took = {"silverbeam": [], "pydicom": [], "SimpleITK": []}
for _ in range(rounds):
    for name, t in took.items():
        t.append(ours(test, folder) if name == "silverbeam" else float(subprocess.run([sys.executable, __file__, "one", name, folder], capture_output=True, text=True, check=True).stdout))
best = statistics.median(took["silverbeam"])
for name, t in took.items():
    print(f"{name:12} {statistics.median(t):.3f} CPU-s for 300 slices, {statistics.median(t) / best:.1f} of ours ({min(t):.3f} to {max(t):.3f})")
