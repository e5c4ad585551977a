"""Step 3: align the series, and look whether the alignment can be believed."""

from __future__ import annotations

import math
from base64 import b64decode
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from eprimg.registry import engines
from eprimg.resources import resource_names
from napari_eprimg.dock.panel_parts import (
    RunButton,
    blocked,
    card,
    clear_layout,
    push_button,
    row,
    words,
)
from napari_eprimg.dock.registration_look import Flicker, PictureWindow, picture_task
from napari_eprimg.dock.step_frame import StepBody
from napari_eprimg.reading.reading import Step

if TYPE_CHECKING:
    import napari

    from eprimg.model.transform import Registration
    from napari_eprimg.dock.jobs import Jobs
    from napari_eprimg.reading.reading import Reading

__all__ = ["RegisterStep", "figures_in_words", "outcome_in_words"]


def outcome_in_words(registration: Registration) -> str:
    """Say whether a registration is used.

    Parameters
    ----------
    registration : Registration
        Outcome of the stage.

    Returns
    -------
    str
        Symbol and word.
    """
    if registration.rejected:
        return "✕ rejected by the reader"
    if not registration.accepted:
        return "✕ refused"
    return "! accepted with doubt" if registration.doubts else "✓ accepted"


def figures_in_words(registration: Registration) -> str:
    """Write the quality figures that a reader can judge.

    Parameters
    ----------
    registration : Registration
        Outcome of the stage.

    Returns
    -------
    str
        Movement in mm and degrees, and the similarity before and after.
    """
    qc = registration.qc
    parts = []
    for key, form in (
        ("moved_center_mm", "moved {:.1f} mm"),
        ("rotated_deg", "turned {:.1f}°"),
        ("registration_error_mm", "estimated error at least {:.1f} mm"),
    ):
        if math.isfinite(qc.get(key, math.nan)):
            parts.append(form.format(qc[key]))
    before, after = qc.get("nmi_before", math.nan), qc.get("nmi_after", math.nan)
    if math.isfinite(before) and math.isfinite(after):
        parts.append(f"similarity (NMI) {before:.3f} before, {after:.3f} after")
    return "; ".join(parts)


class RegisterStep(StepBody):
    """Settings, run button, and one card for each registration.

    Parameters
    ----------
    viewer, reading, jobs
        See `StepBody`.
    """

    step = Step.REGISTER
    title = "Register"

    def __init__(self, viewer: napari.viewer.Viewer, reading: Reading, jobs: Jobs) -> None:
        super().__init__(viewer, reading, jobs)
        self.run_button = RunButton(
            "Register", lambda: self.run(lambda: reading.run_task(Step.REGISTER))
        )
        self.run_button.button.setObjectName("run_register")
        self.layout_.addWidget(self.run_button)
        self._cards = QVBoxLayout()
        self._cards.setSpacing(6)
        self.layout_.addLayout(self._cards)
        self.advice = words(
            "Not convinced by an alignment? Reject it: nothing is then measured through it. Or "
            "change the settings and register again.",
            dim=True,
        )
        self.layout_.addWidget(self.advice)
        self.add_findings("register")
        self.add_settings(
            "register",
            choices={
                "engine": [e.name for e in engines("registrar") if e.available],
                "profile": resource_names("registration"),
            },
            leave_out=("reject",),
        )
        self._flicker = Flicker(viewer, self)
        self._flicker_button: QPushButton | None = None
        self._shown: tuple[Registration, ...] | None = None
        self._buttons: list[tuple[QPushButton, str]] = []

    def opened(self, is_open: bool) -> None:
        """Stop the flicker when another step is opened.

        Parameters
        ----------
        is_open : bool
            See `StepBody.opened`.
        """
        if not is_open:
            self._stop_flicker()

    def refresh(self) -> None:
        """Show the registrations."""
        self.run_button.show_why(self.why_not())
        self.show_settings()
        self.show_findings()
        case = self.reading.case
        registrations = case.registrations if case is not None else ()
        self.advice.setVisible(any(r.accepted or r.rejected for r in registrations))
        if registrations != self._shown:
            self._stop_flicker()
            self._shown = registrations
            clear_layout(self._cards)
            self._buttons = []
            for each in registrations:
                self._cards.addWidget(self._card(each))
        for button, tip in self._buttons:
            blocked(button, self.jobs.why_not, tip)

    def _card(self, registration: Registration) -> QWidget:
        title = words(f"{registration.moving} on {registration.fixed}", bold=True)
        flicker = QPushButton("Flicker")
        flicker.setObjectName(f"flicker_{registration.moving}")
        flicker.setCheckable(True)
        flicker.setToolTip("Show the two series in turn; press again to stop")
        flicker.toggled.connect(partial(self._set_flicker, flicker, registration))
        picture = push_button("Checkerboard...", partial(self._draw, registration))
        picture.setObjectName(f"checkerboard_{registration.moving}")
        self._buttons.append((picture, "Checkerboard and edges, as in the report"))
        buttons = [flicker, picture]
        if registration.accepted or registration.rejected:
            buttons.append(self._verdict(registration))
        remarks = [registration.note, *registration.doubts]
        parts: list[Any] = [
            row(title, words(outcome_in_words(registration))),
            words(figures_in_words(registration), dim=True),
            *(words(text) for text in dict.fromkeys(remarks) if text),
            row(*buttons),
        ]
        return card(parts)

    def _verdict(self, registration: Registration) -> QPushButton:
        """Make the button that rejects an alignment, or uses it again."""
        moving, rejected = registration.moving, registration.rejected
        button = push_button(
            "Use again" if rejected else "Reject",
            lambda: self.attempt(lambda: self.reading.reject_registration(moving, not rejected)),
        )
        button.setObjectName(f"verdict_{moving}")
        tip = (
            "Measure through this alignment after all"
            if rejected
            else "Measure nothing through this alignment; it can be used again"
        )
        self._buttons.append((button, tip))
        return button

    def _set_flicker(self, button: QPushButton, registration: Registration, on: bool) -> None:
        if not on:
            self._flicker.stop()
            return
        if self._flicker_button is not None and self._flicker_button is not button:
            self._flicker_button.setChecked(False)
        self._flicker_button = button
        if not self._flicker.start(registration.fixed, registration.moving):
            button.setChecked(False)
            self.jobs.log.warning(
                "The two series are not both shown yet. Run the maps, then look again."
            )

    def _stop_flicker(self) -> None:
        if self._flicker_button is not None:
            button, self._flicker_button = self._flicker_button, None
            button.setChecked(False)
        self._flicker.stop()

    def _draw(self, registration: Registration) -> None:
        case = self.reading.case
        if case is not None:
            self.jobs.start(picture_task(case, registration, self._show_picture))

    def _show_picture(self, picture: Any) -> None:
        if picture is None:
            self.jobs.log.warning("There is no picture: one of the two series is not there.")
            return
        png = b64decode(picture.uri.partition("base64,")[2])
        PictureWindow(png, picture.alt, self).show()
