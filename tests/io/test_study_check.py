"""A study is refused from its headers with the code that reading it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest

from eprimg.config import Config
from eprimg.errors import EprimgError
from eprimg.io.study import read_study
from eprimg.io.study_check import check_study
from eprimg.io.study_file import parse_study_file
from eprimg.io.study_plan import StudyPlan, plan_study
from tests.conftest import is_pet


@pytest.fixture(scope="module")
def plan(phantom: Path) -> StudyPlan:
    return plan_study(phantom / "dicom")


@pytest.fixture(scope="module")
def masks(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lesions as they are, 500 mm away, in another frame, and drawn again 10 mm away."""
    folder = tmp_path_factory.mktemp("masks")
    drawn = nib.load(phantom / "masks" / "lesions_post.nii.gz")
    labels = np.asarray(drawn.dataobj).astype(np.uint8)
    for name, shift_mm in (("good", 0.0), ("away", 500.0), ("other", 0.0), ("again", 10.0)):
        affine = drawn.affine.copy()
        affine[0, 3] += shift_mm
        nib.save(nib.Nifti1Image(labels, affine), folder / f"{name}.nii.gz")
        names = {str(n): f"lesion-{n}" for n in np.unique(labels) if n}
        frame = ', "FrameOfReferenceUID": "1.2.3"' if name == "other" else ""
        said = str(names).replace("'", '"')
        (folder / f"{name}.json").write_text(f'{{"labels": {said}{frame}}}', encoding="utf-8")
    return folder


def spoken(plan: StudyPlan, content: dict[str, Any], folder: Path) -> StudyPlan:
    return replace(plan, study_file=parse_study_file(content, folder=folder))


def test_heads_have_the_grids_of_the_series_that_are_read(plan: StudyPlan) -> None:
    heads = check_study(plan, Config()).value
    study = read_study(plan.index.root, plan=plan).value
    assert {h.key for h in heads.series} == {s.key for s in study.series}
    for head in heads.series:
        series = next(s for s in study.series if s.key == head.key)
        head.grid.require_match(series.grid)
        assert (head.role, head.source_uid) == (series.role, series.source_uid)
    assert [r.regions for r in heads.parts.regions] == [r.regions for r in study.regions]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"masks": [{"path": "good.nii.gz", "on": "ct"}]}, "E_STUDY_FILE"),
        ({"masks": [{"path": "other.nii.gz", "on": "mr_post"}]}, "E_FOR"),
        ({"masks": [{"path": "away.nii.gz", "on": "mr_post"}]}, "E_SEG_EMPTY"),
        ({"clicks": [{"on": "ct", "point_mm": [0, 0, 0], "anatomy": "lesion"}]}, "E_STUDY_FILE"),
        (
            {"metric_masks": [{"path": "good.nii.gz", "on": "ct"}]},
            "E_STUDY_FILE",
        ),
        (
            {"landmarks": [{"path": "good.json", "fixed": "mr_pre", "moving": "pet"}]},
            "E_LANDMARKS",
        ),
        (
            {"transforms": [{"path": "good.json", "fixed": "mr_pre", "moving": "pet"}]},
            "E_TRANSFORM_FILE",
        ),
        (
            {"maps": [{"path": "other.nii.gz", "quantity": "ktrans", "on": "mr_post"}]},
            "E_FOR",
        ),
    ],
)
def test_what_the_study_file_names_is_refused_as_reading_refuses_it(
    plan: StudyPlan, masks: Path, content: dict[str, Any], code: str
) -> None:
    wrong = spoken(plan, content, masks)
    with pytest.raises(EprimgError) as before:
        check_study(wrong, Config())
    assert before.value.code == code
    with pytest.raises(EprimgError) as reading:
        read_study(plan.index.root, plan=wrong)
    assert str(reading.value) == str(before.value)


def test_names_that_clash_are_told_before_the_run(plan: StudyPlan, masks: Path) -> None:
    both = [{"path": f"{n}.nii.gz", "on": "mr_post"} for n in ("good", "again")]
    findings = check_study(spoken(plan, {"masks": both}, masks), Config()).findings
    (told,) = [f for f in findings if f.code == "W_REGIONS_RENAMED"]
    assert "lesion-1" in told.text


def test_a_pet_without_dose_is_refused_before_its_voxels(copy_of: Callable[..., Path]) -> None:
    def change(dataset: pydicom.Dataset) -> None:
        del dataset.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose

    plan = plan_study(copy_of(change, keep=is_pet))
    with pytest.raises(EprimgError) as before:
        check_study(plan, Config())
    with pytest.raises(EprimgError) as reading:
        read_study(plan.index.root, plan=plan)
    assert (before.value.code, str(before.value)) == (reading.value.code, str(reading.value))
    left = check_study(plan, Config(), leave_out_refused=True)
    assert left.value.series == ()
    assert before.value.code in {f.code for f in left.findings}
