"""What the stored voxel values of a PET series are, by Units and SUVType, and their factor.

Source: table C of the decision rules (IBSI SUV manual, Vácha et al., draft 2026, CC BY 4.0).  A
series ends as an activity concentration in Bq/mL or, where the scanner has normalised already, as
SUVbw in g/mL; nothing is normalised twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from eprimg.errors import EprimgError, InputError, MissingTagError, UnitsError
from eprimg.io.pet_header import PetHeader, tag
from eprimg.kernels.body_size import ideal_body_weight_kg, lean_body_mass_james_kg
from eprimg.kernels.uptake import (
    Sex,
    body_surface_area_du_bois_m2,
    lean_body_mass_janmahasatian_kg,
)
from eprimg.model.acquisition import Known

__all__ = ["VoxelRule", "stored_uptake", "voxel_rule"]

_BY_BODY = {
    "LBM": "lean body mass (120)",
    "LBMJAMES128": "lean body mass (James 128)",
    "LBMJANMA": "lean body mass (Janmahasatian)",
    "IBW": "ideal body weight",
}
_PHILIPS_WHERE = "Philips PET Private Group (7053,xx00), (7053,xx09)"


@dataclass(frozen=True, slots=True)
class VoxelRule:
    """What stored values (after slope) become.

    Parameters
    ----------
    quantity : str
        ``activity`` (Bq/mL) or ``suvbw`` (g/mL).
    factor : float
        Multiplies the stored values.
    words : str
        The rule in words.
    """

    quantity: str
    factor: float
    words: str


def stored_uptake(header: PetHeader) -> bool:
    """Tell whether the scanner has normalised the voxel values already.

    Parameters
    ----------
    header : PetHeader
        Facts of the series.

    Returns
    -------
    bool
        True for g/mL, cm2/mL and counts that only have a SUV factor: dose and injection are not
        applied to them.
    """
    if header.units in ("GML", "CM2ML"):
        return True
    return (
        header.units == "CNTS"
        and not header.philips_activity_factor
        and bool(header.philips_suv_factor)
    )


def voxel_rule(
    header: PetHeader,
    weight_kg: Known[float],
    height_m: Known[float],
    sex: Known[str],
    faults: list[EprimgError],
) -> VoxelRule | None:
    """Find the quantity of the voxel values and the factor that leads to it.

    Parameters
    ----------
    header : PetHeader
        Facts of the series.
    weight_kg, height_m : Known[float]
        Body size; those of the header wherever it has them, because the scanner divided by them.
    sex : Known[str]
        ``M``, ``F`` or ``O``.
    faults : list of EprimgError
        ``E_PET_UNITS``, ``E_DECAY``, ``E_SUV_HEIGHT`` and ``E_SUV_SEX`` are appended here; the
        weight has been judged before.

    Returns
    -------
    VoxelRule or None
        None when it was refused.

    Notes
    -----
    ``GML``: SUVbw, or ``v W / LBM`` and ``v W / IBW`` by SUVType.  ``CM2ML``: ``v W_kg / (10
    BSA_m2)``.  ``CNTS``: Philips' private factors, activity first.  ``BQML``: as it is.
    """
    units, kind = header.units, header.suv_type
    if stored_uptake(header) and header.decay_correction == "NONE":
        faults.append(
            InputError(
                "the voxel values are an uptake value but not decay corrected: the instant that "
                "they belong to is not known",
                code="E_DECAY",
                where=tag("DecayCorrection"),
                value=header.decay_correction,
                action="export the series in Bq/mL",
            )
        )
        return None
    spect = " (SPECT)" if header.modality == "NM" else ""
    if header.modality == "NM" and units in ("", "CNTS"):
        return _spect_counts(header, faults)
    if header.bq_per_ml_per_count is not None:
        faults.append(
            UnitsError(
                f"a calibration from counts was entered, but the voxel values are {units}",
                code="E_PET_UNITS",
                where=tag("Units"),
                value=units,
                action="take [spect] bq_per_ml_per_count out of study.toml",
            )
        )
        return None
    if units == "BQML":
        return VoxelRule("activity", 1.0, f"BQML: activity concentration as stored{spect}")
    if units == "GML" and kind in ("", "BW"):
        return VoxelRule("suvbw", 1.0, f"GML, SUVType {kind or 'empty'}: SUVbw as stored")
    if units == "GML" and kind in _BY_BODY:
        return _by_body(kind, weight_kg, height_m, sex, faults)
    if units == "CM2ML" and kind in ("", "BSA"):
        return _by_surface(weight_kg, height_m, faults)
    if units == "CNTS":
        return _philips(header, faults)
    faults.append(
        UnitsError(
            f"SUV cannot be computed from voxel values in these units (SUVType {kind or 'empty'})"
            if units in ("GML", "CM2ML")
            else "SUV cannot be computed from voxel values in these units",
            code="E_PET_UNITS",
            where=tag("Units") + (f", {tag('SUVType')}" if units in ("GML", "CM2ML") else ""),
            value=f"{units}\\{kind}" if kind else units,
            action="export the series in Bq/mL (BQML)",
        )
    )
    return None


def _by_body(
    kind: str,
    weight_kg: Known[float],
    height_m: Known[float],
    sex: Known[str],
    faults: list[EprimgError],
) -> VoxelRule | None:
    height = _height(height_m, faults)
    who = _sex(sex, faults)
    weight = weight_kg.value
    if height is None or who is None or weight is None:
        return None
    try:
        if kind == "LBM":
            size = lean_body_mass_james_kg(weight, height, who, multiplier=120, undo=True)
        elif kind == "LBMJAMES128":
            size = lean_body_mass_james_kg(weight, height, who, undo=True)
        elif kind == "LBMJANMA":
            size = lean_body_mass_janmahasatian_kg(weight, height, who)
        else:
            size = ideal_body_weight_kg(height, who, undo=True)
    except InputError as error:
        faults.append(_no_size(kind, error))
        return None
    words = f"GML, SUVType {kind}: SUVbw = value x {weight:g} kg / {size:.4g} kg {_BY_BODY[kind]}"
    return VoxelRule("suvbw", weight / size, words)


def _by_surface(
    weight_kg: Known[float], height_m: Known[float], faults: list[EprimgError]
) -> VoxelRule | None:
    height, weight = _height(height_m, faults), weight_kg.value
    if height is None or weight is None:
        return None
    try:
        area = body_surface_area_du_bois_m2(weight, height)
    except InputError as error:
        faults.append(_no_size("BSA", error))
        return None
    words = f"CM2ML: SUVbw = value x {weight:g} kg / (10 x {area:.4g} m2), Du Bois"
    return VoxelRule("suvbw", weight / (10.0 * area), words)


def _philips(header: PetHeader, faults: list[EprimgError]) -> VoxelRule | None:
    if header.philips_activity_factor:
        factor = header.philips_activity_factor
        words = f"CNTS: activity = value x {factor:g}, Philips (7053,xx09)"
        return VoxelRule("activity", factor, words)
    if header.philips_suv_factor:
        factor = header.philips_suv_factor
        return VoxelRule("suvbw", factor, f"CNTS: SUVbw = value x {factor:g}, Philips (7053,xx00)")
    faults.append(
        UnitsError(
            "the voxel values are counts, and the header has no usable vendor factor from counts "
            "to Bq/mL or SUV",
            code="E_PET_UNITS",
            where=f"{tag('Units')}, {_PHILIPS_WHERE}",
            value=header.units,
            action="export the series in Bq/mL, or without removing private elements",
        )
    )
    return None


def _spect_counts(header: PetHeader, faults: list[EprimgError]) -> VoxelRule | None:
    """Refuse counts of a gamma camera without the calibration of this very set-up."""
    factor = header.bq_per_ml_per_count
    if factor is not None:
        words = f"SPECT counts: activity = value x {factor:g} Bq/mL per count, entered by the user"
        return VoxelRule("activity", factor, words)
    faults.append(
        UnitsError(
            "the voxel values of the SPECT series are counts: the header does not say that they "
            "are Bq/mL",
            code="E_PET_UNITS",
            where=tag("Units"),
            value=header.units,
            action="export the quantitative reconstruction in Bq/mL (BQML), or enter [spect] "
            "bq_per_ml_per_count in study.toml from a calibration with the same camera, "
            "collimator, nuclide and reconstruction",
        )
    )
    return None


def _height(known: Known[float], faults: list[EprimgError]) -> float | None:
    if known.value is None:
        faults.append(
            MissingTagError(
                "the body height is missing or not positive, and the scanner's SUV was made with "
                "it",
                code="E_SUV_HEIGHT",
                where=tag("PatientSize"),
                action="enter [patient] height_m in study.toml",
            )
        )
    return known.value


def _sex(known: Known[str], faults: list[EprimgError]) -> Sex | None:
    if known.value is None:
        faults.append(
            MissingTagError(
                "the sex is missing or not M, F or O, and the scanner's SUV was made with it",
                code="E_SUV_SEX",
                where=tag("PatientSex"),
                action="enter [patient] sex in study.toml",
            )
        )
    return cast(Sex | None, known.value)


def _no_size(kind: str, error: InputError) -> InputError:
    return InputError(
        f"weight and height give no plausible body size for SUVType {kind}",
        code="E_SUV_HEIGHT",
        where=f"{tag('PatientWeight')}, {tag('PatientSize')}",
        value=error.value,
        action="check weight and height, or export the series in Bq/mL",
    )
