"""Render the report of a phantom study to pages for the documentation.

    python docs/example_report.py RESULTS/report.html

Needs Chromium and poppler (``pdftoppm``); the pages in ``docs/_static/example-report`` are kept in
the repository, so the documentation builds without them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
TARGET = HERE / "_static" / "example-report"
PAGE = HERE / "tutorials" / "example-report.md"
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def main(report: Path) -> None:
    """Print the report as PDF, store its pages and the first screen as PNG, write the page."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None or shutil.which("pdftoppm") is None:
        raise SystemExit("this needs chromium and pdftoppm")
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        pdf, shot = Path(folder) / "report.pdf", Path(folder) / "screen.png"
        common = [browser, *QUIET, f"--user-data-dir={folder}/profile"]
        url = report.resolve().as_uri()
        subprocess.run(
            [*common, f"--print-to-pdf={pdf}", "--no-pdf-header-footer", url], check=True
        )
        subprocess.run(
            [*common, f"--screenshot={shot}", "--window-size=1240,1900", url], check=True
        )
        subprocess.run(["pdftoppm", "-r", "90", "-png", str(pdf), f"{folder}/page"], check=True)
        for number, page in enumerate(sorted(Path(folder).glob("page-*.png")), start=1):
            small(page, TARGET / f"page-{number:02d}.png")
        small(shot, HERE / "_static" / "report.png")
    pages = sorted(TARGET.glob("page-*.png"))
    text = [
        "# An example report, page by page",
        "",
        "The report of the phantom study (size `full`, seed 1), printed to A4. In a browser it is",
        "one page whose details fold out. Every tier says that its scheme is an example.",
        "",
    ]
    for number, page in enumerate(pages, start=1):
        text += [f"![Page {number}](../_static/example-report/{page.name})", ""]
    PAGE.write_text("\n".join(text), encoding="utf-8")


def small(source: Path, target: Path) -> None:
    """Store a picture with 256 colours: enough for a page, a third of the bytes."""
    with Image.open(source) as picture:
        picture.convert("RGB").quantize(256).save(target, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
