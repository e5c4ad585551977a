"""The plan of the memory, against peaks that the kernel measured."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from eprimg.batch.memory import cap_mb, default_budget_mb, planned_memory_mb
from eprimg.io.entries import SeriesEntry, StudyIndex
from eprimg.io.instance import Instance
from eprimg.io.study_plan import plan_study
from eprimg.model.study import Role


def _series(role: Role, frames: int, size: int) -> SeriesEntry:
    instances = (Instance(path=Path("x"), rows=size, columns=size),) * frames
    return SeriesEntry(str(role), role, "", "", "", instances=instances)


MR_SMALL, MR_FULL = (288, 116), (480, 256)
PET_SMALL, PET_FULL = (54, 96), (250, 200)


@pytest.mark.parametrize(
    ("mr", "pet", "peak_mb"),
    # peak resident memory of one process with one thread: VmHWM of the kernel, 2026-11-21
    [
        ([], PET_SMALL, 169),
        ([MR_SMALL], None, 486),
        ([MR_SMALL] * 2, None, 645),
        ([MR_SMALL] * 2, PET_SMALL, 717),
        ([], PET_FULL, 451),
        ([MR_FULL], None, 723),
        ([MR_FULL] * 2, None, 1154),
        ([MR_FULL] * 2, PET_FULL, 1419),
    ],
)
def test_plan_lies_above_what_was_measured(
    mr: list[tuple[int, int]], pet: tuple[int, int] | None, peak_mb: float
) -> None:
    roles = (Role.MR_PRE, Role.MR_POST)
    series = [_series(role, *shape) for role, shape in zip(roles, mr, strict=False)]
    series += [_series(Role.PET, *pet)] if pet else []
    planned = planned_memory_mb(StudyIndex(Path("x"), tuple(series)))
    assert peak_mb <= planned
    assert planned <= 1.4 * peak_mb or planned < 1000  # the resting part rules small studies
    assert cap_mb(planned) == pytest.approx(1.5 * planned)


def test_series_that_are_not_used_need_nothing(phantom: Path) -> None:
    index = plan_study(phantom / "dicom").index
    planned = planned_memory_mb(index)
    assert 717 <= planned <= 800
    more = StudyIndex(index.root, (*index.series, _series(Role.UNUSED, 5000, 512)))
    assert planned_memory_mb(more) == planned


def test_nifti_counts_by_its_header(tmp_path: Path) -> None:
    # 64 x 64 x 32 x 4 voxels of 4 bytes are 2 MB, so MR plans 2.5 x 2 MB
    nib.save(nib.Nifti1Image(np.zeros((64, 64, 32, 4), np.int16), np.eye(4)), tmp_path / "a.nii.gz")
    (tmp_path / "b.nii.gz").write_bytes(b"no nifti")
    resting = planned_memory_mb(StudyIndex(tmp_path))
    for name, more in (("a", 5.0), ("b", 0.0)):
        entry = SeriesEntry(
            "k", Role.MR_PRE, "", "NIFTI", "", "nifti", paths=(tmp_path / f"{name}.nii.gz",)
        )
        planned = planned_memory_mb(StudyIndex(tmp_path, (entry,)))
        assert planned == pytest.approx(resting + more)


def test_budget_is_below_the_machine() -> None:
    import psutil

    assert 0 < default_budget_mb() < psutil.virtual_memory().total / 2**20
