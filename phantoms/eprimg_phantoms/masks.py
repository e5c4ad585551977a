"""Masks of lesions and organs: NIfTI on all three grids, DICOM SEG on the first MR grid."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.sr.coding import Code

from eprimg_phantoms.dicom_base import IMPLEMENTATION_UID, MANUFACTURER
from eprimg_phantoms.geometry import SampleGrid
from eprimg_phantoms.identity import Identity, da, tm
from eprimg_phantoms.scene import Scene

LabelVolume = npt.NDArray[np.uint8]

ANATOMY = Code("91723000", "SCT", "Anatomical Structure")
ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
LESION = Code("52988006", "SCT", "Lesion")
ORGAN_CODES = {
    "liver": Code("10200004", "SCT", "Liver"),
    "spleen": Code("78961009", "SCT", "Spleen"),
    "kidney-right": Code("9846003", "SCT", "Right kidney"),
    "kidney-left": Code("18639004", "SCT", "Left kidney"),
    "aorta": Code("15825003", "SCT", "Aorta"),
    "muscle": Code("127954009", "SCT", "Skeletal muscle"),
    "vertebra": Code("51282000", "SCT", "Vertebra"),
}


def region_labels(scene: Scene) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return two tables from painted object number to lesion number and to organ number (0: none).

    Returns
    -------
    lesion_of, organ_of : numpy.ndarray
        Shape (n_objects + 1,).
    """
    lesions = [x.name for x in scene.lesions]
    organs = list(scene.organs)
    lesion_of = [0] + [lesions.index(o.lesion) + 1 if o.lesion else 0 for o in scene.objects]
    organ_of = [0] + [organs.index(o.organ) + 1 if o.organ else 0 for o in scene.objects]
    return np.array(lesion_of, dtype=np.uint8), np.array(organ_of, dtype=np.uint8)


def write_nifti(path: Path, labels: LabelVolume, grid: SampleGrid) -> None:
    """Write labels of shape (slices, rows, columns) as NIfTI: axes (column, row, slice), RAS mm."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.affine[:, [2, 1, 0, 3]]
    image = nib.Nifti1Image(np.ascontiguousarray(labels.T), affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    # A fixed time stamp inside the gzip header keeps equal seeds byte-identical.
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=4, mtime=0))


def write_side_car(
    path: Path, names: list[str], frame_of_reference: str, grid_of: str, role: str
) -> None:
    """Write which label is which region, and in which frame of reference the mask lies."""
    body = {
        "labels": {str(n): name for n, name in enumerate(names, start=1)},
        "role": role,
        "grid": grid_of,
        "FrameOfReferenceUID": frame_of_reference,
    }
    path.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")


def write_seg(
    scene: Scene,
    who: Identity,
    labels: LabelVolume,
    names: list[str],
    sources: list[Path],
    path: Path,
    *,
    title: str,
    number: int,
    session: str = "pre",
) -> None:
    """Write one DICOM segmentation (BINARY) on the grid of one session.

    Parameters
    ----------
    scene, who
        What and for whom.
    labels : numpy.ndarray
        Shape (slices, rows, columns), uint8; label n is ``names[n - 1]``.
    names : list of str
        Segment labels.
    sources : list of pathlib.Path
        Files of that grid (of MR: the first echo), from the first slice to the last.
    path : pathlib.Path
        File to write.
    title : str
        Series description.
    number : int
        Series number.
    session : str
        Session of the grid.
    """
    segments = []
    for n, name in enumerate(names, start=1):
        lesion = name.startswith("lesion")
        segments.append(
            hd.seg.SegmentDescription(
                segment_number=n,
                segment_label=name,
                segmented_property_category=ABNORMAL if lesion else ANATOMY,
                segmented_property_type=LESION if lesion else ORGAN_CODES[name],
                algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
                tracking_uid=who.uid("tracking", name),
                tracking_id=name,
                display_color=hd.color.CIELabColor(*_lab(n)),
            )
        )
    seg = hd.seg.Segmentation(
        source_images=[dcmread(p, stop_before_pixels=True) for p in sources],
        pixel_array=labels,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=who.uid("seg", title, "series"),
        series_number=number,
        sop_instance_uid=who.uid("seg", title),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=f"Scene {scene.name}",
        software_versions="1",
        device_serial_number="0001",
        content_label=title.upper().replace(" ", "_")[:16],
        content_description=title,
        content_creator_name="Scene^Analytic",
        series_description=title,
        omit_empty_frames=True,
    )
    start = scene.sessions[session].start
    _freeze(seg, da(start), tm(start), who.uid("seg", title, "dimensions"))
    seg.file_meta.ImplementationClassUID = IMPLEMENTATION_UID
    seg.save_as(path)


def _lab(n: int) -> tuple[float, float, float]:
    hue = 2.399963 * n  # golden angle: neighbours differ
    return 60.0, float(55.0 * np.cos(hue)), float(55.0 * np.sin(hue))


def _freeze(seg: hd.seg.Segmentation, date: str, time: str, dimension_uid: str) -> None:
    """Replace the wall clock and the random UID, so that equal seeds give equal files."""
    for key in ("ContentDate", "SeriesDate", "InstanceCreationDate"):
        if key in seg:
            setattr(seg, key, date)
    for key in ("ContentTime", "SeriesTime", "InstanceCreationTime"):
        if key in seg:
            setattr(seg, key, time)
    for item in seg.get("ContributingEquipmentSequence", ()):
        if "ContributionDateTime" in item:
            item.ContributionDateTime = date + time
    for item in (*seg.DimensionOrganizationSequence, *seg.DimensionIndexSequence):
        item.DimensionOrganizationUID = dimension_uid
