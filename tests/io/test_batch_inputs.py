from __future__ import annotations

import csv
from pathlib import Path

import pytest

from eprimg.errors import EprimgError
from eprimg.io.batch_files import BatchPaths
from eprimg.io.batch_inputs import list_studies, write_sources


def _tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\0" * 128 + b"DICM")
    return root


def test_a_tree_is_listed_in_order_of_the_keys(tmp_path: Path) -> None:
    tasks = list_studies(_tree(tmp_path, "a/1", "b/1", "c/1", "d/1")).value
    assert {t.source for t in tasks} == set("abcd")
    assert [t.key for t in tasks] == sorted(t.key for t in tasks)


def test_no_key_holds_the_name_of_a_folder(tmp_path: Path) -> None:
    tasks = list_studies(_tree(tmp_path, "DOE_JOHN/1", "Müller^Eva/1")).value
    assert not any(part in t.key for t in tasks for part in ("DOE", "JOHN", "Eva", "ller"))


def test_the_depth_is_passed_on(tmp_path: Path) -> None:
    _tree(tmp_path, "site/p1/1", "site/p2/1")
    assert len(list_studies(tmp_path).value) == 1
    assert len(list_studies(tmp_path, depth=2).value) == 2


def test_a_bids_dataset_is_listed_by_subject_or_session(tmp_path: Path) -> None:
    _tree(tmp_path, "sub-01/ses-a/1.nii", "sub-01/ses-b/1.nii")
    (tmp_path / "dataset_description.json").write_text("{}")
    assert [t.key for t in list_studies(tmp_path).value] == ["sub-01"]
    assert [t.key for t in list_studies(tmp_path, per_session=True).value] == [
        "sub-01_ses-a",
        "sub-01_ses-b",
    ]


@pytest.mark.parametrize("as_root", [True, False])
def test_a_manifest_is_given_as_root_or_beside_it(tmp_path: Path, as_root: bool) -> None:
    _tree(tmp_path, "one/1")
    manifest = tmp_path / "cohort.csv"
    manifest.write_text("study,path\nA,one\n")
    found = list_studies(manifest) if as_root else list_studies(tmp_path, manifest=manifest)
    assert [(t.key, t.path) for t in found.value] == [("A", tmp_path / "one")]


@pytest.mark.parametrize("kind", ["absent", "empty", "file"])
def test_a_root_without_studies_is_refused(tmp_path: Path, kind: str) -> None:
    root = tmp_path / kind
    if kind == "empty":
        root.mkdir()
    elif kind == "file":
        root.write_text("x")
    with pytest.raises(EprimgError, match="E_BATCH_EMPTY"):
        list_studies(root)


def test_the_sources_say_which_key_is_which_folder(tmp_path: Path) -> None:
    tasks = list_studies(_tree(tmp_path / "in", "a, b/1", "=c/1")).value
    write_sources(tmp_path / "out", tasks)
    with BatchPaths(tmp_path / "out").sources.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["study", "private_path_below_root"]
    keys = {t.source: t.key for t in tasks}
    # a name that a spreadsheet would take for a formula is quoted
    assert dict(rows[1:]) == {keys["a, b"]: "a, b", keys["=c"]: "'=c"}
