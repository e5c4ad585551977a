"""Regions are saved on the grid of their series, and the case from the reading of the viewer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eprimg.errors import EprimgError, GeometryError, InputError
from eprimg.io.read_regions import read_regions
from napari_eprimg import writer
from napari_eprimg.reading.reading import Reading
from napari_eprimg.view.layer_specs import layer_tuples


def _lesion_layer(reading: Reading) -> tuple[np.ndarray, dict[str, object]]:
    data, settings, kind = layer_tuples(reading.case)[-1]
    assert kind == "labels"
    return np.array(data), settings


@pytest.fixture
def current(measured_reading: Reading, monkeypatch: pytest.MonkeyPatch) -> Reading:
    """The reading is that of the current viewer."""
    monkeypatch.setattr(writer, "_reading", lambda: measured_reading)
    return measured_reading


def test_regions_are_written_on_the_oblique_grid_of_the_series(
    current: Reading, tmp_path: Path
) -> None:
    data, settings = _lesion_layer(current)
    files = writer.write_labels_nifti(str(tmp_path / "r.nii.gz"), data, settings)
    assert [Path(f).name for f in files] == ["r.nii.gz", "r.json"]
    lesions = current.case.lesions
    again = read_regions(tmp_path / "r.nii.gz").value
    assert again.grid.matches(lesions.grid)
    np.testing.assert_array_equal(again.labels, lesions.labels)
    assert [(r.id, r.name, r.role) for r in again.regions] == [
        (r.id, r.name, r.role) for r in lesions.regions
    ]
    # A stroke that the reading does not know yet is written too.
    number = lesions.lesions[0].id
    s, p, ell = np.argwhere(data == number).max(axis=0)
    data[s : s + 2, p : p + 2, ell : ell + 2] = number
    writer.write_labels_nifti(str(tmp_path / "s.nii.gz"), data, settings)
    painted = read_regions(tmp_path / "s.nii.gz").value.labels
    assert np.count_nonzero(painted == number) > np.count_nonzero(lesions.labels == number)
    assert np.count_nonzero(painted != lesions.labels) < 20


def test_without_a_reading_names_come_from_the_layer(
    measured_reading: Reading, tmp_path: Path
) -> None:
    data, settings = _lesion_layer(measured_reading)
    writer.write_labels_nifti(str(tmp_path / "r.nii.gz"), data, settings)
    lesions = measured_reading.case.lesions
    again = read_regions(tmp_path / "r.nii.gz").value
    assert {r.id: (r.name, r.anatomy) for r in again.regions} == {
        r.id: (r.name, r.anatomy) for r in lesions.regions
    }
    # Carried to the display grid and back; edges of an oblique grid may move by one voxel.
    same = np.mean(again.labels[lesions.labels > 0] == lesions.labels[lesions.labels > 0])
    assert same > 0.95
    import pandas

    table = pandas.DataFrame(settings["features"])
    writer.write_labels_nifti(str(tmp_path / "t.nii.gz"), data, {**settings, "features": table})
    assert json.loads((tmp_path / "t.json").read_text()) == json.loads(
        (tmp_path / "r.json").read_text()
    )


def test_a_foreign_layer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match="which series"):
        writer.write_labels_nifti(
            str(tmp_path / "x.nii.gz"), np.zeros((2, 2, 2), dtype=int), {"name": "x"}
        )
    assert not list(tmp_path.iterdir())


def test_a_case_is_saved_from_the_reading(current: Reading, tmp_path: Path) -> None:
    path = tmp_path / "case.eprimg"
    assert writer.write_case(str(path), []) == [str(path)]
    assert current.saved_as == path
    assert (path / "case.json").is_file()


def test_without_a_case_the_refusal_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for reading in (None, Reading()):
        monkeypatch.setattr(writer, "_reading", lambda reading=reading: reading)
        with pytest.raises(InputError, match="open a study") as caught:
            writer.write_case(str(tmp_path / "case"), [])
        assert isinstance(caught.value, EprimgError)
