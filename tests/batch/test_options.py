"""What may be asked of the engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from eprimg.batch.options import EngineOptions, SchedulerAddress, SlurmJob, parse_shard
from eprimg.errors import ConfigError

PEM = (Path("ca"), Path("cert"), Path("key"))


@pytest.mark.parametrize(
    ("address", "files", "insecure"),
    [
        ("tcp://127.0.0.1:8786", (), False),
        ("localhost:8786", (), False),
        ("tls://node1:8786", PEM, False),
        ("tcp://node1:8786", (), True),
    ],
)
def test_addresses_that_are_safe_or_allowed(
    address: str, files: tuple[Path, ...], insecure: bool
) -> None:
    assert SchedulerAddress(address, *files, insecure=insecure).address == address


@pytest.mark.parametrize(
    ("address", "files", "code"),
    [
        ("tcp://node1:8786", (), "E_BATCH_INSECURE"),
        ("node1:8786", (), "E_BATCH_INSECURE"),
        ("tcp://127.0.0.1.example.org:8786", (), "E_BATCH_INSECURE"),
        ("tcp://127.0.0.1@node1:8786", (), "E_BATCH_INSECURE"),
        ("tls://node1:8786", (), "E_BATCH_SCHEDULER"),
        ("tls://node1:8786", PEM[:2], "E_BATCH_SCHEDULER"),
        ("http://node1:8786", (), "E_BATCH_SCHEDULER"),
        ("tls://", PEM, "E_BATCH_SCHEDULER"),
    ],
)
def test_addresses_that_are_refused(address: str, files: tuple[Path, ...], code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SchedulerAddress(address, *files)
    assert caught.value.code == code


def test_shards() -> None:
    assert parse_shard("") is None
    assert parse_shard("3/8") == (3, 8)
    for text in ("0/8", "9/8", "3", "a/b", "-1/2", "1/0", "1/2/3"):
        with pytest.raises(ConfigError, match="E_ARGUMENT"):
            parse_shard(text)


def test_options_out_of_range() -> None:
    with pytest.raises(ConfigError, match="--workers.*--time-limit"):
        EngineOptions(workers=-1, time_limit_s=0)
    with pytest.raises(ConfigError, match="exclude"):
        EngineOptions(scheduler=SchedulerAddress("localhost:1"), slurm=SlurmJob())
    with pytest.raises(ConfigError, match="10 minutes"):
        SlurmJob(walltime_min=10)
