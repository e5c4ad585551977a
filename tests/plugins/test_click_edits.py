"""Lesions from clicks: one edit each, measured like every other, with a record of how they grew."""

from __future__ import annotations

import numpy as np
import pytest

from eprimg import pipeline
from eprimg.errors import InputError
from eprimg.io.saved_case import load_saved_case, save_case, saved_case_of
from eprimg.io.write_tables import lesions_csv, measurements_csv
from eprimg.model.lesions import GROWN_FROM_CLICKS, RegionSource
from napari_eprimg.reading.reading import Reading
from tests.plugins.clicked_case import LESION_SPL, OUTSIDE_SPL, box, clicked_reading


def tables(case) -> tuple[str, str]:
    return lesions_csv(case), measurements_csv(case)


def fresh(reading: Reading) -> tuple[str, str]:
    """Tables of a full run with the regions as they are now."""
    case = reading.case
    return tables(
        pipeline.run(
            case.study, reading.config, case=case, start="segment", regions=case.lesions,
            native=case.drawn_lesions,
        )
    )  # fmt: skip


def region(reading: Reading, number: int):
    return next(r for r in reading.case.lesions.regions if r.id == number)


@pytest.fixture
def reading() -> Reading:
    return clicked_reading()


@pytest.mark.parametrize(("on", "method"), [("mr_post", ""), ("pet", "percent-of-max")])
def test_a_click_is_one_edit_that_undo_takes_away_and_redo_brings_back(
    reading: Reading, on: str, method: str
) -> None:
    before, labels = tables(reading.case), reading.case.lesions.labels
    number = reading.grow_lesion(LESION_SPL, on, method=method)
    assert number == 15  # one after the highest id of the study
    assert number in reading.measure_dirty()
    after, drawn = tables(reading.case), reading.case.drawn_lesions
    assert after == fresh(reading)
    assert region(reading, number).source == RegionSource.CONFIRMED
    grown = np.asarray(reading.case.lesions.labels) == number
    assert 2 * (grown & box()).sum() / (grown.sum() + box().sum()) > 0.8
    assert reading.undo_words == f"grow lesion-15 on {on} ({method or 'random-walker'})"
    reading.undo()
    reading.measure_dirty()
    assert tables(reading.case) == before
    np.testing.assert_array_equal(reading.case.lesions.labels, labels)
    assert reading.case.drawn_lesions == {}
    assert reading.grown(number) is None
    assert not reading.edited
    reading.redo()
    reading.measure_dirty()
    assert tables(reading.case) == after
    np.testing.assert_array_equal(reading.case.drawn_lesions[on].labels, drawn[on].labels)
    assert reading.grown(number)["seed_lps_mm"] == [30.0, 42.0, 24.0]


def test_pet_is_measured_in_the_outline_that_grew_there(reading: Reading) -> None:
    number = reading.grow_lesion(LESION_SPL, "pet", method="percent-of-max")
    reading.measure_dirty()
    suv = reading.case.maps["suvbw"]
    grew = np.asarray(reading.case.drawn_lesions["pet"].labels) == number
    shown = region(reading, number).measurement("suvbw", "mean", "pet")
    assert shown.value == pytest.approx(float(suv.values[grew].mean()), rel=1e-6)
    assert shown.n_voxels == int(grew.sum())


def test_a_click_that_cannot_grow_changes_nothing(reading: Reading) -> None:
    case = reading.case
    for on, point in (("mr_post", OUTSIDE_SPL), ("mr_pre", LESION_SPL)):
        with pytest.raises(InputError) as caught:
            reading.grow_lesion(point, on)
        assert caught.value.code == "E_CLICK_REFUSED"
    assert reading.case is case
    assert not reading.can_undo


def test_a_background_click_grows_the_same_lesion_anew(reading: Reading) -> None:
    number = reading.grow_lesion(LESION_SPL, "mr_post")
    first = np.array(reading.case.lesions.labels == number)
    # The last column of the box (i = 12, 36 mm) is declared not to be lesion.
    reading.add_background(number, (24.0, 42.0, 36.0))
    reading.measure_dirty()
    second = np.asarray(reading.case.lesions.labels) == number
    assert first[6, 14, 12]
    assert not second[6, 14, 12]
    assert second[6, 14, 10]
    assert reading.grown(number)["background_lps_mm"] == [[36.0, 42.0, 24.0]]
    assert tables(reading.case) == fresh(reading)
    reading.undo()
    np.testing.assert_array_equal(reading.case.lesions.labels == number, first)
    assert reading.grown(number)["background_lps_mm"] == []
    reading.undo()
    on_pet = reading.grow_lesion(LESION_SPL, "pet", method="percent-of-max")
    with pytest.raises(InputError, match="no background"):
        reading.add_background(on_pet, (24.0, 42.0, 60.0))


def test_what_was_painted_since_is_not_lost(reading: Reading) -> None:
    number = reading.grow_lesion(LESION_SPL, "mr_post")
    labels = np.array(reading.case.lesions.labels)
    labels[6, 14, 14] = number
    reading.write_labels(labels, "paint")
    with pytest.raises(InputError, match="edited by hand"):
        reading.add_background(number, (24.0, 42.0, 36.0))
    with pytest.raises(InputError, match="no lesion that grew"):
        reading.add_background(1, (24.0, 42.0, 36.0))


def test_a_saved_case_keeps_outline_and_record(reading: Reading, tmp_path) -> None:
    number = reading.grow_lesion(LESION_SPL, "pet", method="percent-of-max")
    reading.measure_dirty()
    (tmp_path / "study").mkdir()
    saved = saved_case_of(reading.case, reading.config, source=tmp_path / "study")
    back = load_saved_case(save_case(tmp_path / "case", saved))
    record = back.regions.settings[GROWN_FROM_CLICKS][str(number)]
    assert record == reading.grown(number)
    assert record["method"] == "percent-of-max"
    assert record["settings"]["percent"] == 41.0
    again = pipeline.run(
        reading.case.study, reading.config, case=reading.case, start="segment",
        regions=back.regions, native=back.drawn,
    )  # fmt: skip
    assert tables(again) == tables(reading.case)


def test_the_method_of_the_settings_comes_first(reading: Reading) -> None:
    assert reading.click_methods("mr_pre")[0] == "random-walker"
    assert reading.click_methods("pet")[0] == "adaptive-bg"
    reading._config = reading.config.with_settings(
        {"clicks": {"method": "grow-cut"}, "segment": {"method": "gradient-watershed"}}
    )
    assert reading.click_methods("mr_pre")[0] == "grow-cut"
    assert reading.click_methods("pet")[0] == "gradient-watershed"
    assert reading.click_methods("ct") == ()
    assert Reading().clickable_series() == ()
