"""Sample data: the small phantom study, made, measured and opened."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from napari_eprimg.reader import with_study_folder
from napari_eprimg.reading.known_cases import KnownCase, known_case, remember_case
from napari_eprimg.view.layer_specs import LayerTuple, layer_tuples

__all__ = ["phantom_layers", "sample_study", "two_timepoint_layers"]

_PAIRS = ("mr_pre", "mr_post", "r2star_pre", "r2star_post", "dr2star")


@cache
def sample_study() -> Path:
    """Make the small phantom study and measure it, once in a process.

    The folder is temporary but lives as long as the process, so that the study can be read again,
    saved and reopened.

    Returns
    -------
    Path
        Folder with the DICOM of the study.
    """
    from eprimg import pipeline
    from eprimg.io.study import read_study
    from eprimg.io.study_plan import plan_study
    from eprimg_phantoms import make

    scratch = Path(tempfile.mkdtemp(prefix="eprimg-sample-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    study = make("abdomen", scratch / "phantom", size="small", seed=1) / "dicom"
    plan = plan_study(study)
    read = read_study(study, plan=plan)
    case = pipeline.run(read.value, findings=read.findings)
    remember_case(study, KnownCase(plan, case))
    return study


def _known() -> KnownCase:
    known = known_case(sample_study())
    assert known is not None
    return known


def phantom_layers() -> list[LayerTuple]:
    """Open the measured phantom: MR, maps, PET and regions.

    Returns
    -------
    list of tuple
        Layer data, layer settings and layer type, from bottom to top.
    """
    return with_study_folder(layer_tuples(_known().case), sample_study())


def two_timepoint_layers() -> list[LayerTuple]:
    """Open the same phantom as two time points: MR before and after ferumoxytol.

    Returns
    -------
    list of tuple
        Signal and R2* of both time points, their change, and the regions; the time point is in
        each layer's metadata.
    """
    shown = []
    for data, settings, kind in layer_tuples(_known().case):
        facts = settings["metadata"]["eprimg"]
        if kind == "labels" or facts["key"] in _PAIRS:
            # Both R2* maps at once; the change of R2* and the signals wait behind them.
            settings["visible"] = kind == "labels" or facts["key"].startswith("r2star")
            shown.append((data, settings, kind))
    return with_study_folder(shown, sample_study())
