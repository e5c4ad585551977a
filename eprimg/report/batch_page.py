"""The page of a batch: one row per study, read and sorted without a server."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import jinja2
from markupsafe import Markup

from eprimg.model.case import Severity
from eprimg.model.study_record import BatchSummary, Light, PatientTierWord, Status, StudyRecord
from eprimg.model.tiers import INDETERMINATE, NOT_TIERED, TierScheme
from eprimg.report.dates import without_dates
from eprimg.report.numbers import format_percent
from eprimg.report.palette import SEVERITIES, TierStyle, tier_style

__all__ = ["render_batch_page"]

_WEIGHTS: Final = {"error": 1_000_000, "warning": 1_000, "info": 1}
"""Order of the column of findings: errors first, then warnings, then notes."""
_REFUSED_WEIGHT: Final = 10**9
_LONGEST: Final = 150
_LONGEST_REFUSAL: Final = 320


@dataclass(frozen=True, slots=True)
class _Look:
    """Colour, symbol and word of a status or light; rank 0 sorts first."""

    kind: str
    symbol: str
    word: str
    rank: int


_STATUS: Final = {
    "failed": _Look("bad", "✖", "failed", 0),
    "refused": _Look("stop", "■", "refused", 1),
    "waiting": _Look("idle", "…", "waiting", 2),
    "ok": _Look("good", "✔", "ok", 3),
}
_LIGHTS: Final = {
    Light.REFUSED: _Look("idle", "–", "no result", 0),
    Light.LOOK: _Look("warn", "▲", "look", 1),
    Light.OK: _Look("good", "●", "ok", 2),
}


@dataclass(frozen=True, slots=True)
class _TierCell:
    kind: str
    style: TierStyle
    label: str
    confidence: str
    rank: int


@dataclass(frozen=True, slots=True)
class _Row:
    key: str
    pseudonym: str
    status: _Look
    light: _Look
    light_reason: str
    tiers: tuple[_TierCell | None, ...]
    n_lesions: int | None
    candidates: int
    counts: tuple[tuple[str, str, int], ...]
    code: str
    sentence: str
    action: str
    others: tuple[str, ...]
    weight: int
    seconds: float
    report: bool
    thumbnail: bool
    log: bool
    attempts: int


def render_batch_page(summary: BatchSummary) -> str:
    """Draw the page of a batch.

    Parameters
    ----------
    summary : BatchSummary
        All studies as they are on disk.

    Returns
    -------
    str
        One HTML page: style and script inside, thumbnails and reports beside it, no network. It
        holds keys and pseudonyms, and neither names nor dates of patients.
    """
    styles: dict[TierStyle, str] = {}
    rows = [_row(record, summary, styles) for record in summary.records]
    rows += [_waiting(key, len(summary.schemes)) for key in summary.waiting]
    script = files("eprimg.report").joinpath("templates/batch.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    labels = [_tally(summary, scheme) for scheme in summary.schemes]
    notices = {t.scheme: t.notice for r in summary.records for t in r.digest.tiers if t.notice}
    return _template().render(
        rows=rows,
        schemes=list(zip(summary.schemes, labels, strict=True)),
        notices=notices,
        styles=[(name, style) for style, name in styles.items()],
        n=len(rows),
        counts=[(_STATUS[s], s, n) for s, n in summary.counts.items()],
        lights=_light_counts(summary),
        findings=summary.findings,
        severities=SEVERITIES,
        version=summary.version,
        created=summary.created.replace("T", " ").removesuffix("+00:00"),
        seconds=sum(r.seconds for r in summary.records),
        script=Markup(script),
        script_digest=digest,
    )


def _light_counts(summary: BatchSummary) -> list[tuple[_Look, int]]:
    counts = Counter(r.light for r in summary.records if r.status == Status.OK)
    return [(_LIGHTS[light], counts[light]) for light in (Light.OK, Light.LOOK)]


def _tally(summary: BatchSummary, scheme: str) -> list[tuple[str, int]]:
    """Count the tiers of a scheme, from low to high, then those that are none."""
    words = [t for r in summary.records for t in r.digest.tiers if t.scheme == scheme]
    counts = Counter(t.label for t in words)
    order = list(dict.fromkeys(label for t in words for label in t.labels))
    order += [label for label in (INDETERMINATE, NOT_TIERED) if label not in order]
    order += [label for label in counts if label not in order]
    return [(label, counts[label]) for label in order if counts[label]]


def _row(record: StudyRecord, summary: BatchSummary, styles: dict[TierStyle, str]) -> _Row:
    digest, done = record.digest, record.status == Status.OK
    placed = {t.scheme: t for t in digest.tiers}
    first = digest.findings[0] if done and digest.findings else None
    counts = tuple(
        (str(s), SEVERITIES[s].symbol, digest.n_findings.get(str(s), 0))
        for s in (Severity.ERROR, Severity.WARNING, Severity.INFO)
        if done and digest.n_findings.get(str(s), 0)
    )
    text = (first[2] if first else "") if done else record.message
    return _Row(
        key=record.key,
        pseudonym=digest.pseudonym,
        status=_STATUS[str(record.status)],
        light=_LIGHTS[record.light],
        light_reason=_light_reason(record),
        tiers=tuple(_tier_cell(placed.get(s), styles) for s in summary.schemes),
        n_lesions=digest.n_lesions if done else None,
        candidates=digest.n_candidates if done else 0,
        counts=counts,
        code=(first[0] if first else "") if done else record.code,
        sentence=_short(text, _LONGEST if done else _LONGEST_REFUSAL),
        action="" if done else _short(record.action, _LONGEST),
        others=tuple(code for code, _, _ in digest.findings[1:]) if done else (),
        weight=sum(_WEIGHTS[s] * n for s, _, n in counts) if done else _REFUSED_WEIGHT,
        seconds=record.seconds,
        report=done,
        thumbnail=done and record.key in summary.thumbnails,
        log=record.key in summary.logs,
        attempts=record.attempts,
    )


def _waiting(key: str, n_schemes: int) -> _Row:
    return _Row(
        key=key,
        pseudonym="",
        status=_STATUS["waiting"],
        light=_LIGHTS[Light.REFUSED],
        light_reason="",
        tiers=(None,) * n_schemes,
        n_lesions=None,
        candidates=0,
        counts=(),
        code="",
        sentence="",
        action="",
        others=(),
        weight=0,
        seconds=0.0,
        report=False,
        thumbnail=False,
        log=False,
        attempts=0,
    )


def _light_reason(record: StudyRecord) -> str:
    digest = record.digest
    refused = digest.n_registrations - digest.n_accepted
    if record.status != Status.OK or not refused:
        return ""
    return f"{refused} registration{'' if refused == 1 else 's'} not accepted"


def _tier_cell(tier: PatientTierWord | None, styles: dict[TierStyle, str]) -> _TierCell | None:
    if tier is None:
        return None
    # only the labels of the scheme decide the look
    scheme = TierScheme(tier.scheme, "", "", "", "", "", (), tier.labels, "", False, "", "")
    style = tier_style(tier.label, scheme)
    kind = styles.setdefault(style, f"t{len(styles)}")
    rank = tier.labels.index(tier.label) + 1 if tier.label in tier.labels else 0
    if tier.label == INDETERMINATE:
        rank = -1
    elif tier.label == NOT_TIERED:
        rank = -2
    confidence = "" if tier.confidence is None else format_percent(tier.confidence)
    return _TierCell(kind, style, tier.label, confidence, rank)


def _short(text: str, longest: int) -> str:
    """Take the first lines of a text, without dates."""
    text = " ".join(without_dates(text).split())
    if len(text) <= longest:
        return text
    return text[: longest - 1].rsplit(" ", 1)[0] + " …"


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("eprimg.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("batch.html.j2")
