from __future__ import annotations

import json
from pathlib import Path

import pytest

from eprimg.io.batch_bids import bids_tasks, is_bids


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    (tmp_path / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.11.2"}')
    for name in (
        "sub-01/ses-pre/anat/sub-01_ses-pre_echo-1_MEGRE.nii.gz",
        "sub-01/ses-post/anat/sub-01_ses-post_echo-1_MEGRE.nii.gz",
        "sub-02/pet/sub-02_pet.nii.gz",
        "derivatives/maps/sub-01/x.nii.gz",
        "code/run.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def _participants(root: Path, table: str, units: dict[str, str] | None = None) -> None:
    (root / "participants.tsv").write_text(table.replace(" ", "\t"))
    if units is not None:
        content = {column: {"Units": unit} for column, unit in units.items()}
        (root / "participants.json").write_text(json.dumps(content))


def test_a_dataset_is_known_by_its_description(dataset: Path) -> None:
    assert is_bids(dataset)
    assert not is_bids(dataset / "sub-01")


def test_a_subject_with_all_its_sessions_is_one_study(dataset: Path) -> None:
    found = bids_tasks(dataset)
    assert [(t.key, t.path.name, t.source) for t in found.value] == [
        ("sub-01", "sub-01", "sub-01"),
        ("sub-02", "sub-02", "sub-02"),
    ]
    assert found.findings == ()


def test_sessions_are_studies_when_asked(dataset: Path) -> None:
    keys = [t.key for t in bids_tasks(dataset, per_session=True).value]
    assert keys == ["sub-01_ses-post", "sub-01_ses-pre", "sub-02"]


def test_weight_and_height_count_when_their_unit_is_stated(dataset: Path) -> None:
    _participants(
        dataset,
        "participant_id weight height sex\nsub-01 70.5 175 F\nsub-02 n/a n/a other\n",
        {"weight": "kg", "height": "cm"},
    )
    first, second = bids_tasks(dataset).value
    assert first.facts == {"weight_kg": 70.5, "height_m": 1.75, "sex": "F"}
    assert second.facts == {"sex": "O"}


@pytest.mark.parametrize("units", [None, {}, {"weight": "lb"}, {"weight": ""}, {"height": "kg"}])
def test_a_weight_without_its_unit_is_not_used_and_told(
    dataset: Path, units: dict[str, str] | None
) -> None:
    _participants(dataset, "participant_id weight\nsub-01 155\n", units)
    found = bids_tasks(dataset)
    assert found.value[0].facts == {}
    (finding,) = found.findings
    assert finding.code == "W_BATCH_PARTICIPANTS"
    assert '"kg"' in finding.text


def test_the_weight_of_the_scan_wins_over_that_of_the_table(dataset: Path) -> None:
    _participants(dataset, "participant_id weight\nsub-01 70\nsub-02 80\n", {"weight": "kg"})
    (dataset / "sub-02" / "pet" / "sub-02_pet.json").write_text('{"PatientWeight": 78.2}')
    first, second = bids_tasks(dataset).value
    assert first.facts == {"weight_kg": 70.0}
    assert second.facts == {}


@pytest.mark.parametrize("cell", ["n/a", "", "-3", "0", "nan", "inf", "heavy"])
def test_a_cell_that_is_no_weight_says_nothing(dataset: Path, cell: str) -> None:
    _participants(dataset, f"participant_id weight\nsub-01 {cell}\n", {"weight": "kg"})
    assert bids_tasks(dataset).value[0].facts == {}


def test_subjects_without_files_or_folder_are_told(dataset: Path) -> None:
    (dataset / "sub-03").mkdir()
    _participants(dataset, "participant_id sex\nsub-01 M\nsub-09 F\n")
    found = bids_tasks(dataset)
    assert [t.key for t in found.value] == ["sub-01", "sub-02", "sub-03"]
    assert [(f.code, f.where) for f in found.findings] == [
        ("W_BATCH_EMPTY", "sub-03"),
        ("W_BATCH_EMPTY", "1 subjects"),
    ]


def test_a_folder_that_is_no_bids_label_gets_a_hashed_key(dataset: Path) -> None:
    (dataset / "sub-John Doe").mkdir()
    keys = [t.key for t in bids_tasks(dataset).value]
    assert sum(k.startswith("S-") for k in keys) == 1
    assert not any("John" in k for k in keys)


def test_a_subject_that_is_a_link_out_is_told_and_not_followed(
    dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (dataset / "sub-04").symlink_to(tmp_path_factory.mktemp("outside"))
    (dataset / "sub-05").symlink_to(dataset / "nothing")
    found = bids_tasks(dataset)
    assert [t.key for t in found.value] == ["sub-01", "sub-02"]
    assert [f.code for f in found.findings] == ["W_LINK_OUTSIDE", "W_LINK_BROKEN"]


def test_a_table_that_is_not_text_is_told(dataset: Path) -> None:
    (dataset / "participants.tsv").write_bytes(b"\xff\xfe\x00")
    found = bids_tasks(dataset)
    assert len(found.value) == 2
    assert [f.code for f in found.findings] == ["W_BATCH_PARTICIPANTS"]
