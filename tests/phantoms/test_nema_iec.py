"""Scene "nema-iec": painted, blurred and written spheres against closed forms.

The closed form of a sphere of radius R behind a Gaussian of standard deviation s is written here
from the convolution integral, at every distance r; the phantom has only its centre and its mean,
by other formulas.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from scipy.integrate import quad
from scipy.special import erf
from typer.testing import CliRunner

from eprimg_phantoms import load_scene, make
from eprimg_phantoms.cli import app
from eprimg_phantoms.compare import compare
from eprimg_phantoms.make_pet import around, crop_grid
from eprimg_phantoms.pet import (
    activity_per_pid_per_kg,
    block_mean,
    blur,
    paint_activity,
    pet_grid,
)
from eprimg_phantoms.recovery import centre_recovery, mean_recovery, with_background
from eprimg_phantoms.scene import Scene

SIGMA = 1.0 / (2.0 * math.sqrt(2.0 * math.log(2.0)))

# Centre and mean of a blurred sphere without background for FWHM 5, 6, 7 and 8 mm, to three
# decimals: the analytic table that issue 4 (accuracy, item 4) sets as the truth for recovery.
TABLE = {
    10: ((0.864, 0.522), (0.722, 0.443), (0.581, 0.372), (0.461, 0.311)),
    13: ((0.975, 0.623), (0.911, 0.555), (0.812, 0.491), (0.700, 0.431)),
    17: ((0.999, 0.707), (0.989, 0.652), (0.958, 0.599), (0.900, 0.547)),
    22: ((1.000, 0.772), (1.000, 0.728), (0.997, 0.684), (0.985, 0.642)),
    28: ((1.000, 0.820), (1.000, 0.785), (1.000, 0.750), (0.999, 0.715)),
    37: ((1.000, 0.863), (1.000, 0.836), (1.000, 0.809), (1.000, 0.783)),
}


def blurred_sphere(r: np.ndarray, radius: float, fwhm: float) -> np.ndarray:
    """Value of a blurred unit sphere at distance r."""
    s, r = fwhm * SIGMA, np.maximum(r, 1e-6)
    steps = erf((radius + r) / (math.sqrt(2) * s)) + erf((radius - r) / (math.sqrt(2) * s))
    bells = np.exp(-((radius - r) ** 2) / (2 * s * s)) - np.exp(-((radius + r) ** 2) / (2 * s * s))
    return np.asarray(0.5 * steps - s / (r * math.sqrt(2 * math.pi)) * bells)


@pytest.fixture(scope="module")
def cold() -> Scene:
    return load_scene("nema-iec", "cold-background")


@pytest.mark.parametrize("diameter", TABLE)
def test_painted_and_blurred_spheres_have_the_analytic_recovery(cold: Scene, diameter: int) -> None:
    lesion = next(x for x in cold.lesions if x.diameter_mm == diameter)
    step = 0.5 if diameter == 10 else 1.0
    wide = replace(cold, pet={**cold.pet, "psf_fwhm_mm": 8.0})
    grid = crop_grid(wide, lesion, step, reach_fwhm=1.7)
    painted, _ = paint_activity(cold, grid)
    true = lesion.tissue.pid_per_kg * activity_per_pid_per_kg(cold)
    fractions = painted / true
    volume = fractions.sum(dtype=np.float64) * step**3
    assert volume == pytest.approx(math.pi / 6 * diameter**3, rel=0.005)
    middle = tuple(n // 2 for n in grid.shape)
    for column, fwhm in enumerate((5.0, 6.0, 7.0, 8.0)):
        seen = blur(painted, grid.spacing_mm, fwhm) / true
        centre, mean = TABLE[diameter][column]
        assert seen[middle] == pytest.approx(centre, rel=0.01, abs=0.0005)
        found = (fractions * seen).sum(dtype=np.float64) / fractions.sum(dtype=np.float64)
        assert found == pytest.approx(mean, rel=0.01, abs=0.0005)


@pytest.mark.parametrize(("step", "factor"), [(2.0, 1), (2.0, 2), (4.0, 2)])
def test_coarse_voxels_hold_the_mean_of_the_closed_form_over_their_box(
    cold: Scene, step: float, factor: int
) -> None:
    # Truth: closed form at 8^3 points in each voxel.
    lesion = next(x for x in cold.lesions if x.diameter_mm == 13)
    grid = crop_grid(cold, lesion, step)
    fine = grid.refined(factor)
    painted, _ = paint_activity(cold, fine)
    seen = block_mean(blur(painted, fine.spacing_mm, 6.0), factor)
    seen = seen / (lesion.tissue.pid_per_kg * activity_per_pid_per_kg(cold))
    n, points = grid.shape[0], 8
    ticks = ((np.arange(n * points) + 0.5) / points - 0.5 * n) * step
    r = np.sqrt(ticks[:, None, None] ** 2 + ticks[:, None] ** 2 + ticks**2)
    blocks = (n, points, n, points, n, points)
    truth = blurred_sphere(r, 6.5, 6.0).reshape(blocks).mean((1, 3, 5))
    assert truth.max() > 0.7
    np.testing.assert_allclose(seen, truth, atol=0.01)


def test_formulas_of_the_truth_file_equal_independent_integrals() -> None:
    for diameter, row in TABLE.items():
        for fwhm, (centre, mean) in zip((5.0, 6.0, 7.0, 8.0), row, strict=True):
            radius = diameter / 2
            # The table is rounded to three decimals, one entry twice (0.81147 stands as 0.812).
            assert centre_recovery(diameter, fwhm) == pytest.approx(centre, abs=6e-4)
            assert mean_recovery(diameter, fwhm) == pytest.approx(mean, abs=6e-4)
            # The value at the centre is the limit of the profile, the mean its volume integral.
            at_centre = float(blurred_sphere(np.array(1e-3), radius, fwhm))
            assert centre_recovery(diameter, fwhm) == pytest.approx(at_centre, abs=1e-6)
            within = quad(
                lambda r, a=radius, f=fwhm: (
                    3 * r * r / a**3 * float(blurred_sphere(np.array(r), a, f))
                ),
                0,
                radius,
            )[0]
            assert mean_recovery(diameter, fwhm) == pytest.approx(within, abs=1e-6)
    # A sphere of a, with a background of 1, read r of the way from 1 to a.
    assert with_background(0.5, 4.0) == pytest.approx((1.0 + 0.5 * 3.0) / 4.0)
    assert with_background(0.5, math.inf) == 0.5


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("nema")
    return {v: make("nema-iec", root / (v or "plain"), variant=v) for v in ("", "64cu")}


def truth_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "truth.json").read_text()))


# Physical half-lives: 78.41 h (ICRP publication 107) and 12.7004 h (DDEP); codes of DICOM PS3.16
# CID 4020.
@pytest.mark.parametrize(
    ("variant", "half_life_s", "code"),
    [("", 78.41 * 3600, "63360001"), ("64cu", 12.7004 * 3600, "3932008")],
)
def test_headers_and_pixels(
    written: dict[str, Path], variant: str, half_life_s: float, code: str
) -> None:
    folder = written[variant]
    truth = truth_of(folder)
    files = sorted((folder / truth["series"]["pet"]).glob("*.dcm"))
    slices = [pydicom.dcmread(f) for f in files]
    item = slices[0].RadiopharmaceuticalInformationSequence[0]
    assert item.RadionuclideHalfLife == pytest.approx(half_life_s)
    assert item.RadionuclideCodeSequence[0].CodeValue == code
    assert slices[0].Units == "BQML"
    activity = np.stack([d.pixel_array * float(d.RescaleSlope) for d in slices])
    shape, affine = truth["pet"]["grid"]["shape_kji"], truth["pet"]["grid"]["index_kji_to_lps_mm"]
    assert list(activity.shape) == shape
    for lesion in truth["lesions"].values():
        # 20 kBq/mL and 2 kBq/mL were asked for; the closed form says what the blur leaves of it.
        assert lesion["activity_bq_per_ml"] == pytest.approx(20e3, rel=1e-6)
        assert lesion["background_bq_per_ml"] == pytest.approx(2e3, rel=1e-6)
        index = np.linalg.solve(
            np.array(affine)[:3, :3],
            np.array(lesion["centre_lps_mm"]["pet"]) - np.array(affine)[:3, 3],
        )
        k, j, i = np.rint(index).astype(int)
        # The nearest voxel holds the mean of the closed form over its box (8^3 points).
        ticks = (np.arange(8) + 0.5) / 8 - 0.5
        z, y, x = ((ticks + c - v) * 4.0 for c, v in zip((k, j, i), index, strict=True))
        r = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
        fraction = blurred_sphere(r, lesion["diameter_mm"] / 2, 6.0).mean()
        assert activity[k, j, i] == pytest.approx(2e3 + 18e3 * float(fraction), rel=0.015)
        near_mask = lesion["mask_volume_pet_ml"]
        assert near_mask == pytest.approx(lesion["volume_ml"], rel=0.15)
    # Nothing was lost: the body holds its volume times its filling, and the spheres more.
    body = math.pi * 148 * 108 * 194 / 1000 - math.pi * 25**2 * 194 / 1000
    spheres = sum(math.pi / 6 * d**3 / 1000 for d in TABLE)
    total = activity.sum() * 0.064
    assert total == pytest.approx(2e3 * body + 18e3 * spheres, rel=0.005)


def test_variants_are_other_files_of_the_same_patient(
    written: dict[str, Path], tmp_path: Path
) -> None:
    one, two = truth_of(written[""]), truth_of(written["64cu"])
    assert one["patient"]["id"] == two["patient"]["id"]
    uids = [t["sessions"]["pet"]["study_instance_uid"] for t in (one, two)]
    assert uids[0] != uids[1]
    again = make("nema-iec", tmp_path / "again", variant="64cu")
    for path in sorted(written["64cu"].rglob("*")):
        if path.is_file():
            assert (again / path.relative_to(written["64cu"])).read_bytes() == path.read_bytes()


def test_ratios_and_surroundings() -> None:
    scene = load_scene("nema-iec", "ratio-4")
    assert scene.tissues["sphere"].pid_per_kg / around(scene, scene.lesions[0]) == pytest.approx(4)
    hot = load_scene("nema-iec")
    assert hot.lesions[5].tissue.pid_per_kg / around(hot, hot.lesions[5]) == pytest.approx(10)
    # The spheres keep clear of each other, of the insert and of the border of the body by two
    # widths of the point spread, or the closed forms would not hold.
    for one in hot.lesions:
        gaps = [
            float(np.linalg.norm(one.centre_mm - two.centre_mm))
            - (one.diameter_mm + two.diameter_mm) / 2
            for two in hot.lesions
            if two is not one
        ]
        gaps.append(float(np.hypot(*one.centre_mm[:2])) - one.diameter_mm / 2 - 25.0)
        assert min(gaps) > 2 * 6.0, one.name
    grid = pet_grid(hot, "small")
    assert grid.shape[0] * grid.spacing_mm[0] > 194


def test_what_the_scene_does_not_have_is_refused(written: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no variant"):
        load_scene("nema-iec", "18f")
    with pytest.raises(ValueError, match="no CT"):
        make("nema-iec", tmp_path / "ct", with_ct=True)
    with pytest.raises(ValueError, match="no MR"):
        compare(tmp_path, written[""])
    bare = tmp_path / "bare.toml"
    text = (Path(load_scene.__code__.co_filename).parent / "scenes/nema-iec.toml").read_text()
    bare.write_text(text + "\n[mr]\nsigma = 1.0\n")
    with pytest.raises(ValueError, match="needs MR values"):
        load_scene(bare)
    shown = CliRunner().invoke(app, ["list"])
    assert "nema-iec" in shown.stdout
    assert "64cu" in shown.stdout
    made = CliRunner().invoke(
        app, ["make", "nema-iec", "--out", str(tmp_path / "x"), "--variant", "none-such"]
    )
    assert made.exit_code == 2
