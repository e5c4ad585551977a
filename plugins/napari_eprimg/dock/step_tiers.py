"""Step 6: choose tier schemes, see the cut-offs, read the tier of the patient in words."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QFileDialog, QLabel, QLayout, QVBoxLayout, QWidget

from eprimg.model.tiers import PatientTier, TierScheme
from eprimg.report.palette import tier_style
from eprimg.resources import load_resource, resource_names
from napari_eprimg.dock.panel_parts import (
    Fold,
    RunButton,
    card,
    clear_layout,
    push_button,
    row,
    words,
)
from napari_eprimg.dock.step_frame import StepBody
from napari_eprimg.reading.reading import Step

if TYPE_CHECKING:
    import napari

    from napari_eprimg.dock.jobs import Jobs
    from napari_eprimg.reading.reading import Reading

__all__ = ["TiersStep", "confidence_in_words"]


def confidence_in_words(confidence: float) -> str:
    """Write a confidence.

    Parameters
    ----------
    confidence : float
        Probability of the most likely label, NaN when it cannot be stated.

    Returns
    -------
    str
        In percent, or that it is not known.
    """
    if not math.isfinite(confidence):
        return "confidence not known"
    return f"confidence {100 * confidence:.0f} %"


class TiersStep(StepBody):
    """Schemes, cut-offs, tier of the patient.

    Parameters
    ----------
    viewer, reading, jobs
        See `StepBody`.
    """

    step = Step.TIERS
    title = "Tiers"

    def __init__(self, viewer: napari.viewer.Viewer, reading: Reading, jobs: Jobs) -> None:
        super().__init__(viewer, reading, jobs)
        self.run_button = RunButton(
            "Place in tiers", lambda: self.run(lambda: reading.run_task(Step.TIERS))
        )
        self.run_button.button.setObjectName("run_tiers")
        self._tiers = QVBoxLayout()
        self._tiers.setSpacing(6)
        self._schemes = QVBoxLayout()
        self._schemes.setSpacing(2)
        self.boxes: dict[str, QCheckBox] = {}
        file_button = push_button("Add scheme file...", self._choose_file)
        holder = QWidget()
        inner = QVBoxLayout(holder)
        inner.setContentsMargins(12, 2, 0, 2)
        inner.addLayout(self._schemes)
        inner.addWidget(file_button)
        self.scheme_fold = Fold("Choose schemes", holder)
        self.scheme_fold.button.setObjectName("choose_schemes")
        self.layout_.addWidget(self.run_button)
        self.layout_.addLayout(self._tiers)
        self.add_findings("stratify")
        self.layout_.addWidget(self.scheme_fold)
        self._add_cut_offs()
        self.add_settings("stratify", leave_out=("schemes",))
        self._shown: tuple[PatientTier, ...] | None = None

    def _add_cut_offs(self) -> None:
        from napari_eprimg.lesions.scheme_widget import SchemeWidget

        self.cut_offs = SchemeWidget(self.viewer)
        self.layout_.addWidget(self.cut_offs)

    def refresh(self) -> None:
        """Show schemes and the tier of the patient."""
        self.run_button.show_why(self.why_not())
        self.show_settings()
        self.show_findings()
        chosen = self.reading.config.stratify.schemes
        names = list(dict.fromkeys([*resource_names("tier_schemes"), *chosen]))
        if list(self.boxes) != names:
            self._list_schemes(names)
        for name, box in self.boxes.items():
            box.blockSignals(True)
            box.setChecked(name in chosen)
            box.blockSignals(False)
            box.setEnabled(not self.jobs.busy)
        case = self.reading.case
        tiers = case.patient_tiers if case is not None else ()
        if tiers != self._shown:
            self._shown = tiers
            clear_layout(self._tiers)
            schemes = {s.key: s for s in case.schemes} if case is not None else {}
            for tier in tiers:
                self._tiers.addWidget(_tier_card(tier, schemes.get(tier.scheme)))
        self.cut_offs.setVisible(bool(tiers))

    def _list_schemes(self, names: list[str]) -> None:
        clear_layout(self._schemes)
        self.boxes = {}
        for name in names:
            own = name.endswith(".toml")
            title = "scheme file of the reader" if own else _title(name)
            box = QCheckBox(name.replace("\\", "/").rpartition("/")[2] if own else name)
            box.setObjectName(f"scheme_{name}")
            box.setToolTip(title)
            box.toggled.connect(partial(self._choose, name))
            self._schemes.addWidget(box)
            self._schemes.addWidget(words(title, dim=True))
            self.boxes[name] = box

    def _choose(self, name: str, on: bool) -> None:
        chosen = [n for n in self.reading.config.stratify.schemes if n != name]
        self._set_schemes([*chosen, name] if on else chosen)

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Tier scheme", filter="Tier scheme (*.toml)")
        if path:
            self._set_schemes([*self.reading.config.stratify.schemes, path])

    def _set_schemes(self, names: list[str]) -> None:
        self.attempt(lambda: self.reading.set_schemes(names))
        self.refresh()


def _title(name: str) -> str:
    return str(load_resource(f"tier_schemes/{name}.toml")["title"])


def _tier_card(tier: PatientTier, scheme: TierScheme | None) -> QWidget:
    style = tier_style(tier.label, scheme)
    label = QLabel(f" {style.symbol}  {tier.label} ")
    label.setStyleSheet(
        f"background: {style.fill}; color: {style.ink}; font-weight: bold; "
        "border-radius: 3px; padding: 3px;"
    )
    count = f"{tier.n_lesions} lesion{'' if tier.n_lesions == 1 else 's'}"
    parts: list[QWidget | QLayout] = [
        words(scheme.title if scheme is not None else tier.scheme, bold=True),
        row(label, words(confidence_in_words(tier.confidence))),
        words(f"Patient, by {tier.rule} of {count}", dim=True),
    ]
    if tier.notice:
        notice = words(f"! {tier.notice}")
        notice.setStyleSheet("color: #f0b429;")
        parts.append(notice)
    why = QWidget()
    inner = QVBoxLayout(why)
    inner.setContentsMargins(12, 0, 0, 0)
    inner.addWidget(words(tier.reason))
    inner.addWidget(words(tier.confidence_note, dim=True))
    parts.append(Fold("Why", why))
    return card(parts)
