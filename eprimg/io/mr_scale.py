"""One scale for all slices and echoes of an MR series."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from eprimg.errors import InputError
from eprimg.io.instance import Instance
from eprimg.io.makers import is_philips
from eprimg.io.stack import StackGeometry
from eprimg.model.case import Finding, Severity

__all__ = ["floating_value_rescale", "one_scale"]

_SLOPE = "Philips scale slope (2005,xx0E)"


def floating_value_rescale(frame: Instance) -> tuple[float, float]:
    """Return slope and intercept that turn stored values into Philips floating-point values.

    Parameters
    ----------
    frame : Instance
        A frame with RescaleSlope and Philips scale slope, neither of them zero.

    Returns
    -------
    tuple of float
        Slope and intercept.

    Notes
    -----
    FP = (RS SV + RI) / (RS SS) with the stored value SV, RescaleSlope RS (0028,1053),
    RescaleIntercept RI (0028,1052) and the private scale slope SS (2005,xx0E): T. L. Chenevert et
    al., Transl. Oncol. 7 (2014) 65, doi:10.1593/tlo.13811.
    """
    scale_slope = frame.philips_scale_slope or 1.0
    return 1.0 / scale_slope, frame.intercept / (frame.slope * scale_slope)


def one_scale(trains: list[StackGeometry], key: str) -> tuple[list[StackGeometry], list[Finding]]:
    """Bring slices and echoes of one train to one scale.

    Parameters
    ----------
    trains : list of StackGeometry
        One per echo.
    key : str
        Key of the series.

    Returns
    -------
    trains : list of StackGeometry
        Their frames with the slope and intercept to apply.
    findings : list of Finding
        ``W_SCALE_VARIES`` where the rescale was not the same for all frames.

    Raises
    ------
    InputError
        ``E_SCALE`` when the frames of a Philips series cannot be made comparable.

    Notes
    -----
    Each slice's RescaleSlope is applied in any case.  Philips scanners may choose RescaleSlope
    for display; what is comparable between frames is then the floating-point value (see
    `floating_value_rescale`).  A factor that all echoes share leaves R2* as it is, so displayed
    values are kept as long as neither RescaleSlope nor the scale slope varies within the train;
    where one does, the floating-point value is taken, and without a scale slope a Philips series
    is refused.
    """
    frames = [f for train in trains for f in train.instances]
    rescales = {(f.slope, f.intercept) for f in frames}
    private = {f.philips_scale_slope for f in frames}
    if len(rescales) == 1 and len(private) == 1:
        return trains, []
    low, high = (g(f.slope for f in frames) for g in (min, max))
    if all(f.philips_scale_slope and f.slope for f in frames):
        return [_floating(train) for train in trains], [
            _varies(
                key,
                f"RescaleSlope ({low:g} to {high:g}) or the {_SLOPE} varies within the train; "
                "values were divided by both, which makes echoes comparable",
            )
        ]
    if len(private) > 1:
        raise _refusal(key, f"only some frames carry the {_SLOPE}")
    if any(is_philips(f.manufacturer) for f in frames):
        raise _refusal(
            key,
            f"RescaleSlope varies ({low:g} to {high:g}), which on this scanner is a scale for "
            f"display, and the {_SLOPE} that would undo it was removed",
        )
    return trains, [
        _varies(
            key,
            f"RescaleSlope varies between slices or echoes ({low:g} to {high:g}); each slice was "
            "scaled with its own",
        )
    ]


def _floating(train: StackGeometry) -> StackGeometry:
    return replace(train, instances=tuple(_with_floating_values(train.instances)))


def _with_floating_values(frames: Iterable[Instance]) -> Iterable[Instance]:
    for frame in frames:
        slope, intercept = floating_value_rescale(frame)
        yield replace(frame, slope=slope, intercept=intercept)


def _varies(key: str, text: str) -> Finding:
    return Finding("W_SCALE_VARIES", Severity.WARNING, key, text)


def _refusal(key: str, why: str) -> InputError:
    return InputError(
        f"series {key}: {why}, so its echoes cannot be brought to one scale",
        code="E_SCALE",
        where="(2005,100E)",
        action="export the series again with its private elements",
    )
