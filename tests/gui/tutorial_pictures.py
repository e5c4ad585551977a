"""Copy pictures of the scripted reading into the tutorial, smaller and with fewer colours.

First make them: ``pytest tests/gui/test_reading_from_open_to_report.py``, then
``python -m tests.gui.tutorial_pictures``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from tests.gui.hands import PICTURES

TARGET = Path(__file__).resolve().parents[2] / "docs" / "_static" / "reading-room"
CHOSEN = {
    "02_open_roles": "1-open",
    "04_fact_entered": "2-check",
    "05_registered": "3-register",
    "07_lesions": "5-lesions",
    "11_painted": "6-paint",
    "12_exclude_question": "7-exclude",
    "14_cut_off_changed": "8-tiers",
    "15_saved_and_exported": "9-report",
}
"""Name of the picture of the test: name in the tutorial."""

LARGEST_BYTES = 250_000


def main() -> None:
    """Copy and compress."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=PICTURES)
    source = parser.parse_args().source
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, new in CHOSEN.items():
        picture = Image.open(source / f"{name}.png").convert("RGB")
        # The other methods turn the few amber pixels of "look" into the red of "refused".
        small = picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        path = TARGET / f"{new}.png"
        small.save(path, optimize=True)
        size = path.stat().st_size
        if size > LARGEST_BYTES:
            raise SystemExit(f"{path.name} has {size} bytes, more than {LARGEST_BYTES}")
        print(f"{path.name}: {size // 1000} kB")


if __name__ == "__main__":
    main()
