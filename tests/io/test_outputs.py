"""The folder of a case: every file, readable, and the records in it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from eprimg.config import Config, load_config
from eprimg.errors import OutputError
from eprimg.io.output_folder import verify_folder
from eprimg.io.outputs import write_case, write_map_folder
from eprimg.quantities import quantity
from tests import tiny_case


def test_a_case_is_written_whole(tmp_path: Path) -> None:
    out = write_case(tiny_case.case(), Config(), tmp_path / "out", report_html="<p>r</p>")
    manifest = verify_folder(out)
    assert set(manifest["files"]) == {
        "lesions.csv",
        "measurements.csv",
        "profiles.csv",
        "patient.json",
        "provenance.json",
        "report.html",
        "settings.toml",
        "maps/r2star_pre.nii.gz",
        "maps/r2star_pre.json",
        "native/r2star_pre.nii.gz",
        "native/r2star_pre.json",
        "native/r2star_pre_se.nii.gz",
        "native/r2star_pre_se.json",
        "regions/labels.nii.gz",
        "regions/labels.json",
        "transforms/pet_to_pre.tfm",
        "transforms/pet_to_pre.json",
    }
    assert load_config(out / "settings.toml") == Config()
    transform = sitk.ReadTransform(str(out / "transforms" / "pet_to_pre.tfm"))
    assert transform.TransformPoint((1.0, 2.0, 3.0)) == pytest.approx((1.0, 2.0, 3.0))
    with pytest.raises(OutputError, match="already holds"):
        write_case(tiny_case.case(), Config(), out)
    write_case(tiny_case.case(), Config(), out, overwrite=True)
    assert "report.html" not in verify_folder(out)["files"]


def test_a_fit_on_the_reference_grid_leaves_its_standard_error(tmp_path: Path) -> None:
    made = tiny_case.case()
    like = made.registered["r2star_pre"]
    error = np.full(like.grid.shape, 0.002, dtype=np.float32)
    influx = replace(like, quantity=quantity("patlak_ki"), standard_error=error)
    case = replace(made, registered={"patlak_ki": influx, "r2star_pre": like})
    out = write_case(case, Config(), tmp_path / "out")
    assert sorted(p.name for p in (out / "maps").glob("*.nii.gz")) == [
        "patlak_ki.nii.gz",
        "patlak_ki_se.nii.gz",
        "r2star_pre.nii.gz",
    ]
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(out / "maps" / "patlak_ki_se.nii.gz")))
    assert written[like.valid] == pytest.approx(0.002, rel=1e-6)
    record = json.loads((out / "maps" / "patlak_ki_se.json").read_text())
    assert record["EstimationAlgorithm"].startswith("standard error of: ")


def test_single_maps_hold_findings_and_sources(tmp_path: Path) -> None:
    files = {"r2star": "r2star_pre", "r2star_se": "r2star_pre"}
    out = write_map_folder(tiny_case.case(), Config(), tmp_path / "m", files)
    sidecar = json.loads((out / "r2star_se.json").read_text(encoding="utf-8"))
    assert sidecar["Findings"][0]["code"] == "W_NOISE_FLOOR"
    assert sidecar["SourceSeries"][0]["series_uid"] == "1.9.1"
    assert sidecar["EstimationAlgorithm"].startswith("standard error of")


def test_without_degrees_of_freedom_the_standard_error_is_not_measured(tmp_path: Path) -> None:
    from dataclasses import replace

    import nibabel as nib

    case = tiny_case.case()
    bare = replace(case.maps["r2star_pre"], standard_error=None)
    case = replace(case, maps={"r2star_pre": bare})
    out = write_map_folder(case, Config(), tmp_path / "m", {"r2star_se": "r2star_pre"})
    assert np.isnan(nib.load(out / "r2star_se.nii.gz").get_fdata()).all()


def test_a_bent_transform_is_written_whole_and_the_records_name_its_file(tmp_path: Path) -> None:
    from dataclasses import replace

    from eprimg.model.displacement import Displacement
    from eprimg.model.transform import Transform

    case = tiny_case.case()
    (registration,) = case.registrations
    vectors = np.zeros((3, 4, 5, 3), np.float32)
    vectors[1, 1, 1] = (1.0, 2.0, -0.5)
    bend = Displacement(vectors, tiny_case.grid())
    plain = registration.transform
    bent = Transform(plain.matrix, plain.from_frame, plain.to_frame, bend)
    case = replace(case, registrations=(replace(registration, transform=bent),))
    out = write_case(case, Config(), tmp_path / "out")
    assert not (out / "transforms" / "pet_to_pre.tfm").exists()
    itk = sitk.ReadTransform(str(out / "transforms" / "pet_to_pre.h5"))
    node = tiny_case.grid().index_to_lps_mm((1, 1, 1))
    assert itk.TransformPoint(node.tolist()) == pytest.approx(node + np.array([1.0, 2.0, -0.5]))
    record = json.loads((out / "transforms" / "pet_to_pre.json").read_text(encoding="utf-8"))
    assert record["file"] == "transforms/pet_to_pre.h5"
    assert record["displacement"]["largest_mm"] == pytest.approx(np.sqrt(5.25))
    assert record["displacement"]["largest_at_border_mm"] == 0.0
    patient = json.loads((out / "patient.json").read_text(encoding="utf-8"))
    assert patient["registrations"][0]["file"] == "transforms/pet_to_pre.h5"


def test_registrations_as_dicom_where_it_is_asked_for(tmp_path: Path) -> None:
    from dataclasses import replace

    from eprimg.io.read_spatial import read_spatial
    from eprimg.model.transform import Transform

    case = tiny_case.case()
    finished = replace(case.provenance, finished="2026-03-05T10:00:00+00:00")
    case = replace(case, provenance=finished)
    (registration,) = case.registrations
    matrix = np.eye(4)
    matrix[0, 3] = 4.5
    config = Config().with_assignments(["register.dicom=true"])
    for frame, expected in (("1.4.5", 1), ("nifti", 0)):
        moved = Transform(matrix, "1.2.3", frame)
        one = replace(case, registrations=(replace(registration, transform=moved),))
        out = write_case(one, config, tmp_path / frame)
        files = list((out / "transforms").glob("*.dcm"))
        assert len(files) == expected
        for file in files:
            (again,) = read_spatial(file)
            assert again.apply((0.0, 0.0, 0.0)) == pytest.approx((4.5, 0.0, 0.0))
    plain = write_case(one, Config(), tmp_path / "plain")
    assert list((plain / "transforms").glob("*.dcm")) == []
