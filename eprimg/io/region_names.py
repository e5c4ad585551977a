"""What the name of a region means: lesion, reference organ or excluded part."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from eprimg.errors import InputError
from eprimg.model.lesions import Region, RegionRole

__all__ = ["region_from_name", "region_from_record"]

_LESION = re.compile(
    r"lesion|tumou?r|metast|^mets?$|neoplas|carcinom|sarcom|lymphom|melanom|adenom|^gtv|^mass$|"
    r"nodul|nodal|^nodes?$|^hcc$|cancer|malign",
    re.IGNORECASE,
)
_EXCLUDE = re.compile(
    r"^(exclud\w*|background|air|artefact|artifact|outside|ignore)$", re.IGNORECASE
)
_ANATOMY: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (anatomy, re.compile(words, re.IGNORECASE))
    for anatomy, words in (
        ("liver", r"^(liver|hepatic|hepar)$"),
        ("spleen", r"^(spleen|splenic)$"),
        ("blood", r"^(aorta|aortic|blood|bloodpool|ventricle|vena|cava|ivc)$"),
        ("muscle", r"^(muscles?|psoas|gluteus|gluteal|erector|paraspinal|iliopsoas)$"),
        ("kidney", r"^(kidneys?|renal)$"),
        ("marrow", r"^(marrow|vertebrae?|vertebral|spine|[lt]\d{1,2})$"),
    )
)
_OTHER_ORGANS = frozenset(
    [
        "pancreas",
        "stomach",
        "bladder",
        "lung",
        "lungs",
        "heart",
        "brain",
        "fat",
        "bone",
        "gallbladder",
        "bowel",
        "colon",
        "adrenal",
        "thyroid",
        "parotid",
        "body",
        "reference",
        "skin",
        "prostate",
        "uterus",
        "oesophagus",
        "esophagus",
    ]
)


def region_from_name(
    id: int, name: str, *, property_meaning: str = "", tracking_uid: str = ""
) -> Region:
    """Make the record of a region from its label and name; the one place that reads names.

    Parameters
    ----------
    id : int
        Label value.
    name : str
        E.g. ``liver`` or ``lesion-3``.
    property_meaning : str
        Meaning of the coded property of a DICOM segment; it goes before the name.
    tracking_uid : str
        Stable identifier.

    Returns
    -------
    Region
        With role and, for a known reference organ, its anatomy.

    Notes
    -----
    A word for a lesion wins over the word for an organ (``liver metastasis`` is a lesion).  A
    name that says neither is taken as a lesion, with a note.
    """
    for text in (property_meaning, name):
        words = re.findall(r"[A-Za-z]+\d*|\d+", text)
        if any(_LESION.search(w) for w in words):
            return Region(id, name, RegionRole.LESION, tracking_uid=tracking_uid)
        if any(_EXCLUDE.match(w) for w in words):
            return Region(id, name, RegionRole.EXCLUDE, tracking_uid=tracking_uid)
        for anatomy, pattern in _ANATOMY:
            if any(pattern.match(w) for w in words):
                return Region(
                    id, name, RegionRole.REFERENCE, anatomy=anatomy, tracking_uid=tracking_uid
                )
        if any(w.lower() in _OTHER_ORGANS for w in words):
            return Region(id, name, RegionRole.REFERENCE, tracking_uid=tracking_uid)
    return Region(
        id,
        name,
        RegionRole.LESION,
        tracking_uid=tracking_uid,
        notes=("the name says neither lesion nor organ; it was taken as a lesion",),
    )


def region_from_record(id: int, record: Mapping[str, Any], *, where: str) -> Region:
    """Make the record of a region from a table of a ``labels.json`` that this program wrote.

    Parameters
    ----------
    id : int
        Label value.
    record : Mapping
        ``name`` and, optionally, ``role``, ``anatomy`` and ``tracking_uid``.  Other keys are not
        read; the source becomes ``mask``, since somebody handed the file in as a mask.
    where : str
        File, for messages.

    Returns
    -------
    Region
        As written; without a role, as `region_from_name` reads the name.  A reference region whose
        table has no ``anatomy`` is the organ that its name says.

    Raises
    ------
    InputError
        ``E_SEG_LABELS`` for a missing name, or a role or an organ that is not known.
    """
    texts = {k: record.get(k) or "" for k in ("name", "role", "anatomy", "tracking_uid")}
    organs = [anatomy for anatomy, _ in _ANATOMY]
    choices = {"role": [str(r) for r in RegionRole], "anatomy": organs}
    for key, value in texts.items():
        known = choices.get(key)
        if not isinstance(value, str) or (value and known and value not in known):
            raise InputError(
                f"label {id}: this is no {key} of a region",
                code="E_SEG_LABELS",
                where=where,
                value=value,
                action=f"use one of {', '.join(known)}" if known else "use plain text",
            )
    name = texts["name"].strip()
    if not name:
        raise InputError(
            f"label {id} has no name",
            code="E_SEG_LABELS",
            where=where,
            action='give every label a "name"',
        )
    if texts["anatomy"] and not texts["role"]:
        raise InputError(
            f"label {id} has an anatomy, but no role",
            code="E_SEG_LABELS",
            where=where,
            value=texts["anatomy"],
            action=f"give its role: one of {', '.join(choices['role'])}",
        )
    if not texts["role"]:
        return region_from_name(id, name, tracking_uid=texts["tracking_uid"])
    role, anatomy = RegionRole(texts["role"]), texts["anatomy"]
    if role == RegionRole.REFERENCE and "anatomy" not in record:
        anatomy = region_from_name(id, name).anatomy
    return Region(
        id,
        name,
        role,
        anatomy=anatomy,
        tracking_uid=texts["tracking_uid"],
    )
