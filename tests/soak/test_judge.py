"""The judge of the soak finds each fault that it is there for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.soak.judge import half_written, judge, leaks, left
from tests.soak.studies import BAD, Planned, plan

PLANNED = plan(("pet", "pet"), ("missing weight",))
GOOD, BAD_ONE = next(s for s in PLANNED if not s.bad), next(s for s in PLANNED if s.bad)


def _study(out: Path, study: Planned) -> None:
    record = {
        "key": study.key,
        "status": "refused" if study.bad else "ok",
        "code": study.code,
        "message": "the body weight is missing" if study.bad else "",
        "result_hash": "" if study.bad else f"hash-{study.seed}",
        "digest": {"n_lesions": 0 if study.bad else 1},
    }
    (out / "records" / f"{study.key}.json").write_text(json.dumps(record))
    if study.bad:
        return
    folder = out / "studies" / study.key
    folder.mkdir()
    (folder / "lesions.csv").write_text(f"lesion,volume\n1,{study.seed}\n")
    content = (folder / "lesions.csv").read_bytes()
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    manifest = {"format": "eprimg output folder", "files": {"lesions.csv": entry}}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """What a batch of two good studies and a bad one leaves."""
    out = tmp_path / "out"
    for name in ("records", "studies", "locks"):
        (out / name).mkdir(parents=True)
    rows = ["study,status,code,result_hash"]
    for study in PLANNED:
        _study(out, study)
        rows.append(
            f"{study.key},refused,{study.code},"
            if study.bad
            else f"{study.key},ok,,hash-{study.seed}"
        )
    (out / "cohort.csv").write_text("\n".join(rows) + "\n")
    good = [s.key for s in PLANNED if not s.bad]
    (out / "cohort_lesions.csv").write_text("\n".join(["study,lesion", *(f"{k},1" for k in good)]))
    (out / "index.html").write_text(" ".join(s.key for s in PLANNED))
    return out


def _change_record(out: Path, study: Planned, **facts: str) -> None:
    path = out / "records" / f"{study.key}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def test_a_sound_batch_has_no_fault(out: Path) -> None:
    assert judge(out, PLANNED, exit_code=8, undisturbed=left(out)) == []


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "lost": (lambda o: (o / "records" / f"{GOOD.key}.json").unlink(), "lost, no record"),
    "record cut": (
        lambda o: (o / "records" / f"{GOOD.key}.json").write_text('{"key": '),
        "a record that is not whole",
    ),
    "wrong code": (lambda o: _change_record(o, BAD_ONE, code="E_EMPTY"), "not E_SUV_WEIGHT"),
    "no words": (lambda o: _change_record(o, BAD_ONE, message=""), "refused without a word"),
    "bad one passed": (lambda o: _change_record(o, BAD_ONE, status="ok", code=""), ": ok "),
    "good one failed": (lambda o: _change_record(o, GOOD, status="failed"), "failed"),
    "another hash": (lambda o: _change_record(o, GOOD, result_hash="x"), "other results"),
    "a file changed": (
        lambda o: (o / "studies" / GOOD.key / "lesions.csv").write_text("lesion,volume\n1,9\n"),
        "E_OUTPUT_DAMAGED",
    ),
    "scratch": (lambda o: (o / "studies" / f".{GOOD.key}.partial-1").mkdir(), "left over"),
    "temporary file": (lambda o: (o / ".cohort.csv.tmp-1").write_text(""), "left over"),
    "no record": (lambda o: (o / "studies" / "S-unknown").mkdir(), "without a record"),
    "bad one left results": (lambda o: (o / "studies" / BAD_ONE.key).mkdir(), "left an output"),
    "table": (lambda o: (o / "cohort.csv").write_text("study,status,code,result_hash\n"), "both"),
    "page": (lambda o: (o / "index.html").write_text(""), "not in index.html"),
    "lesions": (lambda o: (o / "cohort_lesions.csv").write_text("study\n"), "cohort_lesions.csv"),
    "a name": (lambda o: (o / "locks" / "x.log").write_text("of Zebrafink-Anna"), "holds"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found(out: Path, name: str) -> None:
    undisturbed = left(out)
    spoil, words = FAULTS[name]
    spoil(out)
    faults = judge(out, PLANNED, exit_code=8, undisturbed=undisturbed)
    assert any(words in fault for fault in faults), faults


def test_a_wrong_exit_code_is_found(out: Path) -> None:
    assert judge(out, PLANNED, exit_code=0) == ["exit code 0, not 8"]


def test_the_file_that_guards_the_locks_is_no_leftover(out: Path) -> None:
    (out / "locks" / ".guard").touch()
    assert half_written(out) == []


def test_only_the_private_table_may_hold_folder_names(out: Path, tmp_path: Path) -> None:
    (out / "sources.csv").write_text("Zebrafink-Anna-01")
    assert leaks(out) == []
    printed = tmp_path / "printed.log"
    printed.write_text("warning W_BATCH_EMPTY [Zebrafink-Anna-07] the folder is empty\n")
    assert leaks(out, printed) == []
    printed.write_text("refused [Zebrafink-Anna-07]\n")
    assert leaks(out, printed) == ["printed.log: holds 'Zebrafink'"]


def test_bad_studies_are_bad_in_different_ways_and_have_codes_that_are_explained() -> None:
    from eprimg.resources.codes import explain_code

    assert len(BAD) >= 10
    for way in BAD.values():
        assert explain_code(way.code).code == way.code
