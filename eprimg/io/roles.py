"""A proposed role for every series, with the reason; doubt is never resolved silently."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from eprimg.io.echo_checks import one_time_for_all
from eprimg.io.entries import SeriesEntry
from eprimg.io.frame_types import is_spin_echo, n_positions
from eprimg.io.pet_points import in_sessions, one_injection
from eprimg.model.case import Finding, Severity
from eprimg.model.study import Role

__all__ = ["agent_contradictions", "propose_roles"]

_AGENT = re.compile(
    r"ferumox|feraheme|rienso|feridex|resovist|sinerem|uspio|spio|iron|nanopart", re.IGNORECASE
)
_OTHER_AGENT = re.compile(
    r"gad|gado|dotarem|magnevist|omniscan|prohance|primovist|eovist|multihance|clariscan|vueway|"
    r"elucirem",
    re.IGNORECASE,
)
_POST_WORDS = re.compile(
    r"\b(post|after|ferumox\w*|feraheme|rienso|uspio|delayed|\d{1,3} ?h(rs?|ours?)?)\b",
    re.IGNORECASE,
)
_PRE_WORDS = re.compile(r"\b(pre|before|native?|nativ|baseline|unenhanced)\b", re.IGNORECASE)
_SESSION_GAP = timedelta(hours=1)
"""Two stacks closer together than this are not told apart by time alone."""
_ASK = "say which is which in study.toml"


def propose_roles(entries: Sequence[SeriesEntry]) -> tuple[list[SeriesEntry], list[Finding]]:
    """Propose what each series is used for.

    Parameters
    ----------
    entries : sequence of SeriesEntry
        Series of one folder, with unique keys.

    Returns
    -------
    tuple of list of SeriesEntry and list of Finding
        The same series in the same order with role and reason; doubts that ask for study.toml.
    """
    proposed: dict[str, tuple[Role, str]] = {}
    findings: list[Finding] = []
    stacks = []
    for entry in entries:
        reason = _why_no_stack(entry)
        if not reason:
            stacks.append(entry)
        elif reason != "-":
            proposed[entry.key] = (Role.UNUSED, reason)
    _agent_phases(stacks, proposed, findings)
    pet = [e for e in entries if e.modality == "PT" and e.instances]
    spect = [e for e in entries if e.modality == "NM" and e.instances]
    _pet(pet or spect, proposed, findings)
    if pet:
        why = f"SPECT beside a PET series: {_ASK}"
        proposed.update({e.key: (Role.UNUSED, why) for e in spect})
    _ct([e for e in entries if e.modality == "CT" and e.instances], entries, proposed, findings)
    _nifti_pet([e for e in entries if e.source == "nifti" and e.role == Role.PET], proposed)
    for entry in entries:
        if entry.key not in proposed:
            proposed[entry.key] = _other(entry)
    return [
        replace(e, role=proposed[e.key][0], reason=proposed[e.key][1]) for e in entries
    ], findings


def agent_contradictions(
    pre: Sequence[SeriesEntry], post: Sequence[SeriesEntry]
) -> tuple[Finding, ...]:
    """Say where headers contradict the roles that are about to be used.

    Roles may come from a study file, so the check is made again on what was settled.

    Parameters
    ----------
    pre, post : sequence of SeriesEntry
        Series in the roles before and after the agent.

    Returns
    -------
    tuple of Finding
        ``W_AGENT_ORDER`` for a tag or word that says the opposite, and for dates in the wrong
        order.
    """
    findings = []
    for entries, role, opposite in ((pre, "before", "post"), (post, "after", "pre")):
        for entry in entries:
            phase, why = _evidence(entry)
            if phase == opposite:
                findings.append(
                    Finding(
                        "W_AGENT_ORDER",
                        Severity.WARNING,
                        entry.key,
                        f"This series is used as the one {role} the agent, but {why}. Check that "
                        "the two series were not exchanged.",
                    )
                )
    for first in pre:
        for second in post:
            if first.instant and second.instant and first.instant > second.instant:
                findings.append(
                    Finding(
                        "W_AGENT_ORDER",
                        Severity.WARNING,
                        f"{first.key}, {second.key}",
                        "The series used as the one before the agent was acquired after the other "
                        "one. Check that the two were not exchanged.",
                    )
                )
    return tuple(findings)


def _why_no_stack(entry: SeriesEntry) -> str:
    """Return why an entry is no R2* stack: empty when it is one, ``-`` when it is not MR."""
    if entry.source == "nifti":
        return "-" if len(entry.echo_times_ms) < 2 else ""
    if entry.modality != "MR":
        return "-"
    aside = " and ".join(f"{n} {reason}" for reason, n in entry.dropped)
    if not entry.instances:
        return f"nothing but {aside}"
    if all(is_spin_echo(f) for f in entry.instances):
        return "spin echo (ScanningSequence SE): its decay gives R2, not R2*"
    if any(f.echo_time_ms is None for f in entry.instances):
        return "frames without an echo time (0018,0081)"
    if len(entry.echo_times_ms) < 2:
        wrong = one_time_for_all(entry.instances)
        if wrong:
            return f"{wrong} (EchoTime (0018,0081))"
        text = f"one magnitude echo only ({entry.echo_times_ms[0]:g} ms)"
        return f"{text}, beside {aside}" if aside else text
    return ""


def _evidence(entry: SeriesEntry) -> tuple[str, str]:
    """Return the agent phase that the header speaks for (``pre``, ``post`` or empty), and why."""
    agents = {f.contrast_agent for f in entry.instances if f.contrast_agent}
    for agent in sorted(agents):
        if _AGENT.search(agent):
            return "post", f"ContrastBolusAgent (0018,0010) names {agent!r}"
    if agents and not any(_OTHER_AGENT.search(a) for a in agents):
        return "post", f"ContrastBolusAgent (0018,0010) is filled ({sorted(agents)[0]!r})"
    for text in (
        entry.description,
        *(f.study_description for f in entry.instances[:1]),
        *(p.parent.name for p in entry.paths[:1] if entry.source == "nifti"),
    ):
        plain = re.sub(r"[^0-9A-Za-z]+", " ", text)
        pre, post = _PRE_WORDS.search(plain), _POST_WORDS.search(plain)
        if pre and (not post or (post.start() > pre.start() and not _says_post(plain))):
            return "pre", f"the description says {pre.group(0)!r}"
        if post and not pre:
            return "post", f"the description says {post.group(0)!r}"
    return "", ""


def _says_post(text: str) -> bool:
    return re.search(r"\b(post|after)\b", text, re.IGNORECASE) is not None


def _agent_phases(
    stacks: list[SeriesEntry], proposed: dict[str, tuple[Role, str]], findings: list[Finding]
) -> None:
    train = {e.key: f"gradient echoes at {len(e.echo_times_ms)} echo times" for e in stacks}
    evidence = {e.key: _evidence(e) for e in stacks}
    marked = {
        phase: [e for e in stacks if evidence[e.key][0] == phase] for phase in ("pre", "post", "")
    }
    if len(stacks) == 2 and not any(evidence[e.key][0] for e in stacks):
        first, second = stacks
        if first.instant and second.instant and second.instant - first.instant >= _SESSION_GAP:
            why = "no agent tag or word; of two stacks the earlier one is taken as before the agent"
            evidence[first.key] = ("pre", why)
            evidence[second.key] = (
                "post",
                why.replace("earlier one is taken as before", "later one is taken as after"),
            )
            marked = {"pre": [first], "post": [second], "": []}
            findings.append(
                Finding(
                    "W_AGENT_PHASE_BY_TIME",
                    Severity.WARNING,
                    f"{first.key}, {second.key}",
                    "which stack is before and which is after the agent was told from their dates "
                    f"alone; {_ASK} to be sure",
                )
            )
    elif len(stacks) == 2 and len(marked[""]) == 1 and not (marked["pre"] and marked["post"]):
        unknown = marked[""][0]
        known = next(e for e in stacks if e is not unknown)
        phase = "post" if evidence[known.key][0] == "pre" else "pre"
        side = "before" if phase == "post" else "after"
        evidence[unknown.key] = (phase, f"nothing about an agent, and {known.key} is {side} it")
        marked = {"pre": [], "post": [], "": []}
        marked[phase], marked["pre" if phase == "post" else "post"] = [unknown], [known]
    elif len(stacks) == 1 and marked[""]:
        only = stacks[0]
        evidence[only.key] = ("pre", "nothing about an agent, and the only stack there is")
        marked = {"pre": [only], "post": [], "": []}
    pre, post = marked["pre"], marked["post"]
    if (
        len(pre) == len(post) == 1
        and pre[0].instant
        and post[0].instant
        and pre[0].instant > post[0].instant
    ):
        findings.append(
            Finding(
                "W_AGENT_ORDER",
                Severity.WARNING,
                f"{pre[0].key}, {post[0].key}",
                "the stack that seems to be before the agent was acquired after the other one; "
                f"neither is used: {_ASK}",
            )
        )
        pre, post = [], []
    for group, role in ((pre, Role.MR_PRE), (post, Role.MR_POST)):
        several = role == Role.MR_POST and in_sessions(group, _SESSION_GAP) and _follow(pre, group)
        if len(group) == 1 or several:
            for number, entry in enumerate(group, start=1):
                nth = f"; session {number} of {len(group)} after the agent" if several else ""
                reason = f"{train[entry.key]}; {evidence[entry.key][1]}{nth}"
                proposed[entry.key] = (role, reason)
        elif len(group) > 1:
            keys = ", ".join(e.key for e in group)
            findings.append(
                Finding(
                    "W_ROLE_AMBIGUOUS",
                    Severity.WARNING,
                    keys,
                    f"{len(group)} stacks could be {role}; none is used: {_ASK}",
                )
            )
    left = [e for e in stacks if e.key not in proposed]
    for entry in left:
        proposed[entry.key] = (
            Role.UNUSED,
            f"{train[entry.key]}; its place before or after the agent is not clear: {_ASK}",
        )
    unknown_left = [e for e in marked[""] if e in left]
    if unknown_left:
        findings.append(
            Finding(
                "W_ROLE_AMBIGUOUS",
                Severity.WARNING,
                ", ".join(e.key for e in unknown_left),
                f"nothing tells whether these stacks are before or after the agent: {_ASK}",
            )
        )


def _follow(pre: list[SeriesEntry], post: list[SeriesEntry]) -> bool:
    """Tell that no stack before the agent was acquired after one that is after it."""
    if len(pre) != 1 or pre[0].instant is None:
        return not pre
    early = [e.instant for e in post if e.instant is not None]
    start = pre[0].instant
    return all((i.tzinfo is None) == (start.tzinfo is None) and i > start for i in early)


def _pet(
    series: list[SeriesEntry], proposed: dict[str, tuple[Role, str]], findings: list[Finding]
) -> None:
    usable = []
    for entry in series:
        corrections = {w.upper() for f in entry.instances for w in f.corrected_image}
        slices = n_positions(entry.instances)
        if corrections and "ATTN" not in corrections:
            proposed[entry.key] = (
                Role.UNUSED,
                "not corrected for attenuation: CorrectedImage (0028,0051) lacks ATTN",
            )
        elif entry.n_frames > slices > 1:
            proposed[entry.key] = (
                Role.UNUSED,
                f"dynamic or gated: {entry.n_frames} frames at {slices} positions",
            )
            findings.append(
                Finding(
                    "W_PET_FRAMES",
                    Severity.WARNING,
                    entry.key,
                    f"{entry.n_frames} frames at {slices} positions: dynamic or gated PET is not "
                    "read; give one static frame",
                )
            )
        else:
            usable.append(entry)
    if len(usable) == 1:
        kind = "static PET series" if usable[0].modality == "PT" else "SPECT reconstruction"
        proposed[usable[0].key] = (Role.PET, f"the only {kind}")
        return
    if in_sessions(usable, _SESSION_GAP) and one_injection(usable):
        for number, entry in enumerate(usable, start=1):
            reason = f"static PET, session {number} of {len(usable)} after one injection"
            proposed[entry.key] = (Role.PET, reason)
        return
    for entry in usable:
        proposed[entry.key] = (Role.UNUSED, f"one of {len(usable)} PET series: {_ASK}")
    if usable:
        findings.append(
            Finding(
                "W_ROLE_AMBIGUOUS",
                Severity.WARNING,
                ", ".join(e.key for e in usable),
                f"{len(usable)} PET series could be used; none is: {_ASK}",
            )
        )


def _nifti_pet(series: list[SeriesEntry], proposed: dict[str, tuple[Role, str]]) -> None:
    """Use a NIfTI PET only when it is the one PET of the folder."""
    dicom = any(role == Role.PET for role, _ in proposed.values())
    if dicom or len(series) > 1:
        why = "a DICOM PET series is used" if dicom else f"one of {len(series)} PET series: {_ASK}"
        proposed.update({e.key: (Role.UNUSED, why) for e in series})


def _ct(
    series: list[SeriesEntry],
    entries: Sequence[SeriesEntry],
    proposed: dict[str, tuple[Role, str]],
    findings: list[Finding],
) -> None:
    pets = [e for e in entries if proposed.get(e.key, (None,))[0] == Role.PET]
    frames = {e.frame_of_reference for e in pets if e.frame_of_reference}
    shared = [e for e in series if e.frame_of_reference in frames]
    own = {e.frame_of_reference for e in shared}
    if len(pets) > 1 and shared and len(own) == len(shared):
        for entry in shared:
            proposed[entry.key] = (Role.CT, "CT in the frame of reference of a PET")
    elif len(shared) == 1:
        proposed[shared[0].key] = (Role.CT, "CT in the frame of reference of the PET")
    elif len(series) == 1:
        proposed[series[0].key] = (Role.CT, "the only CT series")
    elif series:
        findings.append(
            Finding(
                "W_ROLE_AMBIGUOUS",
                Severity.WARNING,
                ", ".join(e.key for e in series),
                f"{len(series)} CT series; none is used: {_ASK}",
            )
        )
    for entry in series:
        proposed.setdefault(entry.key, (Role.UNUSED, "a CT that is not needed"))


def _other(entry: SeriesEntry) -> tuple[Role, str]:
    if entry.modality == "SEG":
        return Role.REGIONS, "DICOM segmentation"
    if entry.modality == "RTSTRUCT":
        return Role.REGIONS, "RT structure set"
    if entry.modality == "REG":
        return Role.UNUSED, "DICOM registration: used where it joins two series that are read"
    if entry.source == "nifti":
        return entry.role, entry.reason
    if entry.modality in ("MR", "PT", "NM", "CT"):
        aside = " and ".join(f"{n} {reason}" for reason, n in entry.dropped)
        return Role.UNUSED, f"nothing but {aside}"
    return Role.UNUSED, "not a volume"
