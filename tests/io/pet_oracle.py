"""SUV by the printed decision table, in seconds and plain arithmetic; knows nothing of ``eprimg``.

`verdict` answers what the table says about a header: the factor from stored value to SUVbw of every
slice (``right``), that SUV must be refused (``refuse``), or that the table gives the number but a
careful reader may refuse it (``either``: a doubt that the table leaves open).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

HALF_LIVES = {"18F": 6586.2, "89Zr": 282276.0, "64Cu": 45721.44}
LONG = 41_400.0
DAY, HOUR = 86_400.0, 3600.0


@dataclass(frozen=True)
class Facts:
    """A header in plain numbers; times in seconds on the scanner's clock."""

    units: str | None
    suv_type: str | None
    decay: str | None
    corrected: tuple[str, ...]
    manufacturer: str
    dose: float | None
    weight: float | None
    height: float | None
    sex: str | None
    half_life: float | None
    nuclide: str | None
    administrations: int
    injected: float | None  # dated
    injected_clock: float | None  # clock time alone, seconds of the day
    zone: str  # offsets: none, "both" header and injection, "alone" at the injection
    truncated: bool
    series: float | None
    acquired: tuple[float | None, ...]
    frt: tuple[float | None, ...]
    duration: float | None
    private: float | None
    slope: float | None
    intercept: float
    factor_suv: float | None
    factor_activity: float | None
    strict: bool


class RefusedError(Exception):
    """The table says error."""


class Doubt:
    """Collects what the table leaves open."""

    def __init__(self) -> None:
        self.raised = False

    def note(self, open_question: bool = True) -> None:
        self.raised |= open_question


def need(condition: bool) -> None:
    if not condition:
        raise RefusedError


def verdict(f: Facts) -> tuple[str, tuple[float, ...]]:
    doubt = Doubt()
    try:
        factors = _factors(f, doubt)
    except RefusedError:
        return "refuse", ()
    return ("either" if doubt.raised else "right"), factors


def _factors(f: Facts, doubt: Doubt) -> tuple[float, ...]:
    # A, B
    need(f.slope is not None and f.slope > 0 and f.intercept == 0)
    need("ATTN" in f.corrected)
    need(f.decay in ("START", "ADMIN", "NONE"))
    need(f.decay == "NONE" or "DECY" in f.corrected)
    need(f.administrations <= 1)
    if f.decay == "NONE":
        need(f.duration is not None and f.duration > 0)
    n = len(f.acquired)
    drug = f.administrations == 1
    kilograms = _weight(f)
    # C
    units, kind = f.units or "", f.suv_type or ""
    suv, act = _factor(f.factor_suv), _factor(f.factor_activity)
    if units in ("GML", "CM2ML") or (units == "CNTS" and act is None and suv is not None):
        need(f.decay != "NONE")
        doubt.note(drug and f.half_life is not None and f.half_life <= 0)
        if units == "CNTS":
            need(kilograms is not None or kind in ("", "BW"))
            return (f.slope * suv,) * n
        return (f.slope * _undo(f, units, kind, kilograms, doubt),) * n
    need(units == "BQML" or (units == "CNTS" and act is not None))
    scale = f.slope * (act if units == "CNTS" else 1.0)
    # I, D
    need(kilograms is not None and drug)
    need(f.dose is not None and f.dose > 0)
    dose = f.dose
    if dose < 1e5:
        doubt.note(dose < 1.0 or dose > 1e4)
        dose *= 1e6
    need(dose <= 1e11)
    # E
    grams = 1000.0 * kilograms
    if f.decay == "ADMIN":
        doubt.note(f.half_life is not None and f.half_life <= 0)
        return (scale * grams / dose,) * n
    half_life = _half_life(f, doubt)
    need(all(a is not None for a in f.acquired))
    if f.decay == "NONE":
        _bed_times(f, half_life)
    rate = math.log(2.0) / half_life
    if f.decay == "START":
        reference = _reference(f, half_life, doubt)
        since = reference - _injected(f, reference, half_life, doubt)
        return (scale * grams / (dose * math.exp(-rate * since)),) * n
    injected = _injected(f, min(f.acquired), half_life, doubt)
    mean = _mean_time(f.duration, rate)
    return tuple(scale * grams / dose * math.exp(rate * (a + mean - injected)) for a in f.acquired)


def _factor(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None


def _weight(f: Facts) -> float | None:
    if f.weight is None or f.weight <= 0:
        return None
    if f.weight < 3 and f.height is not None and f.height > 3:
        return None  # swapped
    if f.weight > 1e6:
        return None  # no kg, no g
    return f.weight / 1000.0 if f.weight > 1000 else f.weight


def _undo(f: Facts, units: str, kind: str, w: float | None, doubt: Doubt) -> float:
    if units == "GML" and kind in ("", "BW"):
        return 1.0
    need(
        (units == "GML" and kind in ("LBM", "LBMJAMES128", "LBMJANMA", "IBW"))
        or (units == "CM2ML" and kind in ("", "BSA"))
    )
    need(w is not None and f.height is not None and f.height > 0)
    h = f.height if f.height > 3 else 100.0 * f.height
    if units == "CM2ML":
        return w / (10.0 * 0.007184 * w**0.425 * h**0.725)
    need(f.sex in ("M", "F", "O"))
    bmi = 1e4 * w / h**2
    male, female = {
        "LBM": (1.1 * w - 120 * (w / h) ** 2, 1.07 * w - 148 * (w / h) ** 2),
        "LBMJAMES128": (1.1 * w - 128 * (w / h) ** 2, 1.07 * w - 148 * (w / h) ** 2),
        "LBMJANMA": (9270 * w / (6680 + 216 * bmi), 9270 * w / (8780 + 244 * bmi)),
        "IBW": (48 + 1.06 * (h - 152), 45.5 + 0.91 * (h - 152)),
    }[kind]
    size = {"M": male, "F": female, "O": (male + female) / 2}[f.sex]
    doubt.note(not 0 < size < (math.inf if kind == "IBW" else w))
    return w / size


def _half_life(f: Facts, doubt: Doubt) -> float:
    own = HALF_LIVES.get(f.nuclide or "")
    if f.half_life is None:
        need(own is not None and not f.strict)
        return own
    need(0 < f.half_life <= 1e8)
    # a contradiction is only told by the table; whether a date may be guessed depends on it
    doubt.note(own is not None and abs(f.half_life / own - 1) > 1e-6)
    return f.half_life


def _mean_time(duration: float, rate: float) -> float:
    x = rate * duration
    return math.log(x / (1.0 - math.exp(-x))) / rate


def _reference(f: Facts, half_life: float, doubt: Doubt) -> float:
    first = min(f.acquired)
    ge = f.manufacturer.upper().startswith("GE")
    found: list[tuple[str, float]] = []
    if f.private is not None:
        if abs(f.private - first) <= DAY:
            found.append(("private", f.private))
        else:
            doubt.note()
    if f.series is not None and f.series <= first + 1.0:
        if first - f.series <= DAY:
            found.append(("series", f.series))
        else:
            doubt.note()
    back = _back(f, half_life, ge)
    if back is not None:
        found.append(("back", back))
    else:
        usable = all(r is not None and r > 0 for r in f.frt)
        lacks = not ge and usable and not (f.duration and f.duration > 0)
        need(bool(found) or not lacks)
    rule, chosen = found[0] if found else ("first", first)
    for name, other in [*found, ("first", first)]:
        change = math.exp(math.log(2.0) * abs(chosen - other) / half_life) - 1.0
        if change > 0.20 and name != rule:
            # a later bed or frame is no contradiction; all others are
            need(name == "first")
            doubt.note()
    return chosen


def _back(f: Facts, half_life: float, ge: bool) -> float | None:
    if any(r is None or r < 0 for r in f.frt) or not any(f.frt):
        return None
    if not ge and not (all(f.frt) and f.duration and f.duration > 0):
        return None
    mean = 0.0 if ge else _mean_time(f.duration, math.log(2.0) / half_life)
    instants = [a + mean - r for a, r in zip(f.acquired, f.frt, strict=True)]
    if max(instants) - min(instants) > 2.0:
        return None
    return (max(instants) + min(instants)) / 2.0


def _bed_times(f: Facts, half_life: float) -> None:
    """Without decay correction the two clocks of the slices must not be a fifth of SUV apart."""
    if any(r is None or r < 0 for r in f.frt) or not any(f.frt):
        return
    if max(f.frt) - min(f.frt) <= 2.0 and max(f.frt) <= f.duration:
        return  # of each frame's own start
    # frames of one duration: their mean time drops out
    zero = [a - r for a, r in zip(f.acquired, f.frt, strict=True)]
    need(2.0 ** ((max(zero) - min(zero)) / half_life) <= 1.2)


def _injected(f: Facts, anchor: float, half_life: float, doubt: Doubt) -> float:
    long = max(half_life, HALF_LIVES.get(f.nuclide or "", 0.0)) >= LONG
    longest = max(half_life, HALF_LIVES.get(f.nuclide or "", 0.0))
    need(not f.truncated)
    clock = f.injected_clock
    # an offset that only one side has says nothing, unless the local clock time stands beside it
    need(not (f.zone == "alone" and f.injected is not None and clock is None))
    if f.injected is not None:
        since = anchor - f.injected
        limit = min(10 * longest, 30 * DAY) if long else 6 * half_life
        if -HOUR <= since < limit:
            return _strict(f, f.injected, anchor, half_life)
        need(not long)
        clock = f.injected % DAY
    need(clock is not None and not long)
    same = math.floor(anchor / DAY) * DAY + clock
    limit = min(6 * HOUR, 6 * half_life)
    for day in (same, same - DAY, same + DAY):
        if -HOUR <= anchor - day < limit:
            doubt.note(day > anchor)  # the table takes a day off; a skewed clock is another reading
            return _strict(f, day, anchor, half_life)
    raise RefusedError


def _strict(f: Facts, injected: float, anchor: float, half_life: float) -> float:
    need(not f.strict or anchor - injected < 2 * half_life)
    return injected
