import math

import numpy as np
import pytest

from eprimg.config import Config
from eprimg.errors import EprimgError
from eprimg.io.index import scan
from eprimg.io.read_pet_nifti import read_pet_nifti
from eprimg.io.study import read_series
from eprimg.model.study import Role
from eprimg.stages.quantify_pet import pet_maps
from tests.io.dicom_factory import write_pet
from tests.io.test_pet_bids import DAYS, ZR89_S, car
from tests.io.test_read_nifti import save

VALUES = np.arange(1, 25, dtype=np.float32).reshape(2, 3, 4)


def volume(tmp_path, name="sub-01_pet.nii.gz", values=VALUES, **changes):
    return save(tmp_path / name, values, **car(**changes))


@pytest.mark.parametrize(("units", "scale"), [("Bq/mL", 1.0), ("kBq/mL", 1e3)])
def test_a_volume_becomes_suv(tmp_path, units, scale):
    series = read_pet_nifti(volume(tmp_path, Units=units)).value
    maps = pet_maps(series).maps
    # by hand: A W / (D 2^(-t/T)); the reader puts slices first
    expected = scale * 70000 / (74e6 * 2 ** (-DAYS * 86400 / ZR89_S))
    found = np.sort(maps["suvbw"].values.ravel()) / np.arange(1, 25)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert {"activity", "pid_per_kg"} <= set(maps)


def test_values_without_decay_correction_become_suv_in_every_slice(tmp_path):
    path = volume(tmp_path, ImageDecayCorrected=False, FrameTimesStart=[120], FrameDuration=[3600])
    series = read_pet_nifti(path).value
    made = pet_maps(series)
    assert made.faults == []
    # by hand: a mean over [t, t + d] is A0 e^(-l t) (1 - e^(-l d)) / (l d); SUV = A0 W / D
    rate, start_s = math.log(2) / ZR89_S, DAYS * 86400 + 120
    grown = rate * 3600 / -math.expm1(-rate * 3600) * math.exp(rate * start_s)
    found = np.sort(made.maps["suvbw"].values.ravel()) / np.arange(1, 25)
    np.testing.assert_allclose(found, grown * 70000 / 74e6, rtol=1e-6)


def test_the_tracer_is_that_of_the_side_car(tmp_path):
    series = read_pet_nifti(volume(tmp_path, TracerName="an antibody")).value
    assert series.tracer == "an antibody"


def test_several_frames_and_no_side_car_are_refused(tmp_path):
    four = volume(tmp_path, values=np.ones((2, 3, 4, 2), np.float32))
    with pytest.raises(EprimgError) as caught:
        read_pet_nifti(four)
    assert caught.value.code == "E_PET_FRAMES"
    with pytest.raises(EprimgError) as caught:
        read_pet_nifti(save(tmp_path / "bare_pet.nii.gz", VALUES))
    assert caught.value.code == "E_SIDECAR"


def test_values_that_are_no_numbers_are_told(tmp_path):
    holes = VALUES.copy()
    holes[0, 0, 0] = np.nan
    result = read_pet_nifti(volume(tmp_path, values=holes))
    assert "W_NAN" in {f.code for f in result.findings}
    assert not pet_maps(result.value).maps["suvbw"].valid.all()


def test_the_index_proposes_it_and_the_study_reads_it(tmp_path):
    volume(tmp_path)
    (entry,) = scan(tmp_path).series
    assert entry.role is Role.PET
    result = read_series(entry, role=Role.PET, config=Config(), entered={"weight_kg": 35.0})
    assert result.value.acquisition.weight_kg.value == 35.0
    with pytest.raises(EprimgError) as caught:
        read_series(entry, role=Role.CT, config=Config())
    assert caught.value.code == "E_SIDECAR"


def test_it_does_not_compete_with_dicom_or_another_one(tmp_path):
    volume(tmp_path / "two", "sub-01_ses-1_pet.nii.gz")
    volume(tmp_path / "two", "sub-01_ses-2_pet.nii.gz")
    assert {e.role for e in scan(tmp_path / "two").series} == {Role.UNUSED}
    volume(tmp_path / "both")
    write_pet(tmp_path / "both" / "dicom")
    roles = {e.source: e.role for e in scan(tmp_path / "both").series}
    assert roles == {"nifti": Role.UNUSED, "dicom": Role.PET}


def test_a_map_without_the_facts_of_an_injection_is_no_pet_series(tmp_path):
    save(tmp_path / "sub-01_desc-suv_pet.nii.gz", VALUES, Units="g/mL")
    (entry,) = scan(tmp_path).series
    assert entry.role is Role.UNUSED
