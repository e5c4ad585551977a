"""Reconstructed SPECT (NM): placed by its detector, judged by the rules of PET, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.sequence import Sequence

from eprimg.errors import EprimgError
from eprimg.io.index import scan
from eprimg.io.nm_frames import NM_CLASS
from eprimg.io.pet_checks import spect_kind
from eprimg.io.study import read_study
from eprimg.model.acquisition import PETAcquisition
from eprimg.model.study import Role, Series
from eprimg.stages.quantify_pet import pet_maps
from tests.io.dicom_factory import write_pet
from tests.io.nm_factory import DOSE_MBQ, HALF_LIFE_S, ORIGIN, STEP_MM, WEIGHT_KG, item, stored
from tests.io.nm_factory import write_nm as write


def read(folder: Path, **facts: object) -> tuple[Series, tuple[str, ...]]:
    from eprimg.io.study_plan import plan_study

    result = read_study(folder, plan=plan_study(folder, facts=facts or None))
    pet = result.value.find(Role.PET)
    assert pet is not None
    return pet, tuple(f"{f.code}: {f.text}" for f in result.findings)


def suv(series: Series) -> np.ndarray:
    made = pet_maps(series, sul_formula="janmahasatian")
    assert not made.faults
    return made.maps["suvbw"].values


def expected_suv(activity: np.ndarray) -> np.ndarray:
    # two days after the injection: SUVbw = C W / (D 2^(-t/T)), weight in g
    left = DOSE_MBQ * 1e6 * 2.0 ** (-2 * 86400.0 / HALF_LIFE_S)
    return activity * WEIGHT_KG * 1000.0 / left


def test_spect_in_bq_per_ml_goes_through_the_door_of_pet(tmp_path: Path) -> None:
    write(tmp_path)
    (entry,) = scan(tmp_path).series
    assert (entry.role, entry.modality, entry.reason) == (
        Role.PET,
        "NM",
        "the only SPECT reconstruction",
    )
    series, said = read(tmp_path)
    np.testing.assert_array_equal(series.pixels.data, stored())
    np.testing.assert_allclose(suv(series), expected_suv(stored()), rtol=1e-5)
    facts = series.acquisition
    assert isinstance(facts, PETAcquisition)
    assert facts.injection.nuclide.value == "111In"
    assert facts.injection.dose_bq.value == DOSE_MBQ * 1e6  # NM: the element is in MBq
    assert "SPECT" in facts.voxel_rule
    assert facts.modality == "SPECT"
    assert pet_maps(series, sul_formula="janmahasatian").maps["suvbw"].facts["modality"] == "SPECT"
    (point,) = read_study(tmp_path).value.timepoints
    assert point.label == "111In SPECT"
    text = "\n".join(said)
    assert "I_SPECT" in text
    assert "154-188 keV" in text
    assert "liposome" in text
    assert "W_DOSE_MBQ" not in text
    pid = pet_maps(series, sul_formula="janmahasatian").maps["pid_per_kg"].values
    np.testing.assert_allclose(pid, 100.0 * suv(series) / WEIGHT_KG, rtol=1e-5)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("reverse", [False, True])
def test_slices_lie_where_the_header_puts_them(tmp_path: Path, sign: float, reverse: bool) -> None:
    order = [4, 3, 2, 1] if reverse else [1, 2, 3, 4]

    def change(d):
        d.SpacingBetweenSlices = sign * STEP_MM
        d.SliceVector = order

    write(tmp_path, change)
    grid = read(tmp_path)[0].grid
    volume = read(tmp_path)[0].pixels.data
    # PS3.3 C.8.4.15: a positive spacing stacks along row x column, here +z
    for frame, place in enumerate(order):
        point = ORIGIN + (place - 1) * sign * STEP_MM * np.array([0.0, 0.0, 1.0])
        index = grid.lps_mm_to_index(point + np.array([2.0 * 4, 3.0 * 2, 0.0]))
        k, j, i = np.round(index).astype(int)
        np.testing.assert_allclose(index, (k, j, i), atol=1e-6)
        assert volume[k, j, i] == stored()[frame, 2, 4]


def unreadable(d):
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    d[Tag(0x00281053)] = RawDataElement(Tag(0x00281053), "DS", 4, b"two ", 0, False, True)


def without(*names: str):
    def change(d):
        for name in names:
            delattr(d, name)

    return change


def setting(**values: object):
    def change(d):
        for name, value in values.items():
            setattr(d, name, value)

    return change


def no_position(d):
    del d.DetectorInformationSequence[0].ImagePositionPatient


def two_places(d):
    more = item(ImagePositionPatient=[0, 0, 0], ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    d.DetectorInformationSequence = Sequence([d.DetectorInformationSequence[0], more])


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (no_position, "E_NM_GEOMETRY", "position of the first slice"),
        (two_places, "E_NM_GEOMETRY", "2 different positions"),
        (without("SpacingBetweenSlices"), "E_NM_GEOMETRY", "from slice to slice"),
        (setting(SpacingBetweenSlices=0), "E_NM_GEOMETRY", "from slice to slice"),
        (setting(SliceVector=[1, 1, 2, 2]), "E_NM_GEOMETRY", "not one per slice"),
        (setting(EnergyWindowVector=[1, 1, 2, 2]), "E_PET_KIND", "different energy windows"),
        (without("Units"), "E_PET_UNITS", "bq_per_ml_per_count"),
        (setting(Units="CNTS"), "E_PET_UNITS", "bq_per_ml_per_count"),
        (setting(RescaleSlope=None), "E_PET_SLOPE", "RescaleSlope is missing"),
        (unreadable, "E_NUMERIC", "RescaleSlope is not a finite number"),
        (setting(Units="CPS"), "E_PET_UNITS", "in these units"),
        (without("DecayCorrection"), "E_DECAY", "[spect] decay_correction"),
        (setting(CorrectedImage=["ATTN"]), "E_UNCORRECTED", "DECY"),
        (setting(DecayCorrection="NONE", RotationInformationSequence=Sequence([])),
         "E_PET_DURATION", "duration of every frame"),
        (without("PatientWeight"), "E_SUV_WEIGHT", "body weight is missing"),
    ],
)  # fmt: skip
def test_every_refusal_is_said_in_words(tmp_path: Path, change, code: str, words: str) -> None:
    write(tmp_path, change)
    with pytest.raises(EprimgError) as caught:
        read(tmp_path)
    faults = caught.value.faults or (caught.value,)
    assert code in [f.code for f in faults]
    assert words in "\n".join(str(f) for f in faults)


@pytest.mark.parametrize(
    "kind",
    [["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"], ["DERIVED", "PRIMARY", "RECON GATED TOMO"]],
)
def test_what_is_no_static_reconstruction_is_not_offered(tmp_path: Path, kind: list[str]) -> None:
    write(tmp_path, setting(ImageType=kind))
    (entry,) = scan(tmp_path).series
    assert entry.role == Role.UNUSED
    assert "no static reconstruction" in entry.reason
    assert spect_kind(tuple(kind))
    assert not spect_kind(("ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"))
    assert "transmission" in spect_kind(("RECON TOMO", "TRANSMISSION"))


def test_counts_need_an_entered_calibration(tmp_path: Path) -> None:
    write(tmp_path, setting(Units="CNTS"))
    series, said = read(tmp_path, spect={"bq_per_ml_per_count": 25.0})
    np.testing.assert_allclose(series.pixels.data, 25.0 * stored())
    np.testing.assert_allclose(suv(series), expected_suv(25.0 * stored()), rtol=1e-5)
    assert any("bq_per_ml_per_count = 25.0 was entered" in s for s in said)
    other = tmp_path / "other"
    write(other)
    with pytest.raises(EprimgError, match="calibration from counts was entered"):
        read(other, spect={"bq_per_ml_per_count": 25.0})


def test_a_mapping_to_bq_per_ml_is_believed_and_checked(tmp_path: Path) -> None:
    unit = item(CodeValue="Bq/ml", CodingSchemeDesignator="UCUM", CodeMeaning="Bq/ml")
    mapping = item(
        RealWorldValueSlope=3.0,
        RealWorldValueIntercept=0.0,
        MeasurementUnitsCodeSequence=Sequence([unit]),
    )

    def mapped(**more: object):
        def change(d):
            d.RealWorldValueMappingSequence = Sequence([mapping])
            setting(**more)(d)

        return change

    write(tmp_path / "a", mapped(Units=""))
    np.testing.assert_allclose(read(tmp_path / "a")[0].pixels.data, 3.0 * stored())
    write(tmp_path / "b", mapped(Units="BQML", RescaleSlope=2.0, RescaleIntercept=0.0))
    with pytest.raises(EprimgError, match="the real-world value mapping says"):
        read(tmp_path / "b")


def test_without_decay_correction_the_counting_time_is_that_of_the_rotation(
    tmp_path: Path,
) -> None:
    write(tmp_path, setting(DecayCorrection="NONE", CorrectedImage=["ATTN", "SCAT"]))
    series, _ = read(tmp_path)
    # 60 views of 20 s; the mean activity over T is that of exp(-lambda t) averaged over it
    rate = np.log(2.0) / HALF_LIFE_S
    mean = (1.0 - np.exp(-rate * 1200.0)) / (rate * 1200.0)
    at_start = stored() / mean
    np.testing.assert_allclose(suv(series), expected_suv(at_start), rtol=1e-5)


def test_a_pet_series_comes_before_spect(tmp_path: Path) -> None:
    write(tmp_path)
    write_pet(tmp_path / "pet")
    roles = {e.modality: e.role for e in scan(tmp_path).series}
    assert roles == {"NM": Role.UNUSED, "PT": Role.PET}
    assert NM_CLASS.endswith(".20")
