"""From a folder to a study: roles, overrides, timepoints, hashes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from eprimg.config import Config
from eprimg.errors import Cancelled, ConfigError, EprimgError, InputError
from eprimg.io.bridge import nifti_affine
from eprimg.io.study import read_study
from eprimg.io.study_plan import plan_study
from eprimg.model.acquisition import Origin, PETAcquisition
from eprimg.model.case import Severity
from eprimg.model.study import Role
from tests.conftest import is_pet
from tests.io.dicom_factory import write_mr
from tests.io.test_roles import of_agent, pet_of_day, stack


def test_roles_timepoints_and_masks(phantom: Path) -> None:
    study = read_study(phantom / "dicom").value
    assert [t.label for t in study.timepoints] == [
        "pre ferumoxytol",
        "post ferumoxytol",
        "89Zr PET",
    ]
    assert {s.key for s in study.series} == {"mr_pre", "mr_post", "pet"}
    assert sorted(len(r.regions) for r in study.regions)[0] == 6
    assert study.pseudonym.startswith("P-")
    assert study.overrides == {}
    assert study.input_hash == read_study(phantom / "dicom").value.input_hash


def test_the_ct_of_a_pet_ct_is_read(tmp_path: Path) -> None:
    from eprimg_phantoms import make

    folder = make("abdomen", tmp_path / "p", size="small", seed=2, with_ct=True)
    study = read_study(folder / "dicom").value
    ct = study.find(Role.CT)
    pet = study.find(Role.PET)
    assert ct is not None
    assert pet is not None
    assert ct.grid.frame_of_reference == pet.grid.frame_of_reference
    # Air is -1000 HU by definition of the scale; a body holds soft tissue around 0 to 100 HU.
    assert ct.pixels.data.min() == pytest.approx(-1000, abs=60)  # type: ignore[union-attr]
    assert -50 < float(ct.pixels.data[ct.pixels.data > -500].mean()) < 400  # type: ignore[union-attr]


def test_a_study_file_overrides_and_is_recorded(phantom: Path, tmp_path: Path) -> None:
    spoken = tmp_path / "study.toml"
    spoken.write_text('pseudonym = "EPR-7"\n[patient]\nweight_kg = 81.0\n', encoding="utf-8")
    result = read_study(phantom / "dicom", study_file=spoken)
    pet = result.value.find(Role.PET)
    assert pet is not None
    assert isinstance(pet.acquisition, PETAcquisition)
    assert pet.acquisition.weight_kg.value == 81.0
    assert pet.acquisition.weight_kg.origin == Origin.ENTERED
    assert result.value.pseudonym == "EPR-7"
    assert result.value.overrides == {"weight_kg": 81.0}
    codes = {f.code for f in result.findings}
    assert {"I_STUDY_FILE", "I_ENTERED"} <= codes
    assert result.value.input_hash != read_study(phantom / "dicom").value.input_hash


def test_roles_that_do_not_fit_are_refused(phantom: Path, tmp_path: Path) -> None:
    spoken = tmp_path / "study.toml"
    spoken.write_text('[roles]\n"no-such-series" = "pet"\n', encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        plan_study(phantom / "dicom", study_file=spoken)
    assert caught.value.code == "E_ROLE"
    keys = [e.key for e in plan_study(phantom / "dicom").index.series if e.modality == "MR"]
    spoken.write_text("[roles]\n" + "".join(f'"{k}" = "mr_pre"\n' for k in keys), encoding="utf-8")
    with pytest.raises(ConfigError, match="2 series would play the role mr_pre"):
        read_study(phantom / "dicom", study_file=spoken)


def test_a_role_that_is_given_takes_it_from_the_proposed_series(
    phantom: Path, tmp_path: Path
) -> None:
    plan = plan_study(phantom / "dicom")
    post = plan.entries(Role.MR_POST)[0].key
    spoken = tmp_path / "study.toml"
    spoken.write_text(f'[roles]\n"{post}" = "mr_pre"\n', encoding="utf-8")
    roles = {e.key: e.role for e in plan_study(phantom / "dicom", study_file=spoken).index.series}
    assert roles[post] == Role.MR_PRE
    assert list(roles.values()).count(Role.MR_PRE) == 1


def test_two_patients_are_refused_unless_allowed(copy_of: Callable[..., Path]) -> None:
    folder = copy_of(lambda ds: setattr(ds, "PatientID", "OTHER"), only=is_pet)
    with pytest.raises(InputError) as caught:
        read_study(folder)
    assert caught.value.code == "E_PATIENT_MIX"
    allowed = Config().with_assignments(["read.allow_patient_mix=true"])
    findings = read_study(folder, config=allowed).findings
    assert any(f.code == "W_PATIENT_MIX" and "allowed" in f.text for f in findings)


def test_masks_of_the_study_file_are_read_on_the_named_series(
    phantom: Path, tmp_path: Path
) -> None:
    spoken = tmp_path / "study.toml"
    mask = phantom / "masks" / "lesions.nii.gz"
    spoken.write_text(f'[[masks]]\npath = "{mask}"\non = "mr_pre"\n', encoding="utf-8")
    study = read_study(phantom / "dicom", study_file=spoken).value
    pre = study.find(Role.MR_PRE)
    assert pre is not None
    (regions,) = study.regions
    assert regions.grid.frame_of_reference == pre.grid.frame_of_reference
    spoken.write_text(f'[[masks]]\npath = "{mask}"\non = "ct"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="not among the series"):
        read_study(phantom / "dicom", study_file=spoken)
    image = nib.load(mask)
    affine = image.affine.copy()
    affine[0, 3] += 5000.0
    far = tmp_path / "far.nii.gz"
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), affine), far)
    spoken.write_text(f'[[masks]]\npath = "{far}"\non = "mr_pre"\n', encoding="utf-8")
    with pytest.raises(InputError, match="no region of the mask has a voxel on mr_pre") as caught:
        read_study(phantom / "dicom", study_file=spoken)
    assert caught.value.code == "E_SEG_EMPTY"


def test_copies_of_the_same_regions_are_left_out_and_said(phantom: Path) -> None:
    # The phantom's folder holds its regions as DICOM SEG and as NIfTI on three grids.
    result = read_study(phantom)
    pre = result.value.find(Role.MR_PRE)
    assert pre is not None
    assert sorted(len(r.regions) for r in result.value.regions) == [6, 7]
    frames = {r.grid.frame_of_reference for r in result.value.regions}
    assert frames == {pre.grid.frame_of_reference}
    repeated = [f for f in result.findings if f.code == "W_REGIONS_REPEATED"]
    assert len(repeated) == 6


def test_the_input_hash_covers_header_facts_and_places(
    phantom: Path, copy_of: Callable[..., Path], tmp_path: Path
) -> None:
    plain = read_study(phantom / "dicom").value.input_hash

    def heavier(dataset: pydicom.Dataset) -> None:
        dataset.PatientWeight = float(dataset.PatientWeight) * 1.5

    def moved(dataset: pydicom.Dataset) -> None:
        x, y, z = map(float, dataset.ImagePositionPatient)
        dataset.ImagePositionPatient = [x + 20.0, y, z]

    hashes = {plain}
    for change in (heavier, moved):
        hashes.add(read_study(copy_of(change, only=is_pet)).value.input_hash)
    spoken = tmp_path / "study.toml"
    for shift in (0.0, 20.0):
        mask = nib.load(phantom / "masks" / "lesions.nii.gz")
        affine = mask.affine.copy()
        affine[0, 3] += shift
        nib.save(nib.Nifti1Image(np.asarray(mask.dataobj), affine), tmp_path / "mask.nii.gz")
        spoken.write_text('[[masks]]\npath = "mask.nii.gz"\non = "mr_pre"\n', encoding="utf-8")
        hashes.add(read_study(phantom / "dicom", study_file=spoken).value.input_hash)
    assert len(hashes) == 5


def test_roles_against_the_headers_are_warned_about(phantom: Path, tmp_path: Path) -> None:
    keys = {str(e.role): e.key for e in plan_study(phantom / "dicom").index.series}
    spoken = tmp_path / "study.toml"
    spoken.write_text(
        f'[roles]\n"{keys["mr_pre"]}" = "mr_post"\n"{keys["mr_post"]}" = "mr_pre"\n',
        encoding="utf-8",
    )
    findings = read_study(phantom / "dicom", study_file=spoken).findings
    texts = [f.text for f in findings if f.code == "W_AGENT_ORDER"]
    assert any("Ferumoxytol" in t for t in texts)
    assert any("acquired after the other" in t for t in texts)
    assert not [f for f in read_study(phantom / "dicom").findings if f.code == "W_AGENT_ORDER"]


def test_a_refused_series_can_be_left_out_with_all_its_faults(copy_of: Callable[..., Path]) -> None:
    def spoiled(dataset: pydicom.Dataset) -> None:
        dataset.PatientWeight = None
        dataset.Units = "CNTS"

    folder = copy_of(spoiled, only=is_pet)
    with pytest.raises(EprimgError) as refused:
        read_study(folder)
    wanted = sorted(f.code for f in refused.value.faults or (refused.value,))
    result = read_study(folder, leave_out_refused=True)
    assert {s.key for s in result.value.series} == {"mr_pre", "mr_post"}
    errors = [f for f in result.findings if f.severity == Severity.ERROR]
    assert sorted(f.code for f in errors) == wanted
    assert all(f.where == "pet" and "left out" in f.text for f in errors)
    assert len(wanted) >= 1


def test_reading_stops_when_asked(phantom: Path) -> None:
    for at in (1, 5, 400):
        calls = 0

        def stop(words: str, share: float, at: int = at) -> None:
            nonlocal calls
            calls += 1
            if calls >= at:
                raise Cancelled

        with pytest.raises(Cancelled):
            read_study(phantom / "dicom", progress=stop)
        assert calls == at


def test_external_maps_are_read_hashed_and_take_no_role(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    for phase, series in (("pre", "2.25.11"), ("post", "2.25.12")):
        write_mr(folder / phase, series=series, change=described(phase))
    plain = read_study(folder).value
    grid = plain.series[0].grid
    nifti = nib.Nifti1Image(np.full(grid.shape[::-1], 0.2, np.float32), nifti_affine(grid))
    nib.save(nifti, folder / "liver-mask.nii.gz")  # a name that the scan would take for a mask
    spoken = folder / "study.toml"
    entry = '[[maps]]\npath = "liver-mask.nii.gz"\nquantity = "ktrans"\n'
    spoken.write_text(entry + 'on = "mr_post"\n', encoding="utf-8")
    result = read_study(folder)
    (found,) = result.value.external_maps
    assert (found.key, found.on, result.value.regions) == ("map_ktrans", "mr_post", ())
    assert result.value.input_hash != plain.input_hash
    assert result.value.overrides["maps.map_ktrans"] == "liver-mask.nii.gz"
    assert "I_EXTERNAL_MAP" in {f.code for f in result.findings}
    assert "W_MASK_UNUSED" not in {f.code for f in result.findings}
    nib.save(
        nib.Nifti1Image(np.full(grid.shape[::-1], 0.3, np.float32), nifti_affine(grid)),
        folder / "liver-mask.nii.gz",
    )
    assert read_study(folder).value.input_hash != result.value.input_hash
    spoken.write_text(entry, encoding="utf-8")
    with pytest.raises(EprimgError, match="no frame of reference of this study"):
        read_study(folder)
    left = read_study(folder, leave_out_refused=True)
    assert left.value.external_maps == ()
    assert [f.severity for f in left.findings if f.code == "E_FOR"] == [Severity.ERROR]


def described(phase: str) -> Callable[..., None]:
    def change(d: pydicom.Dataset, k: int, e: int) -> None:
        d.SeriesDescription = f"GRE {phase} contrast"

    return change


def test_several_sessions_become_time_points(tmp_path: Path) -> None:
    stack(tmp_path / "mr", 1, description="GRE pre", date="20240301")
    for number, (day, time) in enumerate((("01", "150000"), ("02", "090000"), ("04", "090000"))):
        stack(tmp_path / "mr", 2 + number, description="GRE post", date=f"202403{day}", time=time)
    for day in (5, 8):
        pet_of_day(tmp_path / "pet", day)
    result = read_study(tmp_path)
    study = result.value
    assert [(t.label, [s.key for s in t.series]) for t in study.timepoints] == [
        ("pre ferumoxytol", ["mr_pre"]),
        ("post ferumoxytol, 1 of 3", ["mr_post_2"]),
        ("post ferumoxytol, 2 of 3", ["mr_post"]),  # 23.9 h after the scan before
        ("post ferumoxytol, 3 of 3", ["mr_post_3"]),
        ("89Zr PET, 1 of 2", ["pet_2"]),
        ("89Zr PET, 2 of 2", ["pet"]),
    ]
    assert [s.acquisition.agent_phase for s in study.find_all(Role.MR_POST)] == ["post"] * 3
    points = [f.where for f in result.findings if f.code == "I_TIME_POINTS"]
    assert points == ["mr_post", "pet"]
    spoken = tmp_path / "other.toml"
    spoken.write_text('[primary]\nmr_post = "mr-2"\npet = "pt-5"\n', encoding="utf-8")
    other = read_study(tmp_path, study_file=spoken).value
    assert [s.key for s in other.series] == [
        *("mr_pre", "mr_post", "mr_post_2", "mr_post_3", "pet", "pet_2")
    ]
    assert other.overrides == {"primary.mr_post": "mr-2", "primary.pet": "pt-5"}
    assert other.input_hash != study.input_hash


def test_pet_sessions_of_two_injections_are_refused(tmp_path: Path) -> None:
    pet_of_day(tmp_path, 5)
    pet_of_day(tmp_path, 8, of_agent("RadionuclideTotalDose", 50e6))
    spoken = tmp_path / "other.toml"
    roles = '[roles]\npt-5 = "pet"\npt-8 = "pet"\n'
    spoken.write_text(roles, encoding="utf-8")
    with pytest.raises(InputError, match="dose 37 MBq and 50 MBq") as caught:
        read_study(tmp_path, study_file=spoken)
    assert caught.value.code == "E_PET_POINTS"
    # One dose for both, said by the user.
    spoken.write_text(f"{roles}[injection]\ndose_mbq = 37.0\n", encoding="utf-8")
    study = read_study(tmp_path, study_file=spoken).value
    doses = [s.acquisition.injection.dose_bq.value for s in study.find_all(Role.PET)]
    assert doses == [37e6, 37e6]


def test_help_for_the_alignment_is_read_and_hashed(tmp_path: Path) -> None:
    from tests.io import dicom_factory

    dicom_factory.write_mr(tmp_path / "mr")
    pairs = """
[roles]
mr-1 = "mr_pre"
[[landmarks]]
fixed = "mr_pre"
moving = "mr_pre"
fixed_mm = [[1, 2, 3]]
moving_mm = [[{}, 2, 3]]
"""
    hashes = []
    for x in (1, 2):
        (tmp_path / "study.toml").write_text(pairs.format(x))
        study = read_study(tmp_path).value
        assert study.help.landmarks[0].moving_mm.tolist() == [[float(x), 2.0, 3.0]]
        assert study.overrides["landmarks.1"] == "1 pairs (mr_pre mr_pre, check)"
        hashes.append(study.input_hash)
    assert hashes[0] != hashes[1]
