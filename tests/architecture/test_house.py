"""The house keeps its layout: mirrors, short files, documented names, light import, known codes."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "eprimg"
SOURCES = sorted(p for p in PACKAGE.rglob("*.py"))
EVERY_SOURCE = (
    SOURCES + sorted((ROOT / "phantoms").rglob("*.py")) + sorted((ROOT / "plugins").rglob("*.py"))
)
FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc", "core", "base", "manager"}
PRIVATE_MIRROR = {"__init__.py"}


def _relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=_relative)
def test_every_file_has_a_mirror(path: Path) -> None:
    if path.name in PRIVATE_MIRROR or path.name.startswith("_"):
        return
    inner = path.relative_to(PACKAGE)
    mirror = ROOT / "tests" / inner.parent / f"test_{inner.name}"
    assert mirror.is_file(), f"{_relative(path)} needs {_relative(mirror)}"


@pytest.mark.parametrize("path", EVERY_SOURCE, ids=_relative)
def test_files_stay_short_and_are_named_for_what_they_hold(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 450, f"{_relative(path)} has {lines} lines; split it"
    assert not FORBIDDEN_NAMES & set(path.with_suffix("").parts[-2:])


def _public_definitions(tree: ast.Module) -> list[ast.AST]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found: list[ast.AST] = []
    for node in tree.body:
        if isinstance(node, kinds) and not node.name.startswith("_"):
            found.append(node)
            if isinstance(node, ast.ClassDef):
                found += [
                    n for n in node.body if isinstance(n, kinds) and not n.name.startswith("_")
                ]
    return found


@pytest.mark.parametrize("path", EVERY_SOURCE, ids=_relative)
def test_every_public_name_is_documented(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{_relative(path)} has no docstring"
    missing = [n.name for n in _public_definitions(tree) if not ast.get_docstring(n)]  # type: ignore[attr-defined, arg-type]
    assert not missing, f"{_relative(path)}: undocumented {missing}"


def _codes() -> dict[str, dict[str, str]]:
    codes: dict[str, dict[str, str]] = {}
    for file in sorted((PACKAGE / "resources" / "codes").glob("*.toml")):
        for code, entry in tomllib.loads(file.read_text(encoding="utf-8")).items():
            assert code not in codes, f"{code} is explained twice (second time in {file.name})"
            codes[code] = entry
    return codes


def test_every_code_is_explained_and_used() -> None:
    codes = _codes()
    used: set[str] = set()
    for path in SOURCES:
        used |= set(re.findall(r'"([EWI]_[A-Z0-9_]{2,})"', path.read_text(encoding="utf-8")))
    used -= {"I_FFE", "I_SE"}  # values of Image Type that one vendor writes
    assert not used - set(codes), f"not explained: {sorted(used - set(codes))}"
    assert not set(codes) - used, f"never used: {sorted(set(codes) - used)}"
    for code, entry in codes.items():
        assert {"title", "text", "action"} <= set(entry), code
        assert all(entry[k].strip() for k in ("title", "text", "action")), code


def test_import_is_light() -> None:
    script = (
        "import sys; before = set(sys.modules); import eprimg, eprimg.config, eprimg.errors; "
        "heavy = {'numpy', 'scipy', 'numba', 'pydicom', 'nibabel', 'SimpleITK', 'skimage', "
        "'matplotlib', 'highdicom', 'napari', 'qtpy'}; print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_public_names_of_the_package_can_be_imported() -> None:
    import eprimg

    for name in eprimg.__all__:
        assert getattr(eprimg, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        eprimg.nothing  # noqa: B018


def test_version_is_said_once() -> None:
    import eprimg

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == eprimg.__version__
    assert f"version: {eprimg.__version__}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_constraints_hold_names_and_versions_only() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line), line
