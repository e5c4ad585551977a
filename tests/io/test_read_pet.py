import json
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from eprimg.config import ReadConfig
from eprimg.errors import EprimgError
from eprimg.io.entries import SeriesEntry
from eprimg.io.headers import read_headers
from eprimg.io.pet_header import header_from_datasets
from eprimg.io.pet_rules import pet_acquisition
from eprimg.io.read_pet import read_pet_series
from eprimg.model.study import Role
from tests.io.pet_uptake import uptake

PET = "1.2.840.10008.5.1.4.1.1.128"
TRUTH = Path(__file__).parent.parent / "truth"
SHAPE = (4, 3, 5)


def truth(name):
    return json.loads((TRUTH / name).read_text(encoding="utf-8"))


def entry_of(folder):
    instances = [
        i
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for i in read_headers(path, findings=[])
        if i.modality == "PT"
    ]
    return SeriesEntry(
        key="pt-1",
        role=Role.PET,
        reason="",
        modality="PT",
        description="PET",
        instances=tuple(instances),
        n_files=len(instances),
        series_uids=("1.2.3",),
        study_uid="1.2",
    )


def write_series(folder, *, change=None, stored=None):
    """Write a small 89Zr series with another slope in every slice; files in reverse order."""
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    stored = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE) if stored is None else stored
    for k in range(SHAPE[0]):
        made, agent, code = Dataset(), Dataset(), Dataset()
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = PET
        made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid()
        made.SeriesInstanceUID, made.StudyInstanceUID, made.FrameOfReferenceUID = (
            series,
            study,
            frame,
        )
        made.Modality, made.Manufacturer, made.PatientID = "PT", "SIEMENS", "Secret-number"
        made.PatientName, made.PatientBirthDate = "Secret^Name", "19500101"
        made.ImageType = ["ORIGINAL", "PRIMARY"]
        made.SeriesType, made.Units, made.DecayCorrection = ["STATIC", "IMAGE"], "BQML", "START"
        made.CorrectedImage = ["DECY", "ATTN", "SCAT"]
        made.SeriesDate = made.AcquisitionDate = "20240104"
        made.SeriesTime = "103000"
        made.AcquisitionTime = f"10{30 + 5 * k}00"
        made.ActualFrameDuration, made.FrameReferenceTime = "300000", "0"
        made.PatientWeight, made.PatientSize, made.PatientSex = "70", "1.7", "F"
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "C-168A4", "SRT", "89Zr"
        agent.RadionuclideCodeSequence = [code]
        agent.RadionuclideTotalDose, agent.RadionuclideHalfLife = "37000000", "282276"
        agent.RadiopharmaceuticalStartDateTime = "20240101100000"
        made.RadiopharmaceuticalInformationSequence = [agent]
        made.Rows, made.Columns = SHAPE[1:]
        made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
        made.BitsAllocated = made.BitsStored = 16
        made.HighBit, made.PixelRepresentation = 15, 1
        made.PixelSpacing, made.ImageOrientationPatient = [4, 4], [1, 0, 0, 0, 1, 0]
        made.ImagePositionPatient = [0, 0, 3.0 * k]
        made.RescaleSlope, made.RescaleIntercept = f"{k + 1}.5", "0"
        made.PixelData = stored[k].tobytes()
        if change is not None:
            change(made, k)
        made.save_as(folder / f"{SHAPE[0] - k:03d}.dcm", enforce_file_format=True)
    return stored


def test_each_slice_has_its_own_slope_and_time(tmp_path):
    def undecayed(made, k):
        made.DecayCorrection, made.CorrectedImage = "NONE", ["ATTN", "SCAT"]

    stored = write_series(tmp_path, change=undecayed)
    result = read_pet_series(entry_of(tmp_path), config=ReadConfig())
    series = result.value
    slopes = np.arange(SHAPE[0])[:, None, None] + 1.5
    np.testing.assert_array_equal(series.pixels.data, (stored * slopes).astype(np.float32))
    assert series.pixels.quantity.key == "activity"
    facts = series.acquisition
    assert [start for start, _ in facts.frame_times] == [
        72.5 * 3600 + 300 * k for k in range(SHAPE[0])
    ]
    rate = np.log(2) / 282276.0
    expected = [
        rate * 300 / (1 - np.exp(-rate * 300)) * np.exp(rate * (72.5 * 3600 + 300 * k))
        for k in range(SHAPE[0])
    ]
    np.testing.assert_allclose(uptake(facts, SHAPE[0]).slice_factors, expected, rtol=1e-9)


def test_the_series_carries_its_facts_and_nobodys_name(tmp_path):
    def named(made, k):
        made.RadiopharmaceuticalInformationSequence[0].Radiopharmaceutical = "an antibody"

    write_series(tmp_path, change=named)
    result = read_pet_series(entry_of(tmp_path), key="pet", config=ReadConfig())
    series = result.value
    assert (series.key, series.role, series.n_files) == ("pet", Role.PET, SHAPE[0])
    assert series.tracer == "an antibody"
    assert series.source_uid == "1.2.3"
    assert series.source_hash
    assert series.acquisition.hours_after_injection == pytest.approx(72.5)
    assert series.acquisition.injection.dose_bq.where == "RadionuclideTotalDose (0018,1074)"
    assert "Secret" not in repr(result)


def test_header_and_geometry_faults_come_together(tmp_path):
    def broken(made, k):
        del made.PatientWeight
        made.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose = "0"
        if k == 2:
            made.ImagePositionPatient = [0, 0, 7.3]

    write_series(tmp_path, change=broken)
    with pytest.raises(EprimgError) as caught:
        read_pet_series(entry_of(tmp_path), config=ReadConfig())
    codes = [f.code for f in caught.value.faults]
    assert {"E_SUV_DOSE", "E_SUV_WEIGHT"} < set(codes)
    assert any(c.startswith("E_GEOM") for c in codes)
    assert "Secret" not in str(caught.value)


def test_entered_facts_mend_a_header(tmp_path):
    def bare(made, k):
        del made.PatientWeight
        made.RadiopharmaceuticalInformationSequence = []

    write_series(tmp_path, change=bare)
    result = read_pet_series(
        entry_of(tmp_path),
        config=ReadConfig(),
        entered={
            "injection_instant": "2024-01-01T10:00:00",
            "dose_mbq": 37.0,
            "weight_kg": 70.0,
            "nuclide": "89Zr",
        },
    )
    factor = uptake(result.value.acquisition).suvbw_factor
    # W / (D 2^(-t/T)) of tests/truth/pet_long_lived.json, 89Zr 72.5 h
    assert factor == pytest.approx(truth("pet_long_lived.json")["cases"][1]["suvbw_factor"])
    assert sum(f.code == "I_ENTERED" for f in result.findings) == 4


def test_the_setting_reaches_the_rules(tmp_path):
    from eprimg.config import Config
    from eprimg.io.study import read_series

    def week(made, k):
        stamp = "20231228103000"  # seven days: 2.14 half-lives of 89Zr
        made.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartDateTime = stamp

    write_series(tmp_path, change=week)
    lenient = read_series(entry_of(tmp_path), role=Role.PET, config=Config())
    assert lenient.value.acquisition.mode == "lenient"
    strict = Config().with_assignments(["pet.mode=strict"])
    with pytest.raises(EprimgError, match="strict mode"):
        read_series(entry_of(tmp_path), role=Role.PET, config=strict)


def test_counts_are_brought_to_activity_once(tmp_path):
    def counts(made, k):
        made.Units, made.Manufacturer = "CNTS", "Philips"
        block = made.private_block(0x7053, "Philips PET Private Group", create=True)
        block.add_new(0x09, "DS", "4")

    stored = write_series(tmp_path, change=counts)
    series = read_pet_series(entry_of(tmp_path), config=ReadConfig()).value
    slopes = np.arange(SHAPE[0])[:, None, None] + 1.5
    np.testing.assert_array_equal(series.pixels.data, (4 * stored * slopes).astype(np.float32))
    assert series.pixels.quantity.key == "activity"
    assert series.acquisition.unit == "CNTS"


def test_a_dynamic_series_is_not_stacked(tmp_path):
    def dynamic(made, k):
        made.ImagePositionPatient = [0, 0, 3.0 * (k // 2)]

    write_series(tmp_path, change=dynamic)
    with pytest.raises(EprimgError) as caught:
        read_pet_series(entry_of(tmp_path), config=ReadConfig())
    assert caught.value.code == "E_PET_FRAMES"
    assert not caught.value.faults


def test_a_multi_frame_class_without_frames_and_nothing_at_all_are_refused(tmp_path):
    def enhanced(made, k):
        made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.128.1"

    write_series(tmp_path, change=enhanced)
    assert not entry_of(tmp_path).instances  # the index cannot place its frames
    empty = SeriesEntry(key="pt-1", role=Role.PET, reason="", modality="PT", description="")
    with pytest.raises(EprimgError) as caught:
        read_pet_series(empty, config=ReadConfig())
    assert caught.value.code == "E_PET_KIND"


def test_a_file_that_has_gone_is_told(tmp_path):
    write_series(tmp_path)
    entry = entry_of(tmp_path)
    (tmp_path / "001.dcm").unlink()
    with pytest.raises(EprimgError) as caught:
        read_pet_series(entry, config=ReadConfig())
    assert caught.value.code == "E_FILE"


@pytest.mark.real_data
@pytest.mark.parametrize("number", truth("pet_ibsi_suv_dro.json")["computed"])
def test_ibsi_suv_reference_objects(real_data, number):
    import nibabel

    expected = truth("pet_ibsi_suv_dro.json")
    folder = real_data / "pet" / "ibsi_suv_dro"
    series = read_pet_series(entry_of(folder / f"DRO_{number}"), config=ReadConfig()).value
    mask = nibabel.load(folder / "DRO_mask.nii.gz")
    # NIfTI is RAS with x first; the grid is LPS with slices first
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ mask.affine
    np.testing.assert_allclose(ras[:3, [2, 1, 0]], series.grid.affine[:3, :3], atol=1e-4)
    np.testing.assert_allclose(ras[:3, 3], series.grid.affine[:3, 3], atol=1e-3)
    inside = np.asarray(mask.dataobj).transpose(2, 1, 0) > 0
    suv = series.pixels.data[inside]
    if series.pixels.quantity.key == "activity":
        suv = suv * uptake(series.acquisition).suvbw_factor
    assert round(float(suv.min()), 2) == expected["minimum"]
    assert round(float(np.median(suv)), 2) == expected["median"]
    assert round(float(suv.max()), 2) == expected["maximum"]


@pytest.mark.real_data
def test_whole_body_pet_agrees_with_the_published_suv(real_data):
    import nibabel

    expected = truth("pet_sts001.json")
    folder = real_data / "pet" / "sts001_ge_fdg_dicom"
    result = read_pet_series(entry_of(folder / "PT"), config=ReadConfig())
    facts, grid = result.value.acquisition, result.value.grid
    scale = uptake(facts, grid.shape[0])
    assert facts.reference_rule == "SeriesTime"
    assert scale.suvbw_factor == pytest.approx(
        expected["suvbw_factor"], rel=expected["tolerance_relative"]
    )
    suv = result.value.pixels.data * np.float32(scale.suvbw_factor)
    assert float(suv.max()) == pytest.approx(expected["suvmax"], rel=1e-5)
    crop = nibabel.load(folder / "reference_suv" / "PET_image.nii.gz")
    reference = np.asarray(crop.dataobj).transpose(2, 1, 0)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ crop.affine
    np.testing.assert_allclose(lps[:3, [2, 1, 0]], grid.affine[:3, :3], atol=0.01)
    corner = np.rint(grid.lps_mm_to_index(lps[:3, 3])).astype(int)
    place = tuple(slice(c, c + n) for c, n in zip(corner, reference.shape, strict=True))
    # one stored count of each slice, in SUV; see crop_note in the truth file
    slopes = {i.position: i.slope for i in entry_of(folder / "PT").instances}
    along = sorted(slopes, key=lambda p: grid.lps_mm_to_index(p)[0])
    count = np.array([slopes[p] for p in along])[place[0]] * scale.suvbw_factor
    apart = np.abs(suv[place] - reference) / count[:, None, None]
    assert apart.max() < expected["crop_tolerance_stored_counts"]
    ratio = suv[place][reference > 0.1] / reference[reference > 0.1]
    assert np.median(ratio) == pytest.approx(1, abs=expected["crop_median_tolerance_relative"])


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "elapsed_s", "rule"),
    # injection and series clock times as in SOURCE.md beside the files
    [("1.dcm", 3976.921, "SeriesTime"), ("2.dcm", 0.109, "SeriesTime")],
)
def test_an_empty_manufacturer_goes_through_the_neutral_rules(real_data, name, elapsed_s, rule):
    import pydicom

    path = real_data / "pet" / "siemens1094_blank_manufacturer" / name
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    header, faults = header_from_datasets([dataset], [name])
    assert faults == []
    result = pet_acquisition(header)
    facts = result.value
    assert facts.reference_rule == rule
    elapsed = (facts.reference_instant - facts.injection.instant.value).total_seconds()
    assert elapsed == pytest.approx(elapsed_s, abs=1e-3)
    computed = dict(facts.reference_candidates)["AcquisitionTime and FrameReferenceTime"]
    assert abs((computed - facts.reference_instant).total_seconds()) < 1.0
    assert {"W_MANUFACTURER", "I_INJECTION_CLOCK"} <= {f.code for f in result.findings}
    assert ("W_PET_FRAME" in {f.code for f in result.findings}) is (name == "2.dcm")
