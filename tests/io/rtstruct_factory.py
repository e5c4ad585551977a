"""Small RT structure sets for tests, every element of which can be changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from eprimg.model.grid import Grid
from tests.io.dicom_factory import base

RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
FRAME, SERIES = "2.25.500.9", "2.25.501"

GRID = Grid(
    (8, 20, 24),
    # turned 16.26 degrees about z (a 7-24-25 triangle), 3 x 2.5 x 2 mm
    np.array(
        [
            [0.0, -0.7, 1.92, -20.0],
            [0.0, 2.4, 0.56, 12.5],
            [3.0, 0.0, 0.0, -7.25],
            [0.0, 0.0, 0.0, 1.0],
        ]
    ),
    FRAME,
)


def circle(k, centre=(10.0, 12.0), radius_mm=12.0, n=120, grid=GRID):
    """A circle in slice k, as points in LPS mm."""
    angle = 2 * np.pi * np.arange(n) / n
    _, dj, di = grid.spacing_mm
    index = np.column_stack(
        [
            np.full(n, float(k)),
            centre[0] + radius_mm / dj * np.cos(angle),
            centre[1] + radius_mm / di * np.sin(angle),
        ]
    )
    return grid.index_to_lps_mm(index)


def box(k, low, high, grid=GRID):
    """A box (row, column) in slice k, as points in LPS mm."""
    (a, b), (c, d) = low, high
    return grid.index_to_lps_mm([[k, a, b], [k, a, d], [k, c, d], [k, c, b]])


def roi(number, name, contours, kind="GTV", types="CLOSED_PLANAR", **more):
    """One region: contours are arrays of points; types one word or one per contour."""
    types = [types] * len(contours) if isinstance(types, str) else types
    return {
        "number": number,
        "name": name,
        "contours": list(zip(contours, types, strict=True)),
        "kind": kind,
        **more,
    }


def write_rtstruct(path: Path, rois, *, frame=FRAME, series=SERIES, change=None) -> Path:
    """Write a structure set."""
    d = base(RTSTRUCT, "RTSTRUCT", sop_uid="2.25.502.1", study="2.25.500", series="2.25.502")
    for key in (
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "FrameOfReferenceUID",
    ):
        delattr(d, key)
    d.StructureSetLabel = "drawn"
    referenced = Dataset()
    referenced.FrameOfReferenceUID = frame
    study, drawn_on = Dataset(), Dataset()
    drawn_on.SeriesInstanceUID = series
    study.RTReferencedSeriesSequence = [drawn_on]
    referenced.RTReferencedStudySequence = [study]
    d.ReferencedFrameOfReferenceSequence = [referenced]
    d.StructureSetROISequence, d.ROIContourSequence, d.RTROIObservationsSequence = [], [], []
    for each in rois:
        item, drawing, observed = Dataset(), Dataset(), Dataset()
        item.ROINumber, item.ROIName = each["number"], each["name"]
        item.ReferencedFrameOfReferenceUID = each.get("frame", frame)
        item.ROIGenerationAlgorithm = "MANUAL"
        drawing.ReferencedROINumber = observed.ReferencedROINumber = each["number"]
        if "colour" in each:
            drawing.ROIDisplayColor = each["colour"]
        drawing.ContourSequence = []
        for points, kind in each["contours"]:
            contour = Dataset()
            contour.ContourGeometricType = kind
            contour.NumberOfContourPoints = len(points)
            contour.ContourData = [f"{v:.4f}" for v in np.asarray(points).ravel()]
            if "slab_mm" in each:
                contour.ContourSlabThickness = each["slab_mm"]
            drawing.ContourSequence.append(contour)
        observed.RTROIInterpretedType = each["kind"]
        d.StructureSetROISequence.append(item)
        d.ROIContourSequence.append(drawing)
        d.RTROIObservationsSequence.append(observed)
    if change is not None:
        change(d)
    d.save_as(path, enforce_file_format=True)
    return path
