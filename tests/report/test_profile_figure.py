"""Profiles from the rim inwards: marks stand where the numbers say, in a readable SVG."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from eprimg.model.lesions import Profile, Region, RegionRole
from eprimg.report.picture import Picture
from eprimg.report.profile_figure import profile_picture

NAN = float("nan")
SVG = "{http://www.w3.org/2000/svg}"


def profile(mean, error=None, n=None, *, key="suvbw", source="pet", step=2.0) -> Profile:
    edges = tuple(step * i for i in range(len(mean) + 1))
    return Profile(
        key,
        source,
        f"native {source}",
        edges[:-1],
        edges[1:],
        tuple(mean),
        tuple(error or [0.1] * len(mean)),
        tuple(n or [9] * len(mean)),
    )


def lesion(*profiles: Profile) -> Region:
    return Region(1, "lesion-1", RegionRole.LESION, profiles=profiles)


def drawn(*profiles: Profile) -> ET.Element:
    picture = profile_picture(lesion(*profiles))
    assert isinstance(picture, Picture)
    head, coded = picture.uri.split(",")
    assert head == "data:image/svg+xml;base64"
    return ET.fromstring(base64.b64decode(coded))


def axis(root: ET.Element, anchor: str, number: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Numbers on an axis of a panel and where they stand: "end" upwards, "middle" across."""
    panel = root.findall(f"{SVG}g")[number]
    ticks = [
        t for t in panel.findall(f"{SVG}text") if t.get("text-anchor") == anchor and _number(t)
    ]
    # The foot of a number stands 4 pixels below its line.
    place, below = ("y", 4.0) if anchor == "end" else ("x", 0.0)
    return (
        np.array([float((t.text or "").replace("\u2212", "-")) for t in ticks]),
        np.array([float(t.get(place) or "") - below for t in ticks]),
    )


def _number(text: ET.Element) -> bool:
    return (text.text or " ")[-1].isdigit() and text.get("font-size") == "10"


def marks(root: ET.Element, number: int = 0) -> np.ndarray:
    """Depth and mean of every mark, read off the axes as a reader would."""
    at = np.array(
        [
            (float(c.get("cx") or ""), float(c.get("cy") or ""))
            for c in root.findall(f"{SVG}g")[number].findall(f"{SVG}circle")
        ]
    )
    read = []
    for column, anchor in enumerate(("middle", "end")):
        values, places = axis(root, anchor, number)
        read.append(np.polyval(np.polyfit(places, values, 1), at[:, column]))
    return np.stack(read, axis=-1)


def test_marks_read_off_the_axes_are_the_numbers() -> None:
    root = drawn(
        profile((88.0, 120.0, 150.0), key="r2star", source="mr_post"),
        profile((-12.0, 20.0, 61.0), key="dr2star", source="registered", step=1.5),
        profile((0.21, 0.33, 0.48), (0.01,) * 3, step=2.4),
    )
    # Middles of the bins.  Places are written to a tenth of a pixel, of 204 across and 130 upwards.
    for number, (depths, means, across, up) in enumerate(
        (
            ((1.0, 3.0, 5.0), (88.0, 120.0, 150.0), 0.01, 0.3),
            ((0.75, 2.25, 3.75), (-12.0, 20.0, 61.0), 0.01, 0.3),
            ((1.2, 3.6, 6.0), (0.21, 0.33, 0.48), 0.01, 0.002),
        )
    ):
        read = marks(root, number)
        np.testing.assert_allclose(read[:, 0], depths, atol=across)
        np.testing.assert_allclose(read[:, 1], means, atol=up)


def test_axes_hold_zero_and_name_unit_and_place() -> None:
    root = drawn(profile((5.0, 7.0)), profile((-3.0, -8.0), key="dr2star", source="registered_2"))
    assert axis(root, "end", 0)[0].min() == 0.0
    assert axis(root, "end", 1)[0].max() == 0.0
    words = [t.text for t in root.iter(f"{SVG}text")]
    assert words.count("distance from the rim [mm]") == 2
    assert {"mean [g/mL]", "mean [1/s]", "SUVbw, pet"} < set(words)
    assert "\u0394R2*, reference grid_2" in words


def test_one_voxel_is_hollow_and_an_empty_bin_breaks_the_line() -> None:
    root = drawn(profile((5.0, 6.0, NAN, 7.0), (0.1, 0.2, NAN, NAN), (40, 9, 0, 1)))
    panel = root.findall(f"{SVG}g")[0]
    faces = [c.get("fill") for c in panel.findall(f"{SVG}circle")]
    assert len(faces) == 3
    assert faces[2] == "#ffffff"
    assert faces[0] == faces[1] != "#ffffff"
    line = next(p for p in panel.findall(f"{SVG}path") if p.get("stroke-width") == "1.6")
    assert [c for c in line.get("d") or "" if c.isalpha()] == ["M", "L", "M"]
    whiskers = next(p for p in panel.findall(f"{SVG}path") if p.get("clip-path"))
    assert (whiskers.get("d") or "").count("M") == 2


def test_a_long_whisker_does_not_flatten_the_rest() -> None:
    calm, wild = (drawn(profile((5.0, 6.0), (0.1, e))) for e in (0.1, 500.0))
    # 1.5 times the largest mean is 9; the next round number of ticks that are 2.5 apart is 10.
    assert axis(wild, "end")[0].max() == 10.0
    assert axis(calm, "end")[0].max() == 8.0


def test_sessions_of_one_quantity_share_a_panel() -> None:
    root = drawn(profile((5.0, 6.0)), profile((3.0, 4.0), source="pet_2"))
    (panel,) = root.findall(f"{SVG}g")
    words = [t.text for t in panel.findall(f"{SVG}text")]
    assert {"SUVbw", "pet", "pet_2"} < set(words)
    dashes = {
        p.get("stroke-dasharray") for p in panel.findall(f"{SVG}path") if p.get("stroke-width")
    }
    assert len(dashes) == 2
    assert len(panel.findall(f"{SVG}circle")) == 4


def test_numbers_are_said_in_words() -> None:
    picture = profile_picture(lesion(profile((5.0, NAN, 7.0), (0.25, NAN, NAN), (40, 0, 1))))
    assert picture is not None
    assert picture.alt == (
        "Mean against the distance from the rim of lesion-1. SUVbw [g/mL], pet: 5.00 \u00b1 0.25 "
        "at 1 mm, 7.00 at 5 mm."
    )


def test_nothing_to_draw() -> None:
    assert profile_picture(lesion()) is None
    assert profile_picture(lesion(profile((NAN, NAN)))) is None
    assert profile_picture(lesion(profile(()))) is None
    flat = drawn(profile((0.0, 0.0), (0.0, 0.0)))
    assert axis(flat, "end")[0].tolist() == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])


def test_the_name_of_a_source_cannot_smuggle_markup() -> None:
    evil = replace(profile((1.0, 2.0)), source="<script>&\"'")
    words = [t.text for t in drawn(evil).iter(f"{SVG}text")]
    assert "SUVbw, <script>&\"'" in words
