"""Time of iterative Yang, as a ratio to the Gaussian blurs that it stands for.

    python -m tests.benchmarks.bench_partial_volume

The textbook blurs the template of the whole group once in each iteration; that many blurs of the
same boxes, with the same weights and nothing else, are the yardstick.  Processor time, least of
several rounds in one process, everything warm.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eprimg.kernels._partial_volume_input import start
from eprimg.kernels.partial_volume import (
    gaussian_blur,
    geometric_transfer_matrix,
    iterative_yang,
)

FWHM_MM, STEP_MM, LESIONS, ITERATIONS, GOAL = 6.0, 2.0, 20, 10, 1.3
SCENES = {
    "one dense group, gaps of 2 to 11 mm": ((50, 50, 50), 24.0),
    "one loose group": ((60, 60, 60), 30.0),
    "20 lesions apart": ((110, 110, 110), 75.0),
}
ROUNDS = 7


def scene(shape: tuple[int, int, int], pitch_mm: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Paint 20 spheres of 13 to 22 mm on a lattice and blur them."""
    rng = np.random.default_rng(3)
    labels = np.zeros(shape, dtype=np.int16)
    image = np.ones(shape)
    axes = np.meshgrid(*(np.arange(n) * STEP_MM for n in shape), indexing="ij")
    for n in range(LESIONS):
        centre = np.array([n // 9, n // 3 % 3, n % 3]) * pitch_mm + 25.0
        r2 = sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True))
        inside = r2 <= rng.uniform(6.5, 11.0) ** 2
        labels[inside] = n + 1
        image[inside] = rng.uniform(3.0, 12.0)
    return labels, gaussian_blur(image, FWHM_MM, (STEP_MM,) * 3)


def seconds(call: Callable[[], object]) -> float:
    """Least processor time of some rounds."""
    call()
    best = float("inf")
    for _ in range(ROUNDS):
        before = time.process_time()
        call()
        best = min(best, time.process_time() - before)
    return best


def rows() -> list[tuple[str, str, int, float, dict[str, float]]]:
    """Measure every scene with both kinds of numbers."""
    out = []
    spacing = (STEP_MM,) * 3
    for name, (shape, pitch) in SCENES.items():
        for kind in (np.float32, np.float64):
            labels, image = scene(shape, pitch)
            assert int(labels.max()) == np.unique(labels[labels > 0]).size == LESIONS
            image = image.astype(kind)
            groups = start(image, labels, FWHM_MM, spacing, None, None)[1]

            def blurs(groups: list[Any] = groups) -> None:
                for group in groups:
                    for _ in range(ITERATIONS):
                        gaussian_blur(group.image, FWHM_MM, spacing, kernel="integrated")

            given = (image, labels, FWHM_MM, spacing)
            took = {
                "iterative Yang": seconds(
                    lambda given=given: iterative_yang(
                        *given, n_iterations=ITERATIONS, standard_errors=False
                    )
                ),
                "the same with standard errors": seconds(
                    lambda given=given: iterative_yang(*given, n_iterations=ITERATIONS)
                ),
                "matrix with standard errors": seconds(
                    lambda given=given: geometric_transfer_matrix(*given)
                ),
            }
            out.append((name, np.dtype(kind).name, len(groups), seconds(blurs), took))
    return out


def main() -> None:
    """Print the section of the performance page."""
    print("## Partial-volume correction\n")
    print(
        f"{LESIONS} lesions of 13 to 22 mm, FWHM {FWHM_MM:g} mm, voxels of {STEP_MM:g} mm, "
        f"{ITERATIONS} iterations, against {ITERATIONS} Gaussian blurs of the same boxes; "
        "processor time.\n"
    )
    print("| scene | type | groups | blurs (ms) | what | ms | ratio | goal |")
    print("|---|---|---:|---:|---|---:|---:|---|")
    for name, kind, groups, blurs, took in rows():
        for what, time_s in took.items():
            ratio = time_s / blurs
            goal = "" if "matrix" in what else f"<= {GOAL:g}"
            if goal:
                goal += ", met" if ratio <= GOAL else ", **missed**"
            print(
                f"| {name} | {kind} | {groups} | {1e3 * blurs:.1f} | {what} | "
                f"{1e3 * time_s:.1f} | {ratio:.2f} | {goal} |"
            )


if __name__ == "__main__":
    main()
