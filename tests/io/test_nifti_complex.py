"""Complex echoes from BIDS files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from eprimg.config import Config
from eprimg.errors import EprimgError
from eprimg.io.index import scan
from eprimg.io.study import read_series
from eprimg.model.study import Role
from tests.io.test_read_nifti import save

TIMES_S = (0.002, 0.004, 0.006)
SHAPE = (4, 5, 6)


def signal():
    rng = np.random.default_rng(21)
    modulus = rng.uniform(100, 900, (*SHAPE, 3)).astype(np.float32)
    phase = rng.uniform(-np.pi, np.pi, (*SHAPE, 3)).astype(np.float32)
    return modulus, phase


def write(folder, part, values, *, suffix="MEGRE", order=(1, 2, 3), **car):
    for n in range(3):
        save(
            folder / f"sub-1_echo-{order[n]}_part-{part}_{suffix}.nii.gz",
            values[..., n],
            EchoTime=TIMES_S[n],
            MagneticFieldStrength=3,
            **car,
        )


def read(folder):
    index = scan(folder)
    entry = next(e for e in index.series if len(e.echo_times_ms) == 3)
    result = read_series(entry, role=Role.MR_PRE, config=Config())
    return result.value, [f.code for f in result.findings]


def refused(folder, code):
    series, _ = read(folder)
    with pytest.raises(EprimgError) as caught:
        series.complex_echoes.read(series.pixels)
    assert caught.value.code == code
    return str(caught.value)


@pytest.mark.parametrize("suffix", ["MEGRE", "T2starw"])
def test_magnitude_and_phase(tmp_path, suffix):
    modulus, phase = signal()
    write(tmp_path, "mag", modulus, suffix=suffix)
    write(tmp_path, "phase", phase, suffix=suffix, Units="rad")
    series, codes = read(tmp_path)
    assert codes == ["I_NII_FRAME"]
    assert series.pixels.echo_times_s == TIMES_S
    result = series.complex_echoes.read(series.pixels)
    expected = np.transpose(modulus * np.exp(1j * phase.astype(float)), (2, 1, 0, 3))
    # AFFINE of test_read_nifti has a negative i and j axis, which volume_array leaves in place
    np.testing.assert_allclose(result.value.data, expected, rtol=0, atol=900 * 4e-7)
    assert result.value.field_strength_t.value == 3.0
    assert result.value.made_from == "magnitude and phase"
    assert [f.code for f in result.findings] == ["I_COMPLEX"]


def test_real_and_imaginary(tmp_path):
    modulus, phase = signal()
    z = modulus * np.exp(1j * phase)
    write(tmp_path, "mag", modulus)
    write(tmp_path, "real", z.real.astype(np.float32))
    write(tmp_path, "imag", z.imag.astype(np.float32))
    series, _ = read(tmp_path)
    stack = series.complex_echoes.read(series.pixels).value
    np.testing.assert_allclose(stack.data, np.transpose(z, (2, 1, 0, 3)), rtol=1e-6)
    assert stack.made_from == "real and imaginary"


def test_names_that_run_against_the_times(tmp_path):
    modulus, phase = signal()
    write(tmp_path, "mag", modulus, order=(1, 3, 2))
    write(tmp_path, "phase", phase, order=(3, 2, 1), Units="rad")
    series, codes = read(tmp_path)
    assert "W_ECHO_NAMES" in codes
    np.testing.assert_array_equal(series.pixels.volume.data, np.transpose(modulus, (2, 1, 0, 3)))
    stack = series.complex_echoes.read(series.pixels).value
    expected = np.transpose(modulus * np.exp(1j * phase.astype(float)), (2, 1, 0, 3))
    np.testing.assert_allclose(stack.data, expected, rtol=0, atol=900 * 4e-7)


@pytest.mark.parametrize("car", [{}, {"Units": "arbitrary"}, {"Units": "mm"}])
def test_units_that_say_nothing_are_refused(tmp_path, car):
    modulus, phase = signal()
    write(tmp_path, "mag", modulus)
    write(tmp_path, "phase", phase, **car)
    assert "Units" in refused(tmp_path, "E_PHASE")


def test_radians_that_are_none(tmp_path):
    modulus, phase = signal()
    write(tmp_path, "mag", modulus)
    write(tmp_path, "phase", 1000 * phase, Units="rad")
    assert "more than one turn" in refused(tmp_path, "E_PHASE")


def test_other_echo_time_or_none(tmp_path):
    modulus, phase = signal()
    write(tmp_path, "mag", modulus)
    write(tmp_path, "phase", phase, Units="rad")
    car = tmp_path / "sub-1_echo-2_part-phase_MEGRE.json"
    car.write_text(json.dumps({"EchoTime": 0.009, "Units": "rad"}))
    assert "none of the magnitude's" in refused(tmp_path, "E_ECHO")
    car.write_text(json.dumps({"EchoTime": TIMES_S[0], "Units": "rad"}))
    assert "one file per echo" in refused(tmp_path, "E_ECHO")
    car.write_text(json.dumps({"Units": "rad"}))
    assert "EchoTime" in refused(tmp_path, "E_SIDECAR")


def test_another_grid(tmp_path):
    modulus, phase = signal()
    write(tmp_path, "mag", modulus)
    write(tmp_path, "phase", phase, Units="rad")
    path = tmp_path / "sub-1_echo-3_part-phase_MEGRE.nii.gz"
    other = np.diag([-2.0, -2.5, 4.0, 1.0])
    save(path, phase[..., 2], affine=other, EchoTime=TIMES_S[2], Units="rad")
    refused(tmp_path, "E_GRID_MISMATCH")


def test_without_phase_nothing_is_named(tmp_path):
    modulus, _ = signal()
    write(tmp_path, "mag", modulus, ImageType=["ORIGINAL", "PRIMARY", "M", "NORM"])
    series, _ = read(tmp_path)
    assert series.complex_echoes is None
    assert [n.kind for n in series.acquisition.image_notes] == ["normalised"]


def test_repeated_echo_times_are_refused(tmp_path):
    modulus, _ = signal()
    write(tmp_path, "mag", modulus)
    car = tmp_path / "sub-1_echo-2_part-mag_MEGRE.json"
    car.write_text(json.dumps({"EchoTime": TIMES_S[0]}))
    with pytest.raises(EprimgError, match="repeat"):
        read(tmp_path)
