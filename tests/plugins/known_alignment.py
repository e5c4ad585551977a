"""The registration of the small phantom, found once, for tests that ask something else.

Finding it again takes longer than all the rest of a run.  That it is found again, and the same, is
what `tests/gui/test_reading_from_open_to_report.py` asks with runs of the command line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from eprimg.config import Config
from eprimg.model.study import Study


@contextmanager
def heard_alignments() -> Iterator[list[Any]]:
    """Collect what the stage `register` gives."""
    from eprimg.stages import register as stage

    found, heard = stage.register, []

    def listen(*arguments: Any, **options: Any) -> Any:
        heard.append(found(*arguments, **options))
        return heard[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "register", listen)
        yield heard


def give_alignment(measured: Any, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Let the stage `register` give the known result for the small phantom, and for nothing else.

    With another voxel, place, role, mask or setting the stage itself is run.

    Returns
    -------
    list of bool
        For each call whether the known result was given.
    """
    from eprimg.stages import register as stage

    found, known = stage.register, _asked(measured.case.study, Config())
    given: list[bool] = []

    def answer(study: Study, config: Config, **options: Any) -> Any:
        given.append(_asked(study, config) == known)
        return measured.aligned if given[-1] else found(study, config, **options)

    monkeypatch.setattr(stage, "register", answer)
    return given


@contextmanager
def alignment_found_once() -> Iterator[list[bool]]:
    """Let the stage `register` be run once, and give what it found when the same is asked again.

    Returns
    -------
    list of bool
        For each call whether it was found before.
    """
    from eprimg.stages import register as stage

    found, known, again = stage.register, {}, []

    def answer(study: Study, config: Config, **options: Any) -> Any:
        asked = _asked(study, config)
        again.append(asked in known)
        if not again[-1]:
            known[asked] = found(study, config, **options)
        return known[asked]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "register", answer)
        yield again


def _asked(study: Study, config: Config) -> str:
    """Everything that a registration can depend on."""
    others = (config.register, config.threads, study.help, study.external_maps)
    asked = hashlib.sha256(repr(others).encode())
    for series in study.series:
        volume = getattr(series.pixels, "volume", series.pixels)
        asked.update(repr((series.key, series.role, series.acquisition)).encode())
        asked.update(repr((volume.grid.frame_of_reference, volume.grid.shape)).encode())
        asked.update(np.ascontiguousarray(volume.grid.affine).tobytes())
        asked.update(np.ascontiguousarray(volume.data).tobytes())
    for regions in study.regions:
        asked.update(repr(regions.regions).encode())
        asked.update(np.ascontiguousarray(regions.labels).tobytes())
    return asked.hexdigest()
