"""The table on the screen and ``lesions.csv`` are one text."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace

import pytest

from eprimg.io.write_tables import lesions_csv
from eprimg.model.lesions import Measurement, Region, RegionRole
from napari_eprimg.lesions.lesion_rows import lesion_table
from tests.tiny_case import case as tiny_case

NAN = float("nan")


def dr2star(value: float, error: float = NAN, note: str = "") -> Measurement:
    return Measurement(
        "dr2star", "median", "mr_post-mr_pre", value, error, "fit noise only", 12, "native", note
    )


def test_text_of_the_table_is_lesions_csv() -> None:
    case = tiny_case()
    assert lesion_table(case).text == lesions_csv(case)


def test_text_of_the_table_is_lesions_csv_of_the_phantom(measured_reading) -> None:
    case = measured_reading.case
    table = lesion_table(case)
    assert table.text == lesions_csv(case)
    assert [r.rank for r in table.rows] == sorted(r.rank for r in table.rows)
    assert sum(r.rank == 0 for r in table.rows) == len(case.lesions.lesions)


def test_no_case_is_an_empty_table() -> None:
    table = lesion_table(None)
    assert (table.columns, table.rows) == ((), ())


def test_names_with_commas_and_quotes_survive() -> None:
    case = tiny_case()
    odd = replace(case.lesions.regions[0], name='left, "upper" node')
    case = replace(case, lesions=case.lesions.with_regions((odd, *case.lesions.regions[1:])))
    assert lesion_table(case).text == lesions_csv(case)


def test_numbers_are_those_of_the_file() -> None:
    case = tiny_case()
    table = lesion_table(case)
    for row, line in zip(table.rows, csv.DictReader(io.StringIO(lesions_csv(case))), strict=True):
        for column, number in zip(table.columns, row.numbers, strict=True):
            cell = line[column.name]
            if column.kind == "number" and cell:
                assert number == float(cell)
            else:
                assert math.isnan(number)


def test_first_columns_are_id_name_tiers_and_key_numbers(measured_reading) -> None:
    table = lesion_table(measured_reading.case)
    first = [c.name for c in table.columns if c.first]
    assert first[:2] == ["region_id", "name"]
    schemes = [s.key for s in measured_reading.case.schemes]
    assert [n for n in first if n.startswith("tier_")] == [f"tier_{k}" for k in schemes]
    assert {"volume_ml", "dr2star_median_per_s", "pid_per_kg_peak"} <= set(first)
    assert len(first) < len(table.columns) / 2
    titles = {c.name: c.title for c in table.columns}
    assert titles["volume_ml"] == "volume [mL]"
    assert titles["dr2star_median_per_s_se"].startswith("± ")
    assert "[%ID/kg]" in titles["pid_per_kg_peak"]
    assert len(set(titles.values())) == len(titles)


def shown_of(measurement: Measurement | None, name: str) -> tuple[str, str]:
    case = tiny_case()
    region = Region(1, "lesion-1", RegionRole.LESION)
    if measurement is not None:
        region = replace(region, measurements=(measurement,))
    table = lesion_table(replace(case, lesions=case.lesions.with_regions((region,))))
    place = table.column(name)
    return table.rows[0].shown[place], table.rows[0].tips[place]


def test_a_number_is_shown_with_its_uncertainty_and_explained() -> None:
    shown, tip = shown_of(dr2star(38.6771889, 0.17), "dr2star_median_per_s")
    assert shown == "38.68 ± 0.17"  # four digits of the value, two of the error
    assert "38.6771889 1/s ± 0.17 1/s" in tip
    assert "12 voxels" in tip
    assert "fit noise only" in tip


def test_a_missing_number_says_why() -> None:
    shown, tip = shown_of(dr2star(NAN, NAN, "no voxel before"), "dr2star_median_per_s")
    assert (shown, tip) == ("–", "no voxel before")
    shown, tip = shown_of(None, "dr2star_median_per_s")
    assert shown == "–"
    assert "not measured" in tip


def test_unknown_column_is_an_error() -> None:
    with pytest.raises(KeyError):
        lesion_table(tiny_case()).column("uptake")
