"""Multi-echo series: one grid, one echo time per entry, and refusals in words."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from eprimg.config import ReadConfig
from eprimg.errors import EprimgError
from eprimg.io.index import scan
from eprimg.io.read_mr import read_mr_series
from eprimg.model.acquisition import Origin
from eprimg.model.study import Role
from tests.io.dicom_factory import expected_affine, stored, write_enhanced_mr, write_mr


def read(folder, number=0):
    entry = scan(folder).series[number]
    return read_mr_series(
        entry, key="mr_pre", role=Role.MR_PRE, config=ReadConfig(), agent_phase="pre"
    )


def refused(folder, code):
    with pytest.raises(EprimgError) as caught:
        read(folder)
    assert caught.value.code == code
    return str(caught.value)


def test_stack_of_a_classic_series(tmp_path):
    write_mr(tmp_path, echo_times_ms=(6.0, 2.0, 4.0))
    result = read(tmp_path)
    series = result.value
    assert series.pixels.echo_times_s == (0.002, 0.004, 0.006)
    np.testing.assert_allclose(series.grid.affine, expected_affine(), atol=1e-12)
    data = series.pixels.volume.data
    assert data.shape == (4, 6, 5, 3)
    assert data.dtype == np.float32
    for position, e in enumerate((1, 2, 0)):  # echo times were written out of order
        np.testing.assert_array_equal(
            data[..., position], np.stack([stored(k, e, 6, 5) for k in range(4)])
        )
    acquisition = series.acquisition
    assert acquisition.field_strength_t.value == 3.0
    assert acquisition.field_strength_t.origin == Origin.HEADER
    assert (acquisition.agent_phase, acquisition.repetition_time_s.value) == ("pre", 0.02)
    assert (series.n_files, series.source_uid) == (12, "2.25.101")
    assert result.findings == ()


def test_echo_number_is_not_trusted(tmp_path):
    def change(d, k, e):
        d.EchoNumbers = 1

    write_mr(tmp_path, change=change)
    assert len(read(tmp_path).value.pixels.echo_times_s) == 3


def test_enhanced_with_a_slope_per_echo(tmp_path):
    write_enhanced_mr(tmp_path / "e.dcm", slopes=(1.0, 2.5))
    result = read(tmp_path)
    second = np.stack([stored(k, 1, 6, 5) * 2.5 for k in range(3)])
    np.testing.assert_array_equal(result.value.pixels.volume.data[..., 1], second)
    assert [f.code for f in result.findings] == ["W_SCALE_VARIES", "I_TWO_ECHOES"]


def philips(slopes, private):
    def change(d, k, e):
        d.RescaleSlope, d.RescaleIntercept = slopes[e], 0
        block = d.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
        if private is not None:
            block.add_new(0x0E, "FL", private[e])

    return change


def test_philips_scale_that_varies_between_echoes(tmp_path):
    write_mr(tmp_path, echo_times_ms=(2, 4), change=philips((2.0, 4.0), (0.5, 0.25)))
    result = read(tmp_path)
    data = result.value.pixels.volume.data
    # Chenevert 2014, doi:10.1593/tlo.13811: FP = displayed / (RS SS) = stored / SS
    np.testing.assert_array_equal(
        data[..., 0], np.stack([stored(k, 0, 6, 5) / 0.5 for k in range(4)])
    )
    np.testing.assert_array_equal(
        data[..., 1], np.stack([stored(k, 1, 6, 5) / 0.25 for k in range(4)])
    )
    assert "W_SCALE_VARIES" in [f.code for f in result.findings]


def test_constant_philips_scale_is_left_alone(tmp_path):
    write_mr(tmp_path, echo_times_ms=(2, 4), change=philips((2.0, 2.0), (0.5, 0.5)))
    result = read(tmp_path)
    np.testing.assert_array_equal(
        result.value.pixels.volume.data[..., 0],
        np.stack([stored(k, 0, 6, 5) * 2.0 for k in range(4)]),
    )
    assert [f.code for f in result.findings] == ["I_TWO_ECHOES"]


def test_philips_scale_on_some_frames_only(tmp_path):
    def change(d, k, e):
        philips((2.0, 2.0), (0.5, 0.25) if e else None)(d, k, e)

    write_mr(tmp_path, echo_times_ms=(2, 4), change=change)
    refused(tmp_path, "E_SCALE")


def test_one_echo(tmp_path):
    write_mr(tmp_path, echo_times_ms=(2.5,))
    assert "there is 1" in refused(tmp_path, "E_ECHO")


def test_echo_times_in_seconds(tmp_path):
    write_mr(tmp_path, echo_times_ms=(0.0012, 0.004, 0.014))
    text = refused(tmp_path, "E_ECHO")
    assert "look like seconds" in text
    assert "milliseconds" in text


def test_missing_and_zero_echo_time(tmp_path):
    def without(d, k, e):
        if e == 1:
            del d.EchoTime

    write_mr(tmp_path / "a", change=without)
    assert "4 of 12 frames have no echo time" in refused(tmp_path / "a", "E_ECHO")
    write_mr(tmp_path / "b", echo_times_ms=(0, 2, 4))
    assert "positive" in refused(tmp_path / "b", "E_ECHO")


def test_spin_echo_is_not_r2star(tmp_path):
    def change(d, k, e):
        d.ScanningSequence = "SE"

    write_mr(tmp_path, change=change)
    assert "spin echo" in refused(tmp_path, "E_ECHO")


def test_phase_only_and_mosaic(tmp_path):
    def phase(d, k, e):
        d.ImageType = ["ORIGINAL", "PRIMARY", "P", "ND"]

    def mosaic(d, k, e):
        d.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]

    write_mr(tmp_path / "a", change=phase)
    assert "12 phase frames" in refused(tmp_path / "a", "E_IMAGETYPE")
    write_mr(tmp_path / "b", change=mosaic)
    refused(tmp_path / "b", "E_MOSAIC")


def test_missing_slice_in_one_echo(tmp_path):
    write_mr(tmp_path / "end", keep=lambda k, e: (k, e) != (3, 1))
    assert "3 at 4 ms" in refused(tmp_path / "end", "E_GEOM_GAP")
    write_mr(tmp_path / "middle", n_slices=6, keep=lambda k, e: (k, e) != (2, 1))
    assert "missing after" in refused(tmp_path / "middle", "E_GEOM_GAP")


def test_echoes_on_different_grids(tmp_path):
    def change(d, k, e):
        if e == 2:
            d.ImagePositionPatient = [x + 1.0 for x in d.ImagePositionPatient]

    write_mr(tmp_path, change=change)
    refused(tmp_path, "E_GRID_MISMATCH")


def test_fewer_echoes_than_the_header_says(tmp_path):
    def change(d, k, e):
        d.EchoTrainLength = 8

    write_mr(tmp_path, change=change)
    assert [f.code for f in read(tmp_path).findings] == ["W_ECHO_COUNT"]


def test_real_siemens_equals_pydicom(real_data):
    folder = real_data / "mri/siemens_prisma_gre2e"
    series = read(folder).value
    files = [pydicom.dcmread(p) for p in sorted((folder / "mag").glob("*_e2.dcm"))]
    files.sort(key=lambda d: float(d.ImagePositionPatient[2]))
    np.testing.assert_array_equal(
        series.pixels.volume.data[..., 1], np.stack([d.pixel_array for d in files])
    )
    assert series.pixels.echo_times_s == pytest.approx((0.00519, 0.00765), rel=1e-12)
    first = series.grid.index_to_lps_mm((0, 0, 0))
    np.testing.assert_allclose(first, [float(x) for x in files[0].ImagePositionPatient], atol=1e-9)


def test_real_enhanced_siemens_equals_pydicom(real_data):
    folder = real_data / "mri/siemens_xa30_enh_gre2e"
    data = read(folder).value.pixels.volume.data
    for n, path in enumerate(sorted((folder / "mag").iterdir())):
        d = pydicom.dcmread(path)
        order = np.argsort(
            [
                g.PlanePositionSequence[0].ImagePositionPatient[2]
                for g in d.PerFrameFunctionalGroupsSequence
            ]
        )
        np.testing.assert_array_equal(data[..., n], d.pixel_array[order])


def test_real_philips_equals_simpleitk(real_data):
    sitk = pytest.importorskip("SimpleITK")
    folder = real_data / "mri/philips_ingenia_gre2e"
    series = read(folder).value
    names = []
    for path in sorted(folder.glob("*.dcm")):
        d = pydicom.dcmread(path, stop_before_pixels=True)
        if d.ImageType[3] == "M" and float(d.EchoTime) == 2.3:
            names.append((float(d.ImagePositionPatient[2]), str(path)))
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([n for _, n in sorted(names)])
    other = reader.Execute()
    np.testing.assert_allclose(
        series.pixels.volume.data[..., 0], sitk.GetArrayFromImage(other), rtol=1e-6
    )
    for k, j, i in ((0, 0, 0), (52, 3, 71), (20, 79, 5)):
        np.testing.assert_allclose(
            series.grid.index_to_lps_mm((k, j, i)),
            other.TransformIndexToPhysicalPoint((i, j, k)),
            atol=1e-3,
        )


def test_real_field_map_is_refused_in_words(real_data):
    text = refused(real_data / "mri/philips_enh_fmap", "E_ECHO")
    assert "single magnitude echo (1.52 ms" in text
    assert "field map" in text


def shortest_everywhere(number, train):
    """GE research sequences: the shortest echo time in every frame (dcm2niix issue 359)."""

    def change(d, k, e):
        d.Manufacturer, d.EchoTime = "GE MEDICAL SYSTEMS", 2.0
        d.SOPInstanceUID = f"2.25.7.{k}.{e}"
        d.EchoNumbers = 1 if number == "one" else e + 1
        d.EchoTrainLength = train
        if number == "none":
            del d.EchoNumbers

    return change


@pytest.mark.parametrize(
    ("number", "train", "hint"),
    [
        ("one", 3, "EchoTrainLength (0018,0091) announces 3"),
        ("one", 1, "same instant"),
        ("counted", 1, "EchoNumbers (0018,0086) counts 3"),
        ("none", 3, "EchoTrainLength"),
    ],
)
def test_one_echo_time_in_every_echo_is_refused(tmp_path, number, train, hint):
    write_mr(tmp_path, change=shortest_everywhere(number, train))
    text = refused(tmp_path, "E_ECHO")
    assert "3 frames at each of 4 positions all carry the echo time 2 ms" in text
    assert hint in text
    assert "EchoTime (0018,0081)" in text
    assert "wrote one echo time" in scan(tmp_path).series[0].reason


def test_echoes_that_share_a_time_are_refused(tmp_path):
    def change(d, k, e):
        d.EchoTime = (2.0, 2.0, 4.0)[e]

    write_mr(tmp_path, change=change)
    assert "echoes 1, 2 of one slice all carry the echo time 2 ms" in refused(tmp_path, "E_ECHO")


def test_echo_number_missing_or_wrong_changes_nothing(tmp_path):
    def missing(d, k, e):
        del d.EchoNumbers

    def wrong(d, k, e):
        d.EchoNumbers = (3, 1, 2)[e]

    for name, change in (("a", missing), ("b", wrong)):
        write_mr(tmp_path / name, change=change)
        result = read(tmp_path / name)
        assert result.value.pixels.echo_times_s == (0.002, 0.004, 0.006)
        assert result.findings == ()


def test_echoes_of_other_timing_are_noticed(tmp_path):
    def change(d, k, e):
        d.RepetitionTime = 20 if e < 2 else 35
        d.FlipAngle = 15 if e else 20

    write_mr(tmp_path, change=change)
    (finding,) = read(tmp_path).findings
    assert finding.code == "W_ECHO_TIMING"
    assert "RepetitionTime (0018,0080) from 20 to 35 ms" in finding.text
    assert "FlipAngle (0018,1314) from 15 to 20 degrees" in finding.text


def test_header_notes_reach_the_acquisition(tmp_path):
    def change(d, k, e):
        d.ImageType = ["ORIGINAL", "PRIMARY", "M", "NORM", "DIS2D"]

    write_mr(tmp_path, change=change)
    kinds = [n.kind for n in read(tmp_path).value.acquisition.image_notes]
    assert kinds == ["normalised", "resampled"]


def test_real_philips_display_and_floating_values_give_one_r2star(real_data):
    """Both scales of Chenevert 2014: where nothing varies they differ by one factor."""
    folder = real_data / "mri/philips_ingenia_gre2e"
    data = read(folder).value.pixels.volume.data.astype(float)
    floating = np.empty_like(data)
    files = [pydicom.dcmread(p) for p in folder.glob("*.dcm")]
    lowest = min(float(d.ImagePositionPatient[2]) for d in files)
    for d in files:
        if d.ImageType[3] == "M":
            k = round((float(d.ImagePositionPatient[2]) - lowest) / 3.0)
            e = int(d.EchoNumbers) - 1
            # FP = SV / SS with intercept 0
            floating[k, :, :, e] = d.pixel_array / d[0x2005, 0x100E].value
    used = (data > 0).all(axis=-1)
    rates = [np.log(x[used][:, 0] / x[used][:, 1]) / 0.0023 for x in (data, floating)]
    np.testing.assert_allclose(rates[0], rates[1], rtol=0, atol=1e-3)
    assert np.median(rates[0]) != 0.0
