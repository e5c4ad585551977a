"""Compare what a run wrote to disk with the truth of the phantom."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_erosion, distance_transform_edt

from eprimg_phantoms.results import Masks, Raster, Results, UnreadableError
from eprimg_phantoms.rows import ComparisonReport, Row, judged_row, missing_row, shown_row

SUV_ORGANS = ("liver", "spleen", "muscle")
BOUNDS = Path(__file__).parent / "bounds.toml"


def load_bounds(size: str) -> dict[str, float]:
    """Return the bounds of a size.

    Raises
    ------
    ValueError
        If there are none.
    """
    every: dict[str, dict[str, float]] = tomllib.loads(BOUNDS.read_text(encoding="utf-8"))
    if size not in every:
        raise ValueError(f"no bounds for size {size!r}; there are: {', '.join(every)}")
    return every[size]


def compare(
    results: str | Path, phantom: str | Path, *, size: str | None = None
) -> ComparisonReport:
    """Compare the output folder of ``eprimg run`` with the truth.

    Parameters
    ----------
    results : str or pathlib.Path
        Output folder: ``lesions.csv``, ``maps/``, ``native/``, ``transforms/``.
    phantom : str or pathlib.Path
        Folder of the phantom, or its ``truth.json``.
    size : str, optional
        Whose bounds to use; those of the phantom's own size if not given.

    Returns
    -------
    ComparisonReport
        A missing or unreadable result is a failed row, never an exception.

    Raises
    ------
    FileNotFoundError
        If there is no ``truth.json``.
    ValueError
        If the scene has no bounds: those of the package are for scenes with MR.
    """
    path = Path(phantom)
    path = path if path.is_file() else path / "truth.json"
    truth = json.loads(path.read_text(encoding="utf-8"))
    if "mr" not in truth:
        raise ValueError(f"scene {truth['scene']!r} has no MR: there are no bounds for it")
    size = size or str(truth["size"])
    judge = _Judge(truth, Results(Path(results)), Masks(path.parent), load_bounds(size))
    rows = [
        *judge.registration(),
        *judge.r2star(),
        *judge.dr2star(),
        *judge.suvmean(),
        *judge.tails(),
        *judge.tiers(),
        *judge.whole_masks(),
    ]
    return ComparisonReport(tuple(rows), size, judge.bounds)


def eroded_one_voxel(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the voxels whose six neighbours are all in the mask; beyond the grid is outside."""
    return np.asarray(binary_erosion(mask), dtype=bool)


def eroded_mm(
    mask: npt.NDArray[np.bool_], spacing_mm: npt.ArrayLike, depth_mm: float
) -> npt.NDArray[np.bool_]:
    """Return the voxels of the mask that are at least ``depth_mm`` away from any voxel outside."""
    out = np.zeros(mask.shape, dtype=bool)
    # Only the box around the region, with one layer of outside where there is one, decides.
    box = tuple(
        slice(max(int(n.min()) - 1, 0), int(n.max()) + 2) for n in np.nonzero(mask) if n.size
    )
    if box:
        distance = distance_transform_edt(mask[box], sampling=np.asarray(spacing_mm))
        out[box] = distance >= depth_mm
    return out


class _Judge:
    """Builds the rows."""

    def __init__(
        self, truth: dict[str, Any], results: Results, masks: Masks, bounds: dict[str, float]
    ) -> None:
        self.truth, self.results, self.masks, self.bounds = truth, results, masks, bounds
        least = bounds["lesion_least_diameter_mm"]
        self.large = [n for n, x in truth["lesions"].items() if x["diameter_mm"] >= least]

    # ------------------------------------------------------------ rows
    def registration(self) -> Iterator[Row]:
        """Judge the mean distance of the found and true transform at the lesion centres."""
        lesions = self.truth["lesions"]
        for session, name, key, words in (
            ("post", "post_to_pre", "registration_mr_mm", "MR-MR"),
            ("pet", "pet_to_pre", "registration_pet_mm", "PET-MR"),
        ):
            label = f"registration {words}, mean at lesion centres"
            fixed = [x["centre_lps_mm"]["pre"] for x in lesions.values()]
            true = np.array([x["centre_lps_mm"][session] for x in lesions.values()])
            try:
                gaps = np.linalg.norm(self.results.transform(name, fixed) - true, axis=1)
            except UnreadableError as problem:
                yield missing_row(label, 0.0, "mm", self.bounds[key], str(problem))
                continue
            yield judged_row(label, float(gaps.mean()), 0.0, "mm", self.bounds[key])
            worst = list(lesions)[int(gaps.argmax())]
            yield shown_row(
                f"registration {words}, worst lesion ({worst})", float(gaps.max()), 0.0, "mm"
            )

    def r2star(self) -> Iterator[Row]:
        """Judge the median R2* of organ and lesion cores, each session on its own grid."""
        for session, map_name, suffix in (
            ("pre", "r2star_pre", ""),
            ("post", "native/r2star_post", "_post"),
        ):
            for kind, stem in (("organs", "organs"), ("lesions", "lesions")):
                for region, values in self.truth[kind].items():
                    true = float(values[f"r2star_{session}_per_s"])
                    bound, note = self._r2star_bound(kind, region, session, true)
                    label = f"R2* {session}, {region} core, median"
                    yield self._core(
                        label, map_name, stem + suffix, region, true, "1/s", bound, note, np.median
                    )

    def dr2star(self) -> Iterator[Row]:
        """Judge the median dR2* of lesion cores; show whole masks beside."""
        for region in self.truth["lesions"]:
            true = float(self.truth["lesions"][region]["dr2star_per_s"])
            bound: float | None = max(
                self.bounds["dr2star_relative"] * true, self.bounds["dr2star_absolute_per_s"]
            )
            note = "" if region in self.large else "too small"
            bound = bound if region in self.large else None
            yield self._core(
                f"dR2* {region} core, median",
                "dr2star",
                "lesions",
                region,
                true,
                "1/s",
                bound,
                note,
                np.median,
            )
            yield self._cell_row(
                f"dR2* {region} whole mask, median", region, "dr2star_median_per_s", true, "1/s"
            )

    def suvmean(self) -> Iterator[Row]:
        """Judge the mean SUVbw of organ cores, on the PET grid and registered on the MR grid."""
        depth = self.bounds["suvmean_erosion_mm"]
        for organ in SUV_ORGANS:
            true = float(self.truth["organs"][organ]["suvbw_g_per_ml"])
            bound = self.bounds["suvmean_relative"] * true
            for words, map_name, stem in (
                ("PET grid", "native/suvbw", "organs_pet"),
                ("MR grid", "suvbw", "organs"),
            ):
                label = f"SUVbw {organ} core, mean, {words}"
                yield self._core(
                    label, map_name, stem, organ, true, "g/mL", bound, "", np.mean, depth_mm=depth
                )

    def tails(self) -> Iterator[Row]:
        """Judge rR2*90 against a truth that holds the noise."""
        for region, values in self.truth["lesions"].items():
            if values["rr2star90"] is None:
                continue
            true = float(values["rr2star90"]["with_noise"])
            bound = self.bounds["rr2star90_relative"] * true if region in self.large else None
            label = f"rR2*90 {region}, noise included"
            yield self._cell_row(label, region, "rr2star90", true, "1", bound)

    def tiers(self) -> Iterator[Row]:
        """Judge the tiers of scored lesions, and the one that has to be indeterminate."""
        for region, values in self.truth["lesions"].items():
            if not values["scored"]:
                continue
            for key, rule in self.truth["tier_rules"].items():
                true = "indeterminate" if values["edge"] == key else values["tiers"][key]
                label = f"tier {region}, {rule['scheme']}"
                try:
                    found = self.results.text(region, f"tier_{rule['scheme']}")
                except UnreadableError as problem:
                    yield Row(label, None, true, None, "", None, ok=False, note=str(problem))
                    continue
                yield Row(label, found, true, None, "", None, ok=found == true)

    def whole_masks(self) -> Iterator[Row]:
        """Show whole masks beside the truth: partial volume is in them, so nothing is judged."""
        for region, values in self.truth["lesions"].items():
            for column, key, unit in (
                ("volume_ml", "mask_volume_ml", "mL"),
                ("r2star_pre_median_per_s", "r2star_pre_per_s", "1/s"),
                ("r2star_post_median_per_s", "r2star_post_per_s", "1/s"),
                ("suvbw_mean", "suvbw_g_per_ml", "g/mL"),
                ("pid_per_kg_mean", "pid_per_kg", "%ID/kg"),
                ("pid_per_kg_peak", "expected_centre_peak_pid_per_kg", "%ID/kg"),
            ):
                yield self._cell_row(
                    f"{column} {region}, whole mask", region, column, float(values[key]), unit
                )

    # ------------------------------------------------------------ parts
    def _r2star_bound(
        self, kind: str, region: str, session: str, true: float
    ) -> tuple[float | None, str]:
        if kind == "lesions" and region not in self.large:
            return None, "too small"
        snr = self.truth[kind][region]["s0_over_sigma"][session]
        if snr is None or snr < self.bounds["s0_over_sigma_least"]:
            return None, "S0/sigma too low"
        if true <= self.bounds["r2star_low_limit_per_s"]:
            return self.bounds["r2star_low_relative"] * true, ""
        if true <= self.bounds["r2star_high_limit_per_s"]:
            return self.bounds["r2star_high_relative"] * true, ""
        return None, "above the range"

    def _core(
        self,
        label: str,
        map_name: str,
        stem: str,
        region: str,
        true: float,
        unit: str,
        bound: float | None,
        note: str,
        statistic: Callable[[npt.NDArray[Any]], Any],
        *,
        depth_mm: float | None = None,
    ) -> Row:
        try:
            mask = self.masks.region(stem, region)
            values = self._inside(self.results.map(map_name), mask, depth_mm)
        except UnreadableError as problem:
            return missing_row(label, true, unit, bound, str(problem))
        return judged_row(
            label,
            float(statistic(values)),
            true,
            unit,
            bound,
            note if note else f"n = {values.size}",
        )

    @staticmethod
    def _inside(raster: Raster, mask: Raster, depth_mm: float | None) -> npt.NDArray[Any]:
        if not raster.same_grid(mask):
            raise UnreadableError("map and true mask lie on different grids")
        core = (
            eroded_one_voxel(mask.data)
            if depth_mm is None
            else eroded_mm(mask.data, mask.spacing_mm, depth_mm)
        )
        values = raster.data[core]
        finite = values[np.isfinite(values)]
        if not finite.size:
            raise UnreadableError("no valid voxel in the core")
        if finite.size < 0.9 * values.size:
            raise UnreadableError(
                f"only {finite.size} of {values.size} voxels of the core are valid"
            )
        return np.asarray(finite, dtype=float)

    def _cell_row(
        self,
        label: str,
        region: str,
        column: str,
        true: float,
        unit: str,
        bound: float | None = None,
    ) -> Row:
        try:
            return judged_row(label, self.results.number(region, column), true, unit, bound)
        except UnreadableError as problem:
            return missing_row(label, true, unit, bound, str(problem))
