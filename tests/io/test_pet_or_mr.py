"""PET or MR: by headers and side-cars, else by what was said, else with a finding."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from eprimg.errors import EprimgError, InputError
from eprimg.io.pet_or_mr import read_pet_or_mr
from eprimg.model.study import Role
from tests.conftest import is_mr, is_pet


def stored(folder: Path, car: dict | None = None, *, shape=(5, 4, 3), name="volume") -> Path:
    path = folder / f"{name}.nii.gz"
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    image = nib.Nifti1Image(values, np.diag([2.0, 3.0, 4.0, 1.0]))
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    if car is not None:
        (folder / f"{name}.json").write_text(json.dumps(car), encoding="utf-8")
    return path


def codes(read) -> list[str]:
    return [f.code for f in read.findings]


@pytest.mark.parametrize(("prefer", "role"), [("pet", Role.PET), ("mr", Role.MR_PRE)])
def test_without_a_side_car_it_is_what_the_method_is_for(
    tmp_path: Path, prefer: str, role: Role
) -> None:
    read = read_pet_or_mr(stored(tmp_path), prefer=prefer)
    (series,) = read.value.series
    assert series.role == role
    assert series.acquisition is None
    assert codes(read) == ["W_SEG_MODALITY"]
    assert series.grid.spacing_mm == pytest.approx((4.0, 3.0, 2.0))


def test_what_was_said_goes_first(tmp_path: Path) -> None:
    path = stored(tmp_path)
    by_unit = read_pet_or_mr(path, unit="suvbw", prefer="mr")
    assert by_unit.value.series[0].pixels.quantity.key == "suvbw"
    assert codes(by_unit) == []
    by_word = read_pet_or_mr(path, modality="mr")
    assert by_word.value.series[0].role == Role.MR_PRE
    assert codes(by_word) == []


def test_a_side_car_tells_mr_and_the_first_echo_is_taken(tmp_path: Path) -> None:
    path = stored(tmp_path, {"EchoTime": 0.004}, shape=(5, 4, 3, 2))
    read = read_pet_or_mr(path)
    (series,) = read.value.series
    assert (series.role, codes(read)) == (Role.MR_PRE, ["W_FIRST_VOLUME"])
    whole = np.asarray(nib.load(path).dataobj)
    np.testing.assert_array_equal(series.pixels.data, np.transpose(whole[..., 0]))


def test_a_pet_side_car_that_is_not_enough_for_suv_is_said(tmp_path: Path) -> None:
    read = read_pet_or_mr(stored(tmp_path, {"TracerName": "FDG", "Modality": "PT"}))
    (series,) = read.value.series
    assert (series.role, series.pixels.quantity.key) == (Role.PET, "pet_value")  # no unit
    assert read.findings  # each fault for itself
    assert all(f.code.startswith("E_") and "faults" not in f.text for f in read.findings)


def test_a_dynamic_pet_is_never_merged(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_pet_or_mr(stored(tmp_path, shape=(5, 4, 3, 6)), unit="suvbw")
    assert caught.value.code == "E_PET_FRAMES"


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_pet_or_mr(tmp_path / "absent")
    assert caught.value.code == "E_EMPTY"


def test_a_dicom_folder_gives_the_pet_unless_mr_is_asked(phantom: Path) -> None:
    read = read_pet_or_mr(phantom / "dicom")
    assert [s.role for s in read.value.series] == [Role.PET]
    assert read.value.series[0].acquisition is not None
    with pytest.raises(EprimgError) as caught:  # several R2* stacks: the user chooses
        read_pet_or_mr(phantom / "dicom", modality="mr")
    assert caught.value.code == "E_ROLE"


def test_one_mr_series_of_one_echo_is_read(copy_of: Callable[..., Path], tmp_path: Path) -> None:
    shortest: dict[str, float] = {}

    def pre_first_echo(dataset: pydicom.Dataset) -> bool:
        if not is_mr(dataset):
            return False
        uid = str(dataset.FrameOfReferenceUID)
        shortest.setdefault("frame " + uid, 0.0)
        first = uid == next(iter(shortest)).removeprefix("frame ")
        time = float(dataset.EchoTime)
        return first and time == shortest.setdefault(uid, time)

    folder = copy_of(keep=pre_first_echo)
    read = read_pet_or_mr(folder)
    (series,) = read.value.series
    assert series.role == Role.MR_PRE
    files = [pydicom.dcmread(p) for p in sorted(folder.rglob("*.dcm"))]
    assert series.grid.shape == (len(files), files[0].Rows, files[0].Columns)
    exact = files[0].pixel_array * float(files[0].get("RescaleSlope", 1.0))
    exact = exact + float(files[0].get("RescaleIntercept", 0.0))
    assert any(np.allclose(plane, exact, rtol=1e-5) for plane in series.pixels.data)
    with pytest.raises(InputError, match="no MR series") as caught:
        read_pet_or_mr(folder, modality="mr", series="other")
    assert caught.value.code == "E_NO_SERIES"


def test_an_enhanced_field_map_file_gives_its_magnitude(real_data: Path) -> None:
    # Source: the file's own header: 32 magnitude frames (ImageType ... M) of 1.52 ms beside 32
    # field-map frames.
    read = read_pet_or_mr(real_data / "mri" / "philips_enh_fmap")
    (series,) = read.value.series
    assert series.role == Role.MR_PRE
    assert series.grid.shape[0] == 32
    assert series.pixels.data.min() >= 0.0
    assert "I_DROPPED" in codes(read)


def test_a_folder_of_nifti_files_asks_for_one_of_them(tmp_path: Path) -> None:
    stored(tmp_path, shape=(5, 4, 3, 2))
    for modality in ("mr", "pet"):
        with pytest.raises(InputError) as caught:
            read_pet_or_mr(tmp_path, modality=modality)
        assert caught.value.code == "E_NO_SERIES"
        assert "volume.nii.gz" in str(caught.value)
        assert "--echo-times-ms" not in str(caught.value)


@pytest.mark.parametrize(
    ("stated", "key", "factor"),
    [
        ("Bq/mL", "activity", 1.0),
        ("kBq/mL", "activity", 1000.0),
        ("CNTS", "pet_value", 1.0),
        (None, "pet_value", 1.0),
    ],
)
def test_the_unit_is_that_of_the_side_car_or_not_known(
    tmp_path: Path, stated: str | None, key: str, factor: float
) -> None:
    car = {"Modality": "PT", "TracerRadionuclide": "Zr89", "TracerName": "a tracer"}
    path = stored(tmp_path, car if stated is None else {**car, "Units": stated})
    read = read_pet_or_mr(path)
    (series,) = read.value.series
    assert series.pixels.quantity.key == key
    raw = np.asarray(nib.load(path).dataobj)
    np.testing.assert_array_equal(series.pixels.data, np.transpose(raw) * np.float32(factor))
    assert (series.nuclide, series.tracer) == ("89Zr", "a tracer")
    assert series.acquisition is None
    assert "E_NO_SERIES" not in codes(read)  # the side-car says that it is PET


def test_a_file_without_a_unit_has_none(tmp_path: Path) -> None:
    (series,) = read_pet_or_mr(stored(tmp_path), modality="pet").value.series
    assert series.pixels.quantity.key == "pet_value"
    assert series.pixels.quantity.unit.text == "not known"


def _without_weight(dataset: pydicom.Dataset) -> None:
    """Take out what SUV needs, and the words of the description that name the tracer."""
    dataset.SeriesDescription = "PET AC"
    del dataset.PatientWeight


def test_what_was_injected_is_known_also_without_suv(copy_of: Callable[..., Path]) -> None:
    folder = copy_of(_without_weight, keep=is_pet)
    read = read_pet_or_mr(folder)
    (series,) = read.value.series
    assert codes(read)[:1] == ["E_SUV_WEIGHT"]
    assert series.acquisition is None
    assert series.nuclide == "89Zr"
    agent = pydicom.dcmread(next(folder.rglob("*.dcm"))).RadiopharmaceuticalInformationSequence[0]
    assert series.tracer == agent.Radiopharmaceutical


def test_a_nuclide_that_was_entered_goes_before_the_header(
    copy_of: Callable[..., Path], tmp_path: Path
) -> None:
    study = tmp_path / "study.toml"
    study.write_text('[injection]\nnuclide = "18F"\n', encoding="utf-8")
    (series,) = read_pet_or_mr(copy_of(_without_weight, keep=is_pet), study_file=study).value.series
    assert series.nuclide == "18F"


@pytest.mark.parametrize("name", ["pair.hdr", "pair.img"])
def test_a_unit_does_not_make_a_file_of_another_kind_a_folder(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(bytes(400))
    with pytest.raises(EprimgError) as caught:
        read_pet_or_mr(path, unit="suvbw")
    assert caught.value.code == "E_EMPTY"
    assert "folder, whose" not in str(caught.value)
