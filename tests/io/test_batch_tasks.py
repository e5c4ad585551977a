from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from eprimg.errors import ConfigError
from eprimg.io.batch_tasks import StudyTask, folder_key, shard, with_distinct_keys


def _tasks(count: int) -> tuple[StudyTask, ...]:
    return tuple(
        StudyTask(folder_key(f"p{n}"), Path(f"p{n}"), source=f"p{n}") for n in range(count)
    )


def test_the_key_of_a_folder_is_the_head_of_its_hash() -> None:
    # sha256sum of the bytes "Doe^John/2026", computed here by hashlib alone
    digest = hashlib.sha256(b"Doe^John/2026").hexdigest()
    assert folder_key("Doe^John/2026") == "S-" + digest[:10]


def test_a_name_that_is_not_unicode_has_a_key() -> None:
    assert folder_key(b"M\xfcller".decode("utf-8", "surrogateescape")).startswith("S-")


@pytest.mark.parametrize("count", [1, 2, 7, 64])
def test_every_task_is_in_exactly_one_shard(count: int) -> None:
    tasks = _tasks(500)
    parts = [shard(tasks, n, count) for n in range(1, count + 1)]
    assert sorted(t.key for part in parts for t in part) == sorted(t.key for t in tasks)
    if count <= 7:  # 500 / 7 = 71 on average; the chance of fewer than 35 is below 1e-6
        assert min(len(p) for p in parts) > 35


def test_a_shard_keeps_its_tasks_when_others_come() -> None:
    few, many = _tasks(50), _tasks(500)
    assert {t.key for t in shard(few, 2, 5)} <= {t.key for t in shard(many, 2, 5)}


@pytest.mark.parametrize(("number", "count"), [(0, 4), (5, 4), (1, 0), (-1, 3)])
def test_a_shard_that_does_not_exist_is_refused(number: int, count: int) -> None:
    with pytest.raises(ConfigError, match="E_ARGUMENT"):
        shard(_tasks(3), number, count)


def test_two_folders_with_one_key_get_longer_ones() -> None:
    tasks = [StudyTask("S-same", Path("a"), source="a"), StudyTask("S-same", Path("b"), source="b")]
    other = StudyTask("S-other", Path("c"), source="c")
    keys = [t.key for t in with_distinct_keys([*tasks, other])]
    assert keys[2] == "S-other"
    assert len(set(keys)) == 3
    assert all(len(k) == len("S-") + 20 for k in keys[:2])
