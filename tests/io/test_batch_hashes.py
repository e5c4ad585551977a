from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eprimg.config import Config
from eprimg.io.batch_hashes import input_hash, input_stamp, result_hash
from eprimg.io.outputs import write_case
from eprimg.model.case import Case
from tests.tiny_case import case as tiny_case


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "root" / "John Doe"
    (folder / "mr").mkdir(parents=True)
    (folder / "mr" / "1.dcm").write_bytes(b"one")
    (folder / "mr" / "2.dcm").write_bytes(b"two")
    return folder


def test_the_same_content_elsewhere_has_the_same_hash(study: Path, tmp_path: Path) -> None:
    twin = shutil.copytree(study, tmp_path / "another" / "name")
    assert input_hash(study, None, {}) == input_hash(twin, None, {})


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "mr" / "1.dcm").write_bytes(b"ONE"),
        lambda folder: (folder / "mr" / "1.dcm").rename(folder / "mr" / "0.dcm"),
        lambda folder: (folder / "mr" / "1.dcm").rename(folder / "1.dcm"),
        lambda folder: (folder / "mr" / "3.dcm").write_bytes(b""),
        lambda folder: (folder / "mr" / "2.dcm").unlink(),
        lambda folder: (folder / "study.toml").write_text("pseudonym = 'P-7'"),
        shutil.rmtree,
    ],
)
def test_every_change_of_the_input_changes_the_hash(
    study: Path, change: Callable[[Path], object]
) -> None:
    before = input_hash(study, None, {})
    change(study)
    assert input_hash(study, None, {}) != before


def test_contents_that_change_places_change_the_hash(study: Path) -> None:
    before = input_hash(study, None, {})
    (study / "mr" / "1.dcm").write_bytes(b"two")
    (study / "mr" / "2.dcm").write_bytes(b"one")
    assert input_hash(study, None, {}) != before


def test_facts_study_file_and_its_masks_count(study: Path, tmp_path: Path) -> None:
    spoken = tmp_path / "spoken.toml"
    spoken.write_text('[[masks]]\npath = "lesions.nii.gz"\n')
    (tmp_path / "lesions.nii.gz").write_bytes(b"a")
    first = input_hash(study, spoken, {"weight_kg": 70.0})
    assert first != input_hash(study, spoken, {"weight_kg": 70.5})
    assert first != input_hash(study, None, {"weight_kg": 70.0})
    (tmp_path / "lesions.nii.gz").write_bytes(b"b")
    assert first != input_hash(study, spoken, {"weight_kg": 70.0})


@pytest.mark.parametrize("section", ["transforms", "landmarks", "metric_masks"])
def test_files_that_help_the_alignment_count(study: Path, tmp_path: Path, section: str) -> None:
    spoken = tmp_path / "spoken.toml"
    spoken.write_text(f'[[{section}]]\npath = "help.bin"\n')
    (tmp_path / "help.bin").write_bytes(b"a")
    first = input_hash(study, spoken, {})
    (tmp_path / "help.bin").write_bytes(b"b")
    assert first != input_hash(study, spoken, {})


def test_hidden_files_and_earlier_results_do_not_count(study: Path) -> None:
    before = input_hash(study, None, {})
    (study / ".DS_Store").write_bytes(b"x")
    (study / "results").mkdir()
    (study / "results" / "manifest.json").write_text('{"format": "eprimg output folder"}')
    (study / "results" / "report.html").write_text("x")
    assert input_hash(study, None, {}) == before


def _let_time_pass(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns() + 5_000_000_000
    monkeypatch.setattr("eprimg.io.batch_hashes.time.time_ns", lambda: now)


def test_the_stamp_changes_with_times_and_sizes(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _let_time_pass(study, monkeypatch)
    before = input_stamp(study, None, {})
    assert before == input_stamp(study, None, {})
    assert before != input_stamp(study, None, {"weight_kg": 70.0})
    os.utime(study / "mr" / "1.dcm", ns=(1, 1))
    assert before != input_stamp(study, None, {})


def test_a_file_that_has_just_changed_gives_no_stamp(study: Path) -> None:
    assert input_stamp(study, None, {}) == ""


@pytest.mark.skipif(os.name == "nt", reason="there are no named pipes")
def test_a_pipe_and_a_lost_link_do_not_stop_the_hash(study: Path) -> None:
    os.mkfifo(study / "pipe")
    (study / "lost").symlink_to(study / "nothing")
    before = input_hash(study, None, {})
    (study / "lost").unlink()
    (study / "lost").write_bytes(b"")
    assert input_hash(study, None, {}) != before


def test_a_study_that_is_gone_still_has_a_hash(tmp_path: Path) -> None:
    assert input_hash(tmp_path / "nothing", None, {}) != input_hash(tmp_path, None, {})


# --- results ------------------------------------------------------------------------------------


def _written(case: Case, folder: Path, config: Config | None = None, page: str = "") -> Path:
    return write_case(case, config or Config(), folder, report_html=page or None)


def test_times_hosts_threads_and_places_do_not_count(tmp_path: Path) -> None:
    case = tiny_case()
    first = _written(case, tmp_path / "a", page="<p>drawn at nine")
    later = replace(
        case,
        provenance=replace(
            case.provenance,
            versions={"eprimg": "9", "numpy": "9"},
            started="later",
            seconds={"register": 99.0},
            threads=64,
        ),
    )
    threads = Config().with_settings({"threads": 3})
    second = _written(later, tmp_path / "deep" / "b", threads, page="<p>drawn at ten")
    assert result_hash(first) == result_hash(second)


def test_the_compression_of_a_map_does_not_count(tmp_path: Path) -> None:
    import gzip

    folder = _written(tiny_case(), tmp_path / "a")
    before = result_hash(folder)
    path = folder / "native" / "r2star_pre.nii.gz"
    packed = path.read_bytes()
    path.write_bytes(gzip.compress(gzip.decompress(packed), 9))
    assert path.read_bytes() != packed
    assert result_hash(folder) == before


def _one_voxel(case: Case) -> Case:
    map_ = case.maps["r2star_pre"]
    values = np.array(map_.values)
    values[2, 3, 4] += 1e-3
    return replace(case, maps={"r2star_pre": replace(map_, values=values)})


def _one_label(case: Case) -> Case:
    assert case.lesions is not None
    labels = np.array(case.lesions.labels)
    labels[0, 0, 0] = 1
    return replace(case, lesions=replace(case.lesions, labels=labels))


def _one_number(case: Case) -> Case:
    assert case.lesions is not None
    lesion, *others = case.lesions.regions
    first, *rest = lesion.measurements
    moved = replace(lesion, measurements=(replace(first, value=0.0360001), *rest))
    return replace(case, lesions=replace(case.lesions, regions=(moved, *others)))


def _one_tier(case: Case) -> Case:
    (tier,) = case.patient_tiers
    return replace(case, patient_tiers=(replace(tier, label="low"),))


def _one_transform(case: Case) -> Case:
    (registration,) = case.registrations
    matrix = np.array(registration.transform.matrix)
    matrix[0, 3] = 1e-6
    moved = replace(registration.transform, matrix=matrix)
    return replace(case, registrations=(replace(registration, transform=moved),))


def _one_affine(case: Case) -> Case:
    from eprimg.model.grid import Grid

    map_ = case.maps["r2star_pre"]
    affine = np.array(map_.grid.affine)
    affine[2, 3] += 1e-3
    grid = Grid(map_.grid.shape, affine, map_.grid.frame_of_reference)
    return replace(case, maps={"r2star_pre": replace(map_, grid=grid)})


def _no_finding(case: Case) -> Case:
    return replace(case, findings=())


def _one_edge(case: Case) -> Case:
    (scheme,) = case.schemes
    return replace(case, schemes=(replace(scheme, edges=(5.5,)),))


@pytest.mark.parametrize(
    "change",
    [
        _one_voxel,
        _one_label,
        _one_number,
        _one_tier,
        _one_transform,
        _one_affine,
        _no_finding,
        _one_edge,
    ],
)
def test_one_changed_number_changes_the_result(
    tmp_path: Path, change: Callable[[Case], Case]
) -> None:
    case = tiny_case()
    first = result_hash(_written(case, tmp_path / "a"))
    assert first != result_hash(_written(change(case), tmp_path / "b"))


def test_a_changed_setting_changes_the_result(tmp_path: Path) -> None:
    first = result_hash(_written(tiny_case(), tmp_path / "a"))
    other = Config().with_settings({"stratify": {"indeterminate_low": 0.2}})
    assert first != result_hash(_written(tiny_case(), tmp_path / "b", other))


def test_the_folder_of_a_scheme_file_does_not_count_but_its_name_does(tmp_path: Path) -> None:
    def hashed(name: str, scheme: str) -> str:
        config = Config().with_settings({"stratify": {"schemes": [scheme]}})
        return result_hash(_written(tiny_case(), tmp_path / name, config))

    assert hashed("a", "/home/me/s.toml") == hashed("b", "/home/you/s.toml")
    assert hashed("c", "/home/me/t.toml") != hashed("d", "/home/me/s.toml")


def test_the_folder_of_a_table_of_vials_does_not_count_but_its_name_does(tmp_path: Path) -> None:
    def hashed(name: str, table: str) -> str:
        config = Config().with_settings({"iron": {"calibration_file": table}})
        return result_hash(_written(tiny_case(), tmp_path / name, config))

    assert hashed("a", "/home/me/v.csv") == hashed("b", "/home/you/v.csv")
    assert hashed("c", "/home/me/w.csv") != hashed("d", "/home/me/v.csv")


def test_the_folder_of_a_recovery_table_does_not_count_but_its_name_does(tmp_path: Path) -> None:
    def hashed(name: str, table: str) -> str:
        config = Config().with_settings({"partial_volume": {"recovery_table": table}})
        return result_hash(_written(tiny_case(), tmp_path / name, config))

    assert hashed("a", "/home/me/rc.csv") == hashed("b", "/home/you/rc.csv")
    assert hashed("c", "/home/me/other.csv") != hashed("d", "/home/me/rc.csv")


@pytest.mark.parametrize("key", ["profile", "deformable_profile"])
def test_the_folder_of_a_profile_does_not_count_but_its_name_does(tmp_path: Path, key: str) -> None:
    def hashed(name: str, profile: str) -> str:
        config = Config().with_settings({"register": {key: profile}})
        return result_hash(_written(tiny_case(), tmp_path / name, config))

    first = hashed("a", "/one/place/own.toml")
    assert hashed("b", "/another/place/own.toml") == first
    assert hashed("c", "/one/place/other.toml") != first


def test_the_folders_of_a_model_do_not_count_but_their_names_do(tmp_path: Path) -> None:
    def hashed(name: str, home: str, weights: str = "w.pt", option: str = "-x") -> str:
        model = {"engine": "nnunet-v2", "weights": f"{home}/{weights}", "options": [option]}
        model |= {"program": [f"{home}/bin/predict", "-v"]}
        (tmp_path / name).mkdir()
        text = Config().with_settings({"segment_model": model}).to_toml()
        (tmp_path / name / "settings.toml").write_text(text, encoding="utf-8")
        return result_hash(tmp_path / name)

    first = hashed("a", "/home/me")
    assert hashed("b", "/home/you") == first
    assert hashed("c", "/home/me", weights="v.pt") != first
    assert hashed("d", "/home/me", option="-y") != first


def test_a_lost_file_changes_the_result(tmp_path: Path) -> None:
    folder = _written(tiny_case(), tmp_path / "a")
    before = result_hash(folder)
    (folder / "maps" / "r2star_pre.json").unlink()
    assert result_hash(folder) != before


def test_a_side_car_counts(tmp_path: Path) -> None:
    folder = _written(tiny_case(), tmp_path / "a")
    before = result_hash(folder)
    path = folder / "maps" / "r2star_pre.json"
    content = json.loads(path.read_text())
    content["Units"] = "ms"
    path.write_text(json.dumps(content))
    assert result_hash(folder) != before
