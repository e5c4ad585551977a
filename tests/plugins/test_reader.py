"""Studies, NIfTI, saved cases and output folders become layers that napari can take as they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from eprimg.errors import EprimgError, InputError, OutputError
from eprimg.io.write_maps import write_json, write_nifti
from napari_eprimg import reader
from napari_eprimg.reading.reading import Reading
from tests import tiny_case
from tests.conftest import is_mr, is_pet


@pytest.fixture
def folder(output_folder: Path) -> Path:
    """An output folder with one map and the regions."""
    return output_folder


def _placed(layers: list[reader.LayerTuple]) -> None:
    """Every layer has its place, its unit and its metadata."""
    for data, settings, _ in layers:
        assert data.ndim == 3
        assert settings["units"] == ("mm", "mm", "mm")
        assert settings["axis_labels"] == ("S", "P", "L")
        assert min(settings["scale"]) > 0
        assert len(settings["translate"]) == 3
        facts = settings["metadata"]["eprimg"]
        assert facts["role"] in ("map", "series", "lesions")
        assert np.array(facts["source_affine"]).shape == (4, 4)
        assert facts["frame_of_reference_uid"]


def test_every_reader_takes_its_own_and_nothing_else(
    folder: Path, small_study: Path, tmp_path: Path
) -> None:
    dicom = next(small_study.rglob("*.dcm"))
    case = tmp_path / "case"
    case.mkdir()
    (tmp_path / "empty").mkdir()
    (case / "case.json").write_text("{}")
    nifti = folder / "maps" / "r2star_pre.nii.gz"
    takes = {
        reader.get_study_reader: [small_study, dicom, dicom.parent],
        reader.get_nifti_reader: [nifti],
        reader.get_reader: [folder, folder / "manifest.json"],
        reader.get_case_reader: [case, case / "case.json"],
    }
    every = [p for paths in takes.values() for p in paths] + [
        tmp_path / "empty",
        tmp_path / "absent",
    ]
    for get, own in takes.items():
        for path in every:
            assert (get(str(path)) is not None) is (path in own), (get, path)
            assert (get([str(path)]) is not None) is (path in own)
    assert reader.get_reader([str(folder), str(folder)]) is None
    assert reader.get_study_reader([str(small_study), str(small_study)]) is None


def test_a_study_folder_becomes_its_series(small_study: Path) -> None:
    layers = reader.read_study_layers(str(small_study))
    _placed(layers)
    facts = [s["metadata"]["eprimg"] for _, s, _ in layers]
    assert {f["key"] for f in facts} == {"mr_pre", "mr_post", "pet"}
    assert {f["timepoint"] for f in facts} == {"pre ferumoxytol", "post ferumoxytol", "89Zr PET"}
    assert {f["study_folder"] for f in facts} == {str(small_study)}
    dataset = pydicom.dcmread(next(small_study.rglob("*.dcm")), stop_before_pixels=True)
    for _, settings, _ in layers:
        assert str(dataset.PatientName) not in settings["name"]
        assert str(dataset.PatientID) not in settings["name"]


def test_one_dicom_series_opens_alone(copy_of: Callable[..., Path]) -> None:
    pet = reader.read_study_layers(str(copy_of(keep=is_pet)))
    assert [s["metadata"]["eprimg"]["key"] for _, s, _ in pet] == ["pet"]


def test_a_refused_series_is_left_out_and_alone_it_is_an_error(
    copy_of: Callable[..., Path],
) -> None:
    folder = copy_of(lambda ds: ds.__delattr__("PatientWeight"), only=is_pet)
    keys = [s["metadata"]["eprimg"]["key"] for _, s, _ in reader.read_study_layers(str(folder))]
    assert keys == ["mr_pre", "mr_post"]
    folder = copy_of(lambda ds: ds.__delattr__("PatientWeight"), keep=is_pet, only=is_pet)
    with pytest.raises(InputError, match="weight") as caught:
        reader.read_study_layers(str(folder))
    assert caught.value.code == "E_SUV_WEIGHT"
    assert "workflow" in str(caught.value)


def test_a_saved_case_opens_with_its_edited_regions(
    measured_reading: Reading, tmp_path: Path
) -> None:
    number = measured_reading.case.lesions.lesions[0].id
    measured_reading.rename(number, "primary")
    measured_reading.save_task(tmp_path / "case").run_now()
    layers = reader.read_case(str(tmp_path / "case"))
    _placed(layers)
    _, settings, kind = layers[-1]
    assert kind == "labels"
    row = settings["features"]["index"].index(number)
    assert settings["features"]["name"][row] == "primary"
    assert settings["metadata"]["eprimg"]["study_folder"] == str(tmp_path / "case")
    manifest = tmp_path / "case" / "case.json"
    manifest.write_text(manifest.read_text() + " ")
    with pytest.raises(EprimgError) as caught:
        reader.read_case(str(manifest))
    assert caught.value.code == "E_CASE_READ"


# ---------------------------------------------------------------------- NIfTI


def test_a_map_of_eprimg_opens_with_its_unit(folder: Path) -> None:
    ((_, settings, kind),) = reader.read_nifti(str(folder / "maps" / "r2star_pre.nii.gz"))
    assert kind == "image"
    facts = settings["metadata"]["eprimg"]
    assert (facts["role"], facts["quantity"], facts["unit"]) == ("map", "r2star", "1/s")


def test_a_mask_opens_with_its_names(tmp_path: Path) -> None:
    lesions = tiny_case.case().lesions
    write_nifti(lesions.labels.astype(np.uint8), lesions.grid, tmp_path / "mask.nii.gz")
    write_json({"labels": {"1": "lesion A", "2": "spleen"}}, tmp_path / "mask.json")
    layers = reader.read_nifti([str(tmp_path / "mask.nii.gz")])
    _placed(layers)
    ((_, settings, kind),) = layers
    assert kind == "labels"
    assert settings["features"]["name"] == ["no region", "lesion A", "spleen"]
    assert settings["features"]["anatomy"] == ["", "", "spleen"]


def test_an_echo_train_opens_as_one_series(tmp_path: Path) -> None:
    grid = tiny_case.grid()
    files = []
    for number, seconds in enumerate((0.004, 0.008, 0.012), start=1):
        file = tmp_path / f"x_echo-{number}_bold.nii.gz"
        write_nifti(np.full(grid.shape, 100.0 / number, dtype=np.float32), grid, file)
        write_json({"EchoTime": seconds}, tmp_path / f"x_echo-{number}_bold.json")
        files.append(str(file))
    layers = reader.read_nifti(files)
    _placed(layers)
    ((data, settings, kind),) = layers
    assert kind == "image"
    assert np.nanmax(data) == 100.0  # the first echo
    assert "4 ms" in settings["name"]


# ---------------------------------------------------------------------- output folders


def test_maps_and_regions_become_layers(folder: Path) -> None:
    layers = reader.read_layers(str(folder))
    _placed(layers)
    image, regions = layers
    assert (image[2], regions[2]) == ("image", "labels")
    assert image[1]["name"] == "R2* [1/s] pre ferumoxytol"
    assert image[1]["visible"]
    assert image[1]["metadata"]["eprimg"]["display_only"]
    assert image[1]["metadata"]["eprimg"]["frame_of_reference_uid"] == "1.2.3"
    assert [s["metadata"]["eprimg"]["key"] for _, s, _ in layers] == ["r2star_pre", "lesions"]


def test_a_known_voxel_lies_at_its_place(folder: Path) -> None:
    # tiny_case.grid: L = -10 + 1.5 i, P = 20 + 1.5 j, S = -7 + 4 k; the value counts 0 .. 59.
    (values, settings, _), _ = reader.read_layers(str(folder))
    (index,) = np.argwhere(values == 37)  # k = 1, j = 3, i = 2
    place = np.array(settings["translate"]) + index * np.array(settings["scale"])
    assert place == pytest.approx([-3.0, 24.5, -7.0])
    assert np.isnan(values).sum() == 1  # the voxel that was not measured


def test_labels_keep_values_and_names(folder: Path) -> None:
    _, (labels, settings, _) = reader.read_layers(str(folder))
    assert np.issubdtype(labels.dtype, np.integer)
    values, counts = np.unique(labels, return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {0: 52, 1: 4, 2: 4}
    features = settings["features"]
    assert features["index"] == [0, 1, 2]
    assert features["name"][1:] == ["=lesion-1", "spleen"]
    assert features["role"] == ["", "lesion", "reference"]


def test_a_changed_file_is_refused(folder: Path) -> None:
    sidecar = folder / "maps" / "r2star_pre.json"
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"Units": "ms"}))
    with pytest.raises(OutputError, match="changed") as caught:
        reader.read_layers(str(folder))
    assert caught.value.code == "E_OUTPUT_DAMAGED"


def test_an_oblique_study_needs_no_warning_from_napari(copy_of: Callable[..., Path]) -> None:
    # The phantom's MR stack is turned by 7 and -5 degrees; its layers are axis-aligned.
    layers = reader.read_study_layers(str(copy_of(keep=is_mr)))
    for _, settings, _ in layers:
        affine = np.array(settings["metadata"]["eprimg"]["source_affine"])[:3, :3]
        assert np.count_nonzero(np.abs(affine) > 0.1) > 3
        assert not {"affine", "rotate", "shear"} & set(settings)
