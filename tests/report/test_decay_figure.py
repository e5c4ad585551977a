from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from eprimg.model.case import Case
from eprimg.model.study import Role
from eprimg.report.decay_figure import EchoDecay, decay_picture, lesion_decays

SVG = "{http://www.w3.org/2000/svg}"


def test_the_points_are_the_medians_of_the_painted_signal(case: Case) -> None:
    before, after = lesion_decays(case, 1)
    assert before.role == Role.MR_PRE
    times = before.echo_times_s
    # Painted in conftest: S0 1000 (times 1.1 after the agent), R2* 30 and 150 1/s, noise 8.
    np.testing.assert_allclose(before.median, 1000 * np.exp(-30 * times), rtol=0.02)
    np.testing.assert_allclose(after.median, 1100 * np.exp(-150 * times), rtol=0.03)
    assert before.r2star_per_s == pytest.approx(30, abs=1)
    assert after.s0 == pytest.approx(1100, rel=0.01)
    assert (before.low <= before.median).all()
    assert (before.median <= before.high).all()


def test_labels_that_do_not_reach_a_grid_leave_that_session_out(case: Case) -> None:
    assert [d.role for d in lesion_decays(replace(case, native_lesions={}), 1)] == [Role.MR_PRE]
    assert lesion_decays(case, 77) == ()
    assert lesion_decays(replace(case, lesions=None, native_lesions={}), 1) == ()


def test_without_maps_the_points_stand_alone(case: Case) -> None:
    decays = lesion_decays(replace(case, maps={}), 1)
    assert np.isnan(decays[0].r2star_per_s)
    picture = decay_picture(decays, name="lesion-1")
    assert picture is not None
    assert "lesion-1" in picture.alt


def test_the_picture_says_both_rates(case: Case) -> None:
    picture = decay_picture(lesion_decays(case, 1), name="lesion-1")
    assert picture is not None
    assert "before agent" in picture.alt
    assert "after agent" in picture.alt
    assert decay_picture((), name="x") is None


def test_echoes_that_the_fit_left_out_are_hollow_and_told(case: Case) -> None:
    maps = dict(case.maps)
    made = maps["r2star_pre"]
    times = list(lesion_decays(case, 1)[0].echo_times_s)
    counts = np.full(made.grid.shape, len(times) - 2, np.uint8)
    maps["r2star_pre"] = replace(
        made, facts={**made.facts, "echo_times_s": times}, details={"n_echoes": counts}
    )
    before, after = lesion_decays(replace(case, maps=maps), 1)
    assert before.used == tuple(range(len(times) - 2))
    assert after.used == tuple(range(len(after.echo_times_s)))
    picture = decay_picture((before, after), name="lesion-1")
    assert f"before agent {len(times)} echoes ({len(times) - 2} in the fit)" in picture.alt


def drawn(*decays: EchoDecay) -> ET.Element:
    picture = decay_picture(decays, name="lesion-1")
    assert picture is not None
    head, _, coded = picture.uri.partition(",")
    assert head == "data:image/svg+xml;base64"
    return ET.fromstring(base64.b64decode(coded))


def decay(median: list[float], **more: object) -> EchoDecay:
    values = np.array(median)
    given: dict[str, object] = {
        "role": Role.MR_PRE,
        "echo_times_s": np.arange(1, len(median) + 1) * 0.002,
        "median": values,
        "low": 0.8 * values,
        "high": 1.25 * values,
        "r2star_per_s": np.nan,
        "s0": np.nan,
        "n_voxels": 9,
        "used": tuple(range(len(median))),
    }
    return EchoDecay(**{**given, **more})  # type: ignore[arg-type]


def axis(root: ET.Element, anchor: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers on an axis and where they stand: "end" upwards, "middle" across."""
    place, below = ("y", 4.0) if anchor == "end" else ("x", 0.0)
    found = []
    for text in root.findall(f"{SVG}text"):
        if text.get("text-anchor") == anchor and (text.text or "").replace(".", "").isdigit():
            found.append((float(text.text or ""), float(text.get(place) or "") - below))
    return np.array([v for v, _ in found]), np.array([p for _, p in found])


def lines(root: ET.Element, colour: str) -> list[np.ndarray]:
    """Straight lines of a colour: from one point to another."""
    paths = [p for p in root.findall(f"{SVG}path") if p.get("stroke") == colour]
    pairs = [re.fullmatch(r"M(\S+) (\S+)L(\S+) (\S+)", p.get("d") or "") for p in paths]
    return [np.array([float(g) for g in m.groups()]) for m in pairs if m]


def test_points_and_line_stand_where_the_axes_say() -> None:
    # 1000 exp(-100 t) at 2, 4, 6 and 8 ms: 818.7, 670.3, 548.8, 449.3.
    values = [818.73, 670.32, 548.81, 449.33]
    root = drawn(decay(values, r2star_per_s=100.0, s0=1000.0))
    times, across = axis(root, "middle")
    signals, up = axis(root, "end")
    assert len(times) >= 4
    assert len(signals) >= 2
    to_x = np.polyfit(times, across, 1)
    to_y = np.polyfit(np.log(signals), up, 1)
    dots = root.findall(f"{SVG}circle")[:4]  # the last one is in the legend
    x, y = ([float(d.get(k) or "") for d in dots] for k in ("cx", "cy"))
    np.testing.assert_allclose(x, np.polyval(to_x, [2, 4, 6, 8]), atol=0.2)
    np.testing.assert_allclose(y, np.polyval(to_y, np.log(values)), atol=0.3)
    (line,) = lines(root, "#0072B2")
    # From the signal at 0 to that at 1.03 times the last echo: 1000 exp(-0.824) = 438.7.
    ends = np.polyval(to_x, [0, 8.24]), np.polyval(to_y, np.log([1000, 438.67]))
    np.testing.assert_allclose(line[::2], ends[0], atol=0.3)
    np.testing.assert_allclose(line[1::2], ends[1], atol=0.3)
    # Whiskers from 0.8 to 1.25 times the median.
    whisker = next(
        p for p in root.findall(f"{SVG}path") if p.get("clip-path") and "h5.4" in p.attrib["d"]
    )
    top, bottom = (float(v) for v in re.findall(r"M\S+ (\S+?)V(\S+?)M", whisker.attrib["d"])[0])
    found = np.exp((np.array([top, bottom]) - to_y[1]) / to_y[0])
    np.testing.assert_allclose(found, 818.73 * np.array([1.25, 0.8]), rtol=0.01)


def test_before_and_after_differ_in_mark_line_and_colour() -> None:
    after = decay([500.0, 200.0, 90.0], role=Role.MR_POST, r2star_per_s=400.0, s0=1100.0)
    root = drawn(decay([900.0, 800.0, 700.0], r2star_per_s=50.0, s0=1000.0), after)
    assert len(root.findall(f"{SVG}circle")) == 3 + 1
    squares = [r for r in root.findall(f"{SVG}rect") if r.get("fill") == "#D55E00"]
    assert len(squares) == 3 + 1
    assert len(lines(root, "#0072B2")) == len(lines(root, "#D55E00")) == 1
    dashed = {p.get("stroke") for p in root.findall(f"{SVG}path") if p.get("stroke-dasharray")}
    assert dashed == {"#0072B2"}
    words = [t.text for t in root.findall(f"{SVG}text") if t.get("text-anchor") == "start"]
    assert words == ["before agent: R2* 50.0 1/s", "after agent: R2* 400 1/s"]


def test_left_out_echoes_are_hollow() -> None:
    root = drawn(decay([900.0, 800.0, 700.0, 600.0], used=(0, 1)))
    fills = [c.get("fill") for c in root.findall(f"{SVG}circle")]
    # Two points and two hollow ones, and each kind once in the legend.
    assert sorted(fills) == sorted(["#0072B2", "none"] * 3)
    assert any("not in the fit" in (t.text or "") for t in root.findall(f"{SVG}text"))


def test_signals_without_a_logarithm_are_not_drawn_as_numbers() -> None:
    root = drawn(decay([900.0, -5.0, 0.0], low=np.array([-3.0, -9.0, -2.0])))
    assert len(root.findall(f"{SVG}circle")) == 1 + 1
    text = ET.tostring(root, encoding="unicode")
    assert "nan" not in text
    assert "inf" not in text
    nothing = drawn(decay([-1.0, -2.0, -3.0]))
    assert nothing.findall(f"{SVG}circle") == []


def test_an_exponential_that_falls_out_of_the_chart_needs_no_signal_of_zero() -> None:
    # exp(-1e6 * 0.006) is zero in floating point; its logarithm is not asked for.
    root = drawn(decay([900.0, 500.0, 300.0], r2star_per_s=1e6, s0=1000.0))
    (line,) = lines(root, "#0072B2")
    assert np.isfinite(line).all()
    assert line[3] > 278  # below the picture, clipped


def test_a_narrow_range_still_has_two_numbers_on_its_axis() -> None:
    # From 3.8 / 1.7 = 2.2 to 3.9 * 1.25 = 4.9: none of 1, 2, 5 times a power of ten.
    values = [3.85, 3.85]
    root = drawn(decay(values, low=np.array([3.8, 3.8]), high=np.array([3.9, 3.9])))
    signals, _ = axis(root, "end")
    assert len(signals) >= 2


def test_a_wide_range_keeps_its_numbers_apart() -> None:
    root = drawn(decay([1e5, 10.0], low=np.array([9e4, 1.0]), high=np.array([2e5, 20.0])))
    signals, up = axis(root, "end")
    assert len(signals) >= 4
    assert (np.abs(np.diff(np.sort(up))) > 12).all()
