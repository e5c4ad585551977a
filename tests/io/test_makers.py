"""Spellings of makers as met in the shared data and in the issues that docstrings cite."""

from __future__ import annotations

import pytest

from eprimg.io.makers import is_ge, is_philips, is_siemens


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("SIEMENS", (False, False, True)),
        ("Siemens Healthineers", (False, False, True)),
        ("Philips Medical Systems", (False, True, False)),
        ("Philips", (False, True, False)),
        ("GE MEDICAL SYSTEMS", (True, False, False)),
        ("GE", (True, False, False)),
        ("General Electric", (True, False, False)),
        ("GEMINI Imaging", (False, False, False)),
        ("Genesis", (False, False, False)),
        ("", (False, False, False)),
    ],
)
def test_names(name, answer):
    assert (is_ge(name), is_philips(name), is_siemens(name)) == answer
