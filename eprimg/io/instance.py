"""One two-dimensional frame, as its header describes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Instance"]


@dataclass(frozen=True, slots=True)
class Instance:
    """One two-dimensional frame, as its header describes it.

    Nothing here is repaired: an element that is absent is None or empty, an element that cannot
    be read is None and named in ``faults``.

    Parameters
    ----------
    path : Path
        File.
    frame : int or None
        Index in a multi-frame file; None for a single-frame one.
    sop_class, sop_uid, modality, study_uid, series_uid, frame_of_reference : str
        As in the header.
    patient_key : str
        First 16 hex digits of SHA-256 over patient number, issuer, name and birth date.
    series_number : int or None
        As in the header.
    series_description, study_description, manufacturer, model : str
        As in the header.
    image_type : tuple of str
        ImageType (0008,0008), or FrameType (0008,9007) of this frame.
    complex_component : str
        ComplexImageComponent (0008,9208), empty when absent.
    echo_time_ms : float or None
        EchoTime (0018,0081) or EffectiveEchoTime (0018,9082) of this frame.
    echo_number, echo_train_length, instance_number, acquisition_number : int or None
        As in the header.
    rows, columns : int
        Matrix; 0 when absent.
    position : tuple of 3 floats or None
        ImagePositionPatient in LPS mm.
    orientation : tuple of 6 floats or None
        ImageOrientationPatient.
    pixel_spacing : tuple of 2 floats or None
        PixelSpacing: between rows, between columns, in mm.
    slice_thickness_mm : float or None
        SliceThickness; never used for geometry.
    slope, intercept : float
        Rescale of this frame; 1 and 0 when the header has none.
    bits_allocated, bits_stored, pixel_representation, samples_per_pixel : int
        Pixel description.
    high_bit : int or None
        HighBit (0028,0102); None when absent.
    number_of_frames : int
        Frames in the file.
    transfer_syntax : str
        UID, empty when the file has no meta group.
    pixel_offset : int or None
        Offset of this frame's first pixel byte for native little-endian files; else None.
    pixel_length : int or None
        Length of the whole pixel element in bytes as declared; None when undefined.
    field_strength_t, repetition_time_ms, flip_angle_deg : float or None
        MR timing.
    study_date, study_time, series_date, series_time, acquisition_date, acquisition_time : str
        As in the header (an enhanced frame's acquisition date and time come from
        FrameAcquisitionDateTime).
    contrast_agent, scanning_sequence, sequence_name : str
        As in the header (an enhanced object's EchoPulseSequence is given as GR or SE).
    philips_scale_slope : float or None
        Private element (2005,xx0E) of creator ``Philips MR Imaging DD 001``, of this frame.
    rescale_type : str
        RescaleType (0028,1054): the unit after the rescale, e.g. ``mrad``.
    units, decay_correction : str
        PET.
    corrected_image, series_type : tuple of str
        PET.
    frame_reference_time_ms, frame_duration_ms, decay_factor : float or None
        PET.
    number_of_slices, number_of_time_slices : int or None
        PET.
    temporal_index : int or None
        Temporal position of the frame.
    lossy : bool
        LossyImageCompression is ``01``.
    faults : tuple of (str, str)
        Code and text of every element that could not be read.
    """

    path: Path
    frame: int | None = None
    sop_class: str = ""
    sop_uid: str = ""
    modality: str = ""
    patient_key: str = ""
    study_uid: str = ""
    series_uid: str = ""
    frame_of_reference: str = ""
    series_number: int | None = None
    series_description: str = ""
    study_description: str = ""
    manufacturer: str = ""
    model: str = ""
    image_type: tuple[str, ...] = ()
    complex_component: str = ""
    echo_time_ms: float | None = None
    echo_number: int | None = None
    echo_train_length: int | None = None
    instance_number: int | None = None
    acquisition_number: int | None = None
    rows: int = 0
    columns: int = 0
    position: tuple[float, ...] | None = None
    orientation: tuple[float, ...] | None = None
    pixel_spacing: tuple[float, ...] | None = None
    slice_thickness_mm: float | None = None
    slope: float = 1.0
    intercept: float = 0.0
    bits_allocated: int = 0
    bits_stored: int = 0
    pixel_representation: int = 0
    high_bit: int | None = None
    samples_per_pixel: int = 1
    number_of_frames: int = 1
    transfer_syntax: str = ""
    pixel_offset: int | None = None
    pixel_length: int | None = None
    field_strength_t: float | None = None
    repetition_time_ms: float | None = None
    flip_angle_deg: float | None = None
    study_date: str = ""
    study_time: str = ""
    series_date: str = ""
    series_time: str = ""
    acquisition_date: str = ""
    acquisition_time: str = ""
    contrast_agent: str = ""
    scanning_sequence: str = ""
    sequence_name: str = ""
    philips_scale_slope: float | None = None
    rescale_type: str = ""
    units: str = ""
    decay_correction: str = ""
    corrected_image: tuple[str, ...] = ()
    series_type: tuple[str, ...] = ()
    frame_reference_time_ms: float | None = None
    frame_duration_ms: float | None = None
    decay_factor: float | None = None
    number_of_slices: int | None = None
    number_of_time_slices: int | None = None
    temporal_index: int | None = None
    lossy: bool = False
    faults: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """File name, with the frame's number (from 1) for a multi-frame file."""
        return self.path.name if self.frame is None else f"{self.path.name} frame {self.frame + 1}"
