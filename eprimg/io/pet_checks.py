"""Is this PET series one that SUV can be computed from?  Kind, units, corrections, frames."""

from __future__ import annotations

from collections import defaultdict

from eprimg.errors import EprimgError, InputError, MissingTagError
from eprimg.io.nm_frames import NM_CLASS
from eprimg.io.pet_header import PetHeader, PetSlice, tag
from eprimg.model.case import Finding, Severity

__all__ = ["ENHANCED_PET", "header_faults", "spect_kind"]

ENHANCED_PET = frozenset({"1.2.840.10008.5.1.4.1.1.130", "1.2.840.10008.5.1.4.1.1.128.1"})
"""SOP classes of multi-frame PET."""

_PET = "1.2.840.10008.5.1.4.1.1.128"
_NOT_MEASURED = frozenset(
    {"MIP", "MAXIMUM", "PROJECTION IMAGE", "SCREEN SAVE", "SECONDARY CAPTURE"}
)
_DECAY_KINDS = ("START", "ADMIN", "NONE")


def header_faults(header: PetHeader, findings: list[Finding], faults: list[EprimgError]) -> None:
    """Check everything that does not depend on dose, weight and clock.

    Parameters
    ----------
    header : PetHeader
        Facts of the series.
    findings, faults : list
        What was noticed is appended here.
    """
    _check_kind(header, faults)
    if header.decay_correction not in _DECAY_KINDS:
        faults.append(
            InputError(
                "the decay correction of the voxel values is not stated as START, ADMIN or NONE",
                code="E_DECAY",
                where=tag("DecayCorrection"),
                value=header.decay_correction,
                action="export the series again with DecayCorrection"
                + (
                    ", or enter [spect] decay_correction in study.toml if the maker of the "
                    "reconstruction states it"
                    if header.modality == "NM"
                    else ""
                ),
            )
        )
    _check_corrections(header, findings, faults)
    _check_rescale(header, faults)
    _check_frames(header, findings, faults)
    if header.n_administrations > 1:
        faults.append(
            InputError(
                "the header lists more than one administration, so the dose is not known",
                code="E_SUV_ADMINISTRATIONS",
                where=tag("RadiopharmaceuticalInformationSequence"),
                value=header.n_administrations,
                action="keep the one administration that this scan shows",
            )
        )
    if header.decay_correction == "NONE" and any(
        not (s.duration_s or 0) > 0 for s in header.slices
    ):
        faults.append(
            MissingTagError(
                "voxel values without decay correction need the duration of every frame",
                code="E_PET_DURATION",
                where=tag("ActualFrameDuration"),
                action="export the series again with ActualFrameDuration",
            )
        )
    if not header.manufacturer:
        findings.append(
            _warn(
                "W_MANUFACTURER",
                "Manufacturer (0008,0070)",
                "The manufacturer is empty; the vendor-neutral rules for the "
                "reference instant were used.",
            )
        )


def _check_kind(header: PetHeader, faults: list[EprimgError]) -> None:
    where, value = tag("SOPClassUID"), header.sop_class
    problem = ""
    if header.modality == "NM" and value == NM_CLASS:
        problem = spect_kind(header.image_type)
        where, value = tag("ImageType"), "\\".join(header.image_type)
    elif header.modality != "PT":
        problem, where, value = "the modality is not PT", tag("Modality"), header.modality
    elif value != _PET and value not in ENHANCED_PET:
        problem = "this is no PET object"
    elif words := _NOT_MEASURED.intersection(header.image_type):
        problem, where, value = (
            "the series is a projection or a screen copy, not measured slices",
            tag("ImageType"),
            ", ".join(sorted(words)),
        )
    elif "REPROJECTION" in header.series_type:
        problem, where, value = (
            "the series is a reprojection, not measured slices",
            tag("SeriesType"),
            "REPROJECTION",
        )
    if problem:
        faults.append(
            InputError(
                problem,
                code="E_PET_KIND",
                where=where,
                value=value,
                action="choose the reconstructed, attenuation-corrected series",
            )
        )


def spect_kind(image_type: tuple[str, ...]) -> str:
    """Say why an NM object is no static SPECT reconstruction.

    Parameters
    ----------
    image_type : tuple of str
        ImageType (0008,0008), upper case.

    Returns
    -------
    str
        Empty when it is one.
    """
    if "RECON TOMO" not in image_type:
        return "the gamma-camera object is no reconstruction (RECON TOMO): it holds counts in views"
    if "TRANSMISSION" in image_type:
        return "the reconstruction is one of transmission, not of emission"
    return ""


def _check_corrections(
    header: PetHeader, findings: list[Finding], faults: list[EprimgError]
) -> None:
    where, done = tag("CorrectedImage"), header.corrections
    action = "choose the attenuation- and decay-corrected series"
    if "ATTN" not in done:
        faults.append(
            InputError(
                "the series is not corrected for attenuation (ATTN), so it holds "
                "no activity concentration",
                code="E_UNCORRECTED",
                where=where,
                value=", ".join(done),
                action=action,
            )
        )
    decayed = "DECY" in done
    if header.decay_correction in ("START", "ADMIN") and not decayed:
        faults.append(
            InputError(
                f"DecayCorrection is {header.decay_correction}, but CorrectedImage does not list "
                "DECY",
                code="E_UNCORRECTED",
                where=where,
                value=", ".join(done),
                action=action,
            )
        )
    if header.decay_correction == "NONE" and decayed:
        findings.append(
            _warn(
                "W_DECAY_CONFLICT",
                where,
                "DecayCorrection is NONE, but CorrectedImage lists DECY; the voxel "
                "values were taken as not decay corrected.",
            )
        )
    if "SCAT" not in done:
        findings.append(
            _warn(
                "W_NO_SCATTER",
                where,
                "The series is not corrected for scatter; uptake is overestimated.",
            )
        )


def _check_rescale(header: PetHeader, faults: list[EprimgError]) -> None:
    shifted = [s for s in header.slices if s.intercept]
    if shifted:
        faults.append(
            InputError(
                f"RescaleIntercept is not 0 in {len(shifted)} slices, which PET does not allow",
                code="E_PET_INTERCEPT",
                where=f"{tag('RescaleIntercept')}, {shifted[0].where}",
                value=shifted[0].intercept,
                action="export the series again",
            )
        )
    flat = [s for s in header.slices if not (s.slope or 0) > 0]
    if flat:
        faults.append(
            InputError(
                f"RescaleSlope is missing or not positive in {len(flat)} slices",
                code="E_PET_SLOPE",
                where=f"{tag('RescaleSlope')}, {flat[0].where}",
                value=flat[0].slope,
                action="export the series again",
            )
        )


def _check_frames(header: PetHeader, findings: list[Finding], faults: list[EprimgError]) -> None:
    stations: dict[tuple[float, ...], list[PetSlice]] = defaultdict(list)
    for piece in header.slices:
        if piece.position is not None:
            stations[tuple(round(p, 2) for p in piece.position)].append(piece)
    several = header.series_type[:1] in (("DYNAMIC",), ("GATED",))
    crowded = [
        s for s in stations.values() if len({_moment(p) for p in s}) > 1 or (several and len(s) > 1)
    ]
    if crowded:
        faults.append(
            InputError(
                f"{len(crowded)} positions hold several frames of different times (dynamic or "
                "gated "
                "series); they are never merged",
                code="E_PET_FRAMES",
                where=tag("SeriesType"),
                value="\\".join(header.series_type),
                action="give the static series, or one frame",
            )
        )
    elif several:
        findings.append(
            _warn(
                "W_PET_FRAME",
                tag("SeriesType"),
                f"The series is {header.series_type[0].lower()}; only one frame per "
                "position was given, and it is read as it is.",
            )
        )


def _moment(piece: PetSlice) -> tuple[str, str, float | None]:
    clock = piece.acquisition_datetime or piece.acquisition_time
    return piece.acquisition_date, clock, piece.frame_reference_s


def _warn(code: str, where: str, text: str) -> Finding:
    return Finding(code, Severity.WARNING, where, text)
