"""Cut-offs of the tier schemes: change them and see the lesions recoloured at once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QButtonGroup,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from eprimg.model.tiers import INDETERMINATE, NOT_TIERED, TierScheme
from eprimg.quantities import QUANTITIES
from eprimg.report.palette import tier_style
from eprimg.stages.tiers_lesion import notice_of
from napari_eprimg.dock.panel_parts import (
    blocked,
    card,
    clear_layout,
    push_button,
    still_on_wheel,
    words,
)
from napari_eprimg.lesions.lesion_tools import lesion_tools_of
from napari_eprimg.lesions.tier_view import tier_counts

if TYPE_CHECKING:
    import napari

__all__ = ["SchemeCard", "SchemeWidget", "rising_fault"]

_HIGHEST = 1e6
_AMBER = "color: #f0b429;"


def rising_fault(edges: Sequence[float], unit: str) -> str:
    """Say why cut-offs cannot be used.

    Parameters
    ----------
    edges : sequence of float
        From low to high.
    unit : str
        Their unit, for the sentence.

    Returns
    -------
    str
        Empty when every cut-off is higher than the one before.
    """
    for place, (low, high) in enumerate(itertools.pairwise(edges)):
        if high <= low:
            return (
                f"Cut-off {place + 2} ({high:g} {unit}) must be higher than cut-off {place + 1} "
                f"({low:g} {unit}). Nothing was changed."
            )
    return ""


class SchemeCard(QWidget):
    """One scheme: its cut-offs, the count of every tier, its citation.

    Parameters
    ----------
    scheme : TierScheme
        The scheme.
    owner : SchemeWidget
        Told when a cut-off or the choice changes.
    """

    def __init__(self, scheme: TierScheme, owner: SchemeWidget) -> None:
        super().__init__()
        self.key = scheme.key
        self._owner = owner
        self._unit = QUANTITIES[scheme.quantity].unit.text
        quantity = f"{QUANTITIES[scheme.quantity].name} {scheme.statistic}"
        self.colours = QRadioButton("colours the lesions")
        self.colours.setObjectName(f"colour_by_{scheme.key}")
        self.colours.clicked.connect(partial(owner.colour_by, scheme.key))
        self.boxes: list[QDoubleSpinBox] = []
        grid = QGridLayout()
        grid.setHorizontalSpacing(6)
        grid.setColumnStretch(1, 1)
        for place, edge in enumerate(scheme.edges if scheme.rule == "fixed" else ()):
            box = self._box(scheme, place, edge)
            upper = scheme.labels[place + 1]
            grid.addWidget(QLabel(f"{upper} from"), place, 0)
            grid.addWidget(box, place, 1)
            self.boxes.append(box)
        self.fault = words()
        self.fault.setStyleSheet(_AMBER)
        self.fault.hide()
        self.notice = words()
        self.notice.setStyleSheet(_AMBER)
        self.version = words(dim=True)
        self._counts = QHBoxLayout()
        self._counts.setSpacing(3)
        parts: list[QWidget | QGridLayout | QHBoxLayout] = [
            words(scheme.title, bold=True),
            words(f"{quantity} [{self._unit}]"),
            grid,
            self.fault,
            self._counts,
            self.colours,
            self.notice,
            self.version,
            words(scheme.citation, dim=True),
        ]
        if scheme.rule != "fixed":
            parts.insert(3, words("The cut-offs come from the stored cohort.", dim=True))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(card(parts))

    def _box(self, scheme: TierScheme, place: int, edge: float) -> QDoubleSpinBox:
        box = QDoubleSpinBox()
        box.setObjectName(f"edge_{scheme.key}_{place}")
        box.setAccessibleName(f"Cut-off {place + 1} of {scheme.title}")
        box.setRange(0.0 if scheme.applies_to == "pet" else -_HIGHEST, _HIGHEST)
        box.setDecimals(2)
        box.setSingleStep(1.0)
        box.setSuffix(f" {self._unit}")
        box.setKeyboardTracking(False)  # a half typed number is no cut-off
        box.setValue(edge)
        box.setAlignment(Qt.AlignmentFlag.AlignRight)
        still_on_wheel(box)
        box.valueChanged.connect(self._changed)
        return box

    def _changed(self, _: float) -> None:
        edges = [box.value() for box in self.boxes]
        fault = rising_fault(edges, self._unit)
        self.fault.setText(fault)
        self.fault.setVisible(bool(fault))
        if not fault:
            self._owner.set_edges(self.key, edges)

    def show_scheme(self, scheme: TierScheme, counts: dict[str, int], *, chosen: bool) -> None:
        """Show cut-offs and counts as they are now.

        Parameters
        ----------
        scheme : TierScheme
            The scheme, perhaps with other cut-offs.
        counts : dict of str to int
            Lesions per tier.
        chosen : bool
            True when it colours the lesions.
        """
        for box, edge in zip(self.boxes, scheme.edges, strict=False):
            box.blockSignals(True)
            box.setValue(edge)
            box.blockSignals(False)
        self.fault.hide()
        self.colours.setChecked(chosen)
        notice = notice_of(scheme)
        self.notice.setText(f"! {notice}" if notice else "")
        self.notice.setVisible(bool(notice))
        self.version.setText(f"{scheme.key}, version {scheme.version}")
        clear_layout(self._counts)
        for word, count in counts.items():
            if count or word not in (INDETERMINATE, NOT_TIERED):
                self._counts.addWidget(_chip(word, count, scheme))
        self._counts.addStretch(1)


class SchemeWidget(QWidget):
    """Cut-offs of every scheme that was applied; each change can be undone.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.tools = lesion_tools_of(napari_viewer)
        self.reading = self.tools.reading
        self.cards: dict[str, SchemeCard] = {}
        self._group = QButtonGroup(self)
        self._cards = QVBoxLayout()
        self._cards.setSpacing(6)
        self.reset = push_button(
            "Cut-offs of the files", self._reset, tip="Give up every change of the cut-offs"
        )
        self.reset.setObjectName("reset_cut_offs")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._cards)
        layout.addWidget(self.reset)
        layout.addStretch(1)
        signals = (
            self.reading.tiers_changed,
            self.reading.case_changed,
            self.reading.regions_changed,
        )
        for signal in signals:
            signal.connect(self.refresh)
        self.tools.scheme_changed.connect(self.refresh)
        self.destroyed.connect(partial(_let_go, signals, self.refresh))
        self.refresh()

    def refresh(self, *_: object) -> None:
        """Show the schemes as they are now."""
        case = self.reading.case
        schemes = case.schemes if case is not None else ()
        if list(self.cards) != [s.key for s in schemes]:
            clear_layout(self._cards)
            self.cards = {s.key: SchemeCard(s, self) for s in schemes}
            for each in self.cards.values():
                self._group.addButton(each.colours)
                self._cards.addWidget(each)
        current = self.tools.scheme
        for scheme in schemes:
            self.cards[scheme.key].show_scheme(
                scheme,
                tier_counts(case, scheme),
                chosen=current is not None and current.key == scheme.key,
            )
        edited = any("edited" in s.version for s in schemes)
        blocked(self.reset, "" if edited else "No cut-off was changed.", self.reset.toolTip())

    def set_edges(self, key: str, edges: Sequence[float]) -> None:
        """Give a scheme other cut-offs.

        Parameters
        ----------
        key : str
            Key of the scheme.
        edges : sequence of float
            Rising, in the unit of the scheme.
        """
        self.tools.flush()
        if not self.tools.attempt(partial(self.reading.set_scheme_edges, key, tuple(edges))):
            self.refresh()

    def colour_by(self, key: str, _checked: bool = True) -> None:
        """Colour the lesions by the tiers of a scheme.

        Parameters
        ----------
        key : str
            Key of the scheme.
        """
        self.tools.colour_by(key)

    def _reset(self) -> None:
        names = self.reading.config.stratify.schemes
        self.tools.attempt(lambda: self.reading.set_schemes(names))


def _chip(word: str, count: int, scheme: TierScheme) -> QLabel:
    style = tier_style(word, scheme)
    chip = QLabel(f"{style.symbol} {count}")
    chip.setToolTip(f"{word}: {count} lesion{'' if count == 1 else 's'}")
    chip.setAccessibleName(f"{word} {count}")
    border = " border: 1px dashed #5b626b;" if style.hatched else ""
    chip.setStyleSheet(
        f"background: {style.fill}; color: {style.ink}; border-radius: 3px; padding: 1px 4px;"
        f"{border}"
    )
    return chip


def _let_go(signals: Sequence[object], slot: object, *_: object) -> None:
    """Disconnect a widget that is gone."""
    for signal in signals:
        signal.disconnect(slot, missing_ok=True)  # type: ignore[attr-defined]
