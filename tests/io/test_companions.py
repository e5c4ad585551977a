"""Which phase frames belong to a magnitude train."""

from __future__ import annotations

from eprimg.io.index import scan
from tests.io.complex_series import magnitude, siemens, stored_phase, write_part

M, P = "ORIGINAL\\PRIMARY\\M\\ND", "ORIGINAL\\PRIMARY\\P\\ND"


def entry(folder, number=0):
    return next(e for e in scan(folder).series if e.series_uids[0] == f"2.25.{101 + number}")


def codes(found):
    return [f.code for f in found.findings]


def test_phase_in_the_same_series(tmp_path):
    write_part(tmp_path, M, magnitude(), series="2.25.101")
    write_part(tmp_path, P, stored_phase(), series="2.25.101", scale=siemens)
    found = entry(tmp_path)
    assert (len(found.instances), len(found.companions)) == (12, 12)
    assert codes(found) == ["I_DROPPED"]
    assert scan(tmp_path).to_dict()["series"][0]["complex"] is True


def test_phase_in_the_next_series(tmp_path):
    write_part(tmp_path, M, magnitude(), series="2.25.101")
    write_part(tmp_path, P, stored_phase(), series="2.25.102", number=2, scale=siemens)
    assert len(entry(tmp_path).companions) == 12
    assert {f.series_uid for f in entry(tmp_path).companions} == {"2.25.102"}


def test_a_series_per_echo_and_part(tmp_path):
    for e in range(3):
        for part, values, offset in ((M, magnitude(), 0), (P, stored_phase(), 10)):
            write_part(
                tmp_path, part, values, series=f"2.25.{101 + e + offset}", number=e + offset,
                scale=siemens if offset else None, keep=lambda k, echo, e=e: echo == e,
            )  # fmt: skip
    found = entry(tmp_path)
    assert found.echo_times_ms == (2.0, 4.0, 6.0)
    assert (len(found.series_uids), len(found.companions)) == (3, 12)


def test_two_scans_of_one_geometry_get_their_own_phase(tmp_path):
    for n, time in ((0, "0906"), (2, "1406")):
        write_part(tmp_path, M, magnitude(), series=f"2.25.{101 + n}", number=n + 1, time=time)
        write_part(
            tmp_path, P, stored_phase(), series=f"2.25.{102 + n}", number=n + 2, time=time,
            scale=siemens,
        )  # fmt: skip
    for n in (0, 2):
        assert {f.series_uid for f in entry(tmp_path, n).companions} == {f"2.25.{102 + n}"}


def test_phase_of_another_scan_is_never_taken(tmp_path):
    write_part(tmp_path, M, magnitude(), series="2.25.101", time="0906")
    write_part(tmp_path, P, stored_phase(), series="2.25.102", number=2, time="1406", scale=siemens)
    found = entry(tmp_path)
    assert found.companions == ()
    assert codes(found) == ["I_PHASE_UNUSED"]


def test_a_phase_difference_is_no_companion(tmp_path):
    write_part(tmp_path, M, magnitude(), series="2.25.101")
    write_part(
        tmp_path, P, stored_phase(), series="2.25.102", number=2, scale=siemens,
        keep=lambda k, e: e == 2,
    )  # fmt: skip
    found = entry(tmp_path)
    assert found.companions == ()
    assert codes(found) == []


def test_a_missing_phase_slice_leaves_none(tmp_path):
    write_part(tmp_path, M, magnitude(), series="2.25.101")
    write_part(
        tmp_path, P, stored_phase(), series="2.25.101", scale=siemens,
        keep=lambda k, e: (k, e) != (2, 1),
    )  # fmt: skip
    assert entry(tmp_path).companions == ()


def test_phase_of_another_grid_or_study_is_not_taken(tmp_path):
    def elsewhere(d, k, e):
        d.ImagePositionPatient = [x + 4.0 for x in d.ImagePositionPatient]

    def other_study(d, k, e):
        d.StudyInstanceUID = "2.25.999"

    for name, more in (("a", elsewhere), ("b", other_study)):
        write_part(tmp_path / name, M, magnitude(), series="2.25.101")
        write_part(
            tmp_path / name, P, stored_phase(), series="2.25.102", number=2, scale=siemens,
            more=more,
        )  # fmt: skip
        assert entry(tmp_path / name).companions == ()


def test_real_needs_imaginary(tmp_path):
    write_part(tmp_path, M, magnitude(), series="2.25.101")
    values = stored_phase().astype("int16")
    write_part(tmp_path, "ORIGINAL\\PRIMARY\\R\\ND", values, series="2.25.101")
    assert entry(tmp_path).companions == ()
    write_part(tmp_path, "ORIGINAL\\PRIMARY\\I\\ND", values, series="2.25.101", number=1)
    assert len(entry(tmp_path).companions) == 24


def test_real_scanners(real_data):
    def kept(name):
        return {e.key: len(e.companions) for e in scan(real_data / "mri" / name).series}

    # 53 slices x 2 echoes of phase in the magnitude's own series; Siemens has phase differences
    assert kept("philips_ingenia_gre2e") == {"mr-2001": 106}
    assert kept("siemens_prisma_gre2e") == {"mr-2": 0, "mr-3": 0}
    assert kept("siemens_xa30_enh_gre2e") == {"mr-8": 0, "mr-9": 0}
