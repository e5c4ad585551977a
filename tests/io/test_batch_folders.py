from __future__ import annotations

import os
from pathlib import Path

import pytest

from eprimg.errors import ConfigError
from eprimg.io.batch_folders import folder_tasks, looks_like_image
from eprimg.io.batch_tasks import folder_key

DICOM = b"\0" * 128 + b"DICM"


def _put(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(DICOM)


def _sources(root: Path, depth: int = 1) -> list[str]:
    return [t.source for t in folder_tasks(root, depth=depth).value]


def _codes(root: Path, depth: int = 1) -> list[str]:
    return [f.code for f in folder_tasks(root, depth=depth).findings]


def test_each_folder_of_the_root_is_one_study_with_all_below_it(tmp_path: Path) -> None:
    _put(tmp_path, "b/pre/mr/1", "b/post/mr/1", "b/pet/1", "a/1.dcm")
    (task_a, task_b) = folder_tasks(tmp_path).value
    assert (task_a.source, task_b.source) == ("a", "b")
    assert task_b.path == tmp_path / "b"
    assert task_b.key == folder_key("b")
    assert _codes(tmp_path) == []


def test_deeper_trees_are_told_their_depth(tmp_path: Path) -> None:
    _put(tmp_path, "site-1/p1/s/1", "site-1/p2/s/1", "site-2/p1/s/1")
    assert _sources(tmp_path, 2) == ["site-1/p1", "site-1/p2", "site-2/p1"]
    keys = {t.key for t in folder_tasks(tmp_path, depth=2).value}
    assert len(keys) == 3


def test_a_folder_that_ends_too_early_is_a_study_and_not_lost(tmp_path: Path) -> None:
    _put(tmp_path, "site-1/p1/1", "site-2/1.dcm")
    (tmp_path / "site-3").mkdir()
    assert _sources(tmp_path, 2) == ["site-1/p1", "site-2", "site-3"]
    assert _codes(tmp_path, 2) == ["W_BATCH_EMPTY"]


def test_the_root_is_the_study_when_the_files_lie_in_it(tmp_path: Path) -> None:
    _put(tmp_path, "1.dcm", "2.dcm")
    assert _sources(tmp_path) == ["."]
    assert folder_tasks(tmp_path).value[0].path == tmp_path


def test_the_root_is_the_study_when_asked(tmp_path: Path) -> None:
    _put(tmp_path, "mr/1", "pet/1")
    assert _sources(tmp_path, 0) == ["."]


def test_an_empty_root_holds_no_study(tmp_path: Path) -> None:
    assert _sources(tmp_path) == []
    (tmp_path / "readme.txt").write_text("nothing here")
    assert _sources(tmp_path) == []


def test_empty_folders_are_kept_and_told(tmp_path: Path) -> None:
    _put(tmp_path, "a/1.dcm")
    (tmp_path / "empty").mkdir()
    assert _sources(tmp_path) == ["a", "empty"]
    (finding,) = folder_tasks(tmp_path).findings
    assert (finding.code, finding.where) == ("W_BATCH_EMPTY", "empty")


def test_loose_images_are_told_and_loose_texts_are_not(tmp_path: Path) -> None:
    _put(tmp_path, "a/1", "IM0001", "x.nii.gz")
    (tmp_path / "notes.txt").write_text("x" * 200)
    assert _sources(tmp_path) == ["a"]
    (finding,) = folder_tasks(tmp_path).findings
    assert finding.code == "W_BATCH_LOOSE"
    assert "IM0001, x.nii.gz" in finding.text
    assert "notes" not in finding.text


def test_results_of_eprimg_and_hidden_folders_are_no_studies(tmp_path: Path) -> None:
    _put(tmp_path, "a/1", ".trash/1")
    for name, content in (
        ("run/manifest.json", '{"format": "eprimg output folder"}'),
        ("batch/batch.json", '{"format": "eprimg batch 1"}'),
    ):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(content)
    assert _sources(tmp_path) == ["a"]
    assert _codes(tmp_path) == ["I_OUTPUT_SKIPPED"] * 2


def test_links_out_of_the_tree_and_into_nothing_are_told_and_not_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    _put(root, "a/1")
    _put(outside, "1")
    (root / "out").symlink_to(outside)
    (root / "gone").symlink_to(tmp_path / "nothing")
    (root / "twin").symlink_to(root / "a")
    assert _sources(root) == ["a"]
    assert _codes(root) == ["W_LINK_OUTSIDE", "W_LINK_BROKEN"]


@pytest.mark.skipif(os.name == "nt", reason="rights of folders differ")
def test_a_folder_that_cannot_be_read_is_kept_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(tmp_path, "a/1", "locked/1")
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("eprimg.io.batch_folders.os.scandir", refuse)
    found = folder_tasks(tmp_path)
    assert [t.source for t in found.value] == ["a", "locked"]
    assert [(f.code, f.where) for f in found.findings] == [("E_FILE", "locked")]


def test_a_name_that_is_not_unicode_is_a_study(tmp_path: Path) -> None:
    name = os.fsdecode(b"M\xfcller")
    try:
        _put(tmp_path, f"{name}/1")
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    (task,) = folder_tasks(tmp_path).value
    assert task.key.startswith("S-")
    assert task.path.is_dir()


def test_a_negative_depth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="E_ARGUMENT"):
        folder_tasks(tmp_path, depth=-1)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("x.nii", b"", True),
        ("x.DCM", b"", True),
        ("IM1", DICOM, True),
        ("IM1", b"\0" * 132, False),
        ("x.txt", b"", False),
    ],
)
def test_images_are_known_by_name_or_first_bytes(
    tmp_path: Path, name: str, content: bytes, expected: bool
) -> None:
    (tmp_path / name).write_bytes(content)
    assert looks_like_image(tmp_path / name) is expected
