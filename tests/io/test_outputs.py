"""The folder of a case: every file, readable, and the records in it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from eprimg.config import Config, load_config
from eprimg.errors import OutputError
from eprimg.io.output_folder import verify_folder
from eprimg.io.outputs import write_case, write_map_folder
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
