"""Claims about the phantom's other scenes: written as DICOM, read, run, compared with their truth.

The scene ``abdomen`` is in `phantom_page`, ``fat-water`` in `fat_water_page`, and the spheres of
``nema-iec`` one by one in `partial_volume_page`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from eprimg import Config, read_study, run
from eprimg.kernels.kinetics import retention
from eprimg.kernels.r2star import fit_r2star
from eprimg.kernels.signal_noise import estimate_sigma
from eprimg.model.study import Role
from eprimg.model.volume import EchoStack
from eprimg_phantoms import make
from tests.phantoms.test_multi_day import LADDER
from tests.phantoms.test_suv_dro import STEP
from tests.phantoms.vial_reading import read_vials
from tests.validation.results import Line

ITEM = "Scenes"
SUV_OF_THE_OBJECT = np.array([0.0, 1.0, 4.0, 4.11, -0.11, 0.1, 0.9])


def scene_lines() -> list[Line]:
    """Write every scene into a folder that goes away, and compare."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return [*_ladder(folder), *_suv_dro(folder), *_nema(folder), *_multi_day(folder)]


def _ladder(folder: Path) -> Iterator[Line]:
    root = make("r2star-ladder", folder / "ladder", size="small", seed=2)
    stack = read_study(root / "dicom", config=Config()).value.find(Role.MR_PRE).pixels
    assert isinstance(stack, EchoStack)
    truth = read_vials(root)
    cores = truth.cores
    signal, times = stack.volume.data, stack.echo_times_s
    sigma = estimate_sigma(signal, echo_times_s=times).sigma
    fit = fit_r2star(signal, times, mask=cores > 0, noise="rician", sigma=sigma)
    good, n, worst = True, 0, 0.0
    for vial in truth.truth["vials"].values():
        rate = vial["r2star_per_s"]
        if vial["s0_over_sigma"] < 50:
            continue
        values = fit.r2star_per_s[cores == vial["label"]]
        values = values[np.isfinite(values)]
        bound = 0.005 if rate <= 200 else 0.01 if rate <= 400 else 0.03
        spread = 1.2533 * float(values.std()) / np.sqrt(values.size)
        apart = abs(float(np.median(values)) - rate)
        good &= apart <= bound * rate + 3.0 * spread
        worst, n = max(worst, apart / (bound * rate + 3.0 * spread)), n + 1
    yield Line(
        ITEM,
        f"r2star-ladder: {n} vials of 10 to 800 1/s at S0/sigma 50 and 100 through DICOM, rician",
        "0.5 % to 200, 1 % to 400, 3 % to 800 1/s, plus three standard errors of the vial",
        f"worst at {100 * worst:.0f} % of its bound",
        good,
        "test_vials.py",
    )


def _case(root: Path, settings: list[str], stop: str = "measure") -> tuple[Any, dict[str, Any]]:
    config = Config().with_assignments(settings)
    read = read_study(root / "dicom", config=config)
    case = run(read.value, config, findings=read.findings, stop=stop)
    return case, json.loads((root / "truth.json").read_text(encoding="utf-8"))


def _suv_dro(folder: Path) -> Iterator[Line]:
    for variant in ("", "female"):
        case, _ = _case(make("suv-dro", folder / f"dro{variant}", variant=variant), [], "quantify")
        values = case.maps["suvbw"].values
        worst = float(np.abs(values[..., np.newaxis] - SUV_OF_THE_OBJECT).min(axis=-1).max())
        single = [float(values[20, 31, i]) for i in (44, 46, 45)]
        apart = max(worst, *(abs(a - b) for a, b in zip(single, (4.11, -0.11, 4.0), strict=True)))
        yield Line(
            ITEM,
            f"suv-dro{', ' + variant if variant else ''}: SUVbw of every voxel and of three single "
            "ones (4.11, -0.11, 4.00)",
            f"two steps of 16 bits ({STEP:.1e})",
            f"{apart:.1e}",
            apart <= STEP,
            "test_suv_dro.py",
        )


def _value(case: Any, name: str, statistic: str) -> Any:
    region = next(r for r in case.lesions.regions if r.name == name)
    return region.measurement("pid_per_kg", statistic, "pet")


def _nema(folder: Path) -> Iterator[Line]:
    settings = ["partial_volume.method=gtm", "partial_volume.fwhm_mm=6"]
    for variant, nuclide in (("", "89Zr"), ("64cu", "64Cu")):
        case, truth = _case(make("nema-iec", folder / f"nema{variant}", variant=variant), settings)
        apart, inside = {}, True
        for name, lesion in truth["lesions"].items():
            if lesion["diameter_mm"] >= 13.0:
                found, true = _value(case, name, "mean_partial_volume"), lesion["pid_per_kg"]
                apart[lesion["diameter_mm"]] = found.value / true - 1.0
                inside &= abs(found.value - true) <= 2.0 * found.uncertainty
        yield Line(
            ITEM,
            f"nema-iec, {nuclide}: %ID/kg of the spheres of {min(apart):g} to {max(apart):g} mm "
            "through the whole job, GTM, masks of whole voxels of 4 mm",
            "within two stated uncertainties (5 % is for exact masks: see above)",
            ", ".join(f"{d:g} mm {100 * v:+.1f} %" for d, v in apart.items()),
            inside,
            "test_nema_iec.py",
        )


def _multi_day(folder: Path) -> Iterator[Line]:
    settings = ["partial_volume.method=gtm", "partial_volume.fwhm_mm=6"]
    days = {
        v: _case(make("multi-day", folder / f"d{v}", variant=v), settings) for v in ("", "144h")
    }
    worst, inside = 0.0, True
    for name, kept in LADDER.items():
        early, late = (_value(days[d][0], name, "mean_partial_volume") for d in ("", "144h"))
        ratio = retention(
            early.value, late.value, early_se=early.uncertainty, late_se=late.uncertainty
        )
        worst = max(worst, abs(float(ratio.value) / kept - 1.0))
        inside &= abs(float(ratio.value) - kept) < 2.0 * float(ratio.standard_error)
    yield Line(
        ITEM,
        f"multi-day: retention of {len(LADDER)} lesions, 144 h over 24 h, through DICOM, masks of "
        "either day",
        "within 5 % and two standard errors",
        f"worst {100 * worst:.1f} %",
        inside and worst <= 0.05,
        "test_multi_day.py",
    )
