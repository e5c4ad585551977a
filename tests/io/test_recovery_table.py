from __future__ import annotations

import math
from pathlib import Path

import pytest

from eprimg.errors import InputError
from eprimg.io.recovery_table import load_recovery_table

HEAD = "nuclide,scanner,diameter_mm,background_ratio,rc,rc_uncertainty\n"


def test_a_table_is_read(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("# measured 2024\n" + HEAD + "89Zr,A,10,inf,0.4,0.05\n64Cu,A,13,4,0.7,0.02\n")
    one, two = load_recovery_table(file)
    assert (one.nuclide, one.scanner, one.diameter_mm, one.rc) == ("89Zr", "A", 10.0, 0.4)
    assert one.background_ratio == math.inf
    assert (two.background_ratio, two.rc_uncertainty, two.statistic) == (4.0, 0.02, "mean")


@pytest.mark.parametrize(
    "text",
    ["", HEAD, HEAD + "89Zr,A,10,inf,0.4\n", HEAD.replace("rc,", "recovery,"), HEAD + "a,b,c\n"],
)
def test_faults_name_the_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "table.csv"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        load_recovery_table(file)
    assert caught.value.code == "E_RECOVERY_TABLE"
    assert str(file) in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_recovery_table(tmp_path / "absent.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        load_recovery_table(tmp_path / "binary.csv")
