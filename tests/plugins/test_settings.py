"""Settings have one home for their defaults: the manifest."""

from __future__ import annotations

import subprocess
import sys

import pytest

from napari_eprimg.reading.reading import reading_of
from napari_eprimg.settings import declared_settings, plugin_settings


def test_every_setting_is_declared_with_its_default() -> None:
    declared = declared_settings()
    assert declared.radiological is True
    assert declared.debounce_ms == 30
    assert declared.mip_angles == 36
    assert declared.mr_colormap == "gray"
    assert (declared.pet_window_max_suv, declared.default_scheme) == (0.0, "")


def test_without_napari_the_defaults_count() -> None:
    script = (
        "import sys; from napari_eprimg.settings import *; "
        "assert plugin_settings() == declared_settings(); print('napari' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_napari_s_preferences_win() -> None:
    pytest.importorskip("napari")
    from napari.settings import get_plugin_settings

    assert plugin_settings() == declared_settings()
    section = get_plugin_settings("eprimg").reading
    before = section.debounce_ms, section.default_scheme
    try:
        section.debounce_ms, section.default_scheme = 120, "example-dr2star-median"
        assert plugin_settings().debounce_ms == 120

        class Viewer:
            """Stands for napari's viewer."""

        reading = reading_of(Viewer())
        assert reading.config.stratify.schemes == ("example-dr2star-median",)
        assert [s.key for s in reading.schemes] == ["example-dr2star-median"]
    finally:
        section.debounce_ms, section.default_scheme = before
