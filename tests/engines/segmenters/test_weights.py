"""Weights: there, hashed as sha256sum does, never replaced."""

from __future__ import annotations

import hashlib

import pytest

from eprimg.engines.segmenters.weights import OFFLINE, require_weights, weights_sha256
from eprimg.errors import EngineUnavailable


def test_hash_of_a_file_and_of_a_folder(tmp_path):
    # SHA-256 of "abc": FIPS 180-4 example
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "m" / "sub").mkdir(parents=True)
    (tmp_path / "m" / "sub" / "b.bin").write_bytes(b"abc")
    (tmp_path / "m" / "a.bin").write_bytes(b"")
    assert weights_sha256(tmp_path / "m" / "sub" / "b.bin") == abc
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    listing = f"{empty}  a.bin\n{abc}  sub/b.bin\n"
    expected = hashlib.sha256(listing.encode()).hexdigest()
    assert weights_sha256(tmp_path / "m") == expected
    path, found = require_weights(str(tmp_path / "m"), expected.upper(), where="x")
    assert (path, found) == ((tmp_path / "m").resolve(), expected)


def test_missing_or_other_weights_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "w").write_bytes(b"abc")
    for weights, expected in (
        ("", ""),
        (str(tmp_path / "no"), ""),
        (str(tmp_path / "empty"), ""),
        (str(tmp_path / "w"), "0" * 64),
    ):
        with pytest.raises(EngineUnavailable) as caught:
            require_weights(weights, expected, where="x")
        assert caught.value.code == "E_MODEL_WEIGHTS"


def test_children_are_told_to_stay_offline():
    assert OFFLINE["HF_HUB_OFFLINE"] == "1"
    assert OFFLINE["https_proxy"] == OFFLINE["HTTP_PROXY"] == "http://127.0.0.1:9"
    assert OFFLINE["no_proxy"] == ""
