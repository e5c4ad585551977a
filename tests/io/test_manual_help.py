"""Help for the alignment from files: a folder with registration objects, and a study file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from eprimg.engines.transform_files import write_transform
from eprimg.errors import EprimgError, InputError
from eprimg.io.manual_help import read_landmarks_csv, read_manual_help
from eprimg.io.study_plan import plan_study
from eprimg.io.write_spatial import write_spatial
from eprimg.model.grid import Grid
from eprimg.model.manual_help import HelpUse
from eprimg.model.study import Role, Series
from eprimg.model.transform import Transform
from eprimg.model.volume import Volume
from eprimg.quantities import quantity
from tests.io import dicom_factory

MR, PET, OTHER = "1.2.31", "1.2.32", "1.2.33"
WHO = {"pseudonym": "P1", "study_uid": "1.2.8", "instant": datetime(2026, 3, 1)}


def one(role: Role, frame: str) -> Series:
    grid = Grid((2, 2, 2), np.eye(4), frame)
    return Series(str(role), role, Volume(np.ones((2, 2, 2)), grid, quantity("signal")), None)


SERIES = (one(Role.MR_PRE, MR), one(Role.PET, PET))


def shift(x: float, a: str = MR, b: str = PET) -> Transform:
    matrix = np.eye(4)
    matrix[0, 3] = x
    return Transform(matrix, a, b)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an echo train, so that it can be scanned."""
    dicom_factory.write_mr(tmp_path / "mr")
    return tmp_path


def read(folder: Path):  # type: ignore[no-untyped-def]
    return read_manual_help(plan_study(folder), SERIES)


def test_a_registration_in_the_folder_is_found(folder: Path) -> None:
    write_spatial(shift(4.0), folder / "reg.dcm", **WHO)
    result = read(folder)
    (given,) = result.value.transforms
    # from either end; sorted by identifier, MR comes first
    assert given.transform.apply((0.0, 0.0, 0.0)) == pytest.approx((4.0, 0.0, 0.0))
    assert (given.fixed, given.source, given.use) == ("", "reg.dcm", HelpUse.RESULT)
    assert result.findings == ()
    roles = {e.modality: e.reason for e in plan_study(folder).index.series}
    assert "joins two series" in roles["REG"]


def test_two_frames_joined_through_a_third(folder: Path) -> None:
    # One object in a third frame registers MR (moved by 3 mm) and PET (moved by 10 mm) to it.
    import pydicom

    write_spatial(shift(3.0, OTHER, MR), folder / "a.dcm", **WHO)
    write_spatial(shift(10.0, OTHER, PET), folder / "b.dcm", **WHO)
    one, two = (pydicom.dcmread(folder / n) for n in ("a.dcm", "b.dcm"))
    one.RegistrationSequence.append(two.RegistrationSequence[1])
    one.save_as(folder / "a.dcm")
    (folder / "b.dcm").unlink()
    (given,) = read(folder).value.transforms
    # an MR point x lies at x - 3 in the third frame, and that at x + 7 in PET
    assert given.transform.apply((0.0, 0.0, 0.0)) == pytest.approx((7.0, 0.0, 0.0))


def test_what_cannot_be_used_is_named(folder: Path) -> None:
    write_spatial(shift(1.0, OTHER, "1.2.99"), folder / "other.dcm", **WHO)
    result = read(folder)
    assert result.value.transforms == ()
    assert [f.code for f in result.findings] == ["I_TRANSFORM_OTHER"]
    (folder / "other.dcm").unlink()
    write_spatial(shift(1.0), folder / "a.dcm", **WHO)
    write_spatial(shift(2.0, PET, MR), folder / "b.dcm", **WHO)
    result = read(folder)
    assert result.value.transforms == ()
    (finding,) = result.findings
    assert (finding.code, finding.where) == ("W_TRANSFORM_UNUSED", "a.dcm, b.dcm")
    (folder / "b.dcm").unlink()
    import pydicom

    broken = pydicom.dcmread(folder / "a.dcm")
    del broken.RegistrationSequence[1].MatrixRegistrationSequence
    broken.save_as(folder / "a.dcm")
    assert [f.code for f in read(folder).findings] == ["W_TRANSFORM_UNUSED"]


def test_a_study_file_names_everything(folder: Path) -> None:
    (folder / "h").mkdir()
    write_transform(shift(5.0), folder / "h" / "t.tfm")
    write_spatial(shift(6.0), folder / "h" / "r.dcm", **WHO)
    header = ",".join(f"{e}_{a}_mm" for e in ("fixed", "moving") for a in "xyz")
    (folder / "h" / "p.csv").write_text(f"name,{header}\ntip,1,2,3,6,2,3\nend,4,5,6,9,5,6\n")
    values = np.zeros((2, 2, 2), np.uint8)
    values[1, 0, 0] = 3
    nib.save(nib.Nifti1Image(values, np.diag((-1.0, -1, 1, 1))), folder / "h" / "m.nii.gz")
    (folder / "study.toml").write_text(
        """
[[transforms]]
path = "h/t.tfm"
fixed = "mr_pre"
moving = "pet"
use = "start"
[[transforms]]
path = "h/r.dcm"
fixed = "pet"
moving = "mr_pre"
[[landmarks]]
path = "h/p.csv"
fixed = "mr_pre"
moving = "pet"
[[metric_masks]]
path = "h/m.nii.gz"
on = "mr_pre"
"""
    )
    help_ = read(folder).value
    first, second, *_ = help_.transforms
    assert (first.use, first.fixed, first.moving) == (HelpUse.START, "mr_pre", "pet")
    assert first.transform.matrix[0, 3] == 5.0
    assert (first.transform.from_frame, first.transform.to_frame) == (MR, PET)
    # named the other way round than it was made: from PET to MR
    assert second.transform.matrix[0, 3] == -6.0
    assert (second.transform.from_frame, second.transform.to_frame) == (PET, MR)
    (pairs,) = help_.landmarks
    assert pairs.names == ("tip", "end")
    assert pairs.moving_mm[1].tolist() == [9.0, 5.0, 6.0]
    (mask,) = help_.masks
    # NIfTI counts to the right and to the front, we to the left and to the back
    assert np.argwhere(mask.inside).shape == (1, 3)
    there = mask.grid.index_to_lps_mm(np.argwhere(mask.inside)[0])
    assert there == pytest.approx((1.0, 0.0, 0.0))
    assert mask.grid.frame_of_reference == MR


def test_named_series_and_frames_must_fit(folder: Path) -> None:
    write_spatial(shift(1.0, OTHER, PET), folder / "r.bin", **WHO)
    item = '[[transforms]]\npath = "r.bin"\nfixed = "mr_pre"\nmoving = "{}"\n'
    (folder / "study.toml").write_text(item.format("pet"))
    with pytest.raises(EprimgError) as caught:
        read(folder)
    assert caught.value.code == "E_FOR"
    (folder / "study.toml").write_text(item.format("ct"))
    with pytest.raises(EprimgError) as caught:
        read(folder)
    assert caught.value.code == "E_STUDY_FILE"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fixed_x_mm,fixed_y_mm\n1,2\n", "lacks"),
        ("{},side\n1,2,3,4,5,6,l\n", "'side'"),
        ("{}\n", "no pair"),
        ("{}\n1,2,3,4,5,six\n", "no number"),
        ("{}\n1,2,3,4,5\n", "no number"),
        ("{}\n1,2,3,4,5,nan\n", "not finite"),
    ],
)
def test_tables_of_landmarks_that_are_refused(tmp_path: Path, text: str, words: str) -> None:
    header = ",".join(f"{e}_{a}_mm" for e in ("fixed", "moving") for a in "xyz")
    (tmp_path / "p.csv").write_text(text.format(header))
    with pytest.raises(InputError, match=words) as caught:
        read_landmarks_csv(tmp_path / "p.csv")
    assert caught.value.code == "E_LANDMARKS"
    with pytest.raises(InputError, match="cannot be read"):
        read_landmarks_csv(tmp_path / "absent.csv")
