"""Which layers a case gives: names, units, metadata, order, windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eprimg.model.case import Case
from eprimg.model.lesions import LesionSet, Region, RegionRole
from eprimg.quantities import quantity
from napari_eprimg.view.layer_specs import LESIONS, layer_specs, layer_tuples, shown_labels
from tests.plugins import marked_case as marked


def test_a_case_becomes_series_maps_and_regions_from_bottom_to_top() -> None:
    specs = layer_specs(marked.case())
    assert [(s.key, s.kind) for s in specs] == [
        ("mr_pre", "image"), ("suvbw", "image"), (LESIONS, "labels"),
    ]  # fmt: skip
    names = [s.settings["name"] for s in specs]
    assert names[0] == "MR signal echo 1.2 ms [arbitrary] pre ferumoxytol"
    assert names[1] == "SUVbw [g/mL] 89Zr"
    assert all(s.settings.get("visible", True) for s in specs)
    for spec in specs:
        assert spec.settings["units"] == ("mm", "mm", "mm")
        assert spec.settings["axis_labels"] == ("S", "P", "L")
        assert spec.settings["scale"] == pytest.approx((2, 2, 2))
        assert spec.settings["translate"] == pytest.approx((-63, -63, -63))
        facts = spec.settings["metadata"]["eprimg"]
        assert facts["key"] == spec.key
        assert facts["frame_of_reference_uid"] == marked.FRAME
        assert facts["aligned"]
        assert facts["grid_id"]
        assert np.shape(facts["source_affine"]) == (4, 4)
    facts = specs[1].settings["metadata"]["eprimg"]
    assert (facts["role"], facts["quantity"], facts["unit"]) == ("map", "suvbw", "g/mL")
    assert facts["timepoint"] == "89Zr"


def test_arrays_run_to_s_p_l_and_failed_voxels_are_nan() -> None:
    layers = {s["metadata"]["eprimg"]["key"]: data for data, s, _ in layer_tuples(marked.case())}
    suv = layers["suvbw"]
    assert suv.dtype == np.float32
    assert np.isnan(suv[:4]).all()  # S = -63 .. -57: below the scan
    assert np.isfinite(suv[5:]).all()
    # LESION_2: S -16, P 16, L -20, with voxel centres at odd millimetres.
    assert suv[23, 39, 21] == marked.SUV[2]
    assert layers[LESIONS][23, 39, 21] == 2
    assert layers["mr_pre"][31, 31, 9] == 1000  # RIGHT: S 0, P 0, L -45


def test_a_pet_that_is_not_aligned_stays_on_its_own_grid_and_waits_hidden() -> None:
    case = marked.case(aligned=False)
    suv = next(s for s in layer_specs(case) if s.key == "suvbw")
    assert suv.settings["name"].endswith("(not aligned)")
    assert not suv.settings["visible"]
    assert not suv.settings["metadata"]["eprimg"]["aligned"]
    assert suv.settings["metadata"]["eprimg"]["frame_of_reference_uid"] == marked.PET_FRAME


def test_a_study_alone_shows_its_series_and_no_suv() -> None:
    specs = layer_specs(Case(marked.case().study))
    assert [s.key for s in specs] == ["mr_pre", "pet"]
    assert "Bq/mL" in specs[1].settings["name"]
    assert specs[0].settings["visible"]


def test_no_name_of_a_patient_gets_into_a_layer() -> None:
    for spec in layer_specs(marked.case()):
        assert "P-1" not in repr(spec.settings)  # the pseudonym stays out as well


@pytest.mark.parametrize(
    ("largest", "kind"), [(2, np.uint8), (255, np.uint8), (256, np.uint16), (65536, np.uint32)]
)
def test_labels_take_the_smallest_type_that_holds_the_ids(largest: int, kind: type) -> None:
    grid = marked.straight_grid(8)
    labels = np.zeros(grid.shape, np.int32)
    labels[1, 2, 3] = largest
    lesions = LesionSet(labels, grid, (Region(largest, "x", RegionRole.LESION),))
    spec = layer_specs(replace(marked.case(grid), lesions=lesions))[-1]
    shown = shown_labels(lesions, spec.grid)
    assert shown.dtype == kind
    assert shown[1, 2, 3] == largest
    assert shown.flags.writeable
    shown[0, 0, 0] = 1
    assert lesions.labels[0, 0, 0] == 0  # a copy: painting does not reach the case


def test_further_time_points_lie_below_the_primary_one() -> None:
    case = marked.case()
    shown = case.registered["suvbw"]
    second = replace(shown, sources=("pet_2",))
    kept = replace(shown, quantity=quantity("uptake_retention"), sources=("pet_2", "pet"))
    more = {**case.registered, "suvbw_2": second, "uptake_retention": kept, "x_2": second}
    specs = layer_specs(replace(case, registered=more))
    keys = [s.key for s in specs]
    assert keys == ["mr_pre", "uptake_retention", "suvbw_2", "suvbw", LESIONS]
    assert specs[1].settings["name"].startswith("retention [ratio]")
