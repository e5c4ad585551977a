import pytest
from pydicom.dataset import Dataset

from eprimg.io.pet_header import TAGS, header_from_datasets, tag


def dataset(**changes):
    made, agent, code = Dataset(), Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "C-168A4", "SRT", "89Zr"
    agent.RadionuclideCodeSequence = [code]
    agent.RadionuclideTotalDose, agent.RadionuclideHalfLife = "37000000", "282276"
    agent.RadiopharmaceuticalStartDateTime = "20240101100000"
    made.RadiopharmaceuticalInformationSequence = [agent]
    made.Modality, made.SOPClassUID = "PT", "1.2.840.10008.5.1.4.1.1.128"
    made.PatientWeight, made.Units, made.DecayCorrection = "70", "BQML", "START"
    made.CorrectedImage = ["ATTN", "DECY"]
    made.AcquisitionDate, made.AcquisitionTime = "20240104", "103000"
    made.ActualFrameDuration, made.FrameReferenceTime = "300000", "1500.5"
    made.RescaleSlope, made.RescaleIntercept = "2.5", "0"
    made.ImagePositionPatient = [0, 0, 3]
    for key, value in changes.items():
        setattr(made, key, value)
    return made


def read(*datasets):
    header, faults = header_from_datasets(datasets, [f"{k}.dcm" for k in range(len(datasets))])
    return header, [(f.code, f.where) for f in faults]


def test_facts_are_read_as_they_stand():
    header, faults = read(dataset())
    assert faults == []
    assert (header.dose, header.half_life_s, header.weight_kg) == (37e6, 282276.0, 70.0)
    assert header.start_datetime == "20240101100000"
    assert header.nuclide.value == "C-168A4"
    assert header.corrections == ("ATTN", "DECY")
    piece = header.slices[0]
    assert (piece.duration_s, piece.frame_reference_s, piece.slope) == (300.0, 1.5005, 2.5)
    assert piece.position == (0.0, 0.0, 3.0)


def test_absent_facts_stay_absent():
    header, faults = read(Dataset())
    assert faults == []
    assert (header.dose, header.weight_kg, header.n_administrations) == (None, None, 0)
    assert header.slices[0].slope is None


def test_slopes_and_times_may_differ_between_slices_weights_may_not():
    header, faults = read(dataset(), dataset(RescaleSlope="3", AcquisitionTime="103500"))
    assert faults == []
    assert [s.slope for s in header.slices] == [2.5, 3.0]
    _, faults = read(dataset(), dataset(PatientWeight="71", SeriesTime="100000"))
    assert faults == [
        ("E_SUV_MIXED", "PatientWeight (0010,1030)"),
        ("E_SUV_MIXED", "SeriesTime (0008,0031)"),
    ]


def test_a_dose_that_differs_between_slices_is_a_fault():
    other = dataset()
    other.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose = "38000000"
    assert read(dataset(), other)[1] == [("E_SUV_MIXED", "RadionuclideTotalDose (0018,1074)")]


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize("text", [b"seventy", b"nan", b"inf"])
def test_a_number_that_is_none_is_one_fault_for_all_slices(text):
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    broken = []
    for _ in range(3):
        made = dataset()
        made._dict[Tag(0x00101030)] = RawDataElement(
            Tag(0x00101030), "DS", len(text), text, 0, False, True
        )
        broken.append(made)
    header, faults = read(*broken)
    assert header.weight_kg is None
    assert faults == [("E_NUMERIC", "PatientWeight (0010,1030)")]


@pytest.mark.parametrize("block", [0x10, 0x35])
@pytest.mark.parametrize(
    ("group", "creator", "element"),
    [(0x0009, "GEMS_PETD_01", 0x0D), (0x0071, "SIEMENS MED PT", 0x22)],
)
def test_private_elements_are_found_through_their_creator(block, group, creator, element):
    def with_private(name):
        made = dataset()
        made.add_new((group, block), "LO", name)
        made.add_new((group, (block << 8) | element), "DT", "20240104103000.00")
        return read(made)[0]

    header = with_private(creator)
    assert header.private_decay == "20240104103000.00"
    assert creator in header.private_decay_where
    # the same number under another creator is something else
    assert with_private("SOMEBODY ELSE").private_decay == ""


def test_philips_factors_of_zero_count_as_absent():
    made = dataset()
    made.add_new((0x7053, 0x10), "LO", "Philips PET Private Group")
    made.add_new((0x7053, 0x1000), "DS", "0.0005")
    made.add_new((0x7053, 0x1009), "DS", "0")
    header, _ = read(made)
    assert (header.philips_suv_factor, header.philips_activity_factor) == (0.0005, None)


def test_tag_numbers_are_those_of_the_dictionary():
    from pydicom.datadict import tag_for_keyword

    for keyword, number in TAGS.items():
        value = tag_for_keyword(keyword)
        assert number == f"({value >> 16:04X},{value & 0xFFFF:04X})"
    assert tag("PatientWeight") == "PatientWeight (0010,1030)"
