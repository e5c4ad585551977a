"""`eprimg batch` and `eprimg status` as a user types them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from eprimg import cli
from tests.conftest import Outcome

Command = Callable[..., Outcome]


@pytest.fixture
def root(phantom: Path, tmp_path: Path) -> Path:
    """One PET study, and a folder without a study; the folders are named after persons."""
    pet = next(d for d in (phantom / "dicom").iterdir() if len(list(d.iterdir())) == 54)
    good, bad = tmp_path / "root" / "Roe_Jane", tmp_path / "root" / "Doe_John"
    good.mkdir(parents=True)
    bad.mkdir()
    for file in pet.iterdir():
        os.link(file, good / file.name)
    (bad / "notes.txt").write_text("nothing", encoding="utf-8")
    return tmp_path / "root"


def test_exit_codes_are_listed() -> None:
    assert {0, 8, 9, 10, 130} <= set(cli.EXIT_CODES)


def test_batch_rerun_and_status(command: Command, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    plan = command("batch", root, "--out", out, "--dry-run")
    assert plan.code == 0
    assert "2 studies: 2 run" in plan.out
    assert "planned memory" in plan.out
    assert "would be refused: E_EMPTY" in plan.out
    assert not out.exists()
    said = root / "Roe_Jane" / "study.toml"
    said.write_text('[[clicks]]\non = "ct"\npoint_mm = [0, 0, 0]\nanatomy = "lesion"\n')
    plan = command("batch", root, "--out", out, "--dry-run")
    assert "MB, would be refused: E_STUDY_FILE" in plan.out
    said.unlink()

    done = command("batch", root, "--out", out, "--workers", 0)
    assert done.code == 8, done.err
    assert "1 ok, 1 refused" in done.out
    assert "refused E_EMPTY" in done.err
    page = (out / "index.html").read_text(encoding="utf-8")
    shared = [done.out.replace(str(tmp_path), ""), done.err, page]
    shared += [p.read_text(encoding="utf-8") for p in out.glob("[lr]*/*")]
    shared.append((out / "cohort.csv").read_text(encoding="utf-8"))
    for text in shared:
        assert "Roe" not in text
        assert "Doe" not in text

    again = command("batch", root, "--out", out, "--workers", 0)
    assert (again.code, again.err) == (8, "")
    assert "2 studies: 1 keep, 1 skip" in command("batch", root, "--out", out, "--dry-run").out

    told = command("status", out)
    assert told.code == 8
    assert "1 ok, 1 refused" in told.out
    assert "E_EMPTY" in told.out
    content = json.loads(command("status", out, "--json").out)
    assert content["counts"] == {"ok": 1, "refused": 1, "failed": 0, "waiting": 0}
    (refused,) = content["studies"]
    assert refused["code"] == "E_EMPTY"
    assert "name a folder with DICOM" in refused["action"]  # the table folds its words
    assert "E_EMPTY" not in command("status", out, "--failed").out


def test_what_cannot_begin_is_refused_with_its_code(
    command: Command, root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for words, exit_code, code in (
        (("--scheduler", "tcp://node1:8786"), 4, "E_BATCH_INSECURE"),
        (("--shard", "3/2"), 4, "E_ARGUMENT"),
        (("--set", "r2star.metod=x"), 4, "E_CONFIG"),
    ):
        refused = command("batch", root, "--out", out, *words)
        assert (refused.code, code in refused.err) == (exit_code, True), refused.err
        assert not out.exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x", encoding="utf-8")
    foreign = command("batch", root, "--out", tmp_path / "mine")
    assert (foreign.code, "E_OUTPUT_EXISTS" in foreign.err) == (6, True)
    inside = command("batch", root, "--out", root.parent)
    assert inside.code == 6
    (out / "locks").mkdir(parents=True)  # killed when it had only its lock
    again = command("batch", out / "locks", "--out", out)
    assert (again.code, "E_OUTPUT_INPUT" in again.err) == (6, True)
    assert command("batch", root, "--out", out, "--dry-run").code == 0
    nothing = command("status", root)
    assert (nothing.code, "E_BATCH_FOLDER" in nothing.err) == (3, True)
