"""Stand-ins for programs that run models: a one-neuron network with weights in an .npz file.

Run as ``python fake_models.py PROGRAM ARGUMENTS``, where PROGRAM is nnunet, monai, totalsegmentator
or network; each understands the command line of the real program and writes what it would write.
The network marks voxels with ``w * value + b > 0``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import signal
import struct
import sys
from pathlib import Path

import numpy as np


def load(path):
    """Read a NIfTI-1 file of floats or bytes; quicker to start than a library."""
    raw = gzip.decompress(Path(path).read_bytes())
    i, j, k = struct.unpack_from("<3h", raw, 42)
    (kind,) = struct.unpack_from("<h", raw, 70)
    dtype = {16: "<f4", 2: "u1", 256: "i1"}[kind]
    return np.frombuffer(raw[352:], dtype).reshape((i, j, k), order="F"), raw[:352]


def network(weights, folder):
    files = sorted(Path(folder).glob("*.nii.gz"))
    volumes = [load(f) for f in files]
    with np.load(weights) as net:
        total = net["b"] + sum(w * v for w, (v, _) in zip(net["w"], volumes, strict=True))
    return (total > 0).astype(np.int16), volumes[0][1]


def save(labels, header, path, shift=0.0):
    header = bytearray(header)
    whole = labels.dtype == np.int16
    struct.pack_into("<2h", header, 70, 4 if whole else 16, 16 if whole else 32)
    for place in (268, 292):  # qoffset_x and the offset of srow_x
        (x,) = struct.unpack_from("<f", header, place)
        struct.pack_into("<f", header, place, x + shift)
    Path(path).write_bytes(gzip.compress(bytes(header) + labels.tobytes(order="F"), 1))


def arguments(*names, words=None, **more):
    parser = argparse.ArgumentParser()
    for name in names:
        parser.add_argument(name, required=True)
    for name, options in more.items():
        parser.add_argument("--" + name, **options)
    return parser.parse_args(words)


def main(program, words):
    if "misbehave=crash" in words:
        os.kill(os.getpid(), signal.SIGKILL)
    if "misbehave=nothing" in words:
        return
    words = [w for w in words if not w.startswith("misbehave=")]
    assert os.environ["https_proxy"] == "http://127.0.0.1:9"
    if program == "nnunet":
        a = arguments("-i", "-o", "-m", "-device", words=words)
        labels, header = network(Path(a.m) / "fold_0" / "net.npz", a.i)
        save(labels, header, Path(a.o) / "case.nii.gz")
        (Path(a.o) / "plans.json").write_text("{}")
    elif program == "monai":
        assert words[:3] == ["-m", "monai.bundle", "run"]
        a = arguments(
            "--config_file", "--bundle_root", "--dataset_dir", "--output_dir", words=words[3:]
        )
        assert Path(a.config_file).is_file()
        labels, header = network(
            Path(a.bundle_root) / "models" / "net.npz", Path(a.dataset_dir) / "imagesTs"
        )
        out = Path(a.output_dir) / "case_0000"
        out.mkdir()
        save(labels, header, out / "case_0000_trans.nii.gz")
    elif program == "totalsegmentator":
        a = arguments(
            "-i",
            "-o",
            "--device",
            words=words,
            task={},
            roi_subset={"nargs": "+", "default": ["liver", "aorta", "colon", "spleen"]},
        )
        weights = Path(os.environ["TOTALSEG_WEIGHTS_PATH"]) / "net.npz"
        labels, header = network(weights, Path(a.i).parent)
        for n, name in enumerate(a.roi_subset):  # every organ gets a slice of its own
            mask = np.zeros_like(labels)
            mask[..., 4 + n] = labels[..., 4 + n] * (name != "spleen")
            save(mask, header, Path(a.o) / f"{name}.nii.gz")
    else:
        a = arguments(
            "-i",
            "-o",
            "-w",
            "-p",
            words=words,
            shift={"type": float, "default": 0.0},
            label={"type": int, "default": 1},
            half={"action": "store_true"},
        )
        labels, header = network(a.w, a.i)
        shown = json.loads(Path(a.p).read_text())
        if shown["points"]:  # keep what is near the clicks
            index = np.argwhere(labels)
            near = np.zeros_like(labels)
            for point in shown["points"]:
                hit = np.linalg.norm(index - point["index_ijk"], axis=1) < 2.5
                near[tuple(index[hit].T)] = point["inside"]
            labels = near
        labels = labels * np.float32(0.5) if a.half else labels * np.int16(a.label)
        save(labels, header, Path(a.o) / "x.nii.gz", a.shift)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
