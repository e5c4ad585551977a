"""Step 4: compute the maps, and place the reference regions that ratios are taken against."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QVBoxLayout

from eprimg.model.maps import QuantityMap
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

__all__ = ["ANATOMIES", "MapsStep", "map_in_words"]

ANATOMIES: Final = {
    "muscle": "muscle",
    "blood": "blood pool",
    "liver": "liver",
    "spleen": "spleen",
    "kidney": "kidney",
    "marrow": "marrow",
}
"""Canonical organ -> word."""

_MAP_WORDS: Final = {
    "r2star_pre": "R2* before ferumoxytol",
    "r2star_post": "R2* after ferumoxytol",
    "dr2star": "ΔR2* (after minus before)",
    "s0_pre": "S0 before ferumoxytol",
    "s0_post": "S0 after ferumoxytol",
    "suvbw": "SUVbw",
    "pid_per_kg": "%ID/kg",
}


def map_in_words(key: str, shown: QuantityMap) -> str:
    """Write a map in one line.

    Parameters
    ----------
    key : str
        Key of the map in the case.
    shown : QuantityMap
        The map.

    Returns
    -------
    str
        Name, unit, median and 99th percentile of the valid voxels.
    """
    valid = np.asarray(shown.valid, dtype=bool)
    plain = re.sub(r"_\d+$", "", key)
    name = _MAP_WORDS.get(plain, shown.quantity.name)
    name += f" ({shown.sources[0]})" if plain != key and shown.sources else ""
    unit = shown.quantity.unit.text
    if not valid.any():
        return f"{name}: no voxel could be computed"
    values = np.asarray(shown.values)[valid]
    unit = "" if unit == name else f" {unit}"
    median, high = (f"{float(v):.3g}{unit}" for v in np.percentile(values, (50, 99)))
    return f"{name}: median {median}, 99 % of the voxels below {high}"


class MapsStep(StepBody):
    """Run button, list of maps, reference regions.

    Parameters
    ----------
    viewer, reading, jobs
        See `StepBody`.
    """

    step = Step.MAPS
    title = "Maps and reference"

    def __init__(self, viewer: napari.viewer.Viewer, reading: Reading, jobs: Jobs) -> None:
        super().__init__(viewer, reading, jobs)
        self.run_button = RunButton(
            "Compute maps", lambda: self.run(lambda: reading.run_task(Step.MAPS))
        )
        self.run_button.button.setObjectName("run_maps")
        self.layout_.addWidget(self.run_button)
        self._maps = QVBoxLayout()
        self._maps.setSpacing(3)
        self.layout_.addLayout(self._maps)
        self.add_findings("quantify")
        self.anatomy = QComboBox()
        self.anatomy.setObjectName("reference_anatomy")
        for key, text in ANATOMIES.items():
            self.anatomy.addItem(text, key)
        self.diameter = QDoubleSpinBox()
        self.diameter.setObjectName("reference_diameter")
        self.diameter.setRange(2.0, 100.0)
        self.diameter.setDecimals(1)
        self.diameter.setValue(20.0)
        self.diameter.setSuffix(" mm")
        for control in (self.anatomy, self.diameter):
            still_on_wheel(control)
        self.place_button = push_button("Place sphere at crosshair", self._place)
        self.place_button.setObjectName("place_reference")
        self.why = words(dim=True)
        self.references = words(dim=True)
        self.layout_.addWidget(
            card(
                [
                    words("Reference regions", bold=True),
                    self.references,
                    row(self.anatomy, self.diameter),
                    self.place_button,
                    self.why,
                ]
            )
        )
        self.add_settings("r2star")
        self._shown: tuple[object, ...] | None = None

    def refresh(self) -> None:
        """Show maps and reference regions."""
        self.run_button.show_why(self.why_not())
        self.show_settings()
        self.show_findings()
        case = self.reading.case
        maps = {**case.registered, **case.maps} if case is not None else {}
        shown = tuple(id(each) for each in maps.values())
        if shown != self._shown:
            self._shown = shown
            clear_layout(self._maps)
            for key, each in maps.items():
                self._maps.addWidget(words(map_in_words(key, each)))
        references = case.lesions.references if case is not None and case.lesions else ()
        names = [
            f"{r.name} ({ANATOMIES.get(r.anatomy, r.anatomy)})" if r.anatomy else r.name
            for r in references
        ]
        self.references.setText(", ".join(names) or "none yet")
        why = self._why_no_sphere()
        blocked(self.place_button, why, "A sphere of this diameter around the crosshair")
        self.why.setText(why)
        self.why.setVisible(bool(why))

    def _why_no_sphere(self) -> str:
        if self.jobs.why_not:
            return self.jobs.why_not
        if self.reading.case is None or not self.reading.case.maps:
            return "Compute the maps first."
        if self.reading.cursor_mm is None:
            return "Click into a plane first: the sphere is placed at the crosshair."
        return ""

    def _place(self) -> None:
        tools = lesion_tools_of(self.viewer)
        tools.place_reference(self.anatomy.currentData(), self.diameter.value())
