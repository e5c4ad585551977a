"""Carry organs and small regions by both methods; write errors to ``docs/validation/carry.md``.

Run by ``make validate``.  The scenes are analytic: labels of either grid are painted from formulas
at the centres of its voxels, so the truth on the new grid owes nothing to the code.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eprimg.kernels.resample import resample_labels

TARGET = Path(__file__).resolve().parents[2] / "docs" / "validation" / "carry.md"
FIELD_MM = (100.0, 190.0, 190.0)
GRIDS = (
    ((4.0, 1.45, 1.45), (4.0, 4.0, 4.0)),
    ((3.0, 1.2, 1.2), (3.27, 4.69, 4.69)),
    ((4.0, 4.0, 4.0), (3.0, 1.5, 1.5)),
    ((3.0, 1.4, 1.4), (4.0, 1.6, 1.6)),
    ((1.5, 1.5, 1.5), (2.0, 2.0, 2.0)),
)
HALF_BODY_MM = 38.0
METHODS = ("signed-distance", "nearest")
TOUCHING = {
    1: "liver",
    2: "spleen",
    3: "stomach",
    4: "right kidney",
    5: "left kidney",
    6: "aorta in fat, 18 mm",
    7: "body wall, 12 mm",
    8: "fat",
}
APART = {
    1: "ball of 8 mm",
    2: "ball of 10 mm",
    3: "ball of 13 mm",
    4: "ball of 17 mm",
    5: "ball of 22 mm",
    6: "ball of 30 mm",
    7: "vessel of 18 mm",
    8: "vessel of 10 mm",
    9: "ball of 46 mm (51 mL)",
}


def _ellipsoid(points, centre, semi_axes):
    return (((points - np.array(centre)) / np.array(semi_axes)) ** 2).sum(axis=-1) <= 1.0


def _tube(points, centre, radius):
    along = points[..., 1] - centre[1] - 0.1 * points[..., 0]
    return along**2 + (points[..., 2] - centre[2]) ** 2 <= radius**2


def touching(points):
    """Organs that fill a body: no point of it belongs to none."""
    labels = np.zeros(points.shape[:-1], np.int32)
    body = _ellipsoid(points, (0, 0, 0), (300, 70, 85)) & (abs(points[..., 0]) < HALF_BODY_MM)
    inner = body & _ellipsoid(points, (0, 0, 0), (300, 58, 73))
    labels[body] = 7
    labels[inner] = 8
    labels[inner & _ellipsoid(points, (5, -15, 35), (60, 40, 36))] = 1
    labels[inner & _ellipsoid(points, (0, -15, -5), (35, 25, 22))] = 3
    labels[inner & _ellipsoid(points, (5, -5, -45), (35, 30, 24))] = 2
    labels[inner & _ellipsoid(points, (-10, 28, 30), (30, 18, 16))] = 4
    labels[inner & _ellipsoid(points, (0, 28, -30), (30, 18, 16))] = 5
    labels[body & _tube(points, (0, 30, 2), 9)] = 6
    return labels


def apart(points):
    """Balls and vessels with room around them."""
    labels = np.zeros(points.shape[:-1], np.int32)
    places = ((-45, -50), (-45, -20), (-45, 15), (-45, 55), (0, -50), (0, -10))
    for label, (diameter, (y, x)) in enumerate(
        zip((8, 10, 13, 17, 22, 30), places, strict=True), start=1
    ):
        labels[_ellipsoid(points, (1.3, y + 0.7, x - 0.4), (diameter / 2,) * 3)] = label
    within = abs(points[..., 0]) < 40
    labels[within & _tube(points, (0, 45, -40), 9)] = 7
    labels[within & _tube(points, (0, 45, 20), 5)] = 8
    labels[_ellipsoid(points, (1.3, 2.7, 48.6), (23.0,) * 3)] = 9
    return labels


class Moved(NamedTuple):
    """One scene on a new grid."""

    found: np.ndarray[Any, Any]
    truth: np.ndarray[Any, Any]
    volume: Mapping[int, float]
    dice: Mapping[int, float]
    gap_percent: float
    wrong_percent: float


def _grid(spacing):
    shape = tuple(int(f / s) for f, s in zip(FIELD_MM, spacing, strict=True))
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = [-f / 2 for f in FIELD_MM]
    return shape, affine


def _points(shape, affine):
    return np.moveaxis(np.indices(shape, dtype=float), 0, -1) @ affine[:3, :3].T + affine[:3, 3]


def _rotation(degrees):
    a, b, c = np.deg2rad(degrees)
    one = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    two = [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    three = [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
    return np.array(one) @ np.array(two) @ np.array(three)


def move(scene: Callable[..., Any], pair: Any, method: Any, seed: int) -> Moved:
    """Carry a scene through a random turn of up to 4 degrees and shift of up to 4 mm."""
    random = np.random.default_rng(seed)
    turn, shift = _rotation(random.uniform(-4, 4, 3)), random.uniform(-4, 4, 3)
    (source, from_index), (target, to_index) = _grid(pair[0]), _grid(pair[1])
    transform = np.eye(4)
    transform[:3, :3], transform[:3, 3] = turn, shift
    matrix = np.linalg.inv(from_index) @ transform @ to_index
    matrix[3] = (0, 0, 0, 1)
    labels = scene(_points(source, from_index))
    there = _points(target, to_index) @ turn.T + shift
    truth = scene(there)
    found = resample_labels(
        labels,
        output_to_input=matrix,
        output_shape=target,
        input_spacing_mm=pair[0],
        method=method,
        keep_volume=method != "nearest",
    )
    volume, dice = {}, {}
    scale = np.prod(pair[1]) / np.prod(pair[0])
    for label in np.unique(truth[truth > 0]).tolist():
        one, other = found == label, truth == label
        volume[label] = scale * one.sum() / (labels == label).sum()
        dice[label] = 2 * (one & other).sum() / (one.sum() + other.sum())
    # Inside the body, away from its rim.
    rim = 1.5 * max(*pair[0], *pair[1])
    inner = _ellipsoid(there, (0, 0, 0), (300, 70 - rim, 85 - rim)) & (truth > 0)
    inner &= abs(there[..., 0]) < HALF_BODY_MM - rim
    gap = 100 * (inner & (found == 0)).sum() / max(int(inner.sum()), 1)
    wrong = 100 * (inner & (found > 0) & (found != truth)).sum() / max(int(inner.sum()), 1)
    return Moved(found, truth, volume, dice, float(gap), float(wrong))


def _size(spacing):
    return " x ".join(f"{v:g}" for v in spacing)


def _spread(values):
    return f"{np.mean(values):.3f} ({min(values):.2f} to {max(values):.2f})"


def main() -> int:
    """Write the page; 1 when a bound is broken."""
    seeds = range(3)
    rows: dict[tuple[str, str], list[Moved]] = {}
    for scene in (touching, apart):
        for pair in GRIDS:
            for method in METHODS:
                made = [move(scene, pair, method, seed) for seed in seeds]
                rows.setdefault((scene.__name__, method), []).extend(made)
    lines = [
        "# Regions on another grid",
        "",
        "Organs by nearest voxel, everything else by signed distance:",
        "[decision 0020](../decisions/0020-organs-by-nearest.md). Written by `make validate`",
        "(`tests/validation/carry_page.py`).",
        "",
        "Analytic shapes, painted on both grids; five pairs of grids",
        f"({'; '.join(f'{_size(a)} to {_size(b)}' for a, b in GRIDS)} mm),",
        "each with three random turns (up to 4 degrees) and shifts (up to 4 mm). Mean (smallest to",
        "largest). Volume: on the new grid over that of the drawing. Dice: with the true shape on",
        "the new grid.",
        "",
    ]
    for title, scene, names in (
        ("Organs that touch and fill a body", "touching", TOUCHING),
        ("Small regions with room around them", "apart", APART),
    ):
        lines += [
            f"## {title}",
            "",
            "| region | volume, signed distance | nearest | Dice, signed distance | nearest |",
            "|---|---|---|---:|---:|",
        ]
        for label, name in names.items():
            sets = [rows[scene, m] for m in METHODS]
            volumes = [_spread([r.volume[label] for r in found]) for found in sets]
            dices = [f"{np.mean([r.dice[label] for r in found]):.3f}" for found in sets]
            lines.append(f"| {name} | {' | '.join(volumes)} | {' | '.join(dices)} |")
        lines.append("")
    gaps = {m: np.mean([r.gap_percent for r in rows["touching", m]]) for m in METHODS}
    worst = {m: max(r.gap_percent for r in rows["touching", m]) for m in METHODS}
    wrong = {m: np.mean([r.wrong_percent for r in rows["touching", m]]) for m in METHODS}
    lines += [
        "## Between organs that touch",
        "",
        "Voxels inside the body, away from its rim. A gap belongs to no organ, though every point",
        "there belongs to one; a voxel of a wrong organ is one that a neighbour took.",
        "",
        "| method | gaps, mean (worst) % | in the wrong organ, mean % |",
        "|---|---:|---:|",
        *(f"| {m} | {gaps[m]:.3f} ({worst[m]:.3f}) | {wrong[m]:.2f} |" for m in METHODS),
        "",
        "No voxel belongs to two organs: a label volume cannot hold that.",
        "",
    ]
    organs = [1, 2, 3, 4, 5]
    drift = max(abs(r.volume[n] - 1) for r in rows["touching", "nearest"] for n in organs)
    ball = max(
        abs(r.volume[n] - 1) for r in rows["apart", "signed-distance"] for n in (4, 5, 6, 7, 8, 9)
    )
    bounds = [
        (
            "gaps between organs, by nearest voxel",
            "none",
            f"{worst['nearest']:.3f} %",
            worst["nearest"] == 0.0,
        ),
        (
            "volume of organs of 36 mL and more, by nearest voxel",
            "within 4 %",
            f"{100 * drift:.1f} %",
            drift <= 0.04,
        ),
        (
            "volume of balls from 17 mm on and of vessels, by signed distance",
            "within 2 %",
            f"{100 * ball:.1f} %",
            ball <= 0.02,
        ),
    ]
    lines += [
        "## Bounds",
        "",
        "| claim | bound | largest | verdict |",
        "|---|---|---|---|",
        *(f"| {a} | {b} | {c} | {'ok' if ok else '**fails**'} |" for a, b, c, ok in bounds),
        "",
    ]
    TARGET.write_text("\n".join(lines), encoding="utf-8")
    broken = [claim for claim, _, _, ok in bounds if not ok]
    print(f"{TARGET.name}: {len(bounds) - len(broken)} of {len(bounds)} bounds hold")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
