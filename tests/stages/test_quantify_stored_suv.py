import numpy as np
import pytest

from eprimg.model.volume import Volume
from eprimg.quantities import quantity
from eprimg.stages.quantify_pet import pet_maps
from eprimg.stages.quantify_stored_suv import stored_suv_maps
from tests.stages import conftest as scene


def stored(**changes):
    acquisition = scene.pet_acquisition(unit="GML", voxel_rule="GML: as stored", **changes)
    series = scene.pet_series("pet", acquisition)
    volume = Volume(np.full(series.grid.shape, 3.5, np.float32), series.grid, quantity("suvbw"))
    return series, acquisition, volume


def test_suvbw_as_stored_and_percent_of_dose_from_the_weight():
    series, acquisition, volume = stored(weight_kg=scene.known(70.0))
    maps, findings = stored_suv_maps(series, acquisition, volume)
    assert set(maps) == {"suvbw", "pid_per_kg"}
    np.testing.assert_array_equal(maps["suvbw"].values, volume.data)
    # 100 x 3.5 / 70 = 5 %ID/kg
    np.testing.assert_allclose(maps["pid_per_kg"].values, 5.0, rtol=1e-6)
    assert maps["suvbw"].facts["voxel_rule"] == "GML: as stored"
    assert [f.code for f in findings] == ["I_PET_SUV_ONLY"]
    assert "Bq/mL" in findings[0].text


@pytest.mark.parametrize("weight", [None, 0.0])
def test_without_a_weight_there_is_only_suvbw(weight):
    series, acquisition, volume = stored(weight_kg=scene.known(weight))
    maps, findings = stored_suv_maps(series, acquisition, volume)
    assert set(maps) == {"suvbw"}
    assert "weight is not known" in findings[0].text


def test_the_stage_takes_that_road_for_a_series_in_suvbw():
    from dataclasses import replace

    series, _, volume = stored(weight_kg=scene.known(70.0))
    made = pet_maps(replace(series, pixels=volume))
    assert set(made.maps) == {"suvbw", "pid_per_kg"}
    assert made.faults == []


def test_more_activity_than_was_injected_is_told_here_too():
    from dataclasses import replace

    # the grid holds 12 x 20 x 24 voxels of 36 mL/1000 = 207.36 mL: at SUV 3.5 and 70 kg that is
    # 5 %/kg x 0.20736 kg = 1.0368 %; 110 times as much is 114 %
    series, _, volume = stored(weight_kg=scene.known(70.0))
    fine = pet_maps(replace(series, pixels=volume))
    seen = fine.maps["pid_per_kg"].facts["percent_id_in_field_of_view"]
    assert seen == pytest.approx(1.0368, rel=1e-5)
    much = Volume(volume.data * np.float32(110), volume.grid, volume.quantity)
    made = pet_maps(replace(series, pixels=much))
    assert "E_MASS_BALANCE" in {f.code for f in made.findings}
    assert "E_MASS_BALANCE" not in {f.code for f in fine.findings}
