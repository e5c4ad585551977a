"""An output folder becomes layer tuples that napari can take as they are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eprimg.errors import OutputError
from eprimg.io.output_folder import output_path, whole_folder
from eprimg.io.write_maps import write_labels, write_map
from napari_eprimg.reader import get_reader, read_layers
from tests import tiny_case


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    case = tiny_case.case()
    with whole_folder(tmp_path / "out") as root:
        (root / "maps").mkdir()
        (root / "regions").mkdir()
        write_map(
            case.maps["r2star_pre"],
            output_path(root, "registered_map", key="r2star_pre"),
            key="r2star_pre",
        )
        assert case.lesions is not None
        write_labels(case.lesions, output_path(root, "labels"), output_path(root, "label_names"))
    return tmp_path / "out"


def test_only_output_folders_are_taken(folder: Path, tmp_path: Path) -> None:
    assert get_reader(str(folder)) is read_layers
    assert get_reader([str(folder / "manifest.json")]) is read_layers
    assert get_reader(str(tmp_path)) is None
    assert get_reader(str(tmp_path / "absent")) is None
    assert get_reader([str(folder), str(folder)]) is None
    other = tmp_path / "other"
    other.mkdir()
    for text in ('{"format": "something else"}', "[1]", "not json"):
        (other / "manifest.json").write_text(text)
        assert get_reader(str(other)) is None


def test_maps_and_regions_become_layers(folder: Path) -> None:
    image, regions = read_layers(str(folder))
    assert (image[2], regions[2]) == ("image", "labels")
    assert image[1]["name"] == "R2* pre ferumoxytol (1/s)"
    assert image[1]["visible"]
    for _, settings, _ in (image, regions):
        assert settings["units"] == ("mm", "mm", "mm")
        assert settings["axis_labels"] == ("S", "P", "L")
        assert min(settings["scale"]) > 0
        facts = settings["metadata"]["eprimg"]
        assert facts["display_only"]
        assert facts["frame_of_reference"] == "1.2.3"


def test_a_known_voxel_lies_at_its_place(folder: Path) -> None:
    # tiny_case.grid: L = -10 + 1.5 i, P = 20 + 1.5 j, S = -7 + 4 k; the value counts 0 .. 59.
    (values, settings, _), _ = read_layers(str(folder))
    (index,) = np.argwhere(values == 37)  # k = 1, j = 3, i = 2
    place = np.array(settings["translate"]) + index * np.array(settings["scale"])
    assert place == pytest.approx([-3.0, 24.5, -7.0])
    assert np.isnan(values).sum() == 1  # the voxel that was not measured


def test_labels_keep_values_and_names(folder: Path) -> None:
    _, (labels, settings, _) = read_layers(str(folder))
    assert np.issubdtype(labels.dtype, np.integer)
    values, counts = np.unique(labels, return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {0: 52, 1: 4, 2: 4}
    features = settings["features"]
    assert features["index"] == [0, 1, 2]
    assert features["name"] == ["background", "=lesion-1", "spleen"]
    assert features["role"] == ["", "lesion", "reference"]


def test_a_changed_file_is_refused(folder: Path) -> None:
    sidecar = folder / "maps" / "r2star_pre.json"
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"Units": "ms"}))
    with pytest.raises(OutputError, match="changed") as caught:
        read_layers(str(folder))
    assert caught.value.code == "E_OUTPUT_DAMAGED"


def test_neither_qt_nor_napari_is_imported() -> None:
    script = (
        "import sys, napari_eprimg.reader, napari_eprimg.sample; "
        "print(sorted({'napari', 'qtpy', 'PySide6', 'PyQt6', 'vispy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(p for p in sys.path if p)},
    )
    assert done.stdout.strip() == "[]"
