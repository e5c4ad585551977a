"""How long the windows take, beside the limits of the acceptance checks (`make bench-gui`).

A case of 256 x 256 x 256 voxels with 40 lesions is made from formulas, shown in the reading room
on a screen in memory, and used.  Results go to ``bench-results/windows.json`` and to the page
``docs/validation/windows.md``; no test asserts a time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

os.environ["NAPARI_CONFIG"] = ""
os.environ.setdefault("QT_API", "pyside6")

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "validation" / "windows.md"
RESULTS = ROOT / "bench-results" / "windows.json"
SIDE, LESIONS = int(os.environ.get("EPRIMG_BENCH_SIDE", "256")), 40
"""Voxels along each side (fewer only to try this program out), number of lesions."""


class Limit(NamedTuple):
    """What is measured and what it is held against."""

    check: int
    words: str
    ci_ms: float
    goal_ms: float | None


LIMITS = {
    "mip_ready": Limit(9, "36 pictures of the projection of a 256³ PET ready", 10_000, 3_000),
    "mip_cancel": Limit(9, "making the projection stops after Cancel", 1_000, None),
    "mip_step": Limit(9, "the projection turns by one picture", 100, 16),
    "row_click": Limit(11, "click on a row: three planes show the lesion", 300, 50),
    "core_one": Limit(12, "core: measure one of 40 lesions again, 256³", 50, None),
    "paint_table": Limit(12, "end of a brush stroke to the changed table", 350, 80),
    "step_one": Limit(13, "one slice further, one plane, two series and labels", 150, 16),
    "step_three": Limit(13, "one slice further, crosshair moves in three planes", 250, 33),
    "cut_off": Limit(15, "cut-off typed to new colours and counts", 200, None),
    "cancel": Limit(18, "Cancel during registration to the idle window", 1_000, None),
    "first_image": Limit(25, "start of the program to the first picture of 256³", 15_000, 5_000),
}  # fmt: skip


def big_case() -> Any:
    """A cube of 256³ voxels of 1.5 mm: MR, SUV, 40 ball-shaped lesions, all from formulas."""
    from dataclasses import replace

    from eprimg import pipeline
    from eprimg.config import Config
    from eprimg.model.case import Case
    from eprimg.model.grid import Grid
    from eprimg.model.lesions import LesionSet, Region, RegionRole
    from eprimg.model.maps import QuantityMap
    from eprimg.model.study import Role, Series, Study, Timepoint
    from eprimg.model.volume import Volume
    from eprimg.quantities import quantity
    from tests import tiny_case

    step = 1.5
    affine = np.diag([0.0, 0.0, 0.0, 1.0])
    affine[[2, 1, 0], [0, 1, 2]] = step
    affine[:3, 3] = -step * (SIDE - 1) / 2
    grid = Grid((SIDE, SIDE, SIDE), affine, "1.2.826.0.1.7")
    random = np.random.default_rng(7)
    noise = random.random((SIDE, SIDE, SIDE), dtype=np.float32)
    suv, labels = 1.0 + 0.2 * noise, np.zeros(grid.shape, dtype=np.int32)
    cells = np.argwhere(np.ones((4, 4, 4), dtype=bool))[:LESIONS]  # no two lesions touch
    corners = cells * (SIDE // 4) + (SIDE // 4 - 16) // 2
    k, j, i = np.mgrid[:16, :16, :16]
    ball = (k - 7.5) ** 2 + (j - 7.5) ** 2 + (i - 7.5) ** 2 <= 49
    for number, corner in enumerate(corners, start=1):
        box = tuple(slice(c, c + 16) for c in corner)
        labels[box][ball] = number
        suv[box][ball] = 4.0 + number % 12
    study = Study(
        "P-1",
        (
            Timepoint(
                "89Zr",
                None,
                (
                    Series(
                        "pet",
                        Role.PET,
                        Volume(suv * 1000, grid, quantity("activity")),
                        tiny_case.pet_acquisition(),
                    ),
                ),
            ),
        ),
    )
    regions = tuple(Region(n, f"lesion-{n}", RegionRole.LESION) for n in range(1, LESIONS + 1))
    full = np.ones(grid.shape, bool)
    uptake = QuantityMap(suv, grid, quantity("suvbw"), full, "made", ("pet",))
    percent = QuantityMap(1.4 * suv, grid, quantity("pid_per_kg"), full, "made", ("pet",))
    maps = {"suvbw": uptake, "pid_per_kg": percent}
    case = Case(study, maps=maps, registered=maps, lesions=LesionSet(labels, grid, regions))
    measured = pipeline.run(study, Config(), case=case, start="measure")
    signal = replace(uptake, values=400 * noise, quantity=quantity("s0"))
    # Maps and outlines come from formulas: the stages that would make them count as run.
    ran = dict.fromkeys(pipeline.STAGES, 0.0) | dict(measured.provenance.seconds)
    return replace(
        measured,
        registered={**measured.registered, "r2star_pre": _as_r2star(signal)},
        provenance=replace(measured.provenance, seconds=ran),
    )


def _as_r2star(source: Any) -> Any:
    from dataclasses import replace

    from eprimg.quantities import quantity

    return replace(source, quantity=quantity("r2star"))


def wait(true: Callable[[], bool], seconds: float = 120.0) -> float:
    """Let the window live until something has happened; seconds that it took."""
    from qtpy.QtWidgets import QApplication

    start = time.perf_counter()
    while not true():
        QApplication.processEvents()
        if time.perf_counter() - start > seconds:
            raise TimeoutError("it did not happen")
    return time.perf_counter() - start


def drawn(room: Any, names: tuple[str, ...]) -> None:
    """Draw planes now and wait for the graphics, as a screen does before it shows a frame."""
    from qtpy.QtWidgets import QApplication

    QApplication.processEvents()
    for name in names:
        room.panes()[name][0].grabFramebuffer()


def times(repeat: int, once: Callable[[int], float]) -> list[float]:
    """Milliseconds of each repetition after one that is not counted."""
    once(0)
    return [1000 * once(n) for n in range(1, repeat + 1)]


def measure_room(repeat: int) -> dict[str, list[float]]:
    """Show the big case and use it."""
    import napari
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QSlider

    from eprimg import pipeline
    from napari_eprimg.workspace import open_workspace
    from tests.gui.measured_room import PLANES, MeasuredRoom
    from tests.plugins import screen

    found: dict[str, list[float]] = {}
    viewer = napari.Viewer()
    viewer.window.resize(1600, 1000)
    open_workspace(viewer)
    case = big_case()
    plan = SimpleNamespace(
        study_file=SimpleNamespace(entered={}), index=SimpleNamespace(series=()), findings=()
    )
    study = SimpleNamespace(folder=Path(), plan=plan, case=case)
    start = time.perf_counter()
    room = MeasuredRoom(viewer, study)
    pane = room.find("mip_pane")
    turn = next(s for s in pane.findChildren(QSlider) if "projection" in s.accessibleName())
    wait(turn.isEnabled)
    found["mip_ready"] = [1000 * (time.perf_counter() - start)]
    screen.settle(0.5)

    def turn_once(n: int) -> float:
        start = time.perf_counter()
        QTest.keyClick(turn, Qt.Key.Key_Right)
        room.panes()  # find the canvases as a frame would
        from napari.qt import QtViewer

        pane.findChild(QtViewer).canvas.native.grabFramebuffer()
        return time.perf_counter() - start

    found["mip_step"] = times(repeat, turn_once)
    for key, names in (("step_one", ("axial",)), ("step_three", PLANES)):

        def step(n: int, names: tuple[str, ...] = names) -> float:
            s, p, ell = room.reading.cursor_mm
            by = 1.5 if n % 2 else -1.5
            start = time.perf_counter()
            if len(names) == 1:
                viewer.dims.set_point(0, s + by)
            else:
                room.reading.move_cursor((s + by, p + by, ell + by))
            drawn(room, names)
            return time.perf_counter() - start

        found[key] = times(repeat, step)

    def row_click(n: int) -> float:
        view = room.table()
        index = view.model().index(n % 4, 1)
        place = view.visualRect(index).center()
        start = time.perf_counter()
        QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
        drawn(room, PLANES)
        return time.perf_counter() - start

    found["row_click"] = times(repeat, row_click)

    def core(n: int) -> float:
        start = time.perf_counter()
        pipeline.run(
            case.study,
            room.reading.config,
            case=room.reading.case,
            start="measure",
            stop="measure",
            ids={1 + n % LESIONS},
        )
        return time.perf_counter() - start

    found["core_one"] = times(repeat, core)
    room.click_row(1)
    room.press("brush")

    def paint(n: int) -> float:
        s, p, ell = room.reading.cursor_mm
        by = 12.0 + 1.5 * n  # beside the lesion, whose radius is 10.5 mm
        # One cell: reading the whole table over and over would be part of the time.
        view = room.table()
        titles = list(room.rows()[0])
        (title,) = [t for t in titles if "olume" in t]
        model, row = view.model(), view.currentIndex().row()
        column = next(
            c
            for c in range(model.columnCount())
            if str(model.headerData(c, Qt.Orientation.Horizontal)) == title
        )
        before = model.index(row, column).data()
        here, there = room.place((s, p, ell + by)), room.place((s, p + 3.0, ell + by))
        start_px, end_px = (QPoint(round(x[1]), round(x[0])) for x in (here, there))
        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        QTest.mousePress(room.canvas, left, none, start_px)
        screen._move(room.canvas, end_px, none)
        start = time.perf_counter()
        QTest.mouseRelease(room.canvas, left, none, end_px)
        wait(lambda: model.index(row, column).data() != before, 30)
        drawn(room, PLANES)
        return time.perf_counter() - start

    found["paint_table"] = times(min(repeat, 6), paint)
    scheme = next(s for s in room.reading.case.schemes if s.rule == "fixed")

    def cut_off(n: int) -> float:
        start = time.perf_counter()
        room.reading.set_scheme_edges(
            scheme.key, [e * (1.01 if n % 2 else 1.0) for e in scheme.edges]
        )
        drawn(room, PLANES)
        return time.perf_counter() - start

    found["cut_off"] = times(repeat, cut_off)
    viewer.close()
    return found


def measure_cancel() -> dict[str, list[float]]:
    """Cancel the making of the projection, and a registration of the small phantom."""
    import tempfile

    from qtpy.QtCore import QCoreApplication
    from qtpy.QtWidgets import QApplication

    from eprimg_phantoms import make
    from napari_eprimg.dock.jobs import jobs_of
    from napari_eprimg.reading.reading import Reading, Step
    from napari_eprimg.view.mip_work import ProjectionWork, pet_map

    _ = QCoreApplication.instance() or QApplication([])
    case = big_case()
    source = pet_map(case)
    assert source is not None
    work = ProjectionWork(source)
    work.start()
    wait(lambda: work.share > 0.1)
    start = time.perf_counter()
    work.cancel()
    assert work.wait(30)
    stopped = 1000 * (time.perf_counter() - start)
    with tempfile.TemporaryDirectory() as folder:
        study = make("abdomen", Path(folder) / "abdomen", size="small", seed=1) / "dicom"
        reading = Reading()
        reading.open_task(study).run_now()
        reading.check_task().run_now()
        jobs = jobs_of(reading)
        cancelled = []
        for pause in (0.5, 1.0, 1.5):
            jobs.start(reading.run_task(Step.REGISTER))
            end = time.perf_counter() + pause
            wait(lambda end=end: time.perf_counter() > end)
            assert jobs.busy
            jobs.cancel()
            cancelled.append(1000 * wait(lambda: not jobs.busy))
    return {"mip_cancel": [stopped], "cancel": cancelled}


def first_image(pickled: str) -> None:
    """Print the seconds from the start of the process to the first drawn plane of a case."""
    import pickle

    import napari

    from napari_eprimg.workspace import open_workspace
    from tests.gui.measured_room import MeasuredRoom

    viewer = napari.Viewer()
    viewer.window.resize(1600, 1000)
    open_workspace(viewer)
    case = pickle.loads(Path(pickled).read_bytes())
    plan = SimpleNamespace(
        study_file=SimpleNamespace(entered={}), index=SimpleNamespace(series=()), findings=()
    )
    room = MeasuredRoom(viewer, SimpleNamespace(folder=Path(), plan=plan, case=case))
    drawn(room, ("axial", "coronal", "sagittal"))
    print("READY", flush=True)
    os._exit(0)


def measure_start(repeat: int) -> dict[str, list[float]]:
    """Start the program on the big case several times."""
    import pickle
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        pickled = Path(folder) / "case.pickle"
        pickled.write_bytes(pickle.dumps(big_case(), protocol=5))
        taken = []
        for _ in range(repeat):
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "tests.benchmarks.bench_gui", "--first-image", str(pickled)],
                check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            taken.append(1000 * (time.perf_counter() - start))
    return {"first_image": taken}


def written(found: dict[str, list[float]], load: tuple[float, ...]) -> str:
    """The page."""
    packages = ("napari", "PySide6_Essentials", "vispy", "numpy")
    lines = [
        "# Times of the windows",
        "",
        "Made by `make bench-gui` on a screen in memory with software OpenGL; a computer with a",
        "graphics card is faster. The limits are those of the acceptance checks, the goals are for",
        "such a computer. Times are those of this machine; no test asserts them.",
        "",
        f"Machine: {os.cpu_count()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}; "
        + ", ".join(f"{p} {version(p)}" for p in packages)
        + f". Load average before and after: {load[0]:.1f}, {load[1]:.1f}.",
        "",
        f"Case: {SIDE} x {SIDE} x {SIDE} voxels, {LESIONS} lesions, made from formulas.",
        "",
        "| check | what | median ms | p95 ms | n | limit ms | goal ms | median within limit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for key, limit in LIMITS.items():
        values = found.get(key)
        if not values:
            lines.append(
                f"| {limit.check} | {limit.words} | not measured | | 0 | {limit.ci_ms:g} |"
                f" {'' if limit.goal_ms is None else f'{limit.goal_ms:g}'} | |"
            )
            continue
        median, p95 = statistics.median(values), float(np.percentile(values, 95))
        goal = "" if limit.goal_ms is None else f"{limit.goal_ms:g}"
        fits = "yes" if median <= limit.ci_ms else "**no**"
        lines.append(
            f"| {limit.check} | {limit.words} | {median:.0f} | {p95:.0f} | {len(values)} |"
            f" {limit.ci_ms:g} | {goal} | {fits} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--first-image", default="")
    asked = parser.parse_args()
    if asked.first_image:
        first_image(asked.first_image)
    before = os.getloadavg()[0]
    found = {**measure_room(asked.repeat), **measure_cancel(), **measure_start(3)}
    page = written(found, (before, os.getloadavg()[0]))
    if SIDE != 256:
        print(page)
        return
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1), encoding="utf-8")
    PAGE.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
