"""Findings in sentences, grouped by how much they matter; a code explains itself on demand."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from qtpy.QtWidgets import QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from eprimg.model.case import Finding, Severity
from eprimg.report.palette import SEVERITIES
from napari_eprimg.dock.panel_parts import Fold, card, clear_layout, row, words
from napari_eprimg.reading.shown_place import known_names, shown_place

if TYPE_CHECKING:
    from napari_eprimg.reading.reading import Reading

__all__ = ["FindingsView"]

_GROUPS: Final = {
    Severity.ERROR: "Refused",
    Severity.WARNING: "Doubtful",
    Severity.INFO: "Notes",
}
# The report's colours are for white paper; these are for a dark panel.
_INK: Final = {Severity.ERROR: "#ff8f80", Severity.WARNING: "#f0b429", Severity.INFO: "#7cc4f0"}


class FindingsView(QWidget):
    """A list of findings.

    Parameters
    ----------
    reading : Reading
        Whose series and regions are known places.
    """

    def __init__(self, reading: Reading) -> None:
        super().__init__()
        self._reading = reading
        self._shown: tuple[Finding, ...] | None = None
        self.layout_ = QVBoxLayout(self)
        self.layout_.setContentsMargins(0, 0, 0, 0)
        self.layout_.setSpacing(4)

    def show_findings(self, findings: Sequence[Finding]) -> None:
        """Show findings, the weighty ones first; notes are folded.

        Parameters
        ----------
        findings : sequence of Finding
            In any order.
        """
        findings = tuple(findings)
        if findings == self._shown:
            return
        self._shown = findings
        clear_layout(self.layout_)
        for severity, title in _GROUPS.items():
            group = list(dict.fromkeys(f for f in findings if f.severity == severity))
            if not group:
                continue
            content = QWidget()
            layout = QVBoxLayout(content)
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(4)
            for finding in group:
                layout.addWidget(self._card(finding))
            fold = Fold(f"{SEVERITIES[severity].symbol}  {title} ({len(group)})", content)
            fold.button.setChecked(severity != Severity.INFO)
            self.layout_.addWidget(fold)

    def _card(self, finding: Finding) -> QWidget:
        style = SEVERITIES[finding.severity]
        sign = QLabel(style.symbol)
        sign.setStyleSheet(f"color: {_INK[finding.severity]}; font-weight: bold;")
        sign.setAccessibleName(style.word)
        sign.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        known = known_names(self._reading.roles, self._reading.case)
        place = words(shown_place(finding.where, known), dim=True)
        code = QToolButton()
        code.setText(finding.code)
        code.setCheckable(True)
        code.setToolTip("What does this code mean?")
        code.setStyleSheet("QToolButton { border: none; font-size: 10px; color: #a9b0b8; }")
        explained = words(dim=True)
        explained.hide()
        code.toggled.connect(partial(_explain, explained, finding.code))
        return card([row(sign, place, code), words(finding.text), explained])


def _explain(label: QLabel, code: str, shown: bool) -> None:
    from eprimg.resources.codes import all_codes

    entry = all_codes().get(code)
    if entry is not None:
        label.setText(f"{entry.text}\nWhat to do: {entry.action}.")
    label.setVisible(shown and entry is not None)
