"""``python -m eprimg_phantoms``."""

from eprimg_phantoms.cli import main

main()
