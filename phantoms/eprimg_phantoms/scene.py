"""Scenes: the description of a digital patient, read from a TOML file."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eprimg_phantoms.geometry import RigidMotion, Shape

Vector = npt.NDArray[np.float64]

SCENES = Path(__file__).parent / "scenes"


@dataclass(frozen=True)
class Tissue:
    """What one material looks like to the three scanners; a scene of PET alone has no MR values.

    Attributes
    ----------
    name : str
        Name of the tissue or of the lesion.
    s0, s0_post_factor : float
        MR signal at echo time zero (arbitrary units), and its factor after the agent.
    r2star_pre, dr2star : float
        R2* before the agent and its change (1/s).
    pid_per_kg : float
        Uptake in percent of the injected dose per kg of tissue.
    hu : float
        CT number (HU).
    texture : float
        Relative amplitude of a smooth pattern on S0.
    clearance_per_h : float
        Rate (1/h) at which the uptake falls, radioactive decay apart; `pid_per_kg` is the uptake at
        the time of the scene's PET.
    source : str
        Where the values come from.
    """

    name: str
    pid_per_kg: float
    source: str
    s0: float = math.nan
    s0_post_factor: float = math.nan
    r2star_pre: float = math.nan
    dr2star: float = math.nan
    hu: float = math.nan
    texture: float = 0.0
    clearance_per_h: float = 0.0

    @property
    def r2star_post(self) -> float:
        """R2* after the agent (1/s)."""
        return self.r2star_pre + self.dr2star

    def r2star(self, session: str) -> float:
        """Return R2* (1/s) in the session ``"pre"`` or ``"post"``."""
        return self.r2star_pre if session == "pre" else self.r2star_post

    def s0_in(self, session: str) -> float:
        """Return S0 (arbitrary units) in the session ``"pre"`` or ``"post"``."""
        return self.s0 if session == "pre" else self.s0 * self.s0_post_factor


@dataclass(frozen=True)
class SceneObject:
    """One painted shape: geometry, material and, if any, the organ or lesion it belongs to."""

    name: str
    tissue: Tissue
    shape: Shape
    organ: str | None = None
    lesion: str | None = None


@dataclass(frozen=True)
class Lesion:
    """A spherical lesion.

    Attributes
    ----------
    name : str
        Region name, ``"lesion-1"`` and so on.
    diameter_mm : float
        Diameter (mm).
    centre_mm : numpy.ndarray
        Shape (3,), LPS mm in the frame of the session before the agent.
    tissue : Tissue
        Material.
    where : str
        Place in words.
    scored : bool
        Whether the bounds of the comparison judge it.
    edge : str or None
        Key of the tier rule in which it lies within 5 % of an edge.
    """

    name: str
    diameter_mm: float
    centre_mm: Vector
    tissue: Tissue
    where: str
    scored: bool
    edge: str | None

    @property
    def volume_ml(self) -> float:
        """Volume of the whole sphere (mL)."""
        return float(np.pi / 6.0 * self.diameter_mm**3 / 1000.0)


@dataclass(frozen=True)
class Session:
    """One visit to a scanner: start, series description, and where the patient lies."""

    name: str
    start: datetime
    description: str
    motion: RigidMotion


@dataclass(frozen=True)
class TierRule:
    """Example tier edges for one quantity (rising order); not validated."""

    key: str
    scheme: str
    edges: tuple[float, ...]
    labels: tuple[str, ...]

    def tier(self, value: float) -> str:
        """Return the label of ``value``."""
        return self.labels[int(np.searchsorted(self.edges, value, side="right"))]

    def distance_factor(self, value: float) -> float:
        """Return the smallest factor between ``value`` and an edge (>= 1)."""
        return float(min(max(value / edge, edge / value) for edge in self.edges))


@dataclass(frozen=True)
class Size:
    """Matrices and spacings, in the order (slice, row, column), mm."""

    name: str
    pet_shape: tuple[int, int, int]
    pet_spacing_mm: tuple[float, float, float]
    pet_centre_mm: tuple[float, float, float]
    pet_fine: int
    mr_shape: tuple[int, int, int] = (0, 0, 0)
    mr_spacing_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ct_shape: tuple[int, int, int] = (0, 0, 0)
    ct_spacing_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Scene:
    """A whole scene. ``mr``, ``pet``, ``ct`` and ``patient`` are the tables of the TOML file.

    A scene of PET alone has an empty ``mr`` and ``ct``.  ``variant`` names the changes that were
    laid over the file, and is empty when there were none.
    """

    name: str
    title: str
    field_strength_t: float
    patient: dict[str, Any]
    mr: dict[str, Any]
    pet: dict[str, Any]
    ct: dict[str, Any]
    tissues: dict[str, Tissue]
    objects: tuple[SceneObject, ...]
    lesions: tuple[Lesion, ...]
    sessions: dict[str, Session]
    tiers: dict[str, TierRule]
    sizes: dict[str, Size]
    variant: str = ""

    @property
    def organs(self) -> tuple[str, ...]:
        """Names of the reference organs, in the order of painting."""
        return tuple(dict.fromkeys(o.organ for o in self.objects if o.organ is not None))

    def organ_tissue(self, organ: str) -> Tissue:
        """Return the material of a reference organ."""
        return next(o.tissue for o in self.objects if o.organ == organ)

    @property
    def echo_times_s(self) -> Vector:
        """Echo times (s), shape (n_echoes,)."""
        row = self.mr["echo_times_ms"]
        # Rounded to the microsecond: the header holds the number that the signal is computed with.
        milliseconds = np.round(np.linspace(row["first"], row["last"], row["count"]), 3)
        return np.asarray(milliseconds / 1000.0, dtype=float)


def available_scenes() -> list[str]:
    """Return the names of the scenes that come with the package."""
    return sorted(p.stem for p in SCENES.glob("*.toml"))


def available_variants(scene: str) -> list[str]:
    """Return the names of the variants of a built-in scene."""
    text = (SCENES / f"{scene}.toml").read_text(encoding="utf-8")
    return list(tomllib.loads(text).get("variants", {}))


def load_scene(scene: str | Path, variant: str = "") -> Scene:
    """Read a scene.

    Parameters
    ----------
    scene : str or pathlib.Path
        Name of a built-in scene, or a TOML file.
    variant : str
        One of the ``variants`` of the file: tables that are laid over it (another nuclide, another
        day); left out, the file as it stands.

    Returns
    -------
    Scene
        The scene, checked.

    Raises
    ------
    ValueError
        If the scene is unknown, or names a tissue that it does not describe.
    """
    path = SCENES / f"{scene}.toml" if str(scene) in available_scenes() else Path(scene)
    if not path.is_file():
        raise ValueError(
            f"no scene {str(scene)!r}; built-in scenes: {', '.join(available_scenes())}"
        )
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    variants = raw.pop("variants", {})
    if variant:
        if variant not in variants:
            known = ", ".join(variants) or "none"
            raise ValueError(f"{path.name}: no variant {variant!r}; variants: {known}")
        raw = _laid_over(raw, variants[variant])
    tissues = {
        name: Tissue(name=name, **_on_the_day(row, raw)) for name, row in raw["tissues"].items()
    }
    lesions = tuple(_lesion(row, tissues) for row in raw["lesions"])
    objects = [o for row in raw["objects"] for o in _objects(row, tissues)]
    objects += [
        SceneObject(x.name, x.tissue, Shape.sphere(x.centre_mm, x.diameter_mm / 2.0), lesion=x.name)
        for x in lesions
    ]
    if len(objects) > 254:
        raise ValueError(f"{path.name}: {len(objects)} objects; labels hold at most 254")
    mr = raw.get("mr", {})
    bare = sorted({o.tissue.name for o in objects if math.isnan(o.tissue.s0)})
    if mr and bare:
        raise ValueError(f"{path.name}: a scene with MR needs MR values of {', '.join(bare)}")
    pivot = np.asarray(raw.get("displacement", {"centre_mm": [0, 0, 0]})["centre_mm"], dtype=float)
    sessions = {
        name: Session(
            name=name,
            start=datetime.fromisoformat(row["start"]),
            description=row["description"],
            motion=RigidMotion.about(row["rotation_deg"], row["translation_mm"], pivot),
        )
        for name, row in raw["sessions"].items()
    }
    return Scene(
        name=raw["scene"]["name"],
        title=raw["scene"]["title"],
        field_strength_t=float(raw["scene"].get("field_strength_t", math.nan)),
        patient=raw["patient"],
        mr=mr,
        pet=raw["pet"],
        ct=raw.get("ct", {}),
        tissues=tissues,
        objects=tuple(objects),
        lesions=lesions,
        sessions=sessions,
        tiers={
            k: TierRule(k, v["scheme"], tuple(v["edges"]), tuple(v["labels"]))
            for k, v in raw.get("tiers", {}).items()
        },
        sizes={k: _size(k, v) for k, v in raw["sizes"].items()},
        variant=variant,
    )


def _on_the_day(row: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the uptake of a tissue to %ID/kg, and from its reference hour to that of the PET."""
    if "suvbw" in row:
        rest = {key: value for key, value in row.items() if key != "suvbw"}
        return {**rest, "pid_per_kg": 100.0 * row["suvbw"] / raw["patient"]["weight_kg"]}
    rate = float(row.get("clearance_per_h", 0.0))
    if rate == 0.0:
        return dict(row)
    if "uptake_reference_h" not in raw["pet"]:
        raise ValueError("a tissue with a clearance needs pet.uptake_reference_h")
    start = datetime.fromisoformat(raw["sessions"]["pet"]["start"])
    elapsed = start - datetime.fromisoformat(raw["pet"]["injection"])
    hours = elapsed.total_seconds() / 3600.0 - float(raw["pet"]["uptake_reference_h"])
    return {**row, "pid_per_kg": row["pid_per_kg"] * math.exp(-rate * hours)}


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay the tables of a variant over those of the file, key by key; lists are replaced."""
    out = dict(below)
    for key, value in above.items():
        table = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = _laid_over(out[key], value) if table else value
    return out


def _lesion(row: dict[str, Any], tissues: Mapping[str, Tissue]) -> Lesion:
    if "tissue" in row:
        if row["tissue"] not in tissues:
            raise ValueError(f"lesion {row['name']!r}: no tissue {row['tissue']!r}")
        tissue = tissues[row["tissue"]]
    else:
        tissue = Tissue(
            name=row["name"],
            s0=row["s0"],
            s0_post_factor=row["s0_post_factor"],
            r2star_pre=row["r2star_pre"],
            dr2star=row["dr2star"],
            pid_per_kg=row["pid_per_kg"],
            hu=row["hu"],
            texture=row.get("texture", 0.0),
            source=row["source"],
        )
    return Lesion(
        name=row["name"],
        diameter_mm=float(row["diameter_mm"]),
        centre_mm=np.asarray(row["centre_mm"], dtype=float),
        tissue=tissue,
        where=row["where"],
        scored=row["scored"],
        edge=row.get("edge"),
    )


def _objects(row: dict[str, Any], tissues: dict[str, Tissue]) -> list[SceneObject]:
    if row["tissue"] not in tissues:
        raise ValueError(f"object {row['name']!r}: no tissue {row['tissue']!r}")
    repeat = row.get("repeat", {"count": 1, "step_mm": [0, 0, 0]})
    out = []
    for n in range(repeat["count"]):
        centre = np.asarray(row["centre_mm"], dtype=float) + n * np.asarray(
            repeat["step_mm"], dtype=float
        )
        if row["kind"] == "ellipsoid":
            shape = Shape.ellipsoid(centre, row["semi_axes_mm"])
        elif row["kind"] == "cylinder":
            axis = row.get("axis", [0.0, 0.0, 1.0])
            shape = Shape.cylinder(centre, row["semi_axes_mm"], row["half_length_mm"], axis)
        else:
            raise ValueError(f"object {row['name']!r}: no shape {row['kind']!r}")
        out.append(SceneObject(row["name"], tissues[row["tissue"]], shape, organ=row.get("organ")))
    return out


def _size(name: str, row: dict[str, Any]) -> Size:
    values: dict[str, Any] = {k: v if k == "pet_fine" else tuple(v) for k, v in row.items()}
    return Size(name=name, **values)
