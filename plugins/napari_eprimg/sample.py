"""Sample data: the small phantom study, made, measured and opened."""

from __future__ import annotations

import tempfile
from pathlib import Path

from napari_eprimg.reader import LayerTuple, read_layers

__all__ = ["phantom_layers"]


def phantom_layers() -> list[LayerTuple]:
    """Make the small phantom study in a temporary folder, run eprimg on it, open the results.

    Returns
    -------
    list of tuple
        See `napari_eprimg.reader.read_layers`; the temporary folder is gone afterwards.
    """
    from eprimg import Config, export_case, read_study, run
    from eprimg_phantoms import make

    config = Config()
    with tempfile.TemporaryDirectory(prefix="eprimg-sample-") as scratch:
        study = make("abdomen", Path(scratch) / "phantom", size="small", seed=1)
        read = read_study(study / "dicom", config=config)
        case = run(read.value, config, findings=read.findings)
        return read_layers(str(export_case(case, config, Path(scratch) / "results")))
