"""What lies on series, whose voxels need not be there."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from eprimg.config import Config
from eprimg.errors import ConfigError
from eprimg.io.entries import StudyIndex
from eprimg.io.series_head import SeriesHead
from eprimg.io.study_file import parse_study_file
from eprimg.io.study_parts import read_parts
from eprimg.io.study_plan import StudyPlan
from eprimg.model.grid import Grid
from eprimg.model.study import Role

HEADS = (
    SeriesHead("mr_pre", Role.MR_PRE, Grid((2, 3, 4), np.diag([4.0, 3.0, 2.0, 1.0]), "1.2")),
    SeriesHead("pet", Role.PET, Grid((2, 3, 4), np.diag([5.0, 5.0, 5.0, 1.0]), "1.3")),
)


def parts(content: dict[str, object], folder: Path, heads: tuple[SeriesHead, ...] = HEADS):  # type: ignore[no-untyped-def]
    spoken = parse_study_file(content, folder=folder, source="study.toml")
    return read_parts(StudyPlan(StudyIndex(folder), spoken, ()), heads, Config())


def test_a_mask_lies_in_the_frame_of_the_series_that_is_named(tmp_path: Path) -> None:
    labels = np.zeros((4, 3, 2), np.uint8)
    labels[1, 1, 1] = 1
    nib.save(nib.Nifti1Image(labels, np.diag([-5.0, -5.0, 5.0, 1.0])), tmp_path / "tumour.nii.gz")
    mask = {"path": "tumour.nii.gz", "on": "pet"}
    (regions,) = parts({"masks": [mask]}, tmp_path).value.regions
    assert regions.grid.frame_of_reference == "1.3"
    assert [r.name for r in regions.regions] == ["tumour"]
    with pytest.raises(ConfigError, match="use one of mr_pre, pet") as caught:
        parts({"masks": [{**mask, "on": "mr_post"}]}, tmp_path)
    assert caught.value.code == "E_STUDY_FILE"


def test_without_series_there_is_nothing(tmp_path: Path) -> None:
    result = parts({}, tmp_path, ())
    assert (result.value.regions, result.value.maps, result.value.clicks) == ((), (), ())
    assert not result.value.help
    assert result.findings == ()
