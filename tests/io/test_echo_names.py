"""BIDS names of echoes and parts."""

from __future__ import annotations

from pathlib import Path

from eprimg.io.echo_names import companion_paths, echo_name_findings, echo_number

HOME = Path("sub-1/anat")


def names(part, numbers=(1, 2, 3), stem="sub-1_acq-a", suffix="MEGRE"):
    entity = f"_part-{part}" if part else ""
    return [HOME / f"{stem}_echo-{n}{entity}_{suffix}.nii.gz" for n in numbers]


def test_echo_number():
    assert [echo_number(p) for p in names("mag")] == [1, 2, 3]
    assert echo_number(HOME / "sub-1_echo-12_MEGRE.nii") == 12
    assert echo_number(HOME / "sub-1_MEGRE.nii") is None


def test_phase_of_every_echo():
    magnitude, phase = names("mag"), names("phase")
    assert companion_paths(magnitude, [*magnitude, *reversed(phase)]) == tuple(phase)
    plain = names("")
    assert companion_paths(plain, [*plain, *phase]) == tuple(phase)


def test_real_and_imaginary():
    magnitude, real, imaginary = names("mag"), names("real"), names("imag")
    assert companion_paths(magnitude, [*imaginary, *real]) == (*real, *imaginary)
    assert companion_paths(magnitude, real) == ()


def test_parts_of_another_train_folder_or_number_are_not_taken():
    magnitude = names("mag")
    assert companion_paths(magnitude, names("phase", stem="sub-1_acq-b")) == ()
    assert companion_paths(magnitude, names("phase", suffix="T2starw")) == ()
    assert companion_paths(magnitude, names("phase", numbers=(1, 2))) == ()
    moved = [Path("sub-2/anat") / p.name for p in names("phase")]
    assert companion_paths(magnitude, moved) == ()


def test_names_against_times():
    def codes(numbers, times):
        found = echo_name_findings(dict(zip(names("mag", numbers), times, strict=True)), "mr_pre")
        return [(f.code, f.text) for f in found]

    assert codes((1, 2, 3), (2.0, 4.0, 6.0)) == []
    ((code, text),) = codes((1, 2, 3), (2.0, 6.0, 4.0))
    assert code == "W_ECHO_NAMES"
    assert "echo-2 6 ms, echo-3 4 ms" in text
    ((code, text),) = codes((1, 3, 4), (2.0, 4.0, 6.0))
    assert "echo 2 of 3 is missing" in text
    assert echo_name_findings({HOME / "a.nii": 1.0, HOME / "b.nii": 2.0}, "mr_pre") == ()
