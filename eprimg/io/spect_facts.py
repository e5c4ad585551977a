"""What a user may say about a SPECT series that its header leaves open, and about nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from eprimg.errors import EprimgError, InputError
from eprimg.io.pet_entered import read_entered
from eprimg.io.pet_header import PetHeader, tag

__all__ = ["SPECT_KEYS", "spect_facts_refused", "spect_header"]

SPECT_KEYS = ("bq_per_ml_per_count", "decay_correction")
"""Keys of the section ``[spect]`` of a study file."""


def spect_header(
    header: PetHeader, entered: Mapping[str, object], faults: list[EprimgError]
) -> PetHeader:
    """Put the facts of ``[spect]`` where the header of an NM object is silent.

    Parameters
    ----------
    header : PetHeader
        Facts of the series.
    entered : Mapping
        Facts that the user entered.
    faults : list of EprimgError
        ``E_DECAY`` is appended when header and user say different things.

    Returns
    -------
    PetHeader
        With the calibration factor, and with the decay correction that the user states.
    """
    facts, _, _ = read_entered({k: v for k, v in entered.items() if k in SPECT_KEYS})
    header = replace(header, bq_per_ml_per_count=facts.bq_per_ml_per_count)
    said = facts.decay_correction
    if said is None:
        return header
    if header.decay_correction not in ("", said):
        faults.append(
            InputError(
                f"the header says DecayCorrection {header.decay_correction}, study.toml says "
                f"{said}",
                code="E_DECAY",
                where=tag("DecayCorrection"),
                value=header.decay_correction,
                action="take [spect] decay_correction out of study.toml, or export again",
            )
        )
    return replace(header, decay_correction=said)


def spect_facts_refused(entered: Mapping[str, object]) -> list[EprimgError]:
    """Refuse facts of ``[spect]`` that were entered for a PET series.

    Parameters
    ----------
    entered : Mapping
        Facts that the user entered.

    Returns
    -------
    list of EprimgError
        ``E_ENTERED`` for each of them.
    """
    return [
        InputError(
            f"the entered {key} is for SPECT (NM) only, and the series is PET",
            code="E_ENTERED",
            where=f"study.toml [spect] {key}",
            value=entered[key],
            action="take it out of study.toml",
        )
        for key in SPECT_KEYS
        if key in entered
    ]
