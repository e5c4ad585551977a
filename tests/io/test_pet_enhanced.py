from datetime import timedelta

import pytest
from pydicom.dataset import Dataset

from eprimg.errors import InputError
from eprimg.io.pet_enhanced import frame_datasets, real_world_mapping, unit_of_code
from tests.validation.pet_cases import LATER, START, judge
from tests.validation.pet_objects import LEGACY, Truth, Writing, write_enhanced


def mapping(unit, slope=2.0, intercept=0.0, span=None):
    item, code = Dataset(), Dataset()
    code.CodeValue = unit
    item.MeasurementUnitsCodeSequence = [code]
    if slope is not None:
        item.RealWorldValueSlope, item.RealWorldValueIntercept = slope, intercept
    if span:
        item.DoubleFloatRealWorldValueFirstValueMapped = span[0]
        item.DoubleFloatRealWorldValueLastValueMapped = span[1]
    return item


@pytest.mark.parametrize(
    ("code", "expected"),
    # PS3.16 CID 84 and 85
    [
        ("Bq/ml", ("BQML", "", 1.0)),
        ("Bq/mL", ("BQML", "", 1.0)),
        ("kBq/ml", ("BQML", "", 1000.0)),
        ("g/ml{SUVbw}", ("GML", "BW", 1.0)),
        ("{SUVbw}g/ml", ("GML", "BW", 1.0)),
        ("g/ml{SUVlbm}", ("GML", "LBM", 1.0)),
        ("g/ml{SUVlbm(James128)}", ("GML", "LBMJAMES128", 1.0)),
        ("g/ml{SUVlbm(Janma)}", ("GML", "LBMJANMA", 1.0)),
        ("g/ml{SUVibw}", ("GML", "IBW", 1.0)),
        ("cm2/ml{SUVbsa}", ("CM2ML", "BSA", 1.0)),
        ("{counts}", ("{counts}", "", 1.0)),
        ("", ("(no code)", "", 1.0)),
    ],
)
def test_coded_units_in_the_words_of_classic_pet(code, expected):
    assert unit_of_code(code) == expected


def test_activity_is_preferred_and_doubt_is_refused():
    both = real_world_mapping([mapping("g/ml{SUVbw}", 0.1), mapping("kBq/ml", 3.0)])
    assert (both.units, both.slope) == ("BQML", 3000.0)
    assert real_world_mapping([]) is None
    assert real_world_mapping([mapping("Bq/ml", span=(0, 9))]).span == (0.0, 9.0)
    with pytest.raises(InputError, match="two different"):
        real_world_mapping([mapping("Bq/ml", 1.0), mapping("Bq/ml", 2.0)])
    with pytest.raises(InputError, match="table"):
        real_world_mapping([mapping("Bq/ml", None)])


def judged(tmp_path, *, truth=None, how=None, **options):
    folder = write_enhanced(tmp_path, truth or Truth(), how or Writing(), **options)
    return judge(folder, "lenient")


def legacy(made):
    """Classic elements in the sequences for converted ones, as legacy conversion leaves them."""
    own, shared = made.PerFrameFunctionalGroupsSequence, made.SharedFunctionalGroupsSequence[0]
    item = Dataset()
    for keyword in ("RadiopharmaceuticalInformationSequence",):
        setattr(item, keyword, getattr(made, keyword))
        delattr(made, keyword)
    item.Units, item.DecayCorrection = "BQML", "START"
    item.CorrectedImage, item.SeriesType = ["ATTN", "SCAT", "DECY"], ["STATIC", "IMAGE"]
    shared.UnassignedSharedConvertedAttributesSequence = [item]
    for each in own:
        stamp = each.FrameContentSequence[0].FrameAcquisitionDateTime
        del each.FrameContentSequence
        one = Dataset()
        one.AcquisitionDate, one.AcquisitionTime = stamp[:8], stamp[8:]
        one.ActualFrameDuration, one.FrameReferenceTime = "300000", "149200"
        each.UnassignedPerFrameConvertedAttributesSequence = [one]
        each.PixelValueTransformationSequence[0].RescaleType = "US"
    del made.DecayCorrected, made.AttenuationCorrected, made.ScatterCorrected


def test_legacy_converted_pet_keeps_its_classic_elements(tmp_path):
    found = judged(
        tmp_path,
        how=Writing(slopes=(1.0, 1.7, 3.1)),
        mapped=False,
        sop_class=LEGACY,
        change=legacy,
    )
    assert found.worst < 1e-3, found.text
    assert found.facts.reference_rule == "SeriesTime"


def second_agent(made):
    other = Dataset()
    other.RadiopharmaceuticalAgentNumber = 2
    other.RadionuclideTotalDose = 1e8
    made.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalAgentNumber = 1
    made.RadiopharmaceuticalInformationSequence.append(other)


def using(number):
    def change(made):
        second_agent(made)
        usage = Dataset()
        usage.RadiopharmaceuticalAgentNumber = number
        made.SharedFunctionalGroupsSequence[0].RadiopharmaceuticalUsageSequence = [usage]

    return change


def test_of_two_administrations_the_agent_number_chooses(tmp_path):
    assert judged(tmp_path / "1", change=using(1)).worst < 1e-3
    for name, change in (("none", second_agent), ("wrong", using(3))):
        assert "E_SUV_ADMINISTRATIONS" in judged(tmp_path / name, change=change).codes


def test_the_dose_is_read_by_its_magnitude(tmp_path):
    mega = judged(tmp_path / "mbq", how=Writing(drug={"RadionuclideTotalDose": 368.08}))
    assert mega.worst < 1e-3
    assert "W_DOSE_MBQ" in mega.codes
    assert "W_DOSE_BQ" in judged(tmp_path / "bq").codes


def test_no_unit_no_number(tmp_path):
    def no_type(made):
        for each in made.PerFrameFunctionalGroupsSequence:
            each.PixelValueTransformationSequence[0].RescaleType = "US"

    assert "E_PET_UNITS" in judged(tmp_path / "us", mapped=False, change=no_type).codes
    assert "E_PET_UNITS" in judged(tmp_path / "counts", unit="{counts}").codes


def test_values_outside_the_mapped_range_are_refused(tmp_path):
    def narrow(made):
        for each in made.PerFrameFunctionalGroupsSequence:
            item = each.RealWorldValueMappingSequence[0]
            item.add_new("RealWorldValueLastValueMapped", "SS", 29999)

    found = judged(tmp_path, change=narrow)
    assert found.codes == ("E_PET_SLOPE",)
    assert "29999" in found.text


def test_flags_of_decay_correction(tmp_path):
    def contradict(made):
        made.DecayCorrection = "NONE"

    def silent(made):
        del made.DecayCorrected

    def torn(name, change, **options):
        return judged(tmp_path / name, change=change, **options).codes

    assert "E_DECAY" in torn("both", contradict, sop_class=LEGACY)
    assert "E_DECAY" in torn("none", silent)
    assert "E_UNCORRECTED" in torn("nac", lambda made: setattr(made, "AttenuationCorrected", "NO"))


def test_the_stated_instant_of_decay_correction(tmp_path):
    back = Truth(reference=START - timedelta(hours=1))  # to the injection, as ADMIN does
    found = judged(
        tmp_path / "a", truth=back, how=Writing(series=START), corrected_to=back.reference
    )
    assert found.worst < 1e-3
    assert found.facts.reference_rule == "DecayCorrectionDateTime"
    assert "W_REFERENCE_TIME" in found.codes
    shifted = judged(tmp_path / "b", corrected_to=START - timedelta(days=400))
    assert shifted.codes == ("E_SUV_TIME",)
    assert "(0018,9701)" in shifted.text


def test_the_frame_reference_date_time_is_compared_where_it_counts(tmp_path):
    def moved(minutes):
        def change(made):
            for each in made.PerFrameFunctionalGroupsSequence:
                stamp = (START + timedelta(minutes=minutes)).strftime("%Y%m%d%H%M%S")
                each.FrameContentSequence[0].FrameReferenceDateTime = stamp

        return change

    truth, how = Truth(starts=(START,) * 3), Writing(decay="NONE")
    # moved from the mean time (2.5 min) by 5 min: 2^(5/109.77) is 3.2 %; by 60 min: 46 %
    told = judged(tmp_path / "5", truth=truth, how=how, change=moved(7.5))
    assert told.worst < 1e-3
    assert "W_REFERENCE_TIME" in told.codes
    assert judged(tmp_path / "60", truth=truth, how=how, change=moved(62.5)).codes == (
        "E_SUV_TIME",
    )
    fine = judged(tmp_path / "0", truth=Truth(starts=LATER), how=how)
    assert "W_REFERENCE_TIME" not in fine.codes


def test_frames_without_groups_and_lost_files_are_refused(tmp_path):
    from eprimg.io.headers import read_headers

    path = write_enhanced(tmp_path, Truth(), Writing()) / "frames.dcm"
    frames = read_headers(path, findings=[])
    assert len(frame_datasets(frames).datasets) == 3
    path.unlink()
    with pytest.raises(InputError) as caught:
        frame_datasets(frames)
    assert caught.value.code == "E_FILE"
