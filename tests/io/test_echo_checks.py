"""Contradictions between echo numbers, echo times and timing."""

from __future__ import annotations

from pathlib import Path

import pytest

from eprimg.errors import InputError
from eprimg.io.echo_checks import check_echo_numbers, one_time_for_all, timing_findings
from eprimg.io.frame_types import by_echo
from eprimg.io.instance import Instance


def frames(times, *, numbers=None, train=None, clock="same", slices=3, **facts):
    """Frames of an axial stack; ``clock`` is how acquisition times run."""
    made = []
    for e, time in enumerate(times):
        for k in range(slices):
            made.append(
                Instance(
                    Path(f"{e}-{k}.dcm"),
                    position=(0.0, 0.0, 3.0 * k),
                    echo_time_ms=time,
                    echo_number=numbers[e] if numbers else None,
                    echo_train_length=train,
                    acquisition_time={"same": "09", "each": f"09{e:02d}", "none": ""}[clock],
                    **{name: values[e] for name, values in facts.items()},
                )
            )
    return made


@pytest.mark.parametrize(
    ("made", "word"),
    [
        (frames([2.0] * 3, numbers=[1, 2, 3], clock="each"), "EchoNumbers"),
        (frames([2.0] * 3, numbers=[1, 1, 1], train=3, clock="each"), "EchoTrainLength"),
        (frames([2.0] * 3, numbers=[1] * 3, train=1, manufacturer=["GE"] * 3), "same instant"),
        # Philips writes one acquisition time into all dynamics; numbered repetitions are none
        (frames([2.0] * 3, numbers=[1, 1, 1], train=1), ""),
        (frames([2.0] * 3, numbers=[1, 1, 1], train=3, temporal_index=[1, 2, 3]), ""),
        (frames([2.0] * 3, numbers=[1, 1, 1], train=3, acquisition_number=[1, 2, 3]), ""),
        # repetitions of one echo: nothing says that they are echoes
        (frames([2.0] * 3, numbers=[1, 1, 1], train=1, clock="each"), ""),
        (frames([2.0] * 3, clock="none"), ""),
        # an ordinary single echo, and an ordinary train
        (frames([2.0], numbers=[1], train=1), ""),
        (frames([2.0, 4.0], numbers=[1, 1], train=2), ""),
        (frames([None, None]), ""),
        ([], ""),
    ],
)
def test_one_time_for_all(made, word):
    text = one_time_for_all(made)
    assert (word in text) if word else text == ""


def test_numbers_that_share_a_time():
    with pytest.raises(InputError, match="echoes 2, 3 of one slice"):
        check_echo_numbers(by_echo(frames([2.0, 4.0, 4.0], numbers=[1, 2, 3])), "series")
    check_echo_numbers(by_echo(frames([2.0, 4.0, 6.0], numbers=[1, 1, 1])), "series")
    check_echo_numbers(by_echo(frames([2.0, 4.0, 6.0])), "series")


@pytest.mark.parametrize(
    ("repetition", "flip", "n"),
    [
        ([20.0, 20.0], [15.0, 15.0], 0),
        ([20.0, 20.01], [15.0, 15.0], 0),  # rounding
        ([None, None], [None, None], 0),
        ([20.0, 21.0], [15.0, 15.0], 1),
        ([20.0, 20.0], [15.0, 18.0], 1),
    ],
)
def test_timing(repetition, flip, n):
    made = frames([2.0, 4.0], repetition_time_ms=repetition, flip_angle_deg=flip)
    assert [f.code for f in timing_findings(by_echo(made), "mr-1")] == ["W_ECHO_TIMING"] * n


def test_a_repetition_time_that_runs_with_the_slices_is_no_difference_between_echoes():
    made = [
        Instance(Path("x"), position=(0, 0, k), echo_time_ms=t, repetition_time_ms=700.0 + k)
        for t in (2.0, 4.0)
        for k in range(5)
    ]
    assert timing_findings(by_echo(made), "mr-1") == ()
