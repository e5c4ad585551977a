"""Step 1: choose a study folder or a saved case, and settle what each series is used for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from qtpy.QtWidgets import QComboBox, QFileDialog, QFrame, QLineEdit, QVBoxLayout

from eprimg.model.study import Role
from napari_eprimg.dock.panel_parts import (
    blocked,
    card,
    clear_layout,
    push_button,
    row,
    still_on_wheel,
    words,
)
from napari_eprimg.dock.step_frame import StepBody
from napari_eprimg.reading.reading import Step

if TYPE_CHECKING:
    import napari

    from eprimg.io.entries import SeriesEntry
    from napari_eprimg.dock.jobs import Jobs, Outcome
    from napari_eprimg.reading.reading import Reading

__all__ = ["ROLE_WORDS", "OpenStep"]

ROLE_WORDS: Final[dict[Role, str]] = {
    Role.MR_PRE: "MR before ferumoxytol",
    Role.MR_POST: "MR after ferumoxytol",
    Role.PET: "PET",
    Role.CT: "CT of the PET",
    Role.REGIONS: "masks",
    Role.UNUSED: "not used",
}
"""What a reader reads for a role."""


class OpenStep(StepBody):
    """Folder, saved case, and the list of series with their roles.

    Parameters
    ----------
    viewer, reading, jobs
        See `StepBody`.
    """

    step = Step.OPEN
    title = "Open"

    def __init__(self, viewer: napari.viewer.Viewer, reading: Reading, jobs: Jobs) -> None:
        super().__init__(viewer, reading, jobs)
        self.folder_button = push_button("Open study folder...", self._choose_folder)
        self.case_button = push_button("Open saved case...", self._choose_case)
        self.path = QLineEdit()
        self.path.setObjectName("study_path")
        self.path.setPlaceholderText("or type a path and press Enter")
        self.path.returnPressed.connect(self._open_typed)
        self.hint = words(
            "Begin here: open the folder that holds the MR and PET series of one patient. It can "
            "also be dropped on this panel. Then follow the steps downwards, or press Run all.",
            dim=True,
        )
        self._series = QVBoxLayout()
        self._series.setSpacing(6)
        self.combos: dict[str, QComboBox] = {}
        self._listed: object = None
        self.layout_.addWidget(self.folder_button)
        self.layout_.addWidget(self.case_button)
        self.layout_.addWidget(self.path)
        self.layout_.addWidget(self.hint)
        self.layout_.addLayout(self._series)
        jobs.finished.connect(self._forget_path)

    def open_path(self, path: Path | str) -> None:
        """Open a study folder, or a saved case.

        Parameters
        ----------
        path : Path or str
            What was chosen, typed or dropped.
        """
        self.run(lambda: self.reading.open_task(Path(path).expanduser()))

    def refresh(self) -> None:
        """Show the series of the plan with their roles."""
        why = self.jobs.why_not
        for control in (self.folder_button, self.case_button, self.path):
            blocked(control, why)
        plan = self.reading.plan
        if plan is not self._listed:
            self._listed = plan
            self._list_series(plan.index.series if plan is not None else ())
        self.hint.setVisible(plan is None)
        for key, combo in self.combos.items():
            place = combo.findData(self.reading.roles.get(key, Role.UNUSED))
            combo.setCurrentIndex(place)
            blocked(combo, why, "What this series is used for")

    def _list_series(self, series: tuple[SeriesEntry, ...]) -> None:
        clear_layout(self._series)
        self.combos = {}
        if series:
            self._series.addWidget(words(f"{len(series)} series, with proposed roles", bold=True))
        order = list(ROLE_WORDS)
        for entry in sorted(series, key=lambda each: order.index(each.role)):
            self._series.addWidget(self._series_card(entry))

    def _series_card(self, entry: SeriesEntry) -> QFrame:
        combo = QComboBox()
        combo.setObjectName(f"role_{entry.key}")
        combo.setAccessibleName(f"role of {entry.key}")
        combo.setMinimumContentsLength(10)
        for role, text in ROLE_WORDS.items():
            combo.addItem(text, role)
        still_on_wheel(combo)
        combo.activated.connect(
            lambda place, key=entry.key: self._give_role(key, combo.itemData(place))
        )
        self.combos[entry.key] = combo
        facts = [
            entry.modality,
            entry.shape,
            f"{entry.n_files} file{'' if entry.n_files == 1 else 's'}",
        ]
        if entry.field_strength_t:
            facts.insert(1, f"{entry.field_strength_t:g} T")
        facts += [f"TE {', '.join(f'{t:g}' for t in entry.echo_times_ms)} ms"] * bool(
            entry.echo_times_ms
        )
        return card(
            [
                row(words(entry.key, bold=True), combo),
                words(" · ".join(f for f in facts if f), dim=True),
                words(f"Why: {entry.reason}." if entry.reason else "", dim=True),
            ]
        )

    def _give_role(self, key: str, role: Role) -> None:
        self.attempt(lambda: self.reading.set_role(key, Role(role)))
        self.refresh()

    def _choose_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Open study folder")
        if path:
            self.open_path(path)

    def _choose_case(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Open saved case")
        if path:
            self.run(lambda: self.reading.reopen_task(Path(path)))

    def _open_typed(self) -> None:
        text = self.path.text().strip()
        if text:
            self.open_path(text)

    def _forget_path(self, outcome: Outcome) -> None:
        if outcome.ok and outcome.task.step == Step.OPEN:
            self.path.clear()  # a folder's name can hold a patient's name
