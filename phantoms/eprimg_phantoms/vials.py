"""Scenes of vials in a bath: MR only, one session, no patient anatomy."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg_phantoms.geometry import RigidMotion, SampleGrid, Shape
from eprimg_phantoms.scene import SCENES, Session, available_scenes

Vector = npt.NDArray[np.float64]

IMAGES = ("magnitude", "phase", "real", "imaginary")


@dataclass(frozen=True)
class Vial:
    """One vial of one slab.

    Attributes
    ----------
    name : str
        ``"vial-001"`` and so on.
    label : int
        Its number in the mask.
    slab, row, column : int
        Where it stands.
    fat_percent : float
        Share of fat in the signal at echo time zero (%).
    r2star_per_s : float
        R2* of water and fat (1/s).
    s0_over_sigma : float
        Signal at echo time zero over the noise of the real part.
    centre_mm : tuple of float
        Middle of its section, LPS mm, (x, y).
    """

    name: str
    label: int
    slab: int
    row: int
    column: int
    fat_percent: float
    r2star_per_s: float
    s0_over_sigma: float
    centre_mm: tuple[float, float]


@dataclass(frozen=True)
class FatPeaks:
    """The generator's fat spectrum.

    Attributes
    ----------
    name, source : str
        What it is, and where it comes from.
    shift_ppm : numpy.ndarray
        Shape (n_peaks,): shift from water (ppm).
    share : numpy.ndarray
        Shape (n_peaks,): they add up to one.
    """

    name: str
    source: str
    shift_ppm: Vector
    share: Vector


@dataclass(frozen=True)
class VialScene:
    """A scene of vials. ``patient``, ``mr``, ``bath`` and ``sizes`` are tables of the TOML file."""

    name: str
    title: str
    field_strength_t: float
    patient: dict[str, Any]
    session: Session
    mr: dict[str, Any]
    bath: dict[str, Any]
    diameter_mm: float
    fat: FatPeaks | None
    vials: tuple[Vial, ...]
    sizes: dict[str, dict[str, Any]]

    @property
    def echo_times_s(self) -> Vector:
        """Echo times (s), shape (n_echoes,)."""
        row = self.mr["echo_times_ms"]
        # Rounded to the microsecond: the header holds the number that the signal is computed with.
        milliseconds = np.round(np.linspace(row["first"], row["last"], row["count"]), 3)
        return np.asarray(milliseconds / 1000.0, dtype=float)

    @property
    def slabs(self) -> tuple[float, ...]:
        """S0/sigma of each slab."""
        return tuple(float(x) for x in self.mr["s0_over_sigma"])

    @property
    def section(self) -> tuple[Vial, ...]:
        """The vials of the first slab; those of the others lie behind them."""
        return tuple(v for v in self.vials if v.slab == 0)

    @property
    def half_extent_mm(self) -> tuple[float, float]:
        """Half width of the bath along x and y (mm)."""
        reach = self.diameter_mm / 2.0 + self.bath["margin_mm"]
        x, y = (max(abs(v.centre_mm[n]) for v in self.section) + reach for n in (0, 1))
        return x, y

    def shapes(self) -> list[Shape]:
        """Return the bath, then the vials of one section, all endless along z."""
        x, y = self.half_extent_mm
        # An ellipse around a rectangle: the corners of the field of view stay air.
        bath = Shape.cylinder([0, 0, 0], [1.2 * x, 1.2 * y], 1e4, [0, 0, 1])
        radius = self.diameter_mm / 2.0
        return [
            bath,
            *(
                Shape.cylinder([*v.centre_mm, 0.0], [radius, radius], 1e4, [0, 0, 1])
                for v in self.section
            ),
        ]

    def grid(self, size: str) -> SampleGrid:
        """Return the grid of a size: slices along z, the bath and a rim of air inside."""
        row = self.sizes[size]
        spacing = tuple(float(x) for x in row["spacing_mm"])
        x, y = (1.2 * half for half in self.half_extent_mm)
        columns = 2 * int(np.ceil(x / spacing[2]) + row["margin_voxels"])
        rows = 2 * int(np.ceil(y / spacing[1]) + row["margin_voxels"])
        slices = len(self.slabs) * row["slices_per_slab"]
        return SampleGrid.centred((slices, rows, columns), spacing, (0.0, 0.0, 0.0))


def scene_kind(scene: str | Path) -> str:
    """Return ``"patient"`` or ``"vials"``; an unknown scene is left to the one who loads it.

    Parameters
    ----------
    scene : str or pathlib.Path
        Name of a built-in scene, or a TOML file.

    Returns
    -------
    str
        Kind of scene.
    """
    path = _path(scene)
    if not path.is_file():
        return "patient"
    return str(tomllib.loads(path.read_text(encoding="utf-8"))["scene"].get("kind", "patient"))


def scene_title(scene: str | Path) -> str:
    """Return the title of a scene of any kind.

    Parameters
    ----------
    scene : str or pathlib.Path
        Name of a built-in scene, or a TOML file.

    Returns
    -------
    str
        What it shows, in words.
    """
    return str(tomllib.loads(_path(scene).read_text(encoding="utf-8"))["scene"]["title"])


def load_vials(scene: str | Path) -> VialScene:
    """Read a scene of vials.

    Parameters
    ----------
    scene : str or pathlib.Path
        Name of a built-in scene, or a TOML file.

    Returns
    -------
    VialScene
        The scene, checked.

    Raises
    ------
    ValueError
        If the scene is unknown, not one of vials, or contradicts itself.
    """
    path = _path(scene)
    if not path.is_file() or scene_kind(scene) != "vials":
        raise ValueError(f"no scene of vials {str(scene)!r}")
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    row, mr = raw["vials"], raw["mr"]
    fractions = [float(x) for x in row["fat_percent"]]
    if any(not 0.0 <= x <= 100.0 for x in fractions):
        raise ValueError(f"{path.name}: a fat fraction lies outside 0 to 100 %")
    if unknown := set(mr["images"]) - set(IMAGES):
        raise ValueError(f"{path.name}: no image {sorted(unknown)}; use {', '.join(IMAGES)}")
    fat = _peaks(raw["fat"]) if "fat" in raw else None
    if fat is None and (any(fractions) or raw["bath"]["fat_percent"]):
        raise ValueError(f"{path.name}: there is fat, but no [fat] spectrum")
    vials = _stand(row, [float(x) for x in mr["s0_over_sigma"]])
    if len(vials) > 254:
        raise ValueError(f"{path.name}: {len(vials)} vials; labels hold at most 254")
    start = datetime.fromisoformat(raw["session"]["start"])
    still = RigidMotion.about([0, 0, 0], [0, 0, 0], [0, 0, 0])
    return VialScene(
        name=raw["scene"]["name"],
        title=raw["scene"]["title"],
        field_strength_t=float(raw["scene"]["field_strength_t"]),
        patient=raw["patient"],
        session=Session("pre", start, raw["session"]["description"], still),
        mr=mr,
        bath=raw["bath"],
        diameter_mm=float(row["diameter_mm"]),
        fat=fat,
        vials=vials,
        sizes=raw["sizes"],
    )


def _path(scene: str | Path) -> Path:
    return SCENES / f"{scene}.toml" if str(scene) in available_scenes() else Path(scene)


def _peaks(row: dict[str, Any]) -> FatPeaks:
    area = np.asarray(row["area"], dtype=float)
    shift = np.asarray(row["peak_ppm"], dtype=float) - float(row["water_ppm"])
    return FatPeaks(row["name"], row["source"], shift, area / area.sum())


def _stand(row: dict[str, Any], slabs: list[float]) -> tuple[Vial, ...]:
    """Place one column per R2* and one row per fat fraction, in every slab."""
    rates, fractions = row["r2star_per_s"], row["fat_percent"]
    middle_x, middle_y = (len(rates) - 1) / 2.0, (len(fractions) - 1) / 2.0
    pitch = float(row["pitch_mm"])
    out = []
    for slab, ratio in enumerate(slabs):
        for j, fraction in enumerate(fractions):
            for i, rate in enumerate(rates):
                number = len(out) + 1
                centre = (pitch * (i - middle_x), pitch * (j - middle_y))
                out.append(
                    Vial(
                        f"vial-{number:03d}",
                        number,
                        slab,
                        j,
                        i,
                        float(fraction),
                        float(rate),
                        ratio,
                        centre,
                    )
                )
    return tuple(out)
