"""Settings that lead the adapters to the stand-ins of fake_models.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from eprimg.config import SegmentModelConfig

FAKE = str(Path(__file__).with_name("fake_models.py"))


def program(name):
    return (sys.executable, FAKE, name)


def net(path, w=(1.0,), b=-4.0):
    """Weights of the one-neuron network: bright voxels (above 4 by default)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, w=np.array(w), b=b)
    return path


def settings(weights, name, **more):
    base = {
        "program": program(name),
        "weights": str(weights),
        "licence": "CC BY 4.0",
        "time_limit_s": 60.0,
        "memory_limit_mb": 1024.0,
    }
    return SegmentModelConfig(**{**base, **more})


def nnunet_folder(folder, **more):
    net(folder / "fold_0" / "net.npz", **more)
    labels = {"background": 0, "lesion": 1}
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    return folder


COMMAND = ("-i", "{input}", "-o", "{output}", "-w", "{weights}", "-p", "{prompts}")
