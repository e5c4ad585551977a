"""The napari plugin of eprimg, thin over the same pipeline as the command line.

It opens an output folder of ``eprimg run`` and offers the phantom study as sample data.  It imports
neither Qt nor napari: readers and samples hand over plain layer tuples.
"""

from __future__ import annotations

__all__: list[str] = []
