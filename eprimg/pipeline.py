"""The main job: the stages in order, and what they leave behind.

The command line, the batch engine and the plugin all call `run`; nobody else orders stages.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from eprimg.config import Config
from eprimg.errors import ConfigError
from eprimg.model.case import Case, Finding, Provenance
from eprimg.model.lesions import RegionSource
from eprimg.model.study import Study

__all__ = ["STAGES", "Progress", "check_settings", "export_case", "run", "settings_hash"]

Progress = Callable[[str, float], None]
"""Called with words for a person and the finished share (0 to 1)."""

STAGES = ("register", "quantify", "segment", "measure", "stratify")


def _versions() -> dict[str, str]:
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


def _peak_memory_mb() -> float:
    """Peak resident memory of this process, without what its parent held when it started it."""
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


def settings_hash(config: Config) -> str:
    """Hash the settings together with the content of the scheme and cohort files they name.

    Parameters
    ----------
    config : Config
        Settings.

    Returns
    -------
    str
        SHA-256; it changes when a cut-off changes, even in a file of the same name.

    Raises
    ------
    ConfigError
        ``E_SCHEME`` or ``E_COHORT``.
    """
    from eprimg.io.schemes import load_cohort, load_schemes

    cohorts = load_cohort(config.stratify.cohort_file) if config.stratify.cohort_file else ()
    text = f"{config.hash} {load_schemes(config.stratify)!r} {cohorts!r}"
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
        ``E_ENGINE``, ``E_CONFIG``, ``E_SCHEME`` or ``E_COHORT``.
    """
    from eprimg.engines.registrars.rigid_settings import load_profile
    from eprimg.registry import load_engine

    load_engine("registrar", config.register.engine)
    load_engine("segmenter", config.segment.engine)
    load_profile(config.register.profile)
    settings_hash(config)


def _engines(case: Case, config: Config) -> dict[str, str]:
    """Name the engines that made something of this case."""
    used = {}
    engines = sorted({r.engine for r in case.registrations})
    if engines:
        used["registrar"] = ", ".join(engines)
    if case.lesions is not None and any(
        r.source != RegionSource.MASK for r in case.lesions.regions
    ):
        used["segmenter"] = config.segment.engine
    if any(key.startswith("r2star") for key in case.maps):
        used["r2star"] = config.r2star.method
    return used


def _span(start: str | None, stop: str | None) -> tuple[int, int]:
    for name in (start, stop):
        if name is not None and name not in STAGES:
            raise ConfigError(
                f"there is no stage {name!r}",
                code="E_STAGE",
                value=name,
                action=f"use one of {', '.join(STAGES)}",
            )
    first = STAGES.index(start) if start else 0
    last = STAGES.index(stop) if stop else len(STAGES) - 1
    if last < first:
        raise ConfigError(
            "the run would stop before it starts", code="E_STAGE", value=(start, stop)
        )
    return first, last


def _advance(stage: str, case: Case, config: Config, progress: Progress) -> Case:
    """Run one stage and grow the case by what it returns."""
    findings: tuple[Finding, ...]
    if stage == "register":
        from eprimg.stages.register import register

        registered = register(case.study, config, progress=progress)
        case = replace(case, registrations=registered.value)
        findings = registered.findings
    elif stage == "quantify":
        from eprimg.stages.quantify import quantify

        quantified = quantify(case.study, case.registrations, config, progress=progress)
        case = replace(case, maps=quantified.value.maps, registered=quantified.value.registered)
        findings = quantified.findings
    elif stage == "segment":
        from eprimg.stages.segment import segment

        segmented = segment(case.study, case.maps, config, registrations=case.registrations)
        case = replace(case, lesions=segmented.value.lesions, native_lesions=segmented.value.native)
        findings = segmented.findings
    elif stage == "measure":
        from eprimg.stages.measure import measure

        if case.lesions is None:
            return case
        measured = measure(
            case.study,
            case.registrations,
            case.maps,
            case.registered,
            case.lesions,
            config,
            native=case.native_lesions,
        )
        case = replace(
            case, lesions=measured.value.lesions, native_lesions=measured.value.native_lesions
        )
        findings = measured.findings
    else:
        from eprimg.io.schemes import load_cohort, load_schemes
        from eprimg.stages.stratify import stratify

        schemes = load_schemes(config.stratify)
        cohorts = load_cohort(config.stratify.cohort_file) if config.stratify.cohort_file else ()
        placed = stratify(case.study, case.lesions, config, schemes=schemes, cohorts=cohorts)
        case = replace(
            case,
            lesions=placed.value.lesions,
            schemes=schemes,
            patient_tiers=placed.value.patient_tiers,
        )
        findings = placed.findings
    return replace(case, findings=case.findings + tuple(findings))


def run(
    study: Study,
    config: Config | None = None,
    *,
    case: Case | None = None,
    start: str | None = None,
    stop: str | None = None,
    findings: tuple[Finding, ...] = (),
    seconds: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> Case:
    """Run the stages of the main job on a study.

    Parameters
    ----------
    study : Study
        What was read; see `eprimg.io.study.read_study`.
    config : Config, optional
        Settings; the defaults when left out.
    case : Case, optional
        A case to go on from, e.g. after an edit; needed when ``start`` is not the first stage.
    start, stop : str, optional
        First and last stage to run (`STAGES`); all of them when left out.
    findings : tuple of Finding
        What reading noticed; kept at the head of the case's findings.
    seconds : Mapping of str to float, optional
        What was spent before, e.g. on reading; kept in the provenance.
    progress : callable, optional
        Called with words and the finished share.

    Returns
    -------
    Case
        Everything that is known; nothing has been written to disk.

    Raises
    ------
    EprimgError
        When an input cannot be used.
    """
    config = config or Config()
    first, last = _span(start, stop)
    if case is None:
        if first > 0:
            raise ConfigError(
                "a run that starts later needs the case it goes on from",
                code="E_STAGE",
                value=start,
            )
        case = Case(study=study, findings=findings)
    else:
        case = replace(case, study=study)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    spent = {**(seconds or {}), **case.provenance.seconds}
    for number, stage in enumerate(STAGES[first : last + 1]):
        count = last - first + 1

        def tell(words: str, share: float, *, number: int = number, count: int = count) -> None:
            if progress is not None:
                progress(words, (number + min(max(share, 0.0), 1.0)) / count)

        tell(stage, 0.0)
        clock = time.perf_counter()
        case = _advance(stage, case, config, tell)
        spent[stage] = time.perf_counter() - clock
        tell(stage, 1.0)
    return replace(
        case,
        provenance=Provenance(
            versions=_versions(),
            config_hash=settings_hash(config),
            input_hash=study.input_hash,
            started=case.provenance.started or started,
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=spent,
            peak_memory_mb=_peak_memory_mb(),
            engines=_engines(case, config),
            threads=config.threads or (os.cpu_count() or 1),
        ),
    )


def export_case(
    case: Case,
    config: Config,
    out: Path | str,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Render the report and write the output folder, atomically.

    Parameters
    ----------
    case : Case
        A finished case.
    config : Config
        Settings of the run.
    out : Path
        Output folder; see `eprimg.io.output_folder.check_target`.
    overwrite : bool
        Replace an earlier output folder of eprimg.
    progress : callable, optional
        Called with words and the finished share.

    Returns
    -------
    Path
        The output folder.

    Raises
    ------
    OutputError
        When it cannot be written; nothing half-written is left.
    """
    from eprimg.io.outputs import write_case
    from eprimg.report.html import render_report

    tell = progress or (lambda words, share: None)
    clock = time.perf_counter()
    tell("report", 0.0)
    page = render_report(case, config)
    seconds = dict(case.provenance.seconds) | {"report": time.perf_counter() - clock}
    case = replace(
        case, provenance=replace(case.provenance, seconds=seconds, peak_memory_mb=_peak_memory_mb())
    )
    tell("write", 0.5)
    folder = write_case(case, config, Path(out), report_html=page, overwrite=overwrite)
    tell("write", 1.0)
    return folder
