"""External maps: the frame is known or refused, units are never converted, NaN is missing."""

from __future__ import annotations

import json
from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from eprimg.errors import EprimgError
from eprimg.io.read_external_maps import read_external_map, read_external_maps
from eprimg.io.study_file_maps import MapEntry
from eprimg.model.study import Role, Series
from eprimg.model.volume import Volume
from eprimg.quantities import quantity
from tests.tiny_case import grid

FRAME = "1.2.826.0.1.3680043.8.498.1"


@pytest.fixture
def series() -> tuple[Series, ...]:
    place = grid(FRAME)
    pixels = Volume(np.ones(place.shape, np.float32), place, quantity("signal"))
    return (Series("mr_post", Role.MR_POST, pixels, None),)


def nifti(folder: Path, values: np.ndarray, **car: str) -> Path:
    """A map in RAS, 2 mm, with or without a side-car."""
    path = folder / "map.nii.gz"
    affine = np.diag([-2.0, -2.0, 2.0, 1.0])
    nib.save(nib.Nifti1Image(values.astype(np.float32), affine), path)
    if car:
        (folder / "map.json").write_text(json.dumps(car), encoding="utf-8")
    return path


def refused(entry: MapEntry, series: tuple[Series, ...]) -> EprimgError:
    with pytest.raises(EprimgError) as caught:
        read_external_maps([entry], series, where="study.toml")
    return caught.value


def test_a_nifti_map_lies_where_the_user_says(tmp_path: Path, series: tuple[Series, ...]) -> None:
    values = np.arange(24.0).reshape(2, 3, 4)
    values[0, 0, 0], values[1, 2, 3] = np.nan, np.inf
    entry = MapEntry(nifti(tmp_path, values), "ktrans", on="mr_post")
    result = read_external_map(entry, series, where="study.toml")
    found = result.value
    assert (found.key, found.on) == ("map_ktrans", "mr_post")
    assert found.map.grid.frame_of_reference == FRAME
    assert found.map.values.shape == (4, 3, 2)
    # NIfTI (i, j, k) = (1, 0, 2) is (k, j, i) = (2, 0, 1) here
    assert found.map.values[2, 0, 1] == values[1, 0, 2]
    assert np.count_nonzero(~found.map.valid) == 2
    assert not np.isfinite(found.map.values[~found.map.valid]).any()
    (said,) = result.findings
    assert said.code == "I_EXTERNAL_MAP"
    assert "2 of 24 voxels" in said.text
    assert "no unit was stated" in said.text


def test_the_side_car_names_the_frame(tmp_path: Path, series: tuple[Series, ...]) -> None:
    path = nifti(tmp_path, np.ones((2, 2, 2)), FrameOfReferenceUID=FRAME)
    assert read_external_map(MapEntry(path, "ve"), series, where="x").value.on == "mr_post"


@pytest.mark.parametrize(
    ("car", "on"),
    [
        ({}, ""),
        ({"FrameOfReferenceUID": "1.2.3"}, ""),
        ({"FrameOfReferenceUID": "1.2.3"}, "mr_post"),
    ],
)
def test_an_unknown_or_contradictory_frame_is_refused(
    tmp_path: Path, series: tuple[Series, ...], car: dict[str, str], on: str
) -> None:
    path = nifti(tmp_path, np.ones((2, 2, 2)), **car)
    error = refused(MapEntry(path, "ve", on=on), series)
    assert error.code == "E_FOR"
    assert "frame of reference" in error.message


def test_what_is_no_map_is_refused(tmp_path: Path, series: tuple[Series, ...]) -> None:
    empty = nifti(tmp_path, np.full((2, 2, 2), np.nan))
    assert refused(MapEntry(empty, "ve", on="mr_post"), series).code == "E_EXTERNAL_MAP"
    several = nifti(tmp_path, np.ones((2, 2, 2, 3)))
    assert refused(MapEntry(several, "ve", on="mr_post"), series).code == "E_EXTERNAL_MAP"
    text = tmp_path / "map.dcm"
    text.write_text("no map", encoding="utf-8")
    assert refused(MapEntry(text, "ve", on="mr_post"), series).code == "E_EXTERNAL_MAP"
    assert refused(MapEntry(several, "ve", on="pet"), series).code == "E_STUDY_FILE"


def sources(n: int) -> list[Dataset]:
    """Slices of an MR series, 2 mm apart, as highdicom wants them."""
    made = []
    for k in range(n):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID, ds.SOPInstanceUID = MRImageStorage, generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID = FRAME + ".1", FRAME + ".2"
        ds.FrameOfReferenceUID, ds.Modality = FRAME, "MR"
        for name in [
            "PatientID",
            "PatientName",
            "PatientBirthDate",
            "PatientSex",
            "StudyID",
            "AccessionNumber",
            "StudyDate",
            "StudyTime",
            "Manufacturer",
            "ReferringPhysicianName",
            "PositionReferenceIndicator",
        ]:
            setattr(ds, name, "")
        ds.SeriesNumber, ds.InstanceNumber = 1, k + 1
        ds.Rows, ds.Columns = 3, 2
        ds.PixelSpacing, ds.SliceThickness = [1.5, 1.5], 2.0
        ds.ImagePositionPatient = [0.0, 0.0, 2.0 * k]
        ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
        made.append(ds)
    return made


def parametric_map(path: Path, values: np.ndarray, unit: Code, meaning: Code) -> Path:
    mapping = hd.pm.RealWorldValueMapping(
        "1", "map", unit, (-1e9, 1e9), slope=2.0, intercept=0.0, quantity_definition=meaning
    )
    hd.pm.ParametricMap(
        sources(len(values)),
        values.astype(np.float32),
        generate_uid(),
        1,
        generate_uid(),
        1,
        "none",
        "none",
        "1",
        "1",
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        window_center=1,
        window_width=1,
    ).save_as(path)
    return path


def test_a_dicom_parametric_map_states_its_own_unit(
    tmp_path: Path, series: tuple[Series, ...]
) -> None:
    per_min = Code("/min", "UCUM", "/min")
    values = np.arange(12.0).reshape(2, 3, 2)
    path = parametric_map(tmp_path / "k.dcm", values, per_min, codes.DCM.Ktrans)
    found = read_external_map(MapEntry(path, "ktrans"), series, where="x").value
    # the mapping says: real value = 2 x stored
    np.testing.assert_allclose(found.map.values, 2.0 * values)
    np.testing.assert_allclose(found.map.grid.spacing_mm, (2.0, 1.5, 1.5))
    assert refused(MapEntry(path, "ve"), series).code == "E_EXTERNAL_MAP_UNIT"
    error = refused(MapEntry(path, "kep"), series)
    assert error.code == "E_EXTERNAL_MAP_UNIT"
    assert "126312" in error.message


def test_a_dicom_image_that_is_no_map_is_refused(
    tmp_path: Path, series: tuple[Series, ...]
) -> None:
    (ds,) = sources(1)
    ds.PixelData = bytes(12)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.save_as(tmp_path / "mr.dcm", enforce_file_format=True)
    assert refused(MapEntry(tmp_path / "mr.dcm", "ve"), series).code == "E_EXTERNAL_MAP"
