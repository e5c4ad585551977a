"""What the name of a region means: lesion, reference organ or excluded part."""

from __future__ import annotations

import re

from eprimg.model.lesions import Region, RegionRole

__all__ = ["region_from_name"]

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
