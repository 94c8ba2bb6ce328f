"""Makes one mps-ct tensor of a .nii.gz as we do it and as others do, one thread each, in turns, and prints medians.

Usage: python peers.py BIN VOLUME_TEST FILE ROUNDS   (from the project's root; see `make bench-volumes`)
VOLUME_TEST is the compiled test of pkg/volume, which makes the tensor, and inflates the same file with our reader, klauspost's
and Go's own; BIN is silverbeam. CPU is user and system time: of one of five conversions, start counted, for ours; of the
whole `silverbeam volume convert`, which writes the tensor too, in the line below; of the second of two conversions for the
others, their imports not counted. Peak is the resident memory at its highest, in flight is that less the resident memory
after the imports (of `volume convert`: less that of `silverbeam version`).
"""
import os
import statistics
import subprocess
import sys
import time

MM, VIA, SHAPE = (3.0, 1.5, 1.5), (120, 240, 240), (96, 192, 192)  # z, y, x
OUT = ".cache/volumes-work/ours.npy"


def fit(a, shape, pad):
    """Crops or pads the middle of the last three axes."""
    import numpy as np
    lead = [slice(None)] * (a.ndim - 3)
    a = a[tuple(lead + [slice(max(0, (n - t) // 2), max(0, (n - t) // 2) + t) for n, t in zip(a.shape[-3:], shape)])]
    return np.pad(a, [(0, 0)] * len(lead) + [((t - n) // 2, t - n - (t - n) // 2) for n, t in zip(a.shape[-3:], shape)], constant_values=pad)


def size(shape, mm):
    return [int(n * s / t) for n, s, t in zip(shape, mm, MM)]


def header(raw):
    import numpy as np
    dim, pixdim = np.frombuffer(raw, "<i2", 8, 40), np.frombuffer(raw, "<f4", 8, 76)
    return tuple(int(n) for n in dim[3:0:-1]), [float(s) for s in pixdim[3:0:-1]], int(np.frombuffer(raw, "<f4", 1, 108)[0])


def ctclip():
    """CT-CLIP's own arithmetic: nibabel's float64 array, clipped, in its order of axes, torch in float64."""
    import nibabel
    import numpy as np
    import torch
    torch.set_num_threads(1)

    def convert(path):
        image = nibabel.load(path)
        mm = [float(s) for s in image.header.get_zooms()]
        a = np.clip(image.get_fdata(), -1000, 1000).transpose(2, 0, 1)
        t = torch.tensor(a)[None, None]
        t = torch.nn.functional.interpolate(t, size=size(a.shape, (mm[2], mm[0], mm[1])), mode="trilinear", align_corners=False)
        a = (np.clip(t[0, 0].numpy(), -1000, 200) + 400) / 600
        return fit(fit(a.astype(np.float32), VIA, -1), SHAPE, -1).transpose(0, 2, 1)
    return convert


def isal():
    """The leanest Python: ISA-L's inflate, one float32 array, torch."""
    import numpy as np
    import torch
    from isal import igzip
    torch.set_num_threads(1)

    def convert(path):
        with igzip.open(path) as f:
            raw = f.read()
        shape, mm, start = header(raw)
        t = torch.from_numpy(np.frombuffer(raw, "<i2", offset=start).reshape(shape).astype(np.float32)).clamp_(-1000, 1000)
        t = torch.nn.functional.interpolate(t[None, None], size=size(shape, mm), mode="trilinear", align_corners=False)
        a = t[0, 0].clamp_(-1000, 200).add_(400).div_(600).numpy()
        return fit(fit(a, VIA, -1), SHAPE, -1)
    return convert


def simpleitk():
    """SimpleITK, asked for the cropped grid alone (clipped after resampling, which spares it a pass)."""
    import SimpleITK as sitk
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)

    def convert(path):
        image = sitk.ReadImage(path)
        n, mm = image.GetSize()[::-1], image.GetSpacing()[::-1]
        new = size(n, mm)
        scale = [a / b for a, b in zip(n, new)]
        first = [(a - v) // 2 + (v - t) // 2 for a, v, t in zip(new, VIA, SHAPE)]
        at = [(f + 0.5) * s - 0.5 for f, s in zip(first, scale)]
        f = sitk.ResampleImageFilter()
        f.SetInterpolator(sitk.sitkLinear)
        f.SetSize(SHAPE[::-1])
        f.SetOutputOrigin(image.TransformContinuousIndexToPhysicalPoint(at[::-1]))
        f.SetOutputSpacing([m * s for m, s in zip(mm[::-1], scale[::-1])])
        f.SetOutputDirection(image.GetDirection())
        f.SetOutputPixelType(sitk.sitkFloat32)
        f.SetDefaultPixelValue(-1000)
        out = sitk.Clamp(f.Execute(image), sitk.sitkFloat32, -1000, 200)
        return sitk.GetArrayFromImage((out + 400.0) / 600.0)
    return convert


def monai():
    """MONAI's transforms, as its examples chain them."""
    import torch
    from monai.transforms import Compose, LoadImage, Orientation, ResizeWithPadOrCrop, ScaleIntensityRange, Spacing
    torch.set_num_threads(1)
    chain = Compose([
        LoadImage(image_only=True, ensure_channel_first=True), Orientation("LPS"), Spacing(MM[::-1], mode="bilinear"),
        ScaleIntensityRange(-1000, 200, -1, 1, clip=True), ResizeWithPadOrCrop(SHAPE[::-1], constant_values=-1)])
    return lambda path: chain(path)[0].permute(2, 1, 0).numpy()


PEERS = {"SimpleITK": simpleitk, "isal + torch float32": isal, "MONAI": monai, "CT-CLIP's arithmetic": ctclip}
INFLATES = {"silverbeam": "silverbeam", "klauspost/compress": "klauspost", "Go's compress/gzip": "std"}  # with their names in BenchmarkGunzip


def memory(key):
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith(key))


def child(name, path):
    """Prints CPU seconds, peak and in-flight MiB, and how far the tensor is from ours."""
    import numpy as np
    convert = PEERS[name]()
    idle = memory("VmRSS")
    convert(path)
    peak = memory("VmHWM")
    start = time.process_time()
    a = convert(path)
    used = time.process_time() - start
    off = np.abs(np.asarray(a, np.float64) - np.load(OUT)[0])
    print(used, peak, peak - idle, off.max(), off.mean())


def spent(args, env={}):
    """CPU seconds and peak MiB of a command."""
    p = subprocess.Popen(args, stdout=subprocess.DEVNULL, env={**os.environ, "GOMAXPROCS": "1", **env})
    _, status, used = os.wait4(p.pid, 0)
    if status != 0:
        sys.exit(f"{args[0]} failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def five(test, benchmark, path):
    """CPU seconds of one of five turns of a benchmark, and peak MiB."""
    cpu, peak = spent([test, "-test.run", "^$", "-test.bench", f"^Benchmark{benchmark}$", "-test.benchtime", "5x"], {"SILVERBEAM_GZIP": path})
    return cpu / 5, peak


def main(binary, test, path, rounds):
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    rows, inflates = {}, {}
    for _ in range(int(rounds)):
        idle = spent([binary, "version"])[1]
        cpu, peak = spent([binary, "volume", "convert", path, "--preset", "mps-ct", "--out", OUT])
        rows.setdefault("silverbeam", []).append((*five(test, "FileToTensor", path), peak - idle, 0, 0))
        rows.setdefault("`volume convert`, its start and writing the file counted", []).append((cpu, peak, peak - idle, 0, 0))
        for name in PEERS:
            out = subprocess.run([sys.executable, __file__, "-child", name, path], capture_output=True, text=True)
            if out.returncode != 0:
                sys.exit(f"{name}: {out.stderr}")
            rows.setdefault(name, []).append(tuple(float(x) for x in out.stdout.split()[-5:]))
        for name, own in INFLATES.items():
            inflates.setdefault(name, []).append(five(test, f"Gunzip$/^{own}", path)[0])
    ours = rows["silverbeam"]
    print("| | CPU ms | ours = 1 | peak MiB | in flight MiB | difference from ours, largest and mean |\n|---|---|---|---|---|---|")
    for name, r in rows.items():
        cpu, peak, flight, most, mean = (statistics.median(x) for x in zip(*r))
        ratio = statistics.median(a[0] / b[0] for a, b in zip(r, ours))
        off = f"{most:.1g}, {mean:.1g}" if name in PEERS else ""
        print(f"| {name} | {1000 * cpu:.0f} | {ratio:.3g} | {peak:.0f} | {f'{flight:.0f}' if flight > 0 else ''} | {off} |")
    print("\n| inflate alone | CPU ms | ours = 1 |\n|---|---|---|")
    for name, r in inflates.items():
        ratio = statistics.median(a / b for a, b in zip(r, inflates["silverbeam"]))
        print(f"| {name} | {1000 * statistics.median(r):.0f} | {ratio:.3g} |")


if sys.argv[1] == "-child":
    child(*sys.argv[2:])
else:
    main(*sys.argv[1:])
