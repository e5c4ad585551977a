"""The panel shows one row for each quantity and forgets those that are gone."""

from __future__ import annotations

import math

from napari_eprimg.view.readout import ReadOut, ValueAt
from napari_eprimg.view.readout_panel import ReadOutPanel

SUV = ValueAt("suvbw", "SUVbw", "g/mL", 8.04)
CHANGE = ValueAt("dr2star", "delta R2*", "1/s", math.nan, "no value (too few echoes)")


def test_rows_come_and_go(qapp) -> None:
    panel = ReadOutPanel()
    panel.show_values(ReadOut((2.0, -3.0, 4.0), (SUV, CHANGE)), at_crosshair=True)
    assert panel.title.text() == "Values at the crosshair"
    assert panel.text().splitlines() == [
        "L 4.0  A 3.0  S 2.0 mm",
        "Region: no region",
        "SUVbw: 8.04 g/mL",
        "delta R2*: no value (too few echoes)",
    ]
    panel.show_values(ReadOut((2.0, -3.0, 4.0), (SUV,)), at_crosshair=False)
    assert panel.title.text() == "Values under the mouse"
    assert "delta R2*" not in panel.text()
    panel.show_values(None, at_crosshair=True)
    assert panel.text() == "\nRegion: "
