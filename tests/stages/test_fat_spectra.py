"""Named fat spectra: what the papers say about them."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg.config import FatWaterConfig
from eprimg.errors import ConfigError
from eprimg.resources import load_resource
from eprimg.stages.fat_spectra import fat_spectrum, fat_spectrum_citation

NAMES = tuple(load_resource("fat_spectra.toml"))


@pytest.mark.parametrize("name", NAMES)
def test_shares_add_up_and_the_main_peak_lies_where_it_must(name):
    spectrum = fat_spectrum(name)
    assert sum(spectrum.amplitude) == pytest.approx(1.0, abs=1e-12)
    assert len(spectrum.shift_ppm) == len(spectrum.amplitude)
    # Methylene at 1.3 ppm, water at 4.7 ppm.
    main = int(np.argmax(spectrum.amplitude))
    assert spectrum.shift_ppm[main] == pytest.approx(-3.4)
    assert "doi:10." in fat_spectrum_citation(name)


def test_hamilton_agrees_with_the_abstract():
    # NMR Biomed 2011;24:784 (doi:10.1002/nbm.1622), abstract: 2.1 to 1.3 ppm 0.172, 0.9 to
    # 1.3 ppm 0.125, 0.6 % at 2.75 ppm, 8.6 % of the fat overlies the water peak.
    six = dict(zip(*(np.round(x, 3) for x in fat_spectrum("hamilton-2011-6")[1:]), strict=True))
    assert six[-2.6] / six[-3.4] == pytest.approx(0.172, abs=0.002)
    assert six[-3.8] / six[-3.4] == pytest.approx(0.125, abs=0.002)
    assert six[-1.95] == pytest.approx(0.006)
    assert six[0.6] + six[-0.5] == pytest.approx(0.086)
    nine = fat_spectrum("hamilton-2011-9")
    olefin = sum(a for s, a in zip(*nine[1:], strict=True) if s > 0)
    assert olefin == pytest.approx(six[0.6])


def test_ren_agrees_with_an_independent_quotation():
    # Shares to three digits as another program quotes them for the same table.
    quoted = {0.61: 0.042, -1.93: 0.015, -2.45: 0.066, -2.67: 0.096, -3.11: 0.071,
              -3.4: 0.627, -3.8: 0.083}  # fmt: skip
    seven = fat_spectrum("ren-2008-7")
    assert dict(zip(np.round(seven.shift_ppm, 2), np.round(seven.amplitude, 3), strict=True)) == (
        pytest.approx(quoted, abs=0.0011)
    )


def test_settings_offer_what_there_is():
    field = next(f for f in FatWaterConfig.__dataclass_fields__.values() if f.name == "spectrum")
    assert field.metadata["choices"] == NAMES


def test_an_unknown_name_is_refused():
    with pytest.raises(ConfigError) as caught:
        fat_spectrum("lard")
    assert caught.value.code == "E_FAT_SPECTRUM"
    assert "hamilton-2011-6" in str(caught.value.action)
