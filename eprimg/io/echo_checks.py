"""What headers of one echo train contradict: echo numbers, echo times, timing between echoes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median

from eprimg.errors import InputError
from eprimg.io.frame_types import by_echo, n_positions
from eprimg.io.instance import Instance
from eprimg.io.makers import is_ge
from eprimg.model.case import Finding, Severity

__all__ = ["TRUE_TIMES", "check_echo_numbers", "one_time_for_all", "timing_findings"]

TRUE_TIMES = (
    "export the series with the echo time of each echo, or convert it to NIfTI and give the true "
    "ones with --echo-times-ms"
)
"""What to do when a header gives several echoes one time."""
_TIME = "EchoTime (0018,0081) or EffectiveEchoTime (0018,9082)"
_NUMBER = "EchoNumbers (0018,0086)"
_TR_TOLERANCE = 1e-3
"""Relative: rounding of RepetitionTime."""
_FLIP_TOLERANCE_DEG = 0.01


def one_time_for_all(frames: Sequence[Instance]) -> str:
    """Tell whether a whole echo train was written with one echo time.

    Some GE multi-echo research sequences write the shortest echo time, and echo number 1, into
    every slice (reported for dcm2niix, https://github.com/rordenlab/dcm2niix/issues/359).  Fitting
    is impossible then; taking one frame per slice would choose an echo at random.

    Parameters
    ----------
    frames : sequence of Instance
        Magnitude frames of one series.

    Returns
    -------
    str
        What is wrong, in words; empty when the frames do not look like a train with one time.
    """
    groups = by_echo(frames)
    if len(groups) != 1 or None in groups:
        return ""
    (time,) = groups
    slices = n_positions(frames)
    per_slice = len(frames) / max(slices, 1)
    numbers = {f.echo_number for f in frames} - {None}
    announced = max((f.echo_train_length or 0) for f in frames)
    if per_slice < 2 or not per_slice.is_integer():
        return ""
    count = int(per_slice)
    if any(
        len({getattr(f, name) for f in frames} - {None}) >= count
        for name in ("temporal_index", "acquisition_number")
    ):
        return ""  # repetitions of one echo
    if len(numbers) > 1:
        hint = f"{_NUMBER} counts {len(numbers)} echoes"
    elif announced == count:
        hint = f"EchoTrainLength (0018,0091) announces {announced} echoes"
    elif is_ge(frames[0].manufacturer) and _instants_repeat(frames):
        hint = "all were acquired at the same instant, so they are no repetitions"
    else:
        return ""
    return (
        f"{count} frames at each of {slices} positions all carry the echo time {time:g} ms, but "
        f"{hint}: the scanner wrote one echo time (often the shortest) into every echo"
    )


def _instants_repeat(frames: Sequence[Instance]) -> bool:
    """Tell whether frames of one position share their acquisition time, as echoes of a train do."""
    seen: dict[tuple[object, ...], set[str]] = {}
    count: Counter[tuple[object, ...]] = Counter()
    for f in frames:
        place = tuple(round(x, 2) for x in f.position) if f.position else ()
        seen.setdefault(place, set()).add(f.acquisition_time)
        count[place] += 1
    return all(len(times) == 1 and "" not in times for times in seen.values()) and (
        min(count.values()) > 1
    )


def check_echo_numbers(groups: Mapping[float | None, Sequence[Instance]], what: str) -> None:
    """Refuse a train in which several echoes carry one echo time.

    Parameters
    ----------
    groups : Mapping
        Echo time in ms -> frames, as `by_echo` gives them.
    what : str
        Name of the series in messages.

    Raises
    ------
    InputError
        ``E_ECHO`` when two echo numbers share an echo time.

    Notes
    -----
    The echo number is never used to tell echoes apart (some scanners write 1 always, some leave
    it out); but where it counts more echoes than there are echo times, the times are wrong.
    """
    for time, group in groups.items():
        per_place: Counter[tuple[object, ...]] = Counter(
            (f.position, f.echo_number) for f in group if f.echo_number is not None
        )
        places = Counter(place for place, _ in per_place)
        if time is not None and places and max(places.values()) > 1:
            numbers = sorted({f.echo_number for f in group if f.echo_number is not None})
            raise InputError(
                f"{what}: echoes {', '.join(map(str, numbers))} of one slice all carry the echo "
                f"time {time:g} ms",
                code="E_ECHO",
                where=f"{_TIME} and {_NUMBER} in {group[0].name}",
                value=time,
                action=TRUE_TIMES,
            )


def timing_findings(
    groups: Mapping[float | None, Sequence[Instance]], key: str
) -> tuple[Finding, ...]:
    """Say where echoes of a train differ in more than their echo time.

    Parameters
    ----------
    groups : Mapping
        Echo time in ms -> frames, as `by_echo` gives them.
    key : str
        Key of the series.

    Returns
    -------
    tuple of Finding
        ``W_ECHO_TIMING`` when RepetitionTime or FlipAngle differ between echoes.
    """
    differing = []
    for name, attribute, tolerance, relative, unit in (
        ("RepetitionTime (0018,0080)", "repetition_time_ms", _TR_TOLERANCE, True, "ms"),
        ("FlipAngle (0018,1314)", "flip_angle_deg", _FLIP_TOLERANCE_DEG, False, "degrees"),
    ):
        usual = sorted(
            median(values)
            for group in groups.values()
            if (values := [v for f in group if (v := getattr(f, attribute)) is not None])
        )
        if len(usual) > 1:
            allowed = tolerance * usual[-1] if relative else tolerance
            if usual[-1] - usual[0] > allowed:
                differing.append(f"{name} from {usual[0]:g} to {usual[-1]:g} {unit}")
    if not differing:
        return ()
    return (
        Finding(
            "W_ECHO_TIMING",
            Severity.WARNING,
            key,
            f"the echoes differ in {' and '.join(differing)}; their signals then differ for "
            "another reason than the echo time, and R2* is wrong",
        ),
    )
