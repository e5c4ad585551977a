"""Tags that the PET rules and their messages name, and the coded nuclide."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TAGS", "NuclideCode", "tag"]

TAGS = {
    "SOPClassUID": "(0008,0016)",
    "DecayCorrectionDateTime": "(0018,9701)",
    "FrameAcquisitionDateTime": "(0018,9074)",
    "FrameReferenceDateTime": "(0018,9151)",
    "RadiopharmaceuticalAgentNumber": "(0018,9729)",
    "SUVType": "(0054,1006)",
    "SeriesDate": "(0008,0021)",
    "AcquisitionDate": "(0008,0022)",
    "SeriesTime": "(0008,0031)",
    "AcquisitionTime": "(0008,0032)",
    "Modality": "(0008,0060)",
    "TimezoneOffsetFromUTC": "(0008,0201)",
    "PatientSex": "(0010,0040)",
    "PatientSize": "(0010,1020)",
    "PatientWeight": "(0010,1030)",
    "Radiopharmaceutical": "(0018,0031)",
    "RadiopharmaceuticalStartTime": "(0018,1072)",
    "RadionuclideTotalDose": "(0018,1074)",
    "RadionuclideHalfLife": "(0018,1075)",
    "RadiopharmaceuticalStartDateTime": "(0018,1078)",
    "ActualFrameDuration": "(0018,1242)",
    "RescaleIntercept": "(0028,1052)",
    "RescaleSlope": "(0028,1053)",
    "CorrectedImage": "(0028,0051)",
    "ImageType": "(0008,0008)",
    "LongitudinalTemporalInformationModified": "(0028,0303)",
    "RadiopharmaceuticalInformationSequence": "(0054,0016)",
    "RadionuclideCodeSequence": "(0054,0300)",
    "SeriesType": "(0054,1000)",
    "Units": "(0054,1001)",
    "DecayCorrection": "(0054,1102)",
    "FrameReferenceTime": "(0054,1300)",
}
"""Keyword -> tag number of every element that a rule or a message names."""


def tag(keyword: str) -> str:
    """Name an element for a message.

    Parameters
    ----------
    keyword : str
        DICOM keyword, a key of `TAGS`.

    Returns
    -------
    str
        Keyword and tag number.
    """
    return f"{keyword} {TAGS[keyword]}"


@dataclass(frozen=True, slots=True)
class NuclideCode:
    """First item of RadionuclideCodeSequence (0054,0300).

    Parameters
    ----------
    value, scheme, meaning : str
        As in the header; empty when absent.
    """

    value: str = ""
    scheme: str = ""
    meaning: str = ""
