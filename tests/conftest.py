"""Fixtures that several rooms share."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest

ROOT = Path(__file__).resolve().parent.parent


LONGEST = (
    "stages/test_register.py",
    "test_pipeline.py",
    "batch/test_engine.py",
    "io/test_saved_case.py",
    "kernels/test_r2star_noise.py",
    "kernels/test_r2star.py",
    "test_cli.py",
    "report/test_html.py",
)
"""Files that begin first: no worker is left alone with one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the longest files to the front; the order within a file stays."""
    places = {str(ROOT / "tests" / name): n for n, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(str(item.path), len(places)))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with real scanner files and known values; skips where it is absent."""
    folder = Path(os.environ.get("EPRIMG_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "pet").is_dir() or not (folder / "mri").is_dir():
        pytest.skip(f"no real scanner files at {folder} (set EPRIMG_REAL_DATA)")
    return folder


@dataclass(frozen=True)
class Outcome:
    """What a command line gave."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small abdomen, seed 1: one for all workers, so nobody writes into it."""
    from eprimg_phantoms import make
    from tests.made_once import made_once, shared_folder

    def fill(folder: Path) -> None:
        make("abdomen", folder / "abdomen", size="small", seed=1)

    return made_once(shared_folder(tmp_path_factory), "phantom", fill) / "abdomen"


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """Run the command line in this process, as `eprimg ARGS` would."""

    from eprimg import cli

    def call(*args: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["eprimg", *map(str, args)])
        monkeypatch.setenv("COLUMNS", "240")
        capsys.readouterr()
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        shown = capsys.readouterr()
        return Outcome(code, shown.out, shown.err)

    return call


@pytest.fixture
def plain_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the pictures of the report, which take longer than the numbers."""
    monkeypatch.setattr("eprimg.report.html.render_report", lambda *a, **k: "<p>no pictures</p>")


@pytest.fixture
def copy_of(phantom: Path, tmp_path: Path) -> Callable[..., Path]:
    """Copy the phantom's DICOM (hard links) and change headers on the way."""

    def copy(
        change: Callable[[pydicom.Dataset], object] | None = None,
        *,
        keep: Callable[[pydicom.Dataset], bool] = lambda ds: True,
        only: Callable[[pydicom.Dataset], bool] = lambda ds: True,
    ) -> Path:
        target = tmp_path / "changed"
        shutil.rmtree(target, ignore_errors=True)
        for source in sorted((phantom / "dicom").rglob("*.dcm")):
            place = target / source.relative_to(phantom / "dicom")
            place.parent.mkdir(parents=True, exist_ok=True)
            header = pydicom.dcmread(source, stop_before_pixels=True)
            if not keep(header):
                continue
            if change is None or not only(header):
                try:
                    os.link(source, place)
                except OSError:
                    shutil.copyfile(source, place)
                continue
            dataset = pydicom.dcmread(source)
            change(dataset)
            dataset.save_as(place)
        return target

    return copy


def is_pet(dataset: pydicom.Dataset) -> bool:
    """Tell a PET slice."""
    return str(dataset.Modality) == "PT"


def is_mr(dataset: pydicom.Dataset) -> bool:
    """Tell an MR slice."""
    return str(dataset.Modality) == "MR"
