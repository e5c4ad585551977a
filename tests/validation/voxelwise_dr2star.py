"""Phantom studies with a known movement, and what the pipeline says of the ΔR2* of their lesions.

The scene is `abdomen` with ten more lesions, on voxels of 2 x 2 x 3 mm, and with a movement of its
own.  Nothing of `eprimg` is in the truth: see `Truth`.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eprimg import Config, read_study, run
from eprimg.model.case import Case
from eprimg.model.manual_help import GivenTransform, ManualHelp
from eprimg.model.study import Role, Series, Study
from eprimg.model.transform import Registration, Transform
from eprimg_phantoms import make
from eprimg_phantoms.compare import eroded_one_voxel
from eprimg_phantoms.expected import least_squares_r2star
from eprimg_phantoms.make import FOLDERS
from eprimg_phantoms.masks import region_labels
from eprimg_phantoms.mri import echo_decay, mr_grid
from eprimg_phantoms.painting import paint_slice
from eprimg_phantoms.scene import SCENES, Scene, load_scene

Array = npt.NDArray[np.float64]
Vector = tuple[float, float, float]

SHAPE, SPACING_MM = (60, 186, 186), (3.0, 2.0, 2.0)
NOISE, NO_NOISE = 6.0, 0.05
"""SD of either channel; without noise the stored integers still round by 0.15."""

FARTHEST_MM = 10.0

MORE_LESIONS = (
    # diameter (mm), centre (LPS mm), R2* before and change (1/s), S0, where
    (22, (-70, -20, 68), 30, 120, 880, "liver"),
    (17, (-100, -25, 2), 32, 140, 880, "liver"),
    (13, (-112, -5, 20), 30, 90, 880, "liver"),
    (17, (-40, -40, 14), 30, 60, 880, "liver"),
    (22, (98, 28, 55), 33, 110, 760, "spleen"),
    (13, (100, 42, 18), 33, 80, 760, "spleen"),
    (17, (25, 3, -28), 30, 130, 760, "mesentery, middle"),
    (22, (20, -25, -63), 30, 70, 760, "mesentery, low"),
    (17, (-46, 80, -20), 31, 100, 740, "back muscle"),
    (17, (74, 42, -58), 30, 10, 740, "left kidney"),
)
"""Beside the six of the scene; all values are made up, they only have to be known."""

BRIGHT = ("liver", "spleen")
"""Organs whose R2* rises more than that of any lesion in them."""

LEAST_MM = 13.0
"""Lesions below are shown and not judged: six voxels of 39 are core."""

LEAST_PART = 0.95
"""Part of a lesion's voxels that both fields of view must hold: what is cut off is not judged."""


class Movement(NamedTuple):
    """Where the patient lies in the second session."""

    shift_mm: Vector
    turn_deg: Vector


class Truth(NamedTuple):
    """What is known of one lesion without any program that is tested.

    Attributes
    ----------
    name, where : str
        Name and surroundings.
    diameter_mm, tissue, contrast : float
        Diameter; ΔR2* of its material as the scene file states it, and by how much that of the
        organ around exceeds it (1/s; NaN outside of liver and spleen).
    inside, core : ndarray of bool
        The voxels whose largest part is the lesion, and those left of it after taking away one
        voxel at the rim.
    ideal_mean, ideal_median : float
        ΔR2* (1/s) over ``inside`` had the patient not moved and were there no noise: the scene
        painted with the tissues of either session where it lay before, and its mixed signals
        fitted by least squares.  Voxels of the rim hold two tissues, so this is not ``tissue``.
    centre_mm, moved_mm : ndarray, shape (3,)
        The centre in the first and in the second session.
    """

    name: str
    where: str
    diameter_mm: float
    tissue: float
    contrast: float
    inside: npt.NDArray[np.bool_]
    core: npt.NDArray[np.bool_]
    ideal_mean: float
    ideal_median: float
    centre_mm: Array
    moved_mm: Array

    @property
    def bright_around(self) -> bool:
        """Whether the lesion lies in the liver or the spleen."""
        return self.where in BRIGHT


class Row(NamedTuple):
    """Errors of one lesion in one run, all in 1/s except where the name says otherwise."""

    study: str
    lesion: str
    where: str
    bright_around: bool
    judged: bool
    """At least 13 mm across with a core, and not cut by the field of view of either session."""
    shift_mm: float
    """How far the lesion moved between the sessions."""
    apart_mm: float
    """How far the registration's place of its centre is from the true one."""
    mean: float
    """Whole mask, mean as in ``measurements.csv``, less the ideal mean."""
    map_mean: float
    """Whole mask, mean of the voxels of the map, less the ideal mean."""
    median: float
    """Whole mask, median as in ``lesions.csv``, less the ideal median."""
    native_mean: float
    native_median: float
    """The same for the difference of the native statistics."""
    core_mean: float
    core_median: float
    """Voxels of the core less the tissue's value."""
    blurred: float
    """Ideal mean less the tissue's value: what the rim's mixed voxels make of the mask."""
    rim_rmse: float
    """Root mean square over the mask's rim of map less ideal map."""
    contrast: float = np.nan
    """By how much ΔR2* of the organ around exceeds that of the lesion."""
    diameter_mm: float = np.nan
    tissue: float = np.nan
    verdict: str = ""
    """Of the registration."""


class Made(NamedTuple):
    """A study on disk, read, with its truth."""

    name: str
    study: Study
    findings: tuple[Any, ...]
    truths: tuple[Truth, ...]
    ideal: Array
    matrix: Array
    """First to second session, LPS mm."""

    def series(self, role: Role) -> Series:
        """Return the series before or after the agent."""
        found = self.study.find(role)
        assert found is not None
        return found


def drawn_movement(seed: int, length_mm: float) -> Movement:
    """Draw a direction of the shift, and turns of up to 2 degrees about every axis."""
    rng = np.random.default_rng([41, seed])
    vector = rng.normal(size=3)
    x, y, z = (float(v) for v in vector * (length_mm / np.linalg.norm(vector)))
    a, b, c = (float(v) for v in rng.uniform(-2.0, 2.0, 3))
    return Movement((x, y, z), (a, b, c))


def write_scene(
    path: Path,
    movement: Movement,
    *,
    sigma: float = NOISE,
    shape: Sequence[int] = SHAPE,
    spacing_mm: Sequence[float] = SPACING_MM,
) -> Path:
    """Write the scene with another movement, noise, grid and more lesions."""
    text = (SCENES / "abdomen.toml").read_text(encoding="utf-8")
    before, rest = text.split("[sessions.post]")
    post, after = rest.split("[sessions.pet]")
    post = _with(post, "translation_mm", list(movement.shift_mm))
    post = _with(post, "rotation_deg", list(movement.turn_deg))
    # The size `small` is the first of the file.  PET is not used here: few voxels.
    for key, value in (
        ("sigma", sigma),
        ("mr_shape", list(shape)),
        ("mr_spacing_mm", list(spacing_mm)),
        ("pet_shape", [27, 48, 48]),
        ("pet_spacing_mm", [8.0, 8.4, 8.4]),
        ("pet_fine", 1),
    ):
        after = _with(after, key, value)
    text = f"{before}[sessions.post]{post}[sessions.pet]{after}"
    for number, row in enumerate(MORE_LESIONS, start=text.count("[[lesions]]") + 1):
        diameter, centre, pre, change, s0, where = row
        text += (
            f'\n[[lesions]]\nname = "lesion-{number}"\ndiameter_mm = {diameter}\n'
            f"centre_mm = {list(centre)}\ns0 = {s0}.0\ns0_post_factor = 1.05\n"
            f"r2star_pre = {pre}.0\ndr2star = {change}.0\npid_per_kg = 10.0\nhu = 40.0\n"
            f'where = "{where}"\nscored = true\nsource = "assumed"\n'
        )
    path.write_text(text, encoding="utf-8")
    return path


def _with(text: str, key: str, value: object) -> str:
    """Replace the value of the first line that begins with a key."""
    changed, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text, count=1)
    if count != 1:
        raise ValueError(f"no {key} in the scene")
    return changed


def ideal_change(scene: Scene) -> tuple[Array, npt.NDArray[np.uint8]]:
    """Return ΔR2* of every lesion voxel without movement and noise, and the lesions' numbers.

    Coil shading and pattern multiply all echoes of a voxel alike, so they are left out.
    """
    grid = mr_grid(scene, "small")
    lesion_of, _ = region_labels(scene)
    tissues = [o.tissue for o in scene.objects]
    times = scene.echo_times_s
    tables = {}
    for session in ("pre", "post"):
        decays = echo_decay(
            [t.s0_in(session) for t in tissues], [t.r2star(session) for t in tissues], times
        )
        tables[session] = np.vstack([np.zeros((1, times.size)), decays]).astype(np.float32)
    shapes = [o.shape for o in scene.objects]
    change = np.full(grid.shape, np.nan)
    numbers = np.zeros(grid.shape, dtype=np.uint8)
    for k in range(grid.shape[0]):
        painted = paint_slice(shapes, grid, k, scene.sessions["pre"].motion.inverse)
        numbers[k] = lesion_of[painted.labels]
        inside = numbers[k] > 0
        if inside.any():
            after, before = (
                least_squares_r2star(painted.mean(tables[s])[inside], times)
                for s in ("post", "pre")
            )
            change[k][inside] = after - before
    return change, numbers


def truths_of(scene: Scene, ideal: Array, numbers: npt.NDArray[np.uint8]) -> tuple[Truth, ...]:
    """Gather the truth of every lesion."""
    motion = scene.sessions["post"].motion.matrix
    found = []
    for number, lesion in enumerate(scene.lesions, start=1):
        inside = numbers == number
        values = ideal[inside]
        centre = np.asarray(lesion.centre_mm, dtype=float)
        bright = lesion.where in BRIGHT
        organ = scene.organ_tissue(lesion.where).dr2star if bright else np.nan
        found.append(
            Truth(
                lesion.name,
                lesion.where,
                lesion.diameter_mm,
                lesion.tissue.dr2star,
                organ - lesion.tissue.dr2star,
                inside,
                eroded_one_voxel(inside),
                float(values.mean()),
                float(np.median(values)),
                centre,
                np.asarray(motion[:3, :3] @ centre + motion[:3, 3]),
            )
        )
    return tuple(found)


def make_study(name: str, folder: Path, movement: Movement, **grid: Any) -> Made:
    """Write DICOM, take the PET away, and read what is left."""
    folder.mkdir(parents=True)
    file = write_scene(folder / "scene.toml", movement, **grid)
    seed = sum(name.encode())
    root = make(file, folder / "phantom", size="small", seed=seed)
    shutil.rmtree(root / "dicom" / FOLDERS["pet"])
    read = read_study(root / "dicom", config=Config())
    scene = load_scene(file)
    ideal, numbers = ideal_change(scene)
    matrix = np.asarray(
        json.loads((root / "truth.json").read_text(encoding="utf-8"))["sessions"]["post"][
            "pre_to_this_lps_mm"
        ]
    )
    truths = truths_of(scene, ideal, numbers)
    return Made(name, read.value, read.findings, truths, ideal, matrix)


def measured(made: Made) -> Case:
    """Run the whole main job with default settings, up to the numbers of the lesions."""
    return run(made.study, Config(), findings=made.findings, stop="measure")


def transform_off(made: Made, off_mm: Iterable[float]) -> Transform:
    """Return the true transform, moved by a vector (mm, LPS) that should not be there."""
    pre, post = made.series(Role.MR_PRE), made.series(Role.MR_POST)
    matrix = made.matrix.copy()
    matrix[:3, 3] += np.asarray(list(off_mm), dtype=float)
    return Transform(matrix, pre.grid.frame_of_reference, post.grid.frame_of_reference)


def given(made: Made, off_mm: Iterable[float]) -> Study:
    """Hand the study such a transform, as `study.toml` would."""
    pre, post = made.series(Role.MR_PRE), made.series(Role.MR_POST)
    transform = transform_off(made, off_mm)
    help_ = ManualHelp((GivenTransform(transform, "off.tfm", "0" * 64, pre.key, post.key),))
    return replace(made.study, help=help_)


def placed(made: Made, off_mm: Iterable[float] = (0.0, 0.0, 0.0)) -> Case:
    """Run the main job from `quantify` to `measure` through such a transform, unchecked."""
    pre, post = made.series(Role.MR_PRE), made.series(Role.MR_POST)
    registration = Registration(pre.key, post.key, transform_off(made, off_mm), "given")
    case = Case(made.study, registrations=(registration,))
    return run(made.study, Config(), case=case, start="quantify", stop="measure")


def used(registration: Registration) -> Registration:
    """Return the registration as if its check had let it pass."""
    return replace(registration, accepted=True)


def rows_of(made: Made, case: Case) -> list[Row]:
    """Compare a measured case with the truth, lesion by lesion."""
    assert case.lesions is not None
    change = case.registered["dr2star"]
    (registration,) = case.registrations
    rows = []
    for truth in made.truths:
        region = next(r for r in case.lesions.regions if r.name == truth.name)
        if not np.array_equal(case.lesions.labels == region.id, truth.inside):
            raise AssertionError(f"{truth.name}: the mask that was read is not the one painted")

        def value(statistic: str, source: str, region: Any = region) -> float:
            return float(region.measurement("dr2star", statistic, source).value)

        inside, core = truth.inside & change.valid, truth.core & change.valid
        rim = inside & ~truth.core
        whole = np.count_nonzero(inside) / np.count_nonzero(truth.inside)
        found = registration.transform.apply(truth.centre_mm[None])[0]
        native = "mr_post-mr_pre"
        rows.append(
            Row(
                made.name,
                truth.name,
                truth.where,
                truth.bright_around,
                bool(truth.diameter_mm >= LEAST_MM and whole >= LEAST_PART and core.any()),
                float(np.linalg.norm(truth.moved_mm - truth.centre_mm)),
                float(np.linalg.norm(found - truth.moved_mm)),
                value("mean", "registered") - truth.ideal_mean,
                float(change.values[inside].mean()) - truth.ideal_mean,
                value("median", "registered") - truth.ideal_median,
                value("mean", native) - truth.ideal_mean,
                value("median", native) - truth.ideal_median,
                (float(change.values[core].mean()) if core.any() else np.nan) - truth.tissue,
                (float(np.median(change.values[core])) if core.any() else np.nan) - truth.tissue,
                truth.ideal_mean - truth.tissue,
                float(np.sqrt(np.mean((change.values[rim] - made.ideal[rim]) ** 2))),
                truth.contrast,
                truth.diameter_mm,
                truth.tissue,
                str(registration.verdict),
            )
        )
    return rows
