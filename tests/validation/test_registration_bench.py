"""A small part of the registration table: large voxels, one movement of each pair."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.validation import registration_page
from tests.validation.registration_bench import ANATOMIES, KINDS, make_case, run
from tests.validation.registration_qc import QcRow, judge, qc_cases


@pytest.fixture(scope="module")
def mr_case():
    return make_case("head-and-neck", 0, "mr", factor=2.5)


def test_truth_of_a_case_is_its_movement(mr_case) -> None:
    there = mr_case.lesions_mm @ mr_case.matrix[:3, :3].T + mr_case.matrix[:3, 3]
    np.testing.assert_allclose(there, mr_case.truth_mm, atol=1e-9)
    assert mr_case.errors_of(mr_case.matrix).max() < 1e-9
    # 8 mm along each axis, and 5 degrees about each at 120 mm: far from the header, not beyond.
    assert 1.0 < mr_case.errors_of(np.eye(4)).mean() < 14.0 + 19.0


def test_a_lost_frame_moves_the_header_only() -> None:
    kept, lost = (make_case("thorax", 1, kind, factor=4.0) for kind in ("pet", "pet-lost"))
    shift = lost.moving.grid.affine[:3, 3] - kept.moving.grid.affine[:3, 3]
    assert sorted(np.abs(shift).round(9)) == [0.0, 25.0, 60.0]
    np.testing.assert_allclose(lost.truth_mm - kept.truth_mm, shift[None].repeat(12, axis=0))


def test_breathing_bends_by_its_peak() -> None:
    case = make_case("abdomen", 0, "mr-breathing", factor=4.0)
    assert case.matrix is None
    best, *_ = np.linalg.lstsq(np.c_[case.lesions_mm, np.ones(12)], case.truth_mm, rcond=None)
    left = np.linalg.norm(np.c_[case.lesions_mm, np.ones(12)] @ best - case.truth_mm, axis=1)
    assert 0.2 < left.max() < 10.0


@pytest.mark.parametrize(("anatomy", "kind"), [("head-and-neck", "mr"), ("abdomen", "pet")])
def test_the_engine_finds_the_truth_on_large_voxels(anatomy, kind, mr_case) -> None:
    """The bounds are those of the table, for voxels of less than half the width.

    Here MR has 5 x 5 x 7.5 mm; with PET, 4 x 4 x 6 mm, and PET itself 8 mm.
    """
    case = mr_case if kind == "mr" else make_case(anatomy, 0, kind, factor=2.0)
    row, result = run("simpleitk-rigid", case)
    mean, worst = KINDS[kind].bounds_mm
    assert row.mean_mm <= mean
    assert row.worst_mm <= worst
    assert row.before_mm > 5.0
    assert row.cpu_s > 0.0
    assert row.mean_mm == pytest.approx(case.errors_of(result.matrix).mean())


def test_checks_judge_planted_and_good_alignments() -> None:
    rows = [judge(qc) for qc in qc_cases(("head-and-neck",), ("mr",), range(1), factor=4.0)]
    assert [r.planted for r in rows] == [True, False, False]
    assert rows[0].error_mm > 5.0
    assert rows[1].error_mm == pytest.approx(0.0, abs=1e-9)
    assert 0.0 < rows[2].error_mm < 1.5


def test_words_change_no_hash_and_code_does(tmp_path) -> None:
    file = tmp_path / "some.py"
    texts = ['"""A."""\nx = 1  # one\n', '"""B."""\n\nx = 1\n', '"""A."""\nx = 2\n']
    found = []
    for text in texts:
        file.write_text(text)
        found.append(registration_page.bare_code(file))
    assert found[0] == found[1] != found[2]
    names = [path.name for path in registration_page.engine_files("simpleitk-rigid")]
    assert {"simpleitk_rigid.py", "similarity.py", "intensity.py", "sitk_bridge.py"} <= set(names)
    assert "contract.py" not in names


def test_store_keeps_only_what_today_would_give(tmp_path, monkeypatch, mr_case) -> None:
    monkeypatch.setattr(registration_page, "STORE", tmp_path / "kept" / "rows.jsonl")
    monkeypatch.setattr(registration_page, "TARGET", tmp_path / "page.md")
    base = {"anatomy": "abdomen", "engine": "simpleitk-rigid", "before_mm": 9.0, "worst_mm": 0.4,
            "cpu_s": 3.0, "peak_mb": 50.0, "start": "identity", "consistency_mm": 0.1,
            "polish_moved_mm": 0.0, "polish_kept": False}  # fmt: skip
    now = registration_page.state_of("simpleitk-rigid", "rigid-mi")
    lines = [
        {"state": state, "what": "simpleitk-rigid", "profile": "rigid-mi",
         "row": {**base, "kind": kind, "seed": seed, "mean_mm": mean}}
        for state, kind, seed, mean in ((now, "mr", 0, 0.2), ("old", "mr", 1, 9.0),
                                        (now, "pet", 0, 1.2))
    ]  # fmt: skip
    registration_page.STORE.parent.mkdir()
    registration_page.STORE.write_text("".join(json.dumps(line) + "\n" for line in lines))
    registration_page.keep(
        "qc", "rigid-mi", registration_page.state_of("qc", "rigid-mi"),
        QcRow("thorax", "pet", 0, True, 9.0, False, True, "a doubt", {}),
    )  # fmt: skip
    assert [r["seed"] for r in registration_page.rows_of("simpleitk-rigid")] == [0, 0]
    assert registration_page.main(["--write"]) == 0
    text = registration_page.TARGET.read_text()
    assert "| MR pre/post, TE 1.2 ms | abdomen | 1 | 9-9 | 0.20 |" in text
    assert "| PET-MR | thorax | 1 | 0 | 1 | 0 | 0 | 0 |" in text
    assert "9.00" not in text
    # 20 movements of three anatomies are wanted, one of them was found.
    assert "MR pre/post, TE 1.2 ms, 59 of 60" in text
    # A case that failed breaks the bounds, and the page says so.
    lines[0]["row"]["mean_mm"] = 4.5
    registration_page.STORE.write_text(json.dumps(lines[0]) + "\n")
    assert registration_page.main(["--write"]) == 1
    assert "**broken**" in registration_page.TARGET.read_text()


def test_every_anatomy_is_in_the_bench() -> None:
    from eprimg_phantoms.anatomy import available_anatomies

    assert sorted(ANATOMIES) == available_anatomies()
