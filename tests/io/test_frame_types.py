"""Frame types: what is kept, what is set aside and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from eprimg.io.frame_types import by_echo, complex_part, drop_reason, is_spin_echo, n_positions
from eprimg.io.instance import Instance

MR, PT, CT = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.128", "1.2.840.10008.5.1.4.1.1.2"


def frame(image_type="ORIGINAL\\PRIMARY\\M\\ND", sop_class=MR, **facts):
    return Instance(
        Path("x"), sop_class=sop_class, image_type=tuple(image_type.split("\\")), **facts
    )


@pytest.mark.parametrize(
    ("image_type", "component", "word"),
    [
        # Siemens, Philips, GE and enhanced spellings as met in the sets of shared/data/mri,
        # dcm_qa and the DICOM standard (C.8.13.3.1)
        ("ORIGINAL\\PRIMARY\\M\\ND", "", ""),
        ("ORIGINAL\\PRIMARY\\M\\NORM\\DIS2D", "", ""),
        ("ORIGINAL\\PRIMARY\\M_FFE\\M\\FFE", "", ""),
        ("ORIGINAL\\PRIMARY\\OTHER", "MAGNITUDE", ""),
        ("ORIGINAL\\PRIMARY\\T1\\M", "MAGNITUDE", ""),
        ("ORIGINAL\\PRIMARY\\P\\ND", "", "phase"),
        ("ORIGINAL\\PRIMARY\\PHASE MAP\\P\\FFE", "", "phase"),
        ("ORIGINAL\\PRIMARY\\OTHER", "PHASE", "phase"),
        ("ORIGINAL\\PRIMARY\\R_FFE\\R\\FFE", "", "real"),
        ("ORIGINAL\\PRIMARY\\OTHER", "IMAGINARY", "imaginary"),
        ("ORIGINAL\\PRIMARY\\T1\\FIELD_MAP", "REAL", "field-map"),
        ("DERIVED\\PRIMARY\\MPR\\ND", "", "reformatted"),
        ("DERIVED\\SECONDARY\\PROJECTION IMAGE", "", "projections"),
        ("DERIVED\\PRIMARY\\T2_STAR MAP\\ND", "", "maps"),
        ("DERIVED\\PRIMARY\\M\\ND", "", "derived"),
        ("ORIGINAL\\PRIMARY\\LOCALIZER", "", "localizer"),
        ("ORIGINAL\\PRIMARY\\M\\ND\\MOSAIC", "", "mosaic"),
        ("DERIVED\\SECONDARY\\SCREEN SAVE", "", "screen"),
    ],
)
def test_mr_frames(image_type, component, word):
    reason = drop_reason(frame(image_type, complex_component=component))
    assert (word in reason) if word else reason == ""


def test_pet_and_ct_frames():
    assert drop_reason(frame("ORIGINAL\\PRIMARY", PT)) == ""
    assert drop_reason(frame("DERIVED\\PRIMARY", PT)) == ""
    assert "projections" in drop_reason(frame("DERIVED\\SECONDARY\\MIP", PT))
    assert drop_reason(frame("ORIGINAL\\PRIMARY", PT, series_type=("STATIC", "REPROJECTION")))
    assert "localizer" in drop_reason(frame("ORIGINAL\\PRIMARY\\LOCALIZER", CT))
    assert drop_reason(frame("DERIVED\\PRIMARY\\AXIAL", CT)) == ""


def test_groups_of_echoes():
    times = (4.6, 2.3, 2.3000001, None, 4.6)
    groups = by_echo([frame(echo_time_ms=t) for t in times])
    assert {t: len(g) for t, g in groups.items()} == {2.3: 2, 4.6: 2, None: 1}
    assert list(groups)[:2] == [2.3, 4.6]


def test_spin_echo_words():
    assert is_spin_echo(frame(scanning_sequence="SE"))
    assert is_spin_echo(frame(scanning_sequence="EP\\SE"))
    assert not is_spin_echo(frame(scanning_sequence="EP\\GR"))
    assert not is_spin_echo(frame(scanning_sequence="SE\\GR"))
    assert not is_spin_echo(frame())


def test_positions():
    places = [(0.0, 0.0, 0.0), (0.0, 0.0, 0.001), (0.0, 0.0, 3.0), None]
    assert n_positions([frame(position=p) for p in places]) == 3


def test_parts_of_the_complex_signal():
    assert complex_part(frame("ORIGINAL\\PRIMARY\\P\\ND")) == "PHASE"
    assert complex_part(frame("ORIGINAL\\PRIMARY\\R_FFE\\R\\FFE")) == "REAL"
    assert complex_part(frame("X\\Y", complex_component="IMAGINARY")) == "IMAGINARY"
    assert complex_part(frame()) == ""
    # a Philips field map calls itself REAL, and a computed map is no signal
    assert complex_part(frame("O\\P\\T1\\FIELD_MAP", complex_component="REAL")) == ""
    assert complex_part(frame("DERIVED\\PRIMARY\\T2_STAR MAP\\ND")) == ""
