"""Records of a saved case survive the way through JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from eprimg.io.saved_records import (
    found_at,
    grid_from_record,
    grid_record,
    place_of,
    read_set,
    region_from_record,
    region_record,
    scheme_record,
    study_file_from_record,
    study_file_record,
    write_set,
)
from eprimg.io.schemes import load_scheme
from eprimg.io.study_file import parse_study_file
from eprimg.io.write_maps import json_text
from eprimg.model.grid import Grid
from eprimg.model.lesions import LesionSet, Region, RegionRole, RegionSource, SharedVoxels
from eprimg.model.schemes import parse_scheme


def through_json(record):  # type: ignore[no-untyped-def]
    return json.loads(json_text(record))


def test_regions_and_grids() -> None:
    region = Region(
        7, "a", RegionRole.EXCLUDE, RegionSource.CONFIRMED, "", "2.25.3", notes=("excluded: x",)
    )
    assert region_from_record(through_json(region_record(region))) == region
    affine = np.eye(4)
    affine[:3, 3] = (0.1 + 0.2, 1 / 3, -1e-17)
    grid = Grid((2, 3, 4), affine, "1.2")
    again = grid_from_record(through_json(grid_record(grid)))
    assert again.affine.tobytes() == grid.affine.tobytes()
    assert (again.shape, again.frame_of_reference) == (grid.shape, "1.2")


def test_label_sets_with_many_ids(tmp_path: Path) -> None:
    labels = np.zeros((2, 3, 4), dtype=np.int32)
    labels[0, 0, 0], labels[1, 2, 3] = 1, 700
    regions = (Region(1, "a", RegionRole.LESION), Region(700, "b", RegionRole.LESION))
    whole = LesionSet(labels, Grid(labels.shape, np.eye(4), "f"), regions, "hand")
    record = through_json(write_set(whole, tmp_path / "x.nii.gz"))
    again = read_set(record, tmp_path / "x.nii.gz")
    np.testing.assert_array_equal(again.labels, labels)
    assert (again.regions, again.origin) == (regions, "hand")


def test_what_lesions_share_is_kept(tmp_path: Path) -> None:
    labels = np.zeros((4, 5, 6), dtype=np.int32)
    labels[1:3, 1:4, 1:4] = 1
    voxels = np.random.default_rng(5).random((2, 3, 3)) > 0.4
    regions = (Region(1, "a", RegionRole.LESION), Region(2, "b", RegionRole.LESION))
    shared = SharedVoxels(2, 1, (1, 1, 1), voxels)
    whole = LesionSet(labels, Grid(labels.shape, np.eye(4), "f"), regions, shared=(shared,))
    again = read_set(through_json(write_set(whole, tmp_path / "x.nii.gz")), tmp_path / "x.nii.gz")
    (found,) = again.shared
    assert (found.id, found.owner, found.corner) == (2, 1, (1, 1, 1))
    np.testing.assert_array_equal(found.voxels, voxels)


def test_schemes_of_every_rule() -> None:
    for name in ("example-pid-per-kg-peak", "example-dr2star-median"):
        scheme = load_scheme(name)
        again = parse_scheme(through_json(scheme_record(scheme)), scheme.source_file)
        assert again == scheme


def test_what_was_said_about_a_study(tmp_path: Path) -> None:
    mask = tmp_path / "mask.nii.gz"
    mask.touch()
    said = parse_study_file(
        {
            "pseudonym": "P",
            "roles": {"mr-1": "mr_pre"},
            "primary": {"mr_post": "mr-2"},
            "instants": {"nifti-1": datetime(2026, 3, 3, 9, 30, tzinfo=UTC)},
            "injection": {"instant": datetime(2026, 3, 1, 9, 30, tzinfo=UTC), "dose_mbq": 37.0},
            "patient": {"weight_kg": 70.5},
            "agent": {"instant": datetime(2026, 2, 28, 9, 0, tzinfo=UTC), "dose_mg_fe": 510},
            "masks": [{"path": str(mask), "on": "mr_pre", "names": {"1": "liver"}}],
        },
        source="study.toml",
    )
    record = through_json(study_file_record(said, lambda p: place_of(p, tmp_path / "case")))
    again = study_file_from_record(record, lambda p: found_at(p, tmp_path / "case"))
    assert again == said
    assert again.overrides() == said.overrides()


def test_help_for_the_alignment_is_kept_with_the_files_it_names(tmp_path: Path) -> None:
    file = tmp_path / "t.tfm"
    file.touch()
    ends = {"fixed": "mr_pre", "moving": "pet"}
    points = {"fixed_mm": [[1.0, 2.0, 3.5]], "moving_mm": [[4.0, 5.0, 6.0]], "names": ["tip"]}
    said = parse_study_file(
        {
            "transforms": [{"path": str(file), **ends, "use": "start"}],
            "landmarks": [{**ends, **points}],
            "metric_masks": [{"path": str(file), "on": "pet"}],
        },
        source="study.toml",
    )
    record = through_json(study_file_record(said, lambda p: place_of(p, tmp_path / "case")))
    again = study_file_from_record(record, lambda p: found_at(p, tmp_path / "case"))
    assert again == said
    assert len(again.help.items) == 3
