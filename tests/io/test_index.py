"""The index: what a folder holds, said once and without identities."""

from __future__ import annotations

import json

import pytest

from eprimg.errors import InputError
from eprimg.io.index import scan
from eprimg.model.case import Severity
from eprimg.model.study import Role
from tests.io.dicom_factory import write_ct, write_mr, write_pet


def test_one_folder_with_everything(tmp_path):
    write_mr(tmp_path / "mr")
    write_pet(tmp_path / "pet")
    write_ct(tmp_path / "ct")
    (tmp_path / "notes").write_text("no DICOM")
    index = scan(tmp_path)
    roles = {s.key: s.role for s in index.series}
    assert roles == {"mr-1": Role.MR_PRE, "pt-1": Role.PET, "ct-1": Role.CT}
    assert (index.n_files, index.n_skipped) == (12 + 4 + 4 + 1, 1)
    assert [f.code for f in index.findings] == ["W_SKIP_NONDICOM"]
    (mr,) = index.by_role(Role.MR_PRE)
    assert mr.echo_times_ms == (2.0, 4.0, 6.0)
    assert mr.shape == "4 x 6 x 5, 3 echoes"
    assert (mr.n_files, mr.n_frames) == (12, 12)
    assert mr.instant is not None
    assert mr.instant.isoformat() == "2024-03-01T09:06:00"


def test_json_has_no_identity_and_no_path(tmp_path):
    write_mr(tmp_path)
    text = json.dumps(scan(tmp_path).to_dict())
    for secret in ("Muster", "P1", "19600101", str(tmp_path)):
        assert f'"{secret}' not in text
        assert secret not in text.replace(tmp_path.name, "") or secret == "P1"
    assert scan(tmp_path).series[0].patient_key not in text


def test_empty_folder_missing_folder_and_nothing_usable(tmp_path):
    with pytest.raises(InputError, match="E_EMPTY.*no files"):
        scan(tmp_path)
    with pytest.raises(InputError, match="E_EMPTY.*no such"):
        scan(tmp_path / "absent")
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "b").write_text("y" * 300)
    with pytest.raises(InputError, match="E_EMPTY.*none of 2 files"):
        scan(tmp_path)


def test_damaged_files_are_counted_and_named_once(tmp_path):
    paths = write_mr(tmp_path)
    for path in paths[:3]:
        path.write_bytes(path.read_bytes()[:600])
    index = scan(tmp_path)
    (finding,) = [f for f in index.findings if f.code == "E_TRUNCATED"]
    assert finding.where == "3 files"
    assert all(p.name in finding.text for p in paths[:3])


def test_mixed_patients_are_said(tmp_path):
    def other(d, k, e):
        d.PatientID = "P2"

    write_mr(tmp_path / "a")
    write_pet(tmp_path / "b", change=other)
    findings = scan(tmp_path).findings
    assert [(f.code, f.severity) for f in findings] == [("W_PATIENT_MIX", Severity.WARNING)]
    assert "mr-1" in findings[0].text


def test_keys_stay_unique_across_studies(tmp_path):
    write_mr(tmp_path / "a", study="2.25.1", series="2.25.11")
    write_mr(tmp_path / "b", study="2.25.2", series="2.25.22")
    assert [s.key for s in scan(tmp_path).series] == ["mr-1", "mr-1b"]


def test_one_file_progress_and_sorted_order(tmp_path):
    paths = write_mr(tmp_path)
    seen = []
    index = scan(paths[0], progress=lambda done, total: seen.append((done, total)))
    assert index.n_files == 1
    assert seen == [(1, 1)]
    assert scan(str(tmp_path)).series[0].paths == tuple(sorted(paths))


def test_dicomdir_hidden_files_and_links_out_of_the_tree(tmp_path):
    outside = write_pet(tmp_path / "outside")
    inside = tmp_path / "inside"
    paths = write_mr(inside)
    (inside / "DICOMDIR").write_bytes(paths[0].read_bytes())
    (inside / ".hidden").write_bytes(paths[0].read_bytes())
    (inside / "link.dcm").symlink_to(outside[0])
    (inside / "folder").symlink_to(tmp_path / "outside")
    index = scan(inside)
    assert {s.modality for s in index.series} == {"MR"}
    assert index.n_files == len(paths)


def test_real_siemens_classic(real_data):
    index = scan(real_data / "mri/siemens_prisma_gre2e")
    magnitude, phase = index.series
    # SOURCE.md of the set: 24 magnitude files at 5.19 and 7.65 ms, 12 phase-difference files
    assert (magnitude.role, magnitude.n_frames) == (Role.MR_PRE, 24)
    assert magnitude.echo_times_ms == (5.19, 7.65)
    assert (phase.role, phase.n_frames) == (Role.UNUSED, 0)
    assert phase.dropped == (("phase frames", 12),)


def test_real_siemens_enhanced_one_file_per_echo(real_data):
    magnitude, phase = scan(real_data / "mri/siemens_xa30_enh_gre2e").series
    assert (magnitude.n_files, magnitude.n_frames) == (2, 66)
    assert magnitude.echo_times_ms == (10.0, 12.46)
    assert phase.dropped == (("phase frames", 33),)


def test_real_philips_magnitude_and_phase_in_one_series(real_data):
    (entry,) = scan(real_data / "mri/philips_ingenia_gre2e").series
    assert (entry.n_files, entry.n_frames) == (212, 106)
    assert entry.dropped == (("phase frames", 106),)
    assert entry.echo_times_ms == (2.3, 4.6)


def test_real_field_map_is_no_stack(real_data):
    (entry,) = scan(real_data / "mri/philips_enh_fmap").series
    assert entry.role == Role.UNUSED
    assert entry.dropped == (("field-map frames", 32),)
    assert "one magnitude echo only (1.52 ms)" in entry.reason


def test_real_pet(real_data):
    index = scan(real_data / "pet/sts001_ge_fdg_dicom/PT")
    (entry,) = index.series
    assert (entry.role, entry.n_frames, entry.shape) == (Role.PET, 267, "267 x 128 x 128")


def test_results_inside_the_study_are_not_read_as_input(tmp_path):
    write_mr(tmp_path / "mr")
    out = tmp_path / "results" / "regions"
    out.mkdir(parents=True)
    (out / "labels.nii.gz").write_bytes(b"not read")
    (tmp_path / "results" / "manifest.json").write_text('{"format": "eprimg output folder"}')
    index = scan(tmp_path)
    assert [e.modality for e in index.series] == ["MR"]
    assert [f.code for f in index.findings] == ["I_OUTPUT_SKIPPED"]


def test_links_out_of_the_tree_are_counted_and_named(tmp_path):
    outside = write_pet(tmp_path / "annex")
    inside = tmp_path / "inside"
    (inside / "b").mkdir(parents=True)
    for number, path in enumerate(outside):
        (inside / "b" / f"{number}.dcm").symlink_to(path)
    (inside / "gone.dcm").symlink_to(tmp_path / "not fetched")
    with pytest.raises(InputError) as caught:
        scan(inside)
    text = str(caught.value)
    assert "4 symbolic links in it lead out of it (b/0.dcm, b/1.dcm, b/2.dcm, ...)" in text
    assert "1 symbolic links in it lead nowhere (gone.dcm)" in text
    assert "cp -rL" in text
    assert str(tmp_path) not in text
    write_mr(inside / "mr")
    found = {f.code: f.where for f in scan(inside).findings}
    assert found == {"W_LINK_OUTSIDE": "4 files", "W_LINK_BROKEN": "gone.dcm"}


def test_links_inside_the_tree_are_followed_to_files_alone(tmp_path):
    paths = write_mr(tmp_path / "store")
    (tmp_path / "view").mkdir()
    (tmp_path / "view" / "a.dcm").symlink_to(paths[0])
    (tmp_path / "again").symlink_to(tmp_path / "store")
    index = scan(tmp_path)
    assert index.n_files == len(paths) + 1
    assert index.findings == ()


def test_documents_are_listed_in_one_line(tmp_path):
    write_mr(tmp_path)
    for name in ("SOURCE.md", "LICENSE", "notes.txt"):
        (tmp_path / name).write_text("words")
    index = scan(tmp_path)
    (finding,) = index.findings
    assert (finding.code, finding.where) == ("W_SKIP_NONDICOM", "3 files")
    assert "LICENSE, SOURCE.md, notes.txt" in finding.text
    assert index.n_skipped == 3
