"""Step 5: find or import lesions, review them, correct them with napari's labels tools."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QDoubleSpinBox, QFrame, QPushButton, QVBoxLayout

from eprimg.io.relaxivity import relaxivity_keys
from eprimg.model.lesions import LesionSet, RegionSource
from eprimg.registry import engines
from napari_eprimg.dock.click_panel import ClickPanel
from napari_eprimg.dock.panel_parts import (
    RunButton,
    blocked,
    card,
    clear_layout,
    push_button,
    row,
    still_on_wheel,
    words,
)
from napari_eprimg.dock.step_frame import StepBody
from napari_eprimg.lesions.lesion_tools import lesion_tools_of
from napari_eprimg.reading.reading import Step

if TYPE_CHECKING:
    import napari

    from napari_eprimg.dock.jobs import Jobs
    from napari_eprimg.reading.reading import Reading

__all__ = ["LesionsStep", "lesions_in_words"]


def lesions_in_words(lesions: LesionSet | None) -> str:
    """Say how many lesions there are and where they come from.

    Parameters
    ----------
    lesions : LesionSet or None
        Regions of the case.

    Returns
    -------
    str
        One or two sentences.
    """
    if lesions is None or not lesions.lesions:
        return "There is no lesion yet."
    sources = [region.source for region in lesions.lesions]
    parts = []
    for source, text in (
        (RegionSource.MASK, "from masks or drawn by the reader"),
        (RegionSource.CONFIRMED, "from a click, or found by the engine and confirmed"),
        (
            RegionSource.CANDIDATE,
            "found by the engine or doubtful, not reviewed: measured, but without tier",
        ),
    ):
        count = sources.count(source)
        if count:
            parts.append(f"{count} {text}")
    total = len(sources)
    return f"{total} lesion{'' if total == 1 else 's'}: {'; '.join(parts)}."


class LesionsStep(StepBody):
    """Run button, candidates to confirm, and the tools.

    Parameters
    ----------
    viewer, reading, jobs
        See `StepBody`.
    """

    step = Step.LESIONS
    title = "Lesions"

    def __init__(self, viewer: napari.viewer.Viewer, reading: Reading, jobs: Jobs) -> None:
        super().__init__(viewer, reading, jobs)
        self.run_button = RunButton(
            "Find and measure", lambda: self.run(lambda: reading.run_task(Step.LESIONS))
        )
        self.run_button.button.setObjectName("run_lesions")
        self.count = words()
        self.confirm_all = push_button("Confirm all candidates", self._confirm_all)
        self.confirm_all.setObjectName("confirm_all")
        self._candidates = QVBoxLayout()
        self._candidates.setSpacing(2)
        self.layout_.addWidget(self.run_button)
        self.layout_.addWidget(self.count)
        self.layout_.addLayout(self._candidates)
        self.layout_.addWidget(self.confirm_all)
        self.click = ClickPanel(viewer, jobs)
        self.layout_.addWidget(self.click)
        self.layout_.addWidget(self._make_tools())
        self._tips = {name: button.toolTip() for name, button in self.buttons.items()}
        self.add_findings("segment", "measure")
        self.add_settings(
            "segment",
            choices={"engine": [e.name for e in engines("segmenter") if e.available]},
        )
        self.add_settings("measure").button.setText("Settings of measuring")
        self.add_settings("iron", choices={"model": ["", *relaxivity_keys()]}).button.setText(
            "Settings of iron"
        )
        self.add_settings("partial_volume").button.setText("Partial-volume correction")
        self.add_settings("blood_volume").button.setText("Blood in the vessels")
        self._listed: tuple[tuple[int, str], ...] | None = None

    def opened(self, is_open: bool) -> None:
        """Put the click tool down with the panel that shows it.

        Parameters
        ----------
        is_open : bool
            False when another step was opened instead.
        """
        if not is_open and self.click.tool.active:
            self.click.tool.take_up(False)

    def refresh(self) -> None:
        """Show counts and candidates."""
        self.run_button.show_why(self.why_not())
        self.show_settings()
        self.show_findings()
        case = self.reading.case
        lesions = case.lesions if case is not None else None
        self.count.setText(lesions_in_words(lesions))
        self._refresh_tools()
        self.click.refresh()
        candidates = (
            tuple((r.id, r.name) for r in lesions.lesions if r.source == RegionSource.CANDIDATE)
            if lesions is not None
            else ()
        )
        if candidates != self._listed:
            self._listed = candidates
            self._list_candidates(candidates)
        self.confirm_all.setVisible(len(candidates) > 1)
        for button in (self.confirm_all, *self._confirm_buttons):
            blocked(button, self.jobs.why_not, "It becomes a lesion and gets a tier")

    def _list_candidates(self, candidates: tuple[tuple[int, str], ...]) -> None:
        clear_layout(self._candidates)
        self._confirm_buttons: list[QPushButton] = []
        for region_id, name in candidates:
            show = push_button(
                "Show", partial(lesion_tools_of(self.viewer).go_to, region_id), tip="Go there"
            )
            confirm = push_button("Confirm", partial(self._confirm, [region_id]))
            confirm.setObjectName(f"confirm_{region_id}")
            self._confirm_buttons.append(confirm)
            self._candidates.addLayout(row(words(f"{region_id}  {name}"), show, confirm))

    def _confirm(self, ids: list[int]) -> None:
        lesion_tools_of(self.viewer).edit(lambda: self.reading.confirm(ids))

    def _confirm_all(self) -> None:
        self._confirm([region_id for region_id, _ in self._listed or ()])

    def _make_tools(self) -> QFrame:
        tools = lesion_tools_of(self.viewer)
        actions = {
            "new_lesion": ("New lesion", tools.new_lesion, "Make a lesion and take the brush"),
            "brush": ("Brush", lambda: tools.use("paint"), "Paint the selected lesion"),
            "eraser": ("Eraser", lambda: tools.use("erase"), "Take voxels off"),
            "undo": ("Undo", tools.undo, ""),
            "redo": ("Redo", tools.redo, ""),
            "threshold": (
                "Lesion at crosshair",
                self._threshold,
                "Every voxel above this part of the highest uptake around the crosshair",
            ),
        }
        self.buttons = {}
        for name, (text, pressed, tip) in actions.items():
            button = push_button(text, pressed, tip=tip)
            button.setObjectName(f"tool_{name}")
            button.setMinimumWidth(1)
            self.buttons[name] = button
        self.percent, self.radius = QDoubleSpinBox(), QDoubleSpinBox()
        for control, name, value, unit, highest in (
            (self.percent, "threshold_percent", self.reading.config.segment.percent, " %", 99.0),
            (self.radius, "threshold_radius", 20.0, " mm", 100.0),
        ):
            control.setObjectName(name)
            control.setRange(1.0, highest)
            control.setDecimals(0)
            control.setValue(value)
            control.setSuffix(unit)
            still_on_wheel(control)
        self.percent.setToolTip("Part of the highest uptake")
        self.radius.setToolTip("Radius of the sphere around the crosshair")
        return card(
            [
                words("Outlines", bold=True),
                row(*(self.buttons[name] for name in ("new_lesion", "brush", "eraser"))),
                row(self.percent, self.radius),
                self.buttons["threshold"],
                row(self.buttons["undo"], self.buttons["redo"]),
                words("Names, exclusion and deletion: in the lesion table.", dim=True),
            ]
        )

    def _threshold(self) -> None:
        tools = lesion_tools_of(self.viewer)
        tools.threshold_at_cursor(self.percent.value(), self.radius.value())

    def _refresh_tools(self) -> None:
        reading, busy = self.reading, self.jobs.why_not
        there = reading.case is not None and reading.case.lesions is not None
        why = busy or ("" if there else "Find or import lesions first.")
        for name in ("new_lesion", "brush", "eraser"):
            blocked(self.buttons[name], why, self._tips[name])
        no_point = "" if reading.cursor_mm is not None else "Click on the lesion in a plane first."
        blocked(self.buttons["threshold"], why or no_point, self._tips["threshold"])
        blocked(
            self.buttons["undo"],
            busy or ("" if reading.can_undo else "There is nothing to take back."),
            f"Undo: {reading.undo_words}",
        )
        blocked(
            self.buttons["redo"],
            busy or ("" if reading.can_redo else "There is nothing to do again."),
            f"Redo: {reading.redo_words}",
        )
