"""Errors: words, built-in parents, fault lists, crossing a process."""

from __future__ import annotations

import pickle

import pytest

from eprimg import errors
from eprimg.errors import EprimgError, InputError, MissingTagError, raise_faults


def test_text_holds_code_place_value_and_action() -> None:
    error = InputError(
        "the dose is zero", code="E_SUV_DOSE", where="(0018,1074)", value=0.0, action="enter it"
    )
    assert str(error) == "E_SUV_DOSE: the dose is zero [(0018,1074)] (found: 0.0) -> enter it"


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        ("InputError", ValueError),
        ("ClockError", ValueError),
        ("MissingTagError", LookupError),
        ("GeometryError", ValueError),
        ("UnitsError", ValueError),
        ("ConfigError", ValueError),
        ("EngineError", RuntimeError),
        ("EngineUnavailable", ImportError),
        ("OutputError", OSError),
        ("Cancelled", InterruptedError),
    ],
)
def test_each_error_is_also_its_builtin(kind: str, builtin: type[Exception]) -> None:
    error = getattr(errors, kind)("words", code="E_X", where="here")
    assert isinstance(error, builtin)
    assert isinstance(error, EprimgError)
    assert str(error) == "E_X: words [here]"


def test_an_error_survives_a_process_boundary() -> None:
    error = MissingTagError("gone", code="E_X", where="w", value=3, action="a")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is MissingTagError
    assert str(again) == str(error)


def test_all_faults_are_listed_once() -> None:
    raise_faults([])
    one = InputError("first", code="E_A")
    with pytest.raises(InputError) as single:
        raise_faults([one])
    assert single.value is one
    with pytest.raises(InputError) as both:
        raise_faults([one, MissingTagError("second", code="E_B")])
    assert both.value.code == "E_A"
    assert "first" in str(both.value)
    assert "E_B: second" in str(both.value)
    assert len(both.value.faults) == 2


def test_progress_can_stop_the_work_in_two_ways() -> None:
    heard: list[str] = []
    errors.cancellable(None)("nothing happens", 0.0)
    errors.cancellable(lambda words, share: heard.append(words))("heard", 0.5)
    assert heard == ["heard"]
    with pytest.raises(errors.Cancelled) as caught:
        errors.cancellable(lambda words, share: False)("the fit", 0.5)
    assert (caught.value.code, caught.value.where) == ("E_CANCELLED", "the fit")
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is errors.Cancelled
