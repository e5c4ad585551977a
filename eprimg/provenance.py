"""What made the numbers: versions, memory, engines, and the hash of the settings."""

from __future__ import annotations

import contextlib
import hashlib
import platform
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from eprimg.config import Config
from eprimg.model.case import Case
from eprimg.model.lesions import RegionSource
from eprimg.model.tiers import TierScheme

__all__ = ["check_settings", "engines_of", "peak_memory_mb", "settings_hash", "versions"]


@cache
def versions() -> Mapping[str, str]:
    """Return the versions of what computes.

    Returns
    -------
    Mapping of str to str
        Of eprimg, Python and the packages that numbers depend on.
    """
    from importlib.metadata import version

    import eprimg

    packages = (
        "numpy",
        "scipy",
        "numba",
        "SimpleITK",
        "nibabel",
        "pydicom",
        "highdicom",
        "scikit-image",
        "matplotlib",
    )
    return {
        "eprimg": eprimg.__version__,
        "python": platform.python_version(),
        **{p: version(p) for p in packages},
    }


def peak_memory_mb() -> float:
    """Return the peak resident memory of this process.

    Returns
    -------
    float
        In MB (2**20 bytes), without what its parent held when it started it; NaN when not known.
    """
    with contextlib.suppress(OSError), Path("/proc/self/status").open(encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024.0
    try:
        import resource
    except ImportError:  # not on Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024.0 * 1024.0 if platform.system() == "Darwin" else 1024.0)


def settings_hash(config: Config, schemes: Sequence[TierScheme] | None = None) -> str:
    """Hash the settings together with the content of the files that they name.

    Parameters
    ----------
    config : Config
        Settings.
    schemes : sequence of TierScheme, optional
        Schemes that are applied instead of those that the settings name.

    Returns
    -------
    str
        SHA-256; it changes when a cut-off changes, even in a file of the same name.

    Raises
    ------
    ConfigError
        ``E_CONFIG``, ``E_SCHEME``, ``E_COHORT``, ``E_ELIGIBILITY`` or ``E_IRON_MODEL``.
    InputError
        ``E_IRON_CALIBRATION``, ``E_RECOVERY_TABLE`` or ``E_BLOOD_SAMPLES``.
    """
    from eprimg.engines.registrars.profiles import checked_profiles
    from eprimg.io.eligibility import load_eligibility
    from eprimg.io.relaxivity import load_relaxivity
    from eprimg.io.schemes import load_cohort, load_schemes

    cohorts = load_cohort(config.stratify.cohort_file) if config.stratify.cohort_file else ()
    applied = tuple(schemes) if schemes is not None else load_schemes(config.stratify)
    text = f"{config.hash} {applied!r} {cohorts!r} {load_relaxivity(config.iron)!r}"
    text += f" {load_eligibility(config.eligibility)!r} {checked_profiles(config.register)}"
    if config.partial_volume.recovery_table:
        from eprimg.io.recovery_table import load_recovery_table

        text += f" {load_recovery_table(config.partial_volume.recovery_table)!r}"
    weights = Path(config.segment_model.weights).expanduser()
    if config.segment_model.engine and config.segment_model.weights and weights.exists():
        from eprimg.engines.segmenters.weights import weights_sha256

        text += f" {weights_sha256(weights)}"
    if config.kinetics.blood_samples:
        from eprimg.io.blood_samples import samples_hash

        text += f" {samples_hash(config.kinetics.blood_samples)}"
    return hashlib.sha256(text.encode()).hexdigest()


def check_settings(config: Config) -> None:
    """Refuse settings that name what is not there, before any work is done.

    Parameters
    ----------
    config : Config
        Settings.

    Raises
    ------
    EprimgError
        ``E_ENGINE``, ``E_CONFIG``, ``E_SCHEME``, ``E_COHORT``, ``E_ELIGIBILITY``,
        ``E_IRON_...`` or ``E_RECOVERY_TABLE``.
    """
    from eprimg.engines.registrars.profiles import checked_profiles
    from eprimg.registry import load_engine
    from eprimg.stages.partial_volume import check_partial_volume

    load_engine("registrar", config.register.engine)
    load_engine("segmenter", config.segment.engine)
    if config.segment_model.engine:
        load_engine("segmenter", config.segment_model.engine)
    checked_profiles(config.register)
    check_partial_volume(config.partial_volume)
    settings_hash(config)


def engines_of(case: Case, config: Config) -> dict[str, str]:
    """Name the engines that made something of a case.

    Parameters
    ----------
    case : Case
        The case.
    config : Config
        Settings.

    Returns
    -------
    dict of str to str
        Engine per purpose.
    """
    used = {}
    engines = sorted({r.engine for r in case.registrations})
    if engines:
        used["registrar"] = ", ".join(engines)
    if case.lesions is not None and any(
        r.source != RegionSource.MASK for r in case.lesions.regions
    ):
        used["segmenter"] = config.segment.engine
    model = case.lesions.settings.get("model") if case.lesions is not None else None
    if isinstance(model, Mapping):
        used["segmentation model"] = (
            f"{model.get('engine')}, weights {model.get('weights_sha256')}, licence: "
            f"{model.get('licence')}"
        )
    if any(key.startswith("r2star") for key in case.maps):
        modes = {
            str(map_.facts.get("noise", "none"))
            for key, map_ in case.maps.items()
            if key.startswith("r2star")
        }
        used["r2star"] = f"{config.r2star.method}, noise {' and '.join(sorted(modes))}"
    return used
