"""The tool "Click a lesion", or a reference sphere: what the next click on a plane makes.

It knows neither Qt nor napari.  The windows give it clicks and show its state; it asks the reading
for the edit, so a lesion that was clicked has the same undo, numbers and record as one that was
painted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from psygnal import Signal

from eprimg.model.study import Role
from napari_eprimg.reading.reading_steps import Step
from napari_eprimg.reading.region_edits import ANATOMIES

if TYPE_CHECKING:
    from napari_eprimg.reading.reading import Reading

__all__ = ["LESION", "SPHERE", "ClickTool", "series_words"]

LESION: Final = "lesion"
SPHERE: Final = "sphere"
"""What a click makes."""

SPHERE_MM: Final = 20.0
"""Diameter of a sphere until somebody chooses another."""

_Point = tuple[float, float, float]

_SERIES_WORDS = {
    Role.PET: "PET",
    Role.MR_PRE: "MR before ferumoxytol",
    Role.MR_POST: "MR after ferumoxytol",
}


def series_words(key: str, role: Role) -> str:
    """Name a series for a list of choices.

    Parameters
    ----------
    key : str
        Key of the series.
    role : Role
        Its role.

    Returns
    -------
    str
        Words; with the key for a further time point.
    """
    said = _SERIES_WORDS.get(role, str(role))
    return said if key == str(role) else f"{said} ({key})"


class ClickTool:
    """State of the tool, and what a click does.

    Parameters
    ----------
    reading : Reading
        What is read.
    edit : callable
        Does something to the reading and measures what changed; False when it was refused, which
        has been told then.
    inform, warn : callable
        Tell a sentence: quietly, or so that it is noticed.

    Attributes
    ----------
    changed : Signal()
        Anything below changed.
    """

    changed = Signal()

    def __init__(
        self,
        reading: Reading,
        edit: Callable[[Callable[[], Any]], bool],
        *,
        inform: Callable[[str], None],
        warn: Callable[[str], None],
    ) -> None:
        self.reading = reading
        self._edit, self._inform, self._warn = edit, inform, warn
        self._active = False
        self._kind = LESION
        self._anatomy, self._sphere_mm = ANATOMIES[0], SPHERE_MM
        self._background = False
        self._series = ""
        self._methods: dict[str, str] = {}
        self._diameter_mm = 0.0
        self._last = 0
        self._tried: tuple[_Point, ...] = ()
        reading.case_changed.connect(self._forget)

    # ------------------------------------------------------------------ state

    @property
    def active(self) -> bool:
        """True while clicks on a plane belong to the tool."""
        return self._active

    @property
    def kind(self) -> str:
        """What a click makes: `LESION` or `SPHERE`."""
        return self._kind

    @property
    def anatomy(self) -> str:
        """Organ that the next sphere stands for."""
        return self._anatomy

    @property
    def sphere_mm(self) -> float:
        """Diameter of the next sphere."""
        return self._sphere_mm

    @property
    def background(self) -> bool:
        """True when a click marks background, with or without Shift."""
        return self._background

    @property
    def choices(self) -> dict[str, str]:
        """Series that a lesion grows on: key -> words, PET first."""
        return {s.key: series_words(s.key, s.role) for s in self.reading.clickable_series()}

    @property
    def series(self) -> str:
        """Key of the series that the next lesion grows on; empty when there is none."""
        known = list(self.choices)
        return self._series if self._series in known else next(iter(known), "")

    @property
    def methods(self) -> tuple[str, ...]:
        """Ways of growing on that series."""
        return self.reading.click_methods(self.series)

    @property
    def method(self) -> str:
        """The way that was chosen for that series; that of the settings until somebody chose."""
        methods = self.methods
        chosen = self._methods.get(self.series, "")
        return chosen if chosen in methods else next(iter(methods), "")

    @property
    def diameter_mm(self) -> float:
        """Rough largest diameter of the lesion; 0 for not known, and on PET."""
        return self._diameter_mm if self.is_mr else 0.0

    @property
    def is_mr(self) -> bool:
        """True when the next lesion grows on MR: diameter and background count there."""
        found = (s for s in self.reading.clickable_series() if s.key == self.series)
        return any(s.role != Role.PET for s in found)

    @property
    def why_not(self) -> str:
        """Why the tool cannot be taken up; empty when it can."""
        case = self.reading.case
        # A study in which nothing was found is where a click is needed most.
        if case is None or (case.lesions is None and not self.reading.done(Step.LESIONS)):
            return "Find or import lesions first."
        return "" if self.series else "No series with a map is aligned: nothing can be clicked."

    @property
    def next_words(self) -> str:
        """What the next click does, for the reader."""
        if not self._active:
            return ""
        if self._kind == SPHERE:
            return f"Click into the {self._anatomy}, away from its edge and vessels. Esc ends."
        if self._background and self.is_mr:
            return "Click beside the lesion: that place is taken as background. Esc ends."
        more = " Shift-click: background." if self.is_mr else ""
        return f"Click into the lesion in any plane.{more} Esc ends."

    # ------------------------------------------------------------------ what the reader chooses

    def take_up(self, active: bool = True, kind: str = LESION) -> None:
        """Take up the tool, or put it down.

        Parameters
        ----------
        active : bool
            False puts it down.
        kind : str
            `LESION` or `SPHERE`.
        """
        why = self.why_not if active else ""
        if why:
            self._warn(why)
        active = active and not why
        if (active, kind) != (self._active, self._kind):
            self._active, self._kind, self._background = active, kind, False
            self._last, self._tried = 0, ()
        self.changed.emit()

    def choose_series(self, key: str) -> None:
        """Choose the series that lesions grow on.

        Parameters
        ----------
        key : str
            One of `choices`.
        """
        self._series, self._background = key, False
        self._tried = ()
        self.changed.emit()

    def choose_method(self, method: str) -> None:
        """Choose how lesions grow on the series.

        Parameters
        ----------
        method : str
            One of `methods`.
        """
        self._methods[self.series] = method
        self.changed.emit()

    def set_diameter(self, diameter_mm: float) -> None:
        """Say how large the lesion is.

        Parameters
        ----------
        diameter_mm : float
            Largest diameter in mm; 0 for not known.
        """
        self._diameter_mm = diameter_mm
        self.changed.emit()

    def choose_sphere(self, anatomy: str, diameter_mm: float) -> None:
        """Choose what the next sphere is.

        Parameters
        ----------
        anatomy : str
            One of `ANATOMIES`.
        diameter_mm : float
            Its diameter.
        """
        self._anatomy, self._sphere_mm = anatomy, diameter_mm
        self.changed.emit()

    def mark_background(self, background: bool) -> None:
        """Choose what a plain click means.

        Parameters
        ----------
        background : bool
            True: it is not in the lesion.
        """
        self._background = background
        self.changed.emit()

    # ------------------------------------------------------------------ clicks

    def click(self, point_mm: Sequence[float], *, background: bool = False) -> bool:
        """Take a click.

        Parameters
        ----------
        point_mm : sequence of 3 floats
            S, P, L in mm.
        background : bool
            It was made with Shift.

        Returns
        -------
        bool
            True when something was made.
        """
        s, p, ell = (float(x) for x in point_mm)
        point = (s, p, ell)
        self.reading.move_cursor(point)
        if self._kind == SPHERE:
            return self._place(point)
        if background or self._background:
            return self._mark(point)
        self._last = 0
        return self._grow((point,))

    def _mark(self, point: _Point) -> bool:
        if self.reading.grown(self._last) is not None:
            return self._grow_anew(point)
        if self._tried:
            return self._grow((*self._tried, point))
        self._warn("Click into the lesion first: the background belongs to the lesion before it.")
        return False

    def _grow(self, points: tuple[_Point, ...]) -> bool:
        """Grow a lesion from the first point; the others are no lesion."""
        made: list[int] = []
        self._tried = points
        if not self._edit(
            lambda: made.append(
                self.reading.grow_lesion(
                    points[0],
                    self.series,
                    method=self.method,
                    diameter_mm=self.diameter_mm,
                    background_mm=points[1:],
                )
            )
        ):
            return False
        self._tried = ()
        self._tell(made[0])
        return True

    def _place(self, point: _Point) -> bool:
        made: list[int] = []
        if not self._edit(
            lambda: made.append(
                self.reading.place_sphere(self._anatomy, point, self.series, self._sphere_mm)
            )
        ):
            return False
        self.reading.select(made[0])
        record = self.reading.grown(made[0])
        if record is not None:
            x, y, z = record["centre_lps_mm"]
            self.reading.move_cursor((z, y, x))  # it may lie beside the click
            self._inform(
                f"The {self._anatomy} reference is a sphere of {record['diameter_mm']:g} mm on "
                f"{record['looked_at']}, {record['moved_mm']:.1f} mm from the click: median "
                f"{record['median']:.4g}, median absolute deviation {record['mad']:.3g}."
            )
        return True

    def _grow_anew(self, point: _Point) -> bool:
        number, record = self._last, self.reading.grown(self._last)
        own = record is not None and record["on"] == self.series
        done = self._edit(
            lambda: self.reading.add_background(
                number,
                point,
                method=self.method if own else "",
                diameter_mm=self.diameter_mm if own else 0.0,
            )
        )
        if done:
            self._tell(number)
        return done

    def _tell(self, number: int) -> None:
        self._last = number
        self.reading.select(number)
        record = self.reading.grown(number)
        case = self.reading.case
        if record is None or case is None or case.lesions is None:
            return
        name = next(r.name for r in case.lesions.regions if r.id == number)
        volume = record["volume_ml"]
        size = "too small for a volume" if volume is None else f"{volume:.3g} mL"
        said = f"{name} grew on {record['looked_at']} ({record['method']}): {size}."
        if record["doubt"]:
            self._warn(f"{said} Look at the outline, {record['doubt']}; then confirm it.")
        else:
            self._inform(said)

    def _forget(self) -> None:
        """Another study, or other maps: nothing that was clicked counts any more."""
        self._last, self._tried = 0, ()
        if self._active and self.why_not:
            self._active = False
        self.changed.emit()
