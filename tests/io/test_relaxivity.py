"""Published values are those of the abstract of Knobloch et al., Invest Radiol 2018."""

from __future__ import annotations

from pathlib import Path

import pytest

from eprimg.config import Config, IronConfig
from eprimg.errors import ConfigError, EprimgError, InputError
from eprimg.io.relaxivity import fit_vials, load_relaxivity, read_vials, relaxivity_keys
from eprimg.pipeline import check_settings
from eprimg.provenance import settings_hash
from eprimg.resources import load_resource

TABLE = """# vials of 12 March
iron_mmol_per_l,r2star_per_s,field_strength_t,medium
0,12.0,3,"agar, 1 %"
0.5,40.1,3,"agar, 1 %"
1,67.8,3,"agar, 1 %"
2,124.2,3,"agar, 1 %"
"""


def write(folder: Path, text: str = TABLE) -> Path:
    path = folder / "vials.csv"
    path.write_text(text, encoding="utf-8")
    return path


def calibration(path: Path, **other: str) -> IronConfig:
    return IronConfig(model="calibration", calibration_file=str(path), **other)


def test_without_a_name_there_is_no_model():
    assert load_relaxivity(Config().iron) is None


@pytest.mark.parametrize(
    ("key", "field", "value", "error"),
    [
        ("knobloch2018-plasma-1t5", 1.5, 64.4, 2.5),
        ("knobloch2018-plasma-3t", 3.0, 55.7, 4.4),
        ("knobloch2018-saline-1t5", 1.5, 60.4, 4.7),
        ("knobloch2018-saline-3t", 3.0, 57.0, 4.7),
    ],
)
def test_published_models(key, field, value, error):
    model = load_relaxivity(IronConfig(model=key))
    assert model.field_strength_t == field
    assert model.coefficients == (value, 0.0)
    assert model.covariance[0][0] == pytest.approx(error**2)
    assert model.range_mmol_per_l == (0.26, 4.2)
    assert key.split("-")[1] in model.medium
    assert "Knobloch" in model.citation


def test_every_model_of_the_file_is_loaded_and_none_is_for_iron_overload():
    for key in load_resource("relaxivity.toml"):
        model = load_relaxivity(IronConfig(model=key))
        assert model.citation
        assert model.medium.startswith(("human plasma", "saline"))
    assert relaxivity_keys()[-1] == "calibration"


def test_a_table_of_vials_becomes_a_model(tmp_path):
    model = load_relaxivity(calibration(write(tmp_path)))
    assert model.field_strength_t == 3.0
    assert model.medium == "agar, 1 %"
    # least squares by hand: x = 0, .5, 1, 2 (mean .875), sum of (x - mean)^2 = 2.1875, sum of
    # (x - mean) y = -10.5 - 15.0375 + 8.475 + 139.725 = 122.6625
    assert model.coefficients[0] == pytest.approx(122.6625 / 2.1875)
    assert model.range_mmol_per_l == (0.0, 2.0)
    assert model.degrees_of_freedom == 2
    assert "vials.csv" in model.citation
    assert "linear curve through 4 vials" in model.note
    assert fit_vials(read_vials(write(tmp_path)), "linear").coefficients.size == 2


def test_concentrations_by_mass_are_converted(tmp_path):
    by_mass = TABLE.replace("iron_mmol_per_l", "iron_ug_per_ml").replace("\n2,", "\n111.69,")
    vials = read_vials(write(tmp_path, by_mass))
    # 111.69 ug/mL / 55.845 g/mol = 2 mmol/L
    assert vials.iron_mmol_per_l[-1] == pytest.approx(2.0)


def test_errors_of_the_vials_are_read(tmp_path):
    text = "iron_mmol_per_l,r2star_per_s,r2star_se_per_s,field_strength_t,medium\n"
    text += "".join(
        f"{c},{10 + 50 * c + d},{2 + c},1.5,saline\n"
        for c, d in ((0, 0.5), (1, -1.0), (2, 1.0), (3, 0.2), (4, -0.7))
    )
    vials = read_vials(write(tmp_path, text))
    assert vials.r2star_se_per_s == (2, 3, 4, 5, 6)
    model = load_relaxivity(calibration(tmp_path / "vials.csv", calibration_curve="quadratic"))
    assert model.coefficients[0] == pytest.approx(50.0, rel=0.1)
    assert model.degrees_of_freedom == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "needs one of the columns"),
        (TABLE.replace("medium\n", "medium,tube\n"), "not known"),
        (TABLE.replace("iron_mmol_per_l", "iron"), "needs one of the columns"),
        (TABLE.replace("r2star_per_s,", ""), "columns are missing"),
        (TABLE.replace("40.1", "40,1"), "5 cells, not 4"),
        (TABLE.replace("40.1", "high"), "r2star_per_s is not a number"),
        (TABLE.replace("40.1", "nan"), "not finite"),
        (TABLE.replace('67.8,3,"agar, 1 %"', '67.8,1.5,"agar, 1 %"'), "one field strength"),
        (TABLE.replace('67.8,3,"agar, 1 %"', "67.8,3,saline"), "several media"),
        (TABLE.replace('67.8,3,"agar, 1 %"', "67.8,3,"), "medium is empty"),
        (TABLE.split("\n0,")[0], "holds no vial"),
    ],
)
def test_tables_with_faults(tmp_path, text, words):
    with pytest.raises(InputError, match=words) as caught:
        read_vials(write(tmp_path, text))
    assert caught.value.code == "E_IRON_CALIBRATION"


def test_all_faults_of_a_table_name_their_lines(tmp_path):
    text = TABLE.replace("40.1", "x").replace("124.2", "y")
    with pytest.raises(InputError) as caught:
        read_vials(write(tmp_path, text))
    assert "line 4" in str(caught.value)
    assert "line 6" in str(caught.value)


@pytest.mark.parametrize(
    ("row", "broken", "line"),
    [
        ('1,67.8,3,"agar, 1 %"', '"1,67.8,3,agar', 5),
        ('67.8,3,"agar, 1 %"', '67.8,3,"agar, 1 %', 5),
        ('124.2,3,"agar, 1 %"', '124.2,3,"agar', 6),
        ("iron_mmol_per_l,", '"iron_mmol_per_l,', 2),
    ],
)
def test_an_open_quotation_mark_names_its_own_line(tmp_path, row, broken, line):
    with pytest.raises(InputError, match="quotation mark is not closed") as caught:
        read_vials(write(tmp_path, TABLE.replace(row, broken)))
    assert caught.value.code == "E_IRON_CALIBRATION"
    assert caught.value.where == f"vials.csv, line {line}"


def test_an_open_quotation_mark_hides_no_other_fault(tmp_path):
    text = TABLE.replace('1,67.8,3,"agar, 1 %"', '"1,67.8,3,agar').replace("124.2", "y")
    with pytest.raises(InputError) as caught:
        read_vials(write(tmp_path, text))
    assert [f.where for f in caught.value.faults] == ["vials.csv, line 5", "vials.csv, line 6"]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (IronConfig(model="plasma"), "no relaxivity model 'plasma'"),
        (IronConfig(model="calibration"), "no table of vials is given"),
        (IronConfig(calibration_file="v.csv"), "not the calibration"),
    ],
)
def test_settings_that_name_no_model(config, words):
    with pytest.raises(ConfigError, match=words) as caught:
        load_relaxivity(config)
    assert caught.value.code == "E_IRON_MODEL"


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(EprimgError, match="cannot be read"):
        load_relaxivity(calibration(tmp_path / "none.csv"))


def test_settings_are_checked_before_the_work_and_hashed_with_the_vials(tmp_path):
    with pytest.raises(ConfigError, match="no relaxivity model"):
        check_settings(Config(iron=IronConfig(model="plasma")))
    config = Config(iron=calibration(write(tmp_path)))
    before = settings_hash(config)
    write(tmp_path, TABLE.replace("124.2", "124.9"))
    assert settings_hash(config) != before


def test_the_table_of_the_how_to_can_be_used_as_it_stands(tmp_path):
    page = Path(__file__).parents[2] / "docs" / "how-to" / "iron-calibration.md"
    table = page.read_text(encoding="utf-8").split("```text\n")[1].split("```")[0]
    path = write(tmp_path, table)
    for curve in ("linear", "quadratic"):
        model = load_relaxivity(calibration(path, calibration_curve=curve))
        # (236.8 - 12.1) / 4 = 56.2 from the first vial to the last
        assert model.coefficients[0] == pytest.approx(56.2, rel=0.03)
