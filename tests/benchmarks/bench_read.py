"""Speed and memory of reading 2000 single-frame files, against other readers in one run.

Run: ``python tests/benchmarks/bench_read.py [n_files]``.  Each reader runs in its own process; the
files are in the page cache for all of them; the best of five runs counts.  Peak memory is the
child's maximum resident set above what it had after its imports, as a multiple of the float32
array.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROWS = COLUMNS = 256
REPEATS = 5

_CHILD = """
import json, resource, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
def peak():
    # VmHWM starts anew with the program; ru_maxrss keeps what the parent held when it forked.
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
{imports}
before = peak()
start = time.perf_counter()
{work}
seconds = time.perf_counter() - start
print(json.dumps({{"seconds": seconds, "bytes": peak() - before, "parts": parts}}))
"""

_EPRIMG_IMPORTS = """
import numpy, pydicom.filereader
from eprimg.io.index import scan
from eprimg.io.stack import stack_instances
"""
_EPRIMG = """
index = scan(folder)
scanned = time.perf_counter() - start
stacked = stack_instances(index.series[0].instances)
parts = {"scan": scanned}
"""
_TOUCH = """
array = numpy.empty({voxels}, dtype=numpy.float32)
array.fill(1)
parts = {{}}
"""
_SITK_IMPORTS = "import SimpleITK as sitk"
_SITK = """
reader = sitk.ImageSeriesReader()
names = reader.GetGDCMSeriesFileNames(str(folder))
scanned = time.perf_counter() - start
reader.SetFileNames(names)
reader.SetOutputPixelType(sitk.sitkFloat32)
volume = reader.Execute()
parts = {"scan": scanned}
"""


def write_series(folder: Path, n_files: int) -> None:
    """Write a CT-like series of uint16 frames; the pixels differ from file to file."""
    import numpy as np
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.MRImageStorage
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = "2.25.1"
    frame = np.arange(ROWS * COLUMNS, dtype=np.uint16).reshape(ROWS, COLUMNS)
    for n in range(n_files):
        meta.MediaStorageSOPInstanceUID = f"2.25.4.{n + 1}"
        d = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        d.SOPClassUID, d.SOPInstanceUID = meta.MediaStorageSOPClassUID, f"2.25.4.{n + 1}"
        d.StudyInstanceUID, d.SeriesInstanceUID = "2.25.2", "2.25.3"
        d.FrameOfReferenceUID = "2.25.5"
        d.PatientID, d.PatientName, d.PatientBirthDate, d.PatientSex = "P", "P^Q", "", ""
        d.Modality, d.Manufacturer, d.SeriesDescription = "MR", "Imaginary", "bench"
        d.StudyDate, d.StudyTime, d.SeriesNumber, d.InstanceNumber = "20240101", "120000", 1, n + 1
        d.AcquisitionDate, d.AcquisitionTime = "20240101", "120000"
        d.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
        d.ScanningSequence, d.SequenceVariant, d.MRAcquisitionType = "GR", "SP", "3D"
        d.EchoTime, d.RepetitionTime, d.FlipAngle, d.EchoTrainLength = "2.5", "20", "15", "1"
        d.MagneticFieldStrength = "3"
        d.Rows, d.Columns, d.SamplesPerPixel = ROWS, COLUMNS, 1
        d.PhotometricInterpretation = "MONOCHROME2"
        d.BitsAllocated = d.BitsStored = 16
        d.HighBit, d.PixelRepresentation = 15, 0
        d.PixelSpacing, d.SliceThickness = ["1", "1"], "0.5"
        d.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        d.ImagePositionPatient = ["-128", "-128", f"{0.5 * n:.3f}"]
        d.RescaleSlope, d.RescaleIntercept = "1.25", "0"
        d.PixelData = np.roll(frame, n).tobytes()
        d.save_as(folder / f"{n:05d}.dcm", enforce_file_format=True)


def run_child(imports: str, work: str, folder: Path) -> dict[str, float]:
    """Run a reader in its own process."""
    code = _CHILD.format(imports=imports, work=work)
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


_CLOCKED = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
print(json.dumps({"seconds": seconds, "bytes": peak, "parts": {}}))
"""


def run_dcm2niix(program: str, folder: Path, out: Path) -> dict[str, float]:
    """Run dcm2niix without compression; its whole memory counts, it has no imports."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    command = [program, "-z", "n", "-b", "n", "-o", str(out), str(folder)]
    done = subprocess.run(
        [sys.executable, "-c", _CLOCKED, *command], capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout))


def main(n_files: int = 2000) -> None:
    """Print the table as Markdown."""
    array = n_files * ROWS * COLUMNS * 4
    beside = Path(sys.executable).with_name("dcm2niix")
    program = str(beside) if beside.exists() else shutil.which("dcm2niix")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "dicom"
        folder.mkdir()
        write_series(folder, n_files)
        rows: dict[str, list[dict[str, float]]] = {}
        for _ in range(REPEATS):
            rows.setdefault("eprimg: scan + stack, float32", []).append(
                run_child(_EPRIMG_IMPORTS, _EPRIMG, folder)
            )
            rows.setdefault("(numpy: allocate and fill the float32 array once)", []).append(
                run_child("import numpy", _TOUCH.format(voxels=array // 4), folder)
            )
            rows.setdefault("SimpleITK: series file names + read, float32", []).append(
                run_child(_SITK_IMPORTS, _SITK, folder)
            )
            if program:
                rows.setdefault("dcm2niix -z n (writes uint16 NIfTI)", []).append(
                    run_dcm2niix(program, folder, Path(temporary) / "nifti")
                )
    best = {name: min(r["seconds"] for r in runs) for name, runs in rows.items()}
    ours = best["eprimg: scan + stack, float32"]
    print(f"\n{n_files} files of {ROWS} x {COLUMNS} uint16; float32 array {array / 1e6:.0f} MB\n")
    print("| reader | seconds (best of 5) | of which scan | eprimg takes | peak / float32 array |")
    print("|---|---|---|---|---|")
    for name, runs in rows.items():
        quick = min(runs, key=lambda r: r["seconds"])
        scanned = dict(quick["parts"]).get("scan") if quick["parts"] else None  # type: ignore[call-overload]
        print(
            f"| {name} | {best[name]:.2f} | {'-' if scanned is None else f'{scanned:.2f}'} | "
            f"{ours / best[name]:.2f}x | {min(r['bytes'] for r in runs) / array:.2f}x |"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
